"""A `Record` and its image -> one row of the dataset, and the row's column types.

Columns: `image` (not in the byproducts-only configuration), `label`, `class_name`, `image_id`, `click`,
`annotations`. Points are ratios of the image, x first, float32; times are epoch ms, int64.
"""

from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa
from datasets import ClassLabel, Features, Image, List, Value

from imagenet_ab.record import Record
from luab_data.constants import ANNOTATIONS, CLASS_NAME, CLICK, IMAGE, IMAGE_ID, LABEL
from luab_data.errors import RejectedRecord
from luab_data.imagenet_classes import class_name

_POINT = {"x": Value("float32"), "y": Value("float32")}
_TIMED_POINT = {**_POINT, "time": Value("int64")}
# One entry for each `metadata` element: the fields of `imagenet_ab.record.Annotation`, in its order.
_ANNOTATION = {
    "selected": Value("bool"),
    "selected_count": Value("int32"),
    "selected_record": List(_TIMED_POINT),
    "mouse_tracking": List(_TIMED_POINT),
    "hovered_count": Value("int32"),
    "hovered_record": List({"action": Value("string"), "time": Value("int64")}),
    "estimate_time": Value("int64"),
    "original_image_height": Value("int32"),
    "original_image_width": Value("int32"),
    "image_height": Value("int32"),
    "image_width": Value("int32"),
    "image_position": _POINT,
    "worker_id": Value("string"),
    "assignment_id": Value("string"),
    "page_idx": Value("int32"),
}


def features(classes: Sequence[str], images: bool) -> Features:
    """The columns' types; `classes` are the class folders in label order, `images`: with the image column."""
    columns = {
        LABEL: ClassLabel(names=list(classes)),
        CLASS_NAME: Value("string"),
        IMAGE_ID: Value("string"),
        CLICK: _POINT,
        ANNOTATIONS: List(_ANNOTATION),
    }
    return Features({IMAGE: Image(), **columns} if images else columns)


def row(image_id: str, image_bytes: bytes | None, record: Record | None, class_index: int) -> dict:
    """One row. Without `image_bytes` it has no image column; without `record` its `annotations` are empty.

    Raises RejectedRecord when the record is another image's.
    """
    if record is not None and record.image_id != image_id:
        raise RejectedRecord(f"the file of {image_id} holds the imageID {record.image_id!r}")
    columns = {
        LABEL: class_index,
        CLASS_NAME: class_name(image_id.split("/")[0]),
        IMAGE_ID: image_id,
        CLICK: click(record),
        ANNOTATIONS: [asdict(annotation) for annotation in record.annotations] if record else [],
    }
    if image_bytes is None:
        return columns
    return {IMAGE: {"bytes": image_bytes, "path": f"{image_id.split('/')[-1]}.JPEG"}, **columns}


def rows_without_images(
    image_ids: pa.StringArray,
    class_indices: Sequence[int],
    clicks: pa.StructArray,
    annotations: pa.ListArray,
    schema: pa.Schema,
) -> pa.Table:
    """What `row` makes without images, of many records that are columns already."""
    columns = {
        LABEL: pa.array(class_indices, schema.field(LABEL).type),
        CLASS_NAME: pa.array([class_name(each.split("/")[0]) for each in image_ids.to_pylist()], pa.string()),
        IMAGE_ID: image_ids,
        CLICK: clicks,
        ANNOTATIONS: annotations,
    }
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def click(record: Record | None) -> dict[str, float] | None:
    """The authors' Z, in ratios of the image; None where there is none.

    Z is the mean, over the annotations that ended selected, of the first click (the authors' dataloader).
    """
    selected = [each for each in record.annotations if each.selected] if record else []
    clicks = [each.selected_record[0] for each in selected if each.selected_record]
    return mean_point([(each.x, each.y) for each in clicks]) if clicks else None


def mean_point(points: Sequence[tuple[float, float]]) -> dict[str, float]:
    """The mean of one or more (x, y)."""
    xs, ys = zip(*points, strict=True)
    return {"x": sum(xs) / len(xs), "y": sum(ys) / len(ys)}
