"""A `Record` and its image -> one row of the dataset, and the row's column types.

Columns: `image` (not in the byproducts-only configuration), `label`, `class_name`, `image_id`, `click`,
`annotations`. Points are ratios of the image, x first, float32; times are epoch ms, int64.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
from datasets import ClassLabel, Features, Image, List, Value

from imagenet_ab.clicks import click
from imagenet_ab.fields import Annotation, Kind, One, Record, Repeated, xml_fields
from luab_data.constants import ANNOTATIONS, CLASS_NAME, CLICK, IMAGE, IMAGE_ID, LABEL
from luab_data.errors import RejectedRecord
from luab_data.imagenet_classes import class_name

_POINT = {axis: Value("float32") for axis in "xy"}


def _fields_of(of: type) -> dict[str, Any]:
    """The types of one of the classes of `imagenet_ab.fields`."""
    return {field.name: _feature(field.kind) for field in xml_fields(of)}


def _feature(kind: Kind) -> Any:
    if isinstance(kind, One):
        return _fields_of(kind.of)
    return List(_fields_of(kind.of)) if isinstance(kind, Repeated) else Value(kind.stored)


def features(classes: Sequence[str], images: bool) -> Features:
    """The columns' types; `classes` are the class folders in label order, `images`: with the image column."""
    columns = {
        LABEL: ClassLabel(names=list(classes)),
        CLASS_NAME: Value("string"),
        IMAGE_ID: Value("string"),
        CLICK: _POINT,
        ANNOTATIONS: List(_fields_of(Annotation)),
    }
    return Features({IMAGE: Image(), **columns} if images else columns)


def row(image_id: str, image_bytes: bytes | None, record: Record | None, class_index: int) -> dict[str, Any]:
    """One row. Without `image_bytes` it has no image column; without `record` its `annotations` are empty.

    Raises RejectedRecord if the record is of another image.
    """
    return {**image_columns(image_id, image_bytes, class_index), **byproduct_columns(image_id, record)}


def image_columns(image_id: str, image_bytes: bytes | None, class_index: int) -> dict[str, Any]:
    """A row's columns for its image."""
    columns = {
        LABEL: class_index,
        CLASS_NAME: class_name(image_id.split("/")[0]),
        IMAGE_ID: image_id,
    }
    if image_bytes is None:
        return columns
    return {IMAGE: {"bytes": image_bytes, "path": f"{image_id.split('/')[-1]}.JPEG"}, **columns}


def byproduct_columns(image_id: str, record: Record | None) -> dict[str, Any]:
    """A row's columns for its byproducts. Raises RejectedRecord if the record is of another image."""
    if record is not None and record.image_id != image_id:
        raise RejectedRecord(f"the file of {image_id} holds the imageID {record.image_id!r}")
    annotations = [] if record is None else [asdict(annotation) for annotation in record.annotations]
    return {CLICK: click(record), ANNOTATIONS: annotations}


def rows_without_images(
    image_ids: pa.StringArray,
    class_indices: Sequence[int],
    clicks: pa.StructArray,
    annotations: pa.ListArray,
    schema: pa.Schema,
) -> pa.Table:
    """The rows of `row` without images, for many records that are already columns."""
    columns = {
        LABEL: pa.array(class_indices, schema.field(LABEL).type),
        CLASS_NAME: pa.array([class_name(each.split("/")[0]) for each in image_ids.to_pylist()], pa.string()),
        IMAGE_ID: image_ids,
        CLICK: clicks,
        ANNOTATIONS: annotations,
    }
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
