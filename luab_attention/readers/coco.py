"""COCO boxes and masks: instances, any categories (polygons, RLE).

The file is read twice, item by item: first its images and categories, then its objects. A crowd's box is a
box.
"""

from pathlib import Path
from typing import Any, NamedTuple

from luab_attention.convert import fields
from luab_attention.convert.frames import ImagePixels
from luab_attention.convert.masks import MaskContent, Polygons, Runs, coco_counts, require_pixels
from luab_attention.convert.records import BoxPart, MaskPart, Read, SourceRecord, Unannotated
from luab_attention.convert.source import AttentionSource
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.json_items import json_items
from luab_data.sources.entries import BYPRODUCTS, Reject

SOURCE = AttentionSource("COCO objects", "drawn by annotators")

PIXELS = ImagePixels()
MAX_SIDE = 10**5
MAX_CORNERS = 10**6


def add_options(add: Any) -> None:
    """The options of this source."""
    add.add_argument("--no-masks", dest="masks", action="store_false", help="boxes alone")


class _Known(NamedTuple):
    images: dict[int, tuple[str, int, int]]  # file name, width, height
    categories: dict[int, str]


def read(path: Path, *, masks: bool = True) -> Read:
    """A `SourceRecord` for each object.

    Raises:
        SourceError: it is no COCO file.
    """
    known = _Known({}, {})
    members = set()
    for member, item in json_items(path, BYPRODUCTS):
        members.add(member)
        try:
            if member == "images":
                _read_image(known, item)
            elif member == "categories":
                _read_category(known, item)
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, f"{path.name}, {member}", error.reason)
    if missing := [name for name in ("images", "annotations", "categories") if name not in members]:
        raise SourceError(f"{BYPRODUCTS}={str(path)!r} is no COCO file: it has no {', '.join(missing)}.")
    number = 0
    empty = set(known.images)
    for member, item in json_items(path, BYPRODUCTS):
        if member != "annotations":
            continue
        number += 1
        name = f"{path.name}, object {number}"
        try:
            empty.discard(fields.whole(fields.member(item, "image_id"), "image_id"))
            yield _record(known, item, name, masks)
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, name, error.reason)
    for _ in empty:
        yield Unannotated("images without an object")


def _read_image(known: _Known, item: Any) -> None:
    image_id = fields.whole(fields.member(item, "id"), "id")
    if image_id in known.images:
        raise RejectedRecord(f"second image of the id {image_id}")
    name = fields.text(fields.member(item, "file_name"), "file_name")
    size = (fields.whole(fields.member(item, side), side, 1, MAX_SIDE) for side in ("width", "height"))
    known.images[image_id] = (name, *size)  # type: ignore[assignment]  # two of them


def _read_category(known: _Known, item: Any) -> None:
    number = fields.whole(fields.member(item, "id"), "id")
    if number in known.categories:
        raise RejectedRecord(f"second category of the id {number}")
    known.categories[number] = fields.text(fields.member(item, "name"), "name")


def _record(known: _Known, item: Any, name: str, masks: bool) -> SourceRecord:
    image_id = fields.whole(fields.member(item, "image_id"), "image_id")
    category = fields.whole(fields.member(item, "category_id"), "category_id")
    for value, table, what in (
        (image_id, known.images, "image_id"),
        (category, known.categories, "category_id"),
    ):
        if value not in table:
            raise RejectedRecord(f"the file does not list its {what} {value}")
    file_name, width, height = known.images[image_id]
    label = known.categories[category]
    x, y, across, down = fields.numbers(fields.member(item, "bbox"), "bbox", 4)
    box = BoxPart(x, y, across, down, label)
    record = SourceRecord(file_name, name, PIXELS, (width, height), boxes=[box])
    content = mask_content(item.get("segmentation"), width, height) if masks else None
    if content is not None:
        record.masks.append(MaskPart(content, label))
    return record


def mask_content(value: Any, width: int, height: int) -> MaskContent | None:
    """COCO's `segmentation` in one of its three forms; None for null and an empty list.

    Raises:
        RejectedRecord: another form, or of another size than the image.
    """
    if value is None or value == []:
        return None
    if isinstance(value, list):
        outlines = [fields.numbers(each, f"segmentation[{place}]") for place, each in enumerate(value)]
        for outline in outlines:
            if len(outline) % 2 or not 6 <= len(outline) <= 2 * MAX_CORNERS:
                raise RejectedRecord(f"an outline of {len(outline)} numbers; allowed are 3 corners or more")
        return Polygons(outlines)
    sides = fields.numbers(fields.member(value, "size"), "size", 2)
    if sides != [height, width]:
        raise RejectedRecord(
            f"a mask of {sides} (height, width), but its image is {height} high, {width} wide"
        )
    require_pixels(width, height)
    counts = fields.member(value, "counts")
    if isinstance(counts, str):
        return Runs(coco_counts(counts, width * height), width, height)
    found = [fields.whole(each, "counts", 0, width * height) for each in fields.items(counts, "counts")]
    return Runs(found, width, height)
