"""ImageNet's official boxes: one XML per image, as in PASCAL VOC.

The files come from image-net.org: ILSVRC2012_bbox_val_v3.tgz, or for the training images
ILSVRC2012_bbox_train_v2.tar.gz. They give the first and the last pixel of a box, both from 0.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import datasets
import numpy as np

from luab_attention.boxes.box_xml import MAX_BYTES, BoxFile, parse_box_file
from luab_attention.boxes.boxes import NOTHING, BoxedImage, ImageBoxes, box_rows
from luab_attention.boxes.reader import BoxesById
from luab_data.console.names import few, is_utf8
from luab_data.constants import IMAGE_ID, OTHER_CLASS
from luab_data.errors import RejectedRecord, SourceError
from luab_data.imagenet_classes import class_list
from luab_data.images.files import image_files, list_images
from luab_data.rows.class_names import match
from luab_data.rows.same_classes import class_names_of


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
        folder the class of all its objects. Objects are of it by name, as all classes are matched.

    Raises:
        SourceError: no such folder, no XML, no image for any XML, an invalid XML, an image of a class that is
            not in `classes`. Names the file.
    """
    files = xml_files(Path(boxes))
    names = class_list() if classes is None else list(classes)
    known = [(name,) for name in names]
    rows: list[BoxedImage] = []

    @cache
    def label_of(name: str, what: str) -> int | None:
        return match([(name,)], known, what, "the labels'")[0]

    for image in images_in(Path(images)):
        image_id = image.relative_to(images).with_suffix("").as_posix()
        file = find_xml(files, image_id)
        if file is None:
            continue
        if not is_utf8(image_id):
            raise SourceError(
                f"{image}: its path is not UTF-8, and no dataset can hold it. Rename the image."
            )
        found = read_box_file(file)
        wnid = image_id.split("/")[0] if "/" in image_id else _only_class(found, file)
        label = label_of(wnid, "class folder")
        if label is None:
            raise SourceError(f"{image} is of the class {wnid!r}, which is none of the {len(names)} labels.")
        own = {name for name, _ in found.objects if name == wnid or label_of(name, "class of a box") == label}
        rows.append(BoxedImage(image, image_id, label, found.boxes_of(*own)))
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
        """The usable boxes of an id, and the class number of each: `OTHER_CLASS` for none of the rows'."""
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
                self._number[name] = OTHER_CLASS if found is None else found
        return boxes, np.array([self._number[name] for name, _ in file.objects], np.int64)[good]


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


def images_in(folder: Path) -> list[Path]:
    """The images in the folder or in its class folders, at any depth, sorted."""
    if not folder.is_dir():
        raise SourceError(f"images={str(folder)!r} is not a folder; give the one that holds the images.")
    listing = list_images(folder)
    names = [
        *image_files(folder),
        *(f"{name}/{image}" for name in listing.classes for image in listing.images[name]),
    ]
    return sorted(folder / name for name in names)
