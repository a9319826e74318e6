"""One XML of boxes for each image, as PASCAL VOC's and ImageNet's."""

import re
from dataclasses import dataclass

import numpy as np

from luab_attention.boxes.boxes import MAX_SIDE, ImageBoxes, from_pixels
from luab_data.errors import RejectedRecord
from luab_data.xml import Element, read_elements, shortened

MAX_BYTES = 2**20  # of one XML; enough for thousands of objects
MAX_DIGITS = 6
_FRACTION = re.compile(r"\d{1,6}\.\d{1,12}", re.ASCII)


@dataclass(frozen=True)
class BoxFile:
    """One XML: the image's size in pixels, and the class (wnid) and x0, y0, x1, y1 of each object."""

    width: int
    height: int
    objects: tuple[tuple[str, tuple[int, int, int, int]], ...]

    def bbox(self) -> np.ndarray:
        """[n, 4] x, y, w, h in pixels of all objects."""
        return np.array([from_pixels(*box) for _, box in self.objects], np.float64).reshape(-1, 4)

    def boxes_of(self, *names: str) -> ImageBoxes:
        """The objects of a class, by its names in this file."""
        bbox = [from_pixels(*box) for name, box in self.objects if name in names]
        return ImageBoxes(bbox, self.width, self.height)


def parse_box_file(xml: bytes, fractions: bool = False) -> BoxFile:
    """Parses one untrusted XML in bounded time and memory; raises only RejectedRecord.

    The reason names the object's number, the element and the value. `fractions`: boxes may have them, as some
    of PASCAL VOC; they are rounded.
    """
    if len(xml) > MAX_BYTES:
        raise RejectedRecord(f"more than {MAX_BYTES:,} bytes")
    sizes = read_elements(xml, "size")
    if len(sizes) != 1:
        raise RejectedRecord(f"{len(sizes)} size elements, allowed is 1")
    width, height = (_integer(sizes[0], side, "size", 1, MAX_SIDE) for side in ("width", "height"))
    objects = []
    for number, element in enumerate(read_elements(xml, "object"), start=1):
        where = f"object {number}"
        boxes = element.children.get("bndbox", [])
        if len(boxes) != 1:
            raise RejectedRecord(f"{where}: {len(boxes)} bndbox elements, allowed is 1")
        # The last pixel may equal the side, although the files count from 0: some tools count from 1.
        x0, x1 = (_integer(boxes[0], tag, where, 0, width, fractions) for tag in ("xmin", "xmax"))
        y0, y1 = (_integer(boxes[0], tag, where, 0, height, fractions) for tag in ("ymin", "ymax"))
        if x1 < x0 or y1 < y0:
            raise RejectedRecord(f"{where}: the box {x0}, {y0}, {x1}, {y1} ends before it begins")
        objects.append((_text(element, "name", where), (x0, y0, x1, y1)))
    return BoxFile(width, height, tuple(objects))


def _text(element: Element, tag: str, where: str) -> str:
    found = element.children.get(tag, [])
    text = found[0].text.strip() if len(found) == 1 else ""
    if not text:
        raise RejectedRecord(f"{where}: {tag} occurs {len(found)} times or is empty, needed is one value")
    return text


def _integer(element: Element, tag: str, where: str, low: int, high: int, fractions: bool = False) -> int:
    text = _text(element, tag, where)
    if fractions and _FRACTION.fullmatch(text):
        text = str(round(float(text)))
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else -1
    if not low <= value <= high:
        raise RejectedRecord(
            f"{where}: {tag} is {shortened(text)}, allowed is a whole number from {low} to {high}"
        )
    return value
