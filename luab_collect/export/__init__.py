"""Finished pages of work -> a dataset: `luab collect export`.

    pages of work -> views (one annotator saw one image once), by image -> a layout makes its row
    layouts: `plain` (own classes), `imagenet` and `coco` (the released files and their datasets' columns)

What counts is work that was submitted and that no person rejected, of annotators who have not withdrawn.
"""
