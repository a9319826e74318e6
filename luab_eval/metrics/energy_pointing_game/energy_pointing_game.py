"""Energy pointing game: the share of a map's mass inside the true boxes (Wang et al., 2020).

The mass of a cell is spread evenly over its area. So the share is exact for a map of any size and for boxes
that cut through its cells. For a map of the image's size and boxes of whole pixels it is a sum over pixels,
as in the paper.
"""

from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import ArrayLike

_DESCRIPTION = """\
Mean over images of the share of the score map's mass inside the union of the true boxes.
"""
_CITATION = """\
@inproceedings{wang2020scorecam,
  title     = {Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks},
  author    = {Wang, Haofan and Wang, Zifan and Du, Mengnan and Yang, Fan and Zhang, Zijian and Ding, Sirui
               and Mardziel, Piotr and Hu, Xia},
  booktitle = {CVPR Workshops},
  year      = {2020}
}
"""
_KWARGS_DESCRIPTION = """
Args:
    predictions: one map `[h, w]` for each image, of any size, not negative; it covers the whole image.
    references: one `{"boxes": [[x, y, w, h], ...], "width": int, "height": int}` for each image, pixels.
Returns:
    `energy_pointing_game`: 0 to 1; `energy_pointing_game_uniform`: the baseline of a uniform map, which is
    the boxes' share of the image.
"""


def energy_inside(scores: ArrayLike, boxes: ArrayLike, width: float, height: float) -> float:
    """Share of the mass of `scores` [h, w] inside the union of `boxes` [[x, y, w, h]], pixels of the image.

    Raises:
        ValueError: a map with negative, infinite or missing values, or without any mass; no boxes.
    """
    values = np.asarray(scores, np.float64)
    if values.ndim != 2 or not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise ValueError(
            "a score map must be [height, width] of finite values, none negative, some positive."
        )
    corners = np.asarray(boxes, np.float64)
    if corners.ndim != 2 or corners.shape[1] != 4:
        raise ValueError(
            f"boxes are {corners.tolist()}, but an image needs at least one, [[x, y, w, h], ...]."
        )
    first, last = corners[:, :2], corners[:, :2] + corners[:, 2:]
    sides = []  # for x and y: lengths of the pieces, the cell of each, and in which box each is
    for axis, (pixels, cells) in enumerate(((width, values.shape[1]), (height, values.shape[0]))):
        edges = np.concatenate([np.arange(cells + 1) * pixels / cells, first[:, axis], last[:, axis]])
        edges = np.unique(edges.clip(0, pixels))
        middle = (edges[1:] + edges[:-1]) / 2
        within = (middle > first[:, axis, None]) & (middle < last[:, axis, None])
        sides.append((np.diff(edges), (middle * cells / pixels).astype(int), within))
    (across, column, in_x), (down, row, in_y) = sides
    mass = values[np.ix_(row, column)] * down[:, None] * across
    inside = (in_y[:, :, None] & in_x[:, None, :]).any(axis=0)
    return float((mass * inside).sum() / mass.sum())


class EnergyPointingGame(evaluate.Metric):
    """The `evaluate` module."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Sequence(datasets.Value("float64"))),
                    "references": {
                        "boxes": datasets.Sequence(datasets.Sequence(datasets.Value("float64"))),
                        "width": datasets.Value("int64"),
                        "height": datasets.Value("int64"),
                    },
                }
            ),
            reference_urls=["https://arxiv.org/abs/1910.01279"],
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        pairs = list(zip(predictions, references, strict=True))
        return {
            "energy_pointing_game": float(np.mean([energy_inside(scores, **real) for scores, real in pairs])),
            "energy_pointing_game_uniform": float(
                np.mean([energy_inside([[1]], **real) for _, real in pairs])
            ),
        }
