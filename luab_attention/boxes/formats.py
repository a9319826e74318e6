"""Files of boxes in any format: which it is, and what reads it."""

from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path

import datasets

from luab_attention.boxes.coco import load_coco_boxes
from luab_attention.boxes.csv_boxes import CsvBoxes, load_csv_boxes
from luab_attention.boxes.ilsvrc import IlsvrcBoxes, find_xml, images_in, load_ilsvrc_boxes, xml_files
from luab_attention.boxes.reader import BoxReader
from luab_attention.boxes.rows import RowBoxes
from luab_data.console.text import counted
from luab_data.constants import IMAGE, IMAGE_ID


class BoxFormat(Enum):
    """The formats of files; see `csv_boxes`, `ilsvrc`, `coco`."""

    CSV = auto()
    ILSVRC = auto()
    COCO = auto()


def box_format(boxes: str | Path) -> BoxFormat:
    """The format of a file or folder: a folder has XML files, a `.json` is COCO's, another file is a CSV."""
    if Path(boxes).is_dir():
        return BoxFormat.ILSVRC
    return BoxFormat.COCO if Path(boxes).suffix.lower() == ".json" else BoxFormat.CSV


def load_boxes(
    images: str | Path, boxes: str | Path, classes: Sequence[str] | None = None
) -> datasets.Dataset:
    """The images that `boxes` lists, with their boxes in a column `objects`.

    Args:
        images: their folder.
        boxes: files of one of the formats.
        classes: names of the labels in order. COCO's instances have their own.

    Raises:
        SourceError: invalid files.
    """
    chosen = box_format(boxes)
    if chosen is BoxFormat.ILSVRC:
        return load_ilsvrc_boxes(images, boxes, classes)
    if chosen is BoxFormat.COCO:
        return load_coco_boxes(images, boxes)
    return load_csv_boxes(images, boxes, classes)


def without_partner(images: str | Path, boxes: str | Path, rows: datasets.Dataset) -> str:
    """The images without boxes, and the XML files without an image, in words; "" if there are none.

    A CSV that names an image that is not there is an error, and COCO's file gives a warning.

    Args:
        images: as of `load_boxes`.
        boxes: as of `load_boxes`.
        rows: what `load_boxes` made of them.
    """
    used = {Path(each["path"]) for each in rows.cast_column(IMAGE, datasets.Image(decode=False))[IMAGE][:]}
    counts = {
        ("image without boxes", "images without boxes"): sum(
            image not in used for image in images_in(Path(images))
        )
    }
    if box_format(boxes) is BoxFormat.ILSVRC:
        files = xml_files(Path(boxes))
        read = {find_xml(files, image_id) for image_id in rows[IMAGE_ID][:]}
        unread = sum(map(len, files.values())) - len(read)
        counts["XML file without an image", "XML files without an image"] = unread
    return ", ".join(counted(count, *words) for words, count in counts.items() if count)


def box_reader(
    label: str | None, rows: datasets.Dataset, boxes: str | Path | None = None, image_id: str = IMAGE_ID
) -> BoxReader:
    """The reader of the rows' boxes.

    Args:
        label: column of the rows' class or classes, or None.
        rows: the dataset that the rows come from.
        boxes: a CSV or a folder of XML files with the boxes of the rows' ids. None: the rows' own column
            `objects`.
        image_id: column of the ids.

    Raises:
        SourceError: missing columns, or invalid files.
    """
    if boxes is None:
        return RowBoxes(label, rows)
    by_id = IlsvrcBoxes if box_format(boxes) is BoxFormat.ILSVRC else CsvBoxes
    return by_id(label, rows, Path(boxes), image_id)
