"""Write a small raw release of the toy world: the files that a user of the real data would start from.

OUT/train2014/COCO_train2014_<id, 12 digits>.jpg
OUT/annotations/instances_train2014.json            labels and boxes, as COCO's
OUT/coco_ab_v1_0.json                               byproducts, in the released layout
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from coco_ab import byproducts, instances
from coco_ab.classes import COCO_CLASSES
from coco_ab.images import name_of
from coco_ab.simulate.annotators import ANNOTATORS, CocoAnnotators, annotate
from coco_ab.simulate.images import draw
from luab_data.simulate.drawing import Box

WITHOUT_RECORD = 0.02  # share of the images; one in 4,600 in the real data
TWICE = 0.02  # share of the images with two records


def write_release(
    out: str | Path,
    seed: int = 0,
    images: int = 200,
    sizes: tuple[tuple[int, int], ...] = ((96, 72), (72, 96)),
    annotators: CocoAnnotators = ANNOTATORS,
) -> Path:
    """Write the release below the folder `out` (overwriting files of the same name) and return its path.

    `sizes` are the images' (width, height) in pixels. Equal arguments write equal bytes.
    """
    out = Path(out)
    (out / "train2014").mkdir(parents=True, exist_ok=True)
    (out / "annotations").mkdir(exist_ok=True)
    listed, records = [], []
    labeled: list[dict[str, Any]] = []
    for image_id in _ids(images, np.random.default_rng([seed, 1])):
        rng = np.random.default_rng([seed, 0, image_id])
        width, height = sizes[int(rng.integers(len(sizes)))]
        image, objects = draw(width, height, rng)
        file_name = f"{name_of(image_id)}.jpg"
        image.save(out / "train2014" / file_name, "JPEG", quality=95)
        listed.append({"file_name": file_name, "height": height, "width": width, "id": image_id})
        labeled += _annotations(image_id, objects, len(labeled))
        if rng.random() >= WITHOUT_RECORD:
            visits = 1 + (rng.random() < TWICE)
            records += [annotate(image_id, objects, width, height, rng, annotators) for _ in range(visits)]
    content = {
        "info": {"description": "generated images in COCO's layout", "year": 2014},
        "licenses": [],
        "images": listed,
        "annotations": labeled,
        "categories": [{"id": number, "name": name} for number, name in COCO_CLASSES.items()],
    }
    (out / "annotations" / instances.FILE).write_text(json.dumps(content))
    (out / byproducts.FILE).write_text(json.dumps(records))
    return out


def _ids(count: int, rng: np.random.Generator) -> Iterator[int]:
    """Rising ids with gaps, as COCO's."""
    yield from np.cumsum(rng.integers(1, 15, count)).tolist()


def _annotations(image_id: int, objects: list[tuple[str, Box, int]], first: int) -> Iterator[dict[str, Any]]:
    """COCO's entries of an image's objects; an outline is the box."""
    ids = {name: number for number, name in COCO_CLASSES.items()}
    for number, (name, box, area) in enumerate(objects, start=first + 1):
        right, bottom = box.x1 + 1, box.y1 + 1
        yield {
            "segmentation": [[box.x0, box.y0, right, box.y0, right, bottom, box.x0, bottom]],
            "area": float(area),
            "iscrowd": 0,
            "image_id": image_id,
            "bbox": [float(box.x0), float(box.y0), float(right - box.x0), float(bottom - box.y0)],
            "category_id": ids[name],
            "id": number,
        }
