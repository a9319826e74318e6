"""What is known of one image -> one row of the dataset, and the row's column types.

Columns: `image`, `image_id`, `file_name`, `width`, `height`, `labels`, `objects`, `points`,
`annotations`; the byproducts-only configuration has `image_id`, `file_name`, `points` and
`annotations`. Points are ratios of the image, x first, float32; boxes are pixels of the row's image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasets import ClassLabel, Features, Image, List, Value

from coco_ab.classes import COCO_CLASSES
from coco_ab.images import name_of
from coco_ab.instances import Labeled
from coco_ab.points import Rule, points
from luab_data.constants import ANNOTATIONS, IMAGE, IMAGE_ID, LABELS, OBJECTS, POINTS

FILE_NAME = "file_name"
WIDTH = "width"
HEIGHT = "height"

_CLASSES = {name: label for label, name in enumerate(COCO_CLASSES.values())}
_CLASS = ClassLabel(names=list(_CLASSES))
_XY = {"x": Value("float32"), "y": Value("float32")}
# One entry for each record of the image: the fields of `coco_ab.byproducts.RECORD`, in its order.
_ANNOTATION = {
    "original_image_height": Value("int32"),
    "original_image_width": Value("int32"),
    "image_height": Value("int32"),
    "image_width": Value("int32"),
    "action_histories": List(
        {
            "action_type": Value("string"),
            "icon_type": Value("string"),
            "point_from": _XY,
            "point_to": _XY,
            "time_at": Value("int64"),
        }
    ),
    "category_histories": List(
        {
            "category_index": Value("int32"),
            "category_name": Value("string"),
            "time_at": Value("int64"),
            "using_keyboard": Value("bool"),
        }
    ),
    "mouse_tracking": List({**_XY, "time_at": Value("int64")}),
    "time_spent": Value("int64"),
    "worker_id": Value("string"),
    "hit_id": Value("string"),
    "page_id": Value("int32"),
}


def features(images: bool) -> Features:
    """The columns' types; `images`: with the columns that come from COCO itself."""
    of_coco = {
        WIDTH: Value("int32"),
        HEIGHT: Value("int32"),
        LABELS: List(_CLASS),
        OBJECTS: {
            "bbox": List(List(Value("float32"), length=4)),
            "category": List(_CLASS),
            "area": List(Value("float32")),
            "iscrowd": List(Value("bool")),
        },
    }
    names = {IMAGE_ID: Value("int64"), FILE_NAME: Value("string")}
    byproducts = {
        POINTS: List({"label": _CLASS, **_XY, "source": Value("string")}),
        ANNOTATIONS: List(_ANNOTATION),
    }
    return Features({IMAGE: Image(), **names, **of_coco, **byproducts} if images else {**names, **byproducts})


@dataclass(frozen=True)
class SizedImage:
    """An encoded image and its size in pixels, upright."""

    encoded: bytes
    width: int
    height: int


def row(
    image_id: int,
    annotations: Sequence[dict],
    image: SizedImage | None = None,
    labeled: Labeled | None = None,
    rule: Rule = "final",
) -> dict:
    """One row; with `image` and `labeled`, or with neither (byproducts only).

    Boxes are scaled to the image where that is smaller than the one COCO describes. Icons of other
    classes than COCO's are in `annotations` only.
    """
    placed = [place for place in points(annotations, rule) if place.icon in _CLASSES]
    byproducts = {
        POINTS: [{"label": _CLASSES[p.icon], "x": p.x, "y": p.y, "source": p.source} for p in placed],
        ANNOTATIONS: list(annotations),
    }
    names = {IMAGE_ID: image_id, FILE_NAME: f"{name_of(image_id)}.jpg"}
    if image is None or labeled is None:
        return {**names, **byproducts}
    across, down = image.width / labeled.width, image.height / labeled.height
    of_coco = {
        WIDTH: image.width,
        HEIGHT: image.height,
        LABELS: np.unique(labeled.category).tolist(),
        OBJECTS: {
            "bbox": (labeled.bbox * np.float32((across, down, across, down))).tolist(),
            "category": labeled.category.tolist(),
            "area": (labeled.area * np.float32(across * down)).tolist(),
            "iscrowd": labeled.iscrowd.tolist(),
        },
    }
    return {IMAGE: {"bytes": image.encoded, "path": names[FILE_NAME]}, **names, **of_coco, **byproducts}


def unknown_icons(annotations: Sequence[dict]) -> int:
    """How many actions speak of an icon that is none of COCO's classes."""
    actions = (action for annotation in annotations for action in annotation["action_histories"])
    return sum(action["icon_type"] not in _CLASSES for action in actions)
