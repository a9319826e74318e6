"""Boxes in COCO's instances file, with the labels of its images: for models trained on COCO-AB."""

import re
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets.utils.logging import get_logger

from coco_ab.classes import COCO_CLASSES
from coco_ab.instances import Instances
from luab_attention.boxes.boxes import BBOX, CATEGORY, objects_feature
from luab_data.constants import IMAGE, IMAGE_ID, LABELS, OBJECTS
from luab_data.errors import SourceError

logger = get_logger(__name__)

_NAME = re.compile(r"(?:COCO_[a-z]+\d+_)?(\d{12})\.jpg", re.ASCII)


def load_coco_boxes(images: str | Path, instances: str | Path) -> datasets.Dataset:
    """Loads the images that the file lists, by name, with their labels and boxes.

    One row is one image of the folder. Skipped entries give a warning.

    Args:
        images: folder of `COCO_val2014_<id, 12 digits>.jpg` (or `<id>.jpg`, as in the sets of 2017).
        instances: `instances_val2014.json`.

    Returns:
        Dataset with image, image_id, labels and objects {"bbox": [[x, y, w, h]] pixels, "category": [int]},
        in COCO's 80 classes.

    Raises:
        SourceError: a missing folder or file, a file that is not COCO's, none of its images in the folder.
    """
    images, instances = Path(images), Path(instances)
    if not images.is_dir():
        raise SourceError(f"eval_dataset={str(images)!r} is not a folder; give COCO's val2014.")
    if not instances.is_file():
        raise SourceError(f"eval_boxes={str(instances)!r} is not a file; give COCO's instances_val2014.json.")
    known = Instances(instances)
    columns: dict[str, list[Any]] = {IMAGE: [], IMAGE_ID: [], LABELS: [], OBJECTS: []}
    for file in sorted(images.iterdir()):
        match = _NAME.fullmatch(file.name)
        if match is None:
            continue
        found = known.get(int(match.group(1)))
        if found is None:
            continue
        columns[IMAGE].append(str(file))
        columns[IMAGE_ID].append(int(match.group(1)))
        columns[LABELS].append(np.unique(found.category).tolist())
        columns[OBJECTS].append({BBOX: found.bbox.tolist(), CATEGORY: found.category.tolist()})
    if not columns[IMAGE]:
        raise SourceError(f"{images} holds no image that {instances} lists: are they of the same year?")
    if (absent := len(known) - len(columns[IMAGE])) > 0:
        logger.warning(f"{images} has not {absent:,} of the {len(known):,} images that {instances} lists.")
    if known.rejects:
        logger.warning(f"{instances}: left out {len(known.rejects):,} entries, the first {known.rejects[0]}.")
    label = datasets.ClassLabel(names=list(COCO_CLASSES.values()))
    features = datasets.Features(
        {
            IMAGE: datasets.Image(),
            IMAGE_ID: datasets.Value("int64"),
            LABELS: datasets.List(label),
            OBJECTS: objects_feature(label),
        }
    )
    return datasets.Dataset.from_dict(columns, features=features)
