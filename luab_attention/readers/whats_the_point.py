"""What's the point: clicks of annotators on PASCAL VOC's objects (JSON).

An object of `image: [{x, y, cls, rank}]`: pixels from 0, and the number of a class of PASCAL VOC, from 1 to
20. The ranks are not read: which of a worker's clicks on this class each was.
"""

from pathlib import Path
from typing import Any

from luab_attention.convert import fields
from luab_attention.convert.frames import ImagePixels
from luab_attention.convert.records import PointPart, Read, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.json_items import json_items
from luab_data.sources.entries import BYPRODUCTS, Reject

SOURCE = AttentionSource(
    "What's the point", "clicks of annotators", homepage="https://github.com/abearman/whats-the-point1"
)

PIXELS = ImagePixels()
# In the order of their numbers.
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


def read(path: Path) -> Read:
    """A record for each click.

    Raises:
        SourceError: it is no such JSON.
    """
    for number, (image, item) in enumerate(json_items(path, BYPRODUCTS), start=1):
        if image is None:
            raise SourceError(f"{BYPRODUCTS}={str(path)!r}: allowed is an object of images, not a list.")
        name = f"{path.name}, click {number}"
        try:
            yield _click(image, item, name)
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, name, error.reason)


def _click(image: str, item: Any, name: str) -> SourceRecord:
    x, y = (fields.number(fields.member(item, axis), axis) for axis in "xy")
    label = CLASSES[fields.whole(fields.member(item, "cls"), "cls", 1, len(CLASSES)) - 1]
    return SourceRecord(image, name, PIXELS, points=[PointPart(x, y, label)])
