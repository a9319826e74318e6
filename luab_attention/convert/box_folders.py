"""A folder of one XML of boxes for each image, as PASCAL VOC's and ImageNet's -> records."""

from pathlib import Path

from luab_attention.boxes.box_xml import MAX_BYTES, parse_box_file
from luab_attention.convert.files import files_below
from luab_attention.convert.frames import ImagePixels
from luab_attention.convert.records import BoxPart, Read, SourceRecord, Unannotated
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.regular import read_regular
from luab_data.sources.entries import BYPRODUCTS, Reject

PIXELS = ImagePixels()


def box_records(folder: Path, base: int, one_class: bool) -> Read:
    """A record for each XML, at any depth, with all its boxes.

    Args:
        folder: the folder, or one XML.
        base: the number of the first pixel. A box's last pixel is inside it.
        one_class: whether an image whose boxes are all of one class is of this class.

    Raises:
        SourceError: there is no XML.
    """
    found = files_below(folder, (".xml",)) if folder.is_dir() else iter([(folder.name, folder)])
    empty = True
    for each in found:
        empty = False
        if isinstance(each, Reject):
            yield each
            continue
        name, path = each
        try:
            yield _record(name, read_regular(path, MAX_BYTES), base, one_class)
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, name, error.reason)
    if empty:
        raise SourceError(f"{BYPRODUCTS}={str(folder)!r} holds no XML file.")


def _record(name: str, xml: bytes, base: int, one_class: bool) -> SourceRecord | Unannotated:
    file = parse_box_file(xml, fractions=base == 1)
    if not file.objects:
        return Unannotated("images without an object")
    boxes = [
        BoxPart(x0 - base, y0 - base, x1 - x0 + 1, y1 - y0 + 1, label)
        for label, (x0, y0, x1, y1) in file.objects
    ]
    labels = {label for label, _ in file.objects}
    own = labels.pop() if one_class and len(labels) == 1 else None
    image = name.rpartition(".")[0]
    return SourceRecord(image, name, PIXELS, (file.width, file.height), own, boxes=boxes)
