"""COCO-Search18 and COCO-FreeView: gaze during search (JSON), on a letterboxed display of 1680 x 1050.

The target's box is on the display too. A path has the target's class if the target is in the image. T is the
duration of each fixation, in ms.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from luab_attention.convert import fields
from luab_attention.convert.frames import Frame, Screen
from luab_attention.convert.records import BoxPart, PathPart, Read, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_attention.readers.table import size
from luab_data.errors import RejectedRecord
from luab_data.files.json_items import json_items
from luab_data.sources.entries import BYPRODUCTS, Reject

SOURCE = AttentionSource("COCO-Search18", "eye tracker", homepage="https://sites.google.com/view/cocosearch")

DISPLAY = (1680.0, 1050.0)


def add_options(add: Any) -> None:
    """The options of this source."""
    add.add_argument("--screen", type=size, default=DISPLAY, metavar="WxH", help="default: 1680x1050")
    add.add_argument("--image-size", type=size, metavar="WxH", help="of all images, without --images")


def read(
    path: Path,
    *,
    screen: tuple[float, float] = DISPLAY,
    image_size: tuple[float, float] | None = None,
) -> Read:
    """A record for each trial, and one for the box of its target.

    Raises:
        SourceError: it is no JSON.
    """
    for number, (_, item) in enumerate(json_items(path, BYPRODUCTS), start=1):
        name = f"{path.name}, trial {number}"
        try:
            record = _trial(item, name, Screen(*screen), image_size)
            yield record
            if _is_present(item) and item.get("bbox") is not None:
                name = f"{name}, box"
                yield replace(
                    record, name=name, paths=[], boxes=[_target(item["bbox"], record.paths[0].task)]
                )
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, name, error.reason)


def _trial(item: Any, name: str, frame: Frame, image_size: tuple[float, float] | None) -> SourceRecord:
    image = fields.text(fields.member(item, "name"), "name")
    x, y, durations = (fields.numbers(fields.member(item, axis), axis) for axis in "XYT")
    if not len(x) == len(y) == len(durations):
        raise RejectedRecord(f"X, Y and T have {len(x)}, {len(y)} and {len(durations)} numbers")
    if "length" in item and fields.whole(item["length"], "length") != len(x):
        raise RejectedRecord(f"length is {item['length']}, but there are {len(x)} fixations")
    task = fields.optional_text(item.get("task"), "task")
    subject = fields.optional_text(item.get("subject"), "subject")
    label = task if _is_present(item) else None
    path = PathPart(x, y, duration=durations, annotator=subject, task=task, label=label)
    return SourceRecord(image, name, frame, image_size, paths=[path])


def _is_present(item: Any) -> bool:
    return bool(item.get("condition") == "present")


def _target(bbox: Any, task: str | None) -> BoxPart:
    left, top, width, height = fields.numbers(bbox, "bbox", 4)
    key = repr((task, left, top, width, height))  # the file repeats a box for each subject
    return BoxPart(left, top, width, height, task, key)
