"""ImageNet's official boxes: one XML per image, as in PASCAL VOC.

The files come from image-net.org: ILSVRC2012_bbox_val_v3.tgz, or for the training images
ILSVRC2012_bbox_train_v2.tar.gz. They give the first and the last pixel of a box, both from 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np

from luab_attention.boxes.boxes import MAX_SIDE, NOTHING, BoxedImage, ImageBoxes, box_rows, from_pixels
from luab_attention.boxes.reader import BoxesById
from luab_data.console.names import few
from luab_data.constants import IMAGE_ID, NO_LABEL
from luab_data.errors import RejectedRecord, SourceError
from luab_data.imagenet_classes import class_list
from luab_data.images.files import image_files, list_images
from luab_data.rows.class_names import match
from luab_data.rows.same_classes import class_names_of
from luab_data.xml import Element, read_elements, shortened

MAX_BYTES = 2**20  # of one XML; enough for thousands of objects
MAX_DIGITS = 6


@dataclass(frozen=True)
class BoxFile:
    """One XML: the image's size in pixels, and the class (wnid) and x0, y0, x1, y1 of each object."""

    width: int
    height: int
    objects: tuple[tuple[str, tuple[int, int, int, int]], ...]

    def bbox(self) -> np.ndarray:
        """[n, 4] x, y, w, h in pixels of all objects."""
        return np.array([from_pixels(*box) for _, box in self.objects], np.float64).reshape(-1, 4)

    def boxes_of(self, wnid: str) -> ImageBoxes:
        """The objects of a class."""
        bbox = [from_pixels(*box) for name, box in self.objects if name == wnid]
        return ImageBoxes(bbox, self.width, self.height)


def load_ilsvrc_boxes(
    images: str | Path, boxes: str | Path, classes: Sequence[str] | None = None
) -> datasets.Dataset:
    """One row for each image that has an XML with a box, sorted by path.

    Args:
        images: folder with the images, flat or in class folders.
        boxes: folder with the XML files, at any depth, named as the images.
        classes: wnids of the labels in order; default: ImageNet's 1000.

    Returns:
        See `box_rows`; image_id is the path without its suffix. The class is the image's folder, or in a flat
        folder the class of all its objects.

    Raises:
        SourceError: no such folder, no XML, no image for any XML, an invalid XML, an image of a class that is
            not in `classes`. Names the file.
    """
    files = xml_files(Path(boxes))
    names = class_list() if classes is None else list(classes)
    label_of: dict[str, int | None] = {}
    rows: list[BoxedImage] = []
    for image in _images(Path(images)):
        image_id = image.relative_to(images).with_suffix("").as_posix()
        file = find_xml(files, image_id)
        if file is None:
            continue
        found = read_box_file(file)
        wnid = image_id.split("/")[0] if "/" in image_id else _only_class(found, file)
        if wnid not in label_of:
            (label_of[wnid],) = match([(wnid,)], [(name,) for name in names], "class folder", "the labels'")
        label = label_of[wnid]
        if label is None:
            raise SourceError(f"{image} is of the class {wnid!r}, which is none of the {len(names)} labels.")
        rows.append(BoxedImage(image, image_id, label, found.boxes_of(wnid)))
    if not rows:
        raise SourceError(
            f"none of the {len(files)} XML files in {boxes} is named as an image in "
            f"{images}; give the boxes of the same images (ILSVRC2012_val_00000001.xml is that of "
            "ILSVRC2012_val_00000001.JPEG)."
        )
    return box_rows(rows, names)


