"""Label Studio's JSON export: keypoints, boxes, polygons, brushes, choices.

Numbers are percent of the image, and a brush is a packed mask; both become ratios. A choice is the image's
class.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from luab_attention.convert import fields
from luab_attention.convert.brush import brush_mask
from luab_attention.convert.frames import PERCENT
from luab_attention.convert.image_keys import name_in_url
from luab_attention.convert.masks import MaskBytes, Polygons, require_pixels
from luab_attention.convert.records import BoxPart, MaskPart, PointPart, Read, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_data.errors import RejectedRecord
from luab_data.files.json_items import json_items
from luab_data.sources.entries import BYPRODUCTS, Reject

SOURCE = AttentionSource("Label Studio export", "drawn in Label Studio")

MAX_SIDE = 10**5
SHAPES = ("keypoint", "rectangle", "polygon", "brush")
CHOICES = "choices"
_UPLOAD = re.compile(r"[0-9a-f]{8}-", re.ASCII)  # before the name of an uploaded file


def add_options(add: Any) -> None:
    """The options of this source."""
    add.add_argument(
        "--image-key", default="image", help="the name of the image in a task's data (default: %(default)s)"
    )


def read(path: Path, *, image_key: str = "image") -> Read:
    """A `SourceRecord` for each region of each annotation that was not skipped.

    Raises:
        SourceError: it is no JSON.
    """
    for number, (_, task) in enumerate(json_items(path, BYPRODUCTS), start=1):
        where = f"{path.name}, task {number}"
        try:
            image = _image(task, image_key)
            annotations = fields.items(fields.member(task, "annotations"), "annotations")
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, where, f"{error.reason}. Export it as JSON, not as JSON-MIN")
            continue
        for place, annotation in enumerate(annotations, start=1):
            yield from _regions(image, annotation, f"{where}, annotation {place}")


def _regions(image: str, annotation: Any, where: str) -> Iterator[SourceRecord | Reject]:
    try:
        regions = fields.items(fields.member(annotation, "result"), "result")
        if annotation.get("was_cancelled"):
            raise RejectedRecord("the annotator skipped it")
    except RejectedRecord as error:
        yield Reject(BYPRODUCTS, where, error.reason)
        return
    for number, region in enumerate(regions, start=1):
        name = f"{where}, region {number}"
        try:
            yield _record(image, region, name)
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, name, error.reason)


def _image(task: Any, key: str) -> str:
    address = fields.text(fields.member(fields.member(task, "data"), key), f"data.{key}")
    name = name_in_url(address)
    if address.startswith("/data/upload/"):
        folder, _, last = name.rpartition("/")
        return _UPLOAD.sub("", last, count=1) or folder
    return name


def _record(image: str, region: Any, name: str) -> SourceRecord:
    kind = fields.text(fields.member(region, "type"), "type")
    value = fields.member(region, "value")
    shape = kind.removesuffix("labels")
    if kind == CHOICES:
        chosen = fields.items(fields.member(value, CHOICES), CHOICES)
        if len(chosen) != 1:
            raise RejectedRecord(f"{len(chosen)} choices; allowed is one, the class of the image")
        return SourceRecord(image, name, label=fields.label(chosen[0], CHOICES))
    if shape not in SHAPES:
        raise RejectedRecord(f"the type {kind!a}; allowed are {', '.join(SHAPES)} and choices")
    if region.get("image_rotation") not in (None, 0):
        raise RejectedRecord(
            f"image_rotation {region['image_rotation']}: its numbers are of the turned image. Turn it back"
        )
    width, height = (
        fields.whole(fields.member(region, f"original_{side}"), f"original_{side}", 1, MAX_SIDE)
        for side in ("width", "height")
    )
    labels = fields.items(value.get(kind) or [], kind) if kind != shape else []
    if len(labels) > 1:
        raise RejectedRecord(f"{len(labels)} classes; allowed is one a region")
    label = fields.label(labels[0], kind) if labels else None
    record = SourceRecord(image, name, PERCENT, (width, height))
    if shape == "keypoint":
        x, y = (fields.number(fields.member(value, axis), axis) for axis in "xy")
        record.points.append(PointPart(x, y, label))
    elif shape == "rectangle":
        record.boxes.append(_box(value, label))
    else:
        content = _polygon(value, width, height) if shape == "polygon" else _brush(value, width, height)
        record.masks.append(MaskPart(content, label))
    return record


def _box(value: Any, label: str | None) -> BoxPart:
    if value.get("rotation") not in (None, 0):
        raise RejectedRecord(f"rotation {value['rotation']}: a turned box. Draw it as a polygon")
    x, y, width, height = (
        fields.number(fields.member(value, name), name) for name in ("x", "y", "width", "height")
    )
    return BoxPart(x, y, width, height, label)


def _polygon(value: Any, width: int, height: int) -> Polygons:
    corners = fields.items(fields.member(value, "points"), "points")
    if len(corners) < 3:
        raise RejectedRecord(f"a polygon of {len(corners)} corners; allowed are 3 or more")
    pairs = [fields.numbers(each, f"points[{place}]", 2) for place, each in enumerate(corners)]
    return Polygons([[number for x, y in pairs for number in (x * width / 100, y * height / 100)]])


def _brush(value: Any, width: int, height: int) -> MaskBytes:
    if value.get("format") != "rle":
        raise RejectedRecord(f"a brush in the format {value.get('format')!a}; allowed is rle")
    require_pixels(width, height)
    packed = [fields.whole(each, "rle", 0, 255) for each in fields.items(fields.member(value, "rle"), "rle")]
    mask = brush_mask(packed, width, height)
    return MaskBytes(np.packbits(mask).tobytes(), width, height)
