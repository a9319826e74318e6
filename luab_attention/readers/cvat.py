"""CVAT's XML for images 1.1: points, boxes, polygons, masks, tags.

Numbers are pixels of the image. A tag is the image's class.
"""

from pathlib import Path

from luab_attention.convert import fields
from luab_attention.convert.frames import ImagePixels
from luab_attention.convert.masks import Polygons, Runs, require_pixels
from luab_attention.convert.records import BoxPart, MaskPart, PointPart, Read, SourceRecord, Unannotated
from luab_attention.convert.source import AttentionSource
from luab_data.errors import RejectedRecord, SourceError
from luab_data.sources.entries import BYPRODUCTS, Reject
from luab_data.xml_stream import XmlElement, stream_elements

SOURCE = AttentionSource("CVAT export", "drawn in CVAT")

PIXELS = ImagePixels()
MAX_SIDE = 10**5
SHAPES = ("points", "box", "polygon", "mask", "tag")


def read(path: Path) -> Read:
    """A record for each shape of each image.

    Raises:
        SourceError: it is no such XML, or one of a video.
    """
    empty = True
    for number, image in enumerate(stream_elements(path, BYPRODUCTS, "image", "annotations"), start=1):
        empty = False
        where = f"{path.name}, image {number}"
        try:
            name = fields.text(image.attributes.get("name"), "name")
            width, height = (
                fields.whole(image.attributes.get(side), side, 1, MAX_SIDE) for side in ("width", "height")
            )
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, where, error.reason)
            continue
        if not image.children:
            yield Unannotated("images without a shape")
        for place, shape in enumerate(image.children, start=1):
            entry = f"{where}, shape {place}"
            try:
                yield _record(name, shape, entry, (width, height))
            except RejectedRecord as error:
                yield Reject(BYPRODUCTS, entry, error.reason)
    if empty:
        raise SourceError(
            f"{BYPRODUCTS}={str(path)!r} has no <image>: export the task as `CVAT for images 1.1`."
        )


def _record(image: str, shape: XmlElement, name: str, size: tuple[int, int]) -> SourceRecord:
    if shape.tag not in SHAPES:
        raise RejectedRecord(f"the shape {shape.tag[:40]!a}; allowed are {', '.join(SHAPES)}")
    values = shape.attributes
    label = fields.text(values.get("label"), "label")
    if shape.tag == "tag":
        return SourceRecord(image, name, label=label)
    if values.get("rotation", "0") not in ("0", "0.0", "0.00"):
        raise RejectedRecord(f"rotation {values['rotation'][:20]}: a turned box. Draw it as a polygon")
    record = SourceRecord(image, name, PIXELS, size)
    if shape.tag == "points":
        record.points.extend(PointPart(x, y, label) for x, y in _corners(values))
    elif shape.tag == "box":
        x0, y0, x1, y1 = (fields.number(values.get(each), each) for each in ("xtl", "ytl", "xbr", "ybr"))
        record.boxes.append(BoxPart(x0, y0, x1 - x0, y1 - y0, label))
    elif shape.tag == "polygon":
        corners = _corners(values)
        if len(corners) < 3:
            raise RejectedRecord(f"a polygon of {len(corners)} corners; allowed are 3 or more")
        record.masks.append(MaskPart(Polygons([[each for corner in corners for each in corner]]), label))
    else:
        record.masks.append(MaskPart(_runs(values), label))
    return record


def _corners(values: dict[str, str]) -> list[tuple[float, float]]:
    """`x,y;x,y`."""
    found = []
    for place, pair in enumerate((values.get("points") or "").split(";")):
        x, comma, y = pair.partition(",")
        if not comma:
            raise RejectedRecord(f"points[{place}] is {pair[:40]!a}; allowed is x,y")
        found.append((fields.number(x, f"points[{place}]"), fields.number(y, f"points[{place}]")))
    return found


def _runs(values: dict[str, str]) -> Runs:
    """The runs of a mask go along the rows of its own rectangle."""
    left, top = (fields.whole(values.get(each), each, 0, MAX_SIDE) for each in ("left", "top"))
    width, height = (fields.whole(values.get(each), each, 1, MAX_SIDE) for each in ("width", "height"))
    require_pixels(width, height)
    counts = [
        fields.whole(each.strip(), "rle", 0, width * height) for each in (values.get("rle") or "").split(",")
    ]
    return Runs(counts, width, height, down=False, left=left, top=top)
