"""CUB-200-2011 parts: where annotators clicked on birds (part_click_locs.txt), and the birds' boxes.

A click on a part that is not visible is rejected. Numbers are pixels of the image, whose size only the images
tell. The clicks' times are not read: points have none.
"""

from pathlib import Path

from luab_attention.convert import fields
from luab_attention.convert.cub import Cub
from luab_attention.convert.frames import ImagePixels
from luab_attention.convert.records import BoxPart, PointPart, Read, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_data.errors import RejectedRecord
from luab_data.sources.entries import BYPRODUCTS, Reject

SOURCE = AttentionSource(
    "CUB-200-2011 part clicks",
    "clicks of annotators",
    homepage="https://www.vision.caltech.edu/datasets/cub_200_2011",
)

PIXELS = ImagePixels()
CLICKS, BOXES = "parts/part_click_locs.txt", "bounding_boxes.txt"


def read(path: Path) -> Read:
    """A record for each click and each box of the folder CUB_200_2011.

    Raises:
        SourceError: it is not that folder.
    """
    cub = Cub(path)
    for file, cells in ((BOXES, 5), (CLICKS, 6)):
        for number, row in cub.rows(file, cells):
            name = f"{file}, line {number}"
            try:
                if isinstance(row, RejectedRecord):
                    raise row
                yield _box(row, name, cub) if file == BOXES else _click(row, name, cub)
            except RejectedRecord as error:
                yield Reject(BYPRODUCTS, name, error.reason)


def _box(row: list[str], name: str, cub: Cub) -> SourceRecord:
    image, label = cub.of(fields.whole(row[0], "the image's id"))
    x, y, width, height = (fields.number(each, "the box") for each in row[1:])
    return SourceRecord(image, name, PIXELS, label=label, boxes=[BoxPart(x, y, width, height, label)])


def _click(row: list[str], name: str, cub: Cub) -> SourceRecord:
    image, label = cub.of(fields.whole(row[0], "the image's id"))
    x, y = (fields.number(each, "the click") for each in row[2:4])
    if fields.whole(row[4], "visible", 0, 1) == 0:
        raise RejectedRecord("the part is not visible")
    return SourceRecord(image, name, PIXELS, label=label, points=[PointPart(x, y, label)])
