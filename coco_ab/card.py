"""The texts of COCO-AB's dataset card."""

from typing import Any

from coco_ab.points import RULES, Rule
from coco_ab.rows import FILE_NAME, HEIGHT, WIDTH
from luab_data.build.card import PAPER, CardText
from luab_data.constants import ANNOTATIONS, IMAGE, IMAGE_ID, LABELS, OBJECTS, POINTS
from luab_data.images.pillow import JPEG_QUALITY

COCO = """@inproceedings{lin2014microsoft,
  title     = {Microsoft COCO: Common Objects in Context},
  author    = {Lin, Tsung-Yi and Maire, Michael and Belongie, Serge and Hays, James and Perona, Pietro and
               Ramanan, Deva and Doll{\\'a}r, Piotr and Zitnick, C. Lawrence},
  booktitle = {European Conference on Computer Vision (ECCV)},
  year      = {2014}
}"""
TERMS = "https://cocodataset.org/#termsofuse"

_OF_COCO = {
    WIDTH: "pixels of the image in this row",
    HEIGHT: "pixels of the image in this row",
    LABELS: "the classes that COCO's annotation lists, of 80",
    OBJECTS: "COCO's boxes, for evaluation: `bbox` is `[x, y, width, height]` in pixels of the image in this "
    "row, `category` the class, `area` that of the outline, `iscrowd` whether the box holds a group",
}
_ANNOTATIONS = (
    "one entry for each time the image was annotated, empty for an image without a record. "
    "`action_histories`: icons added, moved and removed, with their places and times; `category_histories`: "
    "the pages of icons that the worker turned to; `mouse_tracking`: the cursor, often empty; `time_spent`: "
    "ms on the page; sizes in pixels, null where unknown; `worker_id`: anonymized"
)
_INTRODUCTION = """COCO's training images of 2014 with the byproducts of tagging them. Annotators dragged an
icon onto each class that they saw; the records hold every icon's history and the cursor's path. The
byproducts are those of Han et al., "Neglected Free Lunch" (ICCV 2023), published as
[coallaoh/COCO-AB](https://huggingface.co/datasets/coallaoh/COCO-AB)."""
_WITHOUT_IMAGES = (
    "This is the part without images, free to redistribute; `file_name` names the image of each row."
)
_JOINED = f"""Image files, COCO's instance annotations and byproduct records were joined by the image's id.
Images were kept unchanged, unless a side was longer than `max_side` pixels: then they were shrunk, their
boxes with them, and encoded as JPEG of quality {JPEG_QUALITY}."""
_ALONE = "The byproduct records were read without images and COCO's annotations."
_PROVENANCE = """Every record was checked; rejected ones are in `rejects.jsonl`. If an image was annotated
twice, `points` are those of the last record.

Points are ratios of the image, 0 to 1, x first. Times are milliseconds since the page opened."""
_BYPRODUCTS_LICENCE = "The byproducts are published under Apache-2.0."
_IMAGES_LICENCE = (
    f"COCO's annotations are under CC BY 4.0; the images belong to their owners on Flickr and are used under "
    f"[COCO's terms]({TERMS}): do not make this dataset public. {_BYPRODUCTS_LICENCE}"
)


def card_text(with_images: bool, rule: Rule) -> CardText:
    """The card of a build with this rule for the points."""
    names = {IMAGE_ID: "COCO's id of the image", FILE_NAME: "name of the image's file"}
    byproducts = {
        POINTS: f"one point for each class, `{{label, x, y, source}}`: {RULES[rule]}",
        ANNOTATIONS: _ANNOTATIONS,
    }
    metadata: dict[str, Any] = {
        "language": ["en"],
        "annotations_creators": ["crowdsourced"],
        "source_datasets": ["extended|coco"],
        "task_categories": ["image-classification"],
        "task_ids": ["multi-label-image-classification"],
        "tags": ["annotation-byproducts", "mouse-tracking", "click", "luab"],
    }
    if with_images:
        columns = {IMAGE: "the image file's bytes", **names, **_OF_COCO, **byproducts}
        metadata |= {"license": "other", "license_name": "coco", "license_link": TERMS}
    else:
        columns = {**names, **byproducts}
        metadata |= {"license": "apache-2.0"}
    return CardText(
        pretty_name="COCO-AB",
        introduction=_INTRODUCTION if with_images else f"{_INTRODUCTION}\n\n{_WITHOUT_IMAGES}",
        columns=columns,
        provenance=f"{_JOINED if with_images else _ALONE} {_PROVENANCE}",
        license=_IMAGES_LICENCE if with_images else _BYPRODUCTS_LICENCE,
        citation=f"{PAPER}\n\n{COCO}",
        metadata=metadata,
    )
