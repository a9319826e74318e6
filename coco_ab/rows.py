"""The entries of one image -> one row of the dataset, and the row's column types.

Columns: `image`, `image_id`, `file_name`, `width`, `height`, `labels`, `objects`, `points`,
`annotations`; the byproducts-only configuration has `image_id`, `file_name`, `points` and
`annotations`. Points are ratios of the image, x first, float32; boxes are pixels of the row's image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Features, Image, List, Value

from coco_ab.byproducts import RECORD
from coco_ab.classes import COCO_LABELS
from coco_ab.images import name_of
from coco_ab.instances import Labeled
from coco_ab.points import DEFAULT_RULE, Rule, point_column
from luab_data.constants import ANNOTATIONS, IMAGE, IMAGE_ID, LABELS, OBJECTS, POINTS

FILE_NAME = "file_name"
WIDTH = "width"
HEIGHT = "height"

_CLASS = ClassLabel(names=list(COCO_LABELS))
_POINT = {"label": _CLASS, "x": Value("float32"), "y": Value("float32"), "source": Value("string")}


def _annotation() -> Features:
    """One record: the stored fields of `RECORD`, without the image's id, which the row has."""
    stored = RECORD.clean(pa.array([], RECORD.arrow)).type
    return Features.from_arrow_schema(pa.schema([field for field in stored if field.name != IMAGE_ID]))


def features(images: bool) -> Features:
    """The columns' types; `images`: with the columns from COCO."""
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
        POINTS: List(_POINT),
        ANNOTATIONS: List(dict(_annotation())),
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
    annotations: Sequence[dict[str, Any]],
    image: SizedImage | None = None,
    labeled: Labeled | None = None,
    rule: Rule = DEFAULT_RULE,
) -> dict[str, Any]:
    """One row; with `image` and `labeled`, or with neither (byproducts only).

    Boxes are scaled to the image where that is smaller than the one COCO describes. Icons of other
    classes than COCO's are in `annotations` only.
    """
    byproducts = {POINTS: point_column(annotations, rule), ANNOTATIONS: list(annotations)}
    names = {IMAGE_ID: image_id, FILE_NAME: f"{name_of(image_id)}.jpg"}
    if image is None or labeled is None:
        return {**names, **byproducts}
    across, down = image.width / labeled.width, image.height / labeled.height
    of_coco = {
        WIDTH: image.width,
        HEIGHT: image.height,
        LABELS: np.unique(labeled.category).tolist(),
        OBJECTS: {
            "bbox": (labeled.bbox * np.array((across, down, across, down), np.float32)).tolist(),
            "category": labeled.category.tolist(),
            "area": (labeled.area * np.float32(across * down)).tolist(),
            "iscrowd": labeled.iscrowd.tolist(),
        },
    }
    return {IMAGE: {"bytes": image.encoded, "path": names[FILE_NAME]}, **names, **of_coco, **byproducts}
