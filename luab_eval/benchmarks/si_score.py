"""SI-Score: an object pasted on a background, with varied size, location or rotation."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from luab_eval.benchmark import ImageSet, Predictions, Scores
from luab_eval.image_sets.class_maps import find_by_name
from luab_eval.image_sets.folders import Top1, labeled_items, wrong_folders

# The class folders of the released images; each is one of the names of an ImageNet class.
_CLASSES = """
    ambulance artichoke backpack bagel banana beaker binoculars broccoli burrito candle canoe cello
    cucumber dumbbell envelope flowerpot flute goose guacamole hamster hedgehog hippopotamus ipod jeans
    kite koala lemon lighthouse limousine lipstick magpie miniskirt missile mushroom orange ostrich
    otter pig pillow pizza pomegranate pretzel printer racket ruler saxophone screwdriver skunk
    snowmobile sock sombrero starfish strawberry taxi teapot toaster torch vase wok zebra zucchini
"""
CLASSES = _CLASSES.split()
OTHER_NAMES = {"jeans": "jean"}
METADATA = "metadata.csv"


@cache
def targets() -> dict[str, int]:
    """Class folder -> ImageNet's class."""
    found: dict[str, int] = {}
    for name in CLASSES:
        index = find_by_name(OTHER_NAMES.get(name, name))
        if index is None:
            raise ValueError(f"{name!r} is not the name of one ImageNet class")
        found[name] = index
    return found


class SIScore(Top1):
    """Top-1 accuracy over all 1000 classes.

    `accuracy` is the mean over images. With the published `metadata.csv` next to the class folders,
    `mean_over_values` is the authors' figure: the mean over the values of the varied property.
    """

    paper = (
        "Djolonga et al., On Robustness and Transferability of Convolutional Neural Networks, CVPR 2021, "
        "arXiv 2007.08558; Yung et al., SI-Score, 2021, arXiv 2104.04191"
    )
    download = "https://github.com/google-research/si-score"
    varied: ClassVar[tuple[str, ...]]  # columns of metadata.csv

    def problem(self, folder: Path, partial: bool) -> str | None:
        return wrong_folders(folder, CLASSES, partial)

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        folder = self.folder(root)
        values = self._values(folder)
        items = [
            item._replace(group=values.get(Path(item.id).stem, ""))
            for item in labeled_items(folder, targets())
        ]
        yield ImageSet(self.name, items, folder=folder)

    def score(self, predictions: Sequence[Predictions]) -> Scores:
        (answers,) = predictions
        scores = super().score(predictions)
        if all(answers.groups):
            _, position = np.unique(answers.groups, return_inverse=True)
            means = np.bincount(position, scores.per_image) / np.bincount(position)
            scores.metrics["mean_over_values"] = float(means.mean())
        return scores

    def _values(self, folder: Path) -> dict[str, str]:
        """Image number -> value of the varied property; empty without metadata.csv."""
        table = folder / METADATA
        if not table.is_file():
            return {}
        with table.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if absent := {"image_id", *self.varied} - set(rows.fieldnames or ()):
                raise ValueError(f"{table}: no column {', '.join(sorted(absent))}; it has {rows.fieldnames}")
            return {row["image_id"]: ",".join(row[name] for name in self.varied) for row in rows}


class SIScoreSize(SIScore):
    """SI-Score, objects of varied size."""

    name = "si_score_size"
    title = "SI-Score size"
    summary = "top-1 accuracy on pasted objects of varied size"
    layout = "si-score/area/<class>/<number>.jpg (61 folders)"
    folders = ("si-score/area", "si-score/object_size", "si-score/size", "area", "object_size")
    varied = ("area",)
    images = 92_884


class SIScoreLocation(SIScore):
    """SI-Score, objects at varied places."""

    name = "si_score_location"
    title = "SI-Score location"
    summary = "top-1 accuracy on pasted objects at varied places"
    layout = "si-score/location20_area02_min0pc/<class>/<number>.jpg (61 folders)"
    folders = (
        "si-score/location20_area02_min0pc",
        "si-score/object_location",
        "si-score/location",
        "location20_area02_min0pc",
        "object_location",
    )
    varied = ("x_coord", "y_coord")
    images = 541_548


class SIScoreRotation(SIScore):
    """SI-Score, rotated objects."""

    name = "si_score_rotation"
    title = "SI-Score rotation"
    summary = "top-1 accuracy on pasted objects, rotated"
    layout = "si-score/rotation/<class>/<number>.jpg (61 folders)"
    folders = ("si-score/rotation", "si-score/object_rotation", "rotation", "object_rotation")
    varied = ("rotation",)
    images = 39_540
