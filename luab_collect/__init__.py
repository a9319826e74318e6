"""The annotation studio: a server and its pages, from a folder of images to a dataset with byproducts.

    project.yaml + images -> plan (pages of work) -> server <- events <- the annotator's browser
    events -> results (derive) -> quality, review -> export: the released layouts, dataset folders

`events` declares what a browser sends, `results` what a finished page of work is. Nothing here imports torch.
"""
