"""Images and a file of boxes in any format -> rows with a column `objects`."""

from collections.abc import Sequence
from pathlib import Path

import datasets

from luab_attention.boxes.coco import load_instances
from luab_attention.boxes.csv_boxes import load_csv_boxes
from luab_attention.boxes.ilsvrc import load_ilsvrc_boxes
from luab_data.constants import IMAGE, LABEL, LABELS, OBJECTS
from luab_data.errors import SourceError
from luab_data.rows.arrow import is_list


def load_boxes(
    images: str | Path, boxes: str | Path, classes: Sequence[str] | None = None
) -> datasets.Dataset:
    """The images that `boxes` lists, with their boxes.

    Args:
        images: their folder.
        boxes: a folder of XML files (see `ilsvrc_boxes`), a `.json` (see `coco`), else a CSV (see
            `csv_boxes`).
        classes: names of the labels in order. COCO's instances have their own.

    Raises:
        SourceError: invalid files.
    """
    if Path(boxes).is_dir():
        return load_ilsvrc_boxes(images, boxes, classes)
    if Path(boxes).suffix.lower() == ".json":
        return load_instances(images, boxes)
    return load_csv_boxes(images, boxes, classes)


def load_evaluation_boxes(
    images: str | Path, boxes: str | Path, train: datasets.Dataset | None, image: str, label: str | None
) -> datasets.Dataset:
    """`load_boxes` for evaluation rows, with the column names of the training set.

    Args:
        images: The folder of the images.
        boxes: The file or the folder of the boxes.
        train: The training rows, or None.
        image: Column of the image.
        label: Column of the class or the classes; None: `label` or `labels`.

    Raises:
        SourceError: XML files, or boxes of one class per image for a training set with several.
    """
    if Path(boxes).is_dir():
        raise SourceError(
            f"--eval_boxes {boxes} is a folder. Give a CSV (file,x0,y0,x1,y1,width,height) or COCO's "
            "instances as .json; XML files are for `luab localize` and `luab evaluate`."
        )
    names = [] if train is None else train.column_names
    label = label or next((name for name in (LABEL, LABELS) if name in names), None)
    several = train is not None and label in names and is_list(train.features[label])
    if several and Path(boxes).suffix.lower() != ".json":
        raise SourceError(
            f"--eval_boxes {boxes}: a CSV gives each image the one class that its folder is called, but "
            f"column {label!r} has several. Give COCO's instances as .json, or a dataset with a column "
            f"{OBJECTS!r}."
        )
    rows = load_boxes(images, boxes)
    own_label = LABELS if LABELS in rows.column_names else LABEL
    return rows.rename_columns({IMAGE: image, own_label: label or own_label})
