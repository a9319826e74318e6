"""The split of a demo's world with the true boxes and masks of its objects, and with its traces as gaze."""

import shutil
from pathlib import Path

import datasets
import numpy as np
from PIL import Image
from worlds import SIZE, TRAIN, encoded, objects_of

from imagenet_ab.simulate.release import training_masks
from luab_attention.columns import column_feature
from luab_attention.traces.rows import scanpaths_of, trace_column
from luab_attention.traces.scanpath import Scanpath
from luab_data.simulate.drawing import box_of

REGIONS = "regions"


def add_regions(folder: Path, seed: int, images_per_class: int) -> None:
    """Adds the split `REGIONS` to a demo's world, unless it is there.

    `objects` has the box around each mask, `masks` what the drawing covers by more than half, of all images:
    also of those that nobody clicked. `scanpaths` has the cursor's traces.
    """
    if (folder / REGIONS).is_dir():
        return
    rows = datasets.load_dataset(str(folder / TRAIN), split="train")
    traces = trace_column(rows.features)
    paths = [[_entry(path) for path in scanpaths_of(row, traces)] for row in rows.select_columns(traces.name)]
    rows = rows.select_columns(["image", "image_id", "label"])
    covers = {image_id: cover > 0.5 for image_id, cover in training_masks(seed, images_per_class, SIZE)}
    inside = [covers[image_id] for image_id in rows["image_id"]]
    boxes = [box_of(each) for each in inside]
    objects = [
        objects_of((box.x0, box.y0, box.x1 + 1, box.y1 + 1), label)  # the last pixel is inside
        for box, label in zip(boxes, rows["label"], strict=True)
    ]
    masks = [[{"image": encoded(Image.fromarray(np.uint8(255) * each), "PNG")}] for each in inside]
    rows = rows.add_column("objects", objects)
    rows = rows.add_column("masks", masks, feature=datasets.List({"image": datasets.Image()}))
    rows = rows.add_column("scanpaths", paths, feature=column_feature("scanpaths", ("time",), None))
    unfinished = folder / f"{REGIONS}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    rows.to_parquet(unfinished / "train.parquet")
    unfinished.rename(folder / REGIONS)


def _entry(path: Scanpath) -> dict[str, list[float]]:
    """An entry of the column `scanpaths`."""
    assert path.time is not None
    return {"x": path.xy[:, 0].tolist(), "y": path.xy[:, 1].tolist(), "time": path.time.tolist()}
