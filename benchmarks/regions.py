"""The split of a demo's world with other byproducts: true boxes and masks, heat maps, traces as gaze."""

import shutil
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from PIL import Image
from worlds import SIZE, TRAIN, encoded, objects_of

from imagenet_ab.simulate.release import training_masks
from luab_attention.columns import column_feature
from luab_attention.density import density
from luab_attention.traces.rows import scanpaths_of, trace_column
from luab_attention.traces.scanpath import Scanpath
from luab_data.simulate.drawing import box_of

REGIONS = "regions"
# A heat map: dabs of a soft brush on random places of the object, as players of ClickMe paint what tells it.
DABS = 8
BRUSH = 0.06  # sigma, ratio of the image


def add_regions(folder: Path, seed: int, images_per_class: int) -> None:
    """Adds the split `REGIONS` to a demo's world, unless it is there.

    `objects` has the box around each mask, `masks` what the drawing covers by more than half, of all images:
    also of those that nobody clicked. `heatmaps` has dabs of a brush on the object, and `scanpaths` the
    cursor's traces.
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
    masks = [[_picture(each)] for each in inside]
    rng = np.random.default_rng(seed)
    heatmaps = [[_picture(_painted(each, rng))] for each in inside]
    rows = rows.add_column("objects", objects)
    for name, pictures in (("masks", masks), ("heatmaps", heatmaps)):
        rows = rows.add_column(name, pictures, feature=datasets.List({"image": datasets.Image()}))
    rows = rows.add_column("scanpaths", paths, feature=column_feature("scanpaths", ("time",), None))
    unfinished = folder / f"{REGIONS}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    rows.to_parquet(unfinished / "train.parquet")
    unfinished.rename(folder / REGIONS)


def _picture(values: np.ndarray) -> dict[str, Any]:
    """An entry of the columns `masks` and `heatmaps`; values of at most 1."""
    return {"image": encoded(Image.fromarray(np.uint8(255 * values)), "PNG")}


def _painted(inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A heat map of an object, `[h, w]` of peak 1."""
    y, x = np.nonzero(inside)
    places = rng.integers(len(x), size=DABS)
    h, w = inside.shape
    points = torch.tensor(np.stack(((x + 0.5) / w, (y + 0.5) / h), axis=1)[places])
    found: np.ndarray = density(points, torch.ones(DABS), (h, w), BRUSH).numpy()
    return found / found.max()


def _entry(path: Scanpath) -> dict[str, list[float]]:
    """An entry of the column `scanpaths`."""
    assert path.time is not None
    return {"x": path.xy[:, 0].tolist(), "y": path.xy[:, 1].tolist(), "time": path.time.tolist()}
