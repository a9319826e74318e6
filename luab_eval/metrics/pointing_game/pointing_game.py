"""Pointing game (Zhang et al., IJCV 2018): does the point that a model looks at most lie on the object?"""

from collections.abc import Sequence

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """\
Share of the points that lie in a real box of their image, or within a tolerance of one.
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
    predictions: of each question (an image and a class) the point `[x, y]` where the map is highest, pixels.
    references: of each question the boxes `[[x, y, w, h], ...]`, pixels. The border belongs to the box.
    classes: of each question the class, an int.
    tolerance: a point this near to a box, in pixels, is a hit too. Default 0; the paper's is 15.
Returns:
    `pointing_game`: share of hits; `pointing_game_class_mean`: the mean of the classes' shares (the paper's).
"""


def is_hit(point: Sequence[float], boxes: Sequence[Sequence[float]], tolerance: float = 0) -> bool:
    """Whether `point` [x, y] is in one of `boxes` [[x, y, w, h]] or within `tolerance` of it (Euclidean)."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    outside = np.maximum(np.maximum(low - point, point - high), 0)  # [n, 2]
    return bool((np.hypot(*outside.T) <= tolerance).any())


class PointingGame(evaluate.Metric):
    """The `evaluate` module."""

    def _info(self):
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

    def _compute(self, predictions, references, classes, tolerance=0):
        pairs = zip(predictions, references, strict=True)
        hits = np.array([is_hit(point, boxes, tolerance) for point, boxes in pairs])
        classes = np.asarray(classes)
        return {
            "pointing_game": float(hits.mean()),
            "pointing_game_class_mean": float(
                np.mean([hits[classes == c].mean() for c in np.unique(classes)])
            ),
        }
