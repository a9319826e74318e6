"""Label Studio's JSON export: keypoints, boxes, polygons, brushes, choices.

Numbers are percent of the image, and a brush is a packed mask; both become ratios. A choice is the image's
class. A task may have several pages, a list of images; a region is on the one of its `item_index`. An upload
is called by its whole address, which tells it from others of its name.
"""

from pathlib import Path
from typing import Any

import numpy as np

from luab_attention.convert import fields
from luab_attention.convert.brush import brush_mask
from luab_attention.convert.frames import PERCENT
from luab_attention.convert.image_keys import name_in_url
from luab_attention.convert.masks import MaskBytes, Polygons, require_pixels
from luab_attention.convert.records import BoxPart, MaskPart, PointPart, Read, SourceRecord, Unannotated
from luab_attention.convert.source import AttentionSource
from luab_data.console.names import few
from luab_data.console.text import counted
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.json_items import json_items
from luab_data.sources.entries import BYPRODUCTS, Reject

SOURCE = AttentionSource("Label Studio export", "drawn in Label Studio")

Page = str | RejectedRecord  # an image's name, or why there is none

MAX_SIDE = 10**5
SHAPES = ("keypoint", "rectangle", "polygon", "brush")
CHOICES = "choices"


def add_options(add: Any) -> None:
    """The options of this source."""
    add.add_argument(
        "--image-key", default="image", help="the name of the image in a task's data (default: %(default)s)"
    )
    add.add_argument(
        "--to-name",
        metavar="NAME",
        help="the labeling interface's name of this image, if the tasks show several: others are rejected",
    )


def read(path: Path, *, image_key: str = "image", to_name: str | None = None) -> Read:
    """A `SourceRecord` for each region of each annotation that was not skipped.

    Raises:
        SourceError: it is no JSON, or the regions are on several things and none is chosen.
    """
    shown = _shown(path)
    if to_name is not None and to_name not in shown:
        raise SourceError(f"--to-name {to_name}: the regions are on {few(list(shown)) or 'nothing'}.")
    if to_name is None and len(shown) > 1:
        counts = ", ".join(f"{name} ({count:,})" for name, count in shown.items())
        raise SourceError(
            f"{BYPRODUCTS}={str(path)!r}: the regions are on {counts}. Say with --to-name which of them is "
            f"data.{image_key}, or choose another image with --image-key."
        )
    for number, (_, task) in enumerate(json_items(path, BYPRODUCTS), start=1):
        where = f"{path.name}, task {number}"
        try:
            annotations = _annotations(task)
            pages = _pages(task["data"], image_key)
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, where, error.reason)
            continue
        for place, annotation in enumerate(annotations, start=1):
            yield from _regions(pages, annotation, f"{where}, annotation {place}", to_name)
        if not annotations:
            yield Unannotated("tasks without an annotation")


def _shown(path: Path) -> dict[str, int]:
    """What the regions that are read are on, by the labeling interface's names, and how many."""
    shown: dict[str, int] = {}
    for _, task in json_items(path, BYPRODUCTS):
        for annotation in _list(task, "annotations"):
            for region in _list(annotation, "result"):
                name = region.get("to_name") if isinstance(region, dict) else None
                if isinstance(name, str) and _shape(region.get("type")) in (*SHAPES, CHOICES):
                    shown[name] = shown.get(name, 0) + 1
    return shown


def _list(value: Any, name: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _shape(kind: Any) -> str:
    return kind.removesuffix("labels") if isinstance(kind, str) else ""


def _regions(pages: list[Page], annotation: Any, where: str, to_name: str | None) -> Read:
    try:
        regions = fields.items(fields.member(annotation, "result"), "result")
        if annotation.get("was_cancelled"):
            raise RejectedRecord("the annotator skipped it")
    except RejectedRecord as error:
        yield Reject(BYPRODUCTS, where, error.reason)
        return
    if not regions:
        yield Unannotated("annotations without a region")
    for number, region in enumerate(regions, start=1):
        name = f"{where}, region {number}"
        try:
            yield _record(pages, region, name, to_name)
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, name, error.reason)


def _annotations(task: Any) -> list[Any]:
    """The annotations of a task, which has data."""
    try:
        fields.member(task, "data")
        return fields.items(fields.member(task, "annotations"), "annotations")
    except RejectedRecord as error:
        raise RejectedRecord(f"{error.reason}. Export it as JSON, not as JSON-MIN") from error


def _pages(data: Any, key: str) -> list[Page]:
    """The images of a task: one, or a list of pages, some of which may be no image."""
    if isinstance(data, dict) and key not in data:
        names = ", ".join(data)[:100] or "nothing"
        raise RejectedRecord(f"its data has no {key!r}, but {names}: say with --image-key which is the image")
    value = fields.member(data, key)
    if not isinstance(value, list):
        return [_image(value, f"data.{key}")]
    if not value:
        raise RejectedRecord(f"data.{key} is an empty list of images")
    pages: list[Page] = []
    for place, page in enumerate(value):
        try:
            pages.append(_image(page, f"data.{key}[{place}]"))
        except RejectedRecord as error:
            pages.append(error)
    return pages


def _image(value: Any, field: str) -> str:
    return name_in_url(fields.text(value, field))


def _record(pages: list[Page], region: Any, name: str, to_name: str | None) -> SourceRecord:
    kind = fields.text(fields.member(region, "type"), "type")
    value = fields.member(region, "value")
    if not isinstance(value, dict):
        raise RejectedRecord(f"value is {str(value)[:40]}; allowed is an object with the region's numbers")
    shape = _shape(kind)
    if to_name is not None and region.get("to_name") != to_name:
        raise RejectedRecord(f"it is on {str(region.get('to_name'))[:40]!a}, not on --to-name {to_name}")
    image = _page(pages, region)
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


def _page(pages: list[Page], region: Any) -> str:
    """The image that a region is on."""
    place = 0
    if region.get("item_index") is not None:
        place = fields.whole(region["item_index"], "item_index")
    elif len(pages) > 1:
        raise RejectedRecord(f"no item_index says on which of the {len(pages)} pages it is")
    if place >= len(pages):
        raise RejectedRecord(f"item_index {place}, but the task has {counted(len(pages), 'image')}")
    page = pages[place]
    if isinstance(page, RejectedRecord):
        raise RejectedRecord(page.reason)
    return page


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
