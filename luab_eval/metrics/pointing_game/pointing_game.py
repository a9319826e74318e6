"""Pointing game (Zhang et al., IJCV 2018): whether the maximum of a model's attention is on the object."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """\
Share of points inside a true box of their image, or within a tolerance of one.
"""
_CITATION = """\
@article{zhang2018topdown,
  title   = {Top-Down Neural Attention by Excitation Backprop},
  author  = {Zhang, Jianming and Bargal, Sarah Adel and Lin, Zhe and Brandt, Jonathan and Shen, Xiaohui
             and Sclaroff, Stan},
  journal = {International Journal of Computer Vision},
  year    = {2018}
}
"""
_KWARGS_DESCRIPTION = """
Args:
    predictions: for each pair of image and class the point `[x, y]` where the map is highest, pixels.
    references: for each pair the boxes `[[x, y, w, h], ...]`, pixels. The border belongs to the box.
    classes: for each pair the class, an int.
    tolerance: distance to a box, in pixels, that still counts as a hit. Default 0; the paper uses 15.
Returns:
    `pointing_game`: share of hits; `pointing_game_class_mean`: the mean of the classes' shares (the paper's).
"""


def is_hit(point: Sequence[float], boxes: Sequence[Sequence[float]], tolerance: float = 0) -> bool:
    """Whether `point` [x, y] is in one of `boxes` [[x, y, w, h]] or within `tolerance` of it (Euclidean)."""
    edges = np.asarray(boxes, np.float64).reshape(-1, 4)
    low, high = edges[:, :2], edges[:, :2] + edges[:, 2:]
    outside = np.maximum(np.maximum(low - point, point - high), 0)  # [n, 2]
    return bool((np.hypot(*outside.T) <= tolerance).any())


class PointingGame(evaluate.Metric):
    """The `evaluate` module."""

    def _info(self) -> evaluate.MetricInfo:
        number = datasets.Value("float64")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(number, length=2),
                    "references": datasets.Sequence(datasets.Sequence(number)),
                    "classes": datasets.Value("int64"),
                }
            ),
            reference_urls=["https://arxiv.org/abs/1608.00507"],
        )

    def _compute(
        self, predictions: Any, references: Any, classes: Any, tolerance: float = 0
    ) -> dict[str, float]:
        pairs = zip(predictions, references, strict=True)
        hits = np.array([is_hit(point, boxes, tolerance) for point, boxes in pairs])
        classes = np.asarray(classes)
        return {
            "pointing_game": float(hits.mean()),
            "pointing_game_class_mean": float(
                np.mean([hits[classes == c].mean() for c in np.unique(classes)])
            ),
        }