class IlsvrcBoxes(BoxesById):
    """The boxes in a folder of XML files, by id, or by `<name>` alone if it is unique; see `BoxesById`."""

    def __init__(self, label: str | None, rows: datasets.Dataset, source: Path, image_id: str = IMAGE_ID):
        super().__init__(label, rows, source, image_id)
        if label is not None and not isinstance(rows.features[label], datasets.ClassLabel):
            raise SourceError(
                f"XML files name the class of a box, but column {label!r} has numbers without names. Cast it "
                "to datasets.ClassLabel."
            )
        self._known = None if label is None else class_names_of(rows, label)
        self._number: dict[str, int] = {}
        self._files = xml_files(source)

    def find(self, image_id: str) -> tuple[ImageBoxes, np.ndarray | None]:
        """The usable boxes of an id, and the class number of each."""
        path = find_xml(self._files, image_id)
        if path is None:
            return NOTHING, None
        file = read_box_file(path)
        boxes, good = self._usable(file.bbox(), file.width, file.height)
        if self._known is None:
            return boxes, None
        for name, _ in file.objects:
            if name not in self._number:
                (found,) = match([(name,)], self._known, "class of a box", "the rows'")
                self._number[name] = NO_LABEL if found is None else found
        return boxes, np.array([self._number[name] for name, _ in file.objects], np.int64)[good]


def parse_box_file(xml: bytes) -> BoxFile:
    """Parses one untrusted XML in bounded time and memory; raises only RejectedRecord.

    The reason names the object's number, the element and the value.
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
        x0, x1 = (_integer(boxes[0], tag, where, 0, width) for tag in ("xmin", "xmax"))
        y0, y1 = (_integer(boxes[0], tag, where, 0, height) for tag in ("ymin", "ymax"))
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


def _integer(element: Element, tag: str, where: str, low: int, high: int) -> int:
    text = _text(element, tag, where)
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else -1
    if not low <= value <= high:
        raise RejectedRecord(
            f"{where}: {tag} is {shortened(text)}, allowed is a whole number from {low} to {high}"
        )
    return value


def read_box_file(file: Path) -> BoxFile:
    """Reads an XML. Raises SourceError with the file's name if `parse_box_file` rejects it."""
    try:
        with file.open("rb") as stream:
            return parse_box_file(stream.read(MAX_BYTES + 1))
    except RejectedRecord as error:
        raise SourceError(f"{file}: {error.reason}. Get the file anew from image-net.org.") from error


def _only_class(found: BoxFile, file: Path) -> str:
    wnids = sorted({name for name, _ in found.objects})
    if len(wnids) != 1:
        raise SourceError(
            f"{file}: objects of {len(wnids)} classes ({', '.join(wnids[:5])}), so it does not tell "
            "the image's class; put the images in class folders."
        )
    return wnids[0]


def xml_files(folder: Path) -> dict[str, list[Path]]:
    """Name without suffix -> XML files, at any depth. Raises SourceError if there are none."""
    if not folder.is_dir():
        raise SourceError(
            f"boxes={str(folder)!r} is not a folder; give the unpacked ILSVRC2012_bbox_val_v3.tgz."
        )
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*.xml")):
        if not file.name.startswith(".") and file.is_file():
            files.setdefault(file.stem, []).append(file)
    if not files:
        raise SourceError(
            f"boxes={str(folder)!r} has no XML file; give the unpacked ILSVRC2012_bbox_val_v3.tgz."
        )
    return files


def find_xml(files: Mapping[str, Sequence[Path]], image_id: str) -> Path | None:
    """The XML of an image, by name, and also by class folder if the name is not unique.

    Args:
        files: result of `xml_files`.
        image_id: the image's path without suffix, `<class>/<name>` or `<name>`.

    Raises:
        SourceError: several files match.
    """
    folder, _, name = image_id.rpartition("/")
    fitting = list(files.get(name, ()))
    if len(fitting) > 1 and folder:
        fitting = [file for file in fitting if file.parent.name == folder.rpartition("/")[2]]
    if len(fitting) > 1:
        raise SourceError(f"{len(fitting)} XML files could be that of {image_id}: {few(fitting, 2)}.")
    return fitting[0] if fitting else None


def _images(folder: Path) -> list[Path]:
    """The images in the folder or in its class folders, at any depth, sorted."""
    if not folder.is_dir():
        raise SourceError(f"images={str(folder)!r} is not a folder; give the one that holds the images.")
    listing = list_images(folder)
    names = [
        *image_files(folder),
        *(f"{name}/{image}" for name in listing.classes for image in listing.images[name]),
    ]
    return sorted(folder / name for name in names)
