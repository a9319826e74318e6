"""AUPR of detecting images of unknown classes by a score (ImageNet-O: Hendrycks et al., CVPR 2021)."""

from typing import Any

import datasets
import evaluate
import numpy as np
from sklearn.metrics import average_precision_score

_DESCRIPTION = """\
Area under the precision-recall curve (average precision). Images of unknown classes are the positives, and a
higher score means less known. On ImageNet-O: its 2,000 images against the validation images of its 200
classes, scored by minus the highest softmax probability over these 200 classes.
"""
_CITATION = """\
@inproceedings{hendrycks2021nae,
  title     = {Natural Adversarial Examples},
  author    = {Hendrycks, Dan and Zhao, Kevin and Basart, Steven and Steinhardt, Jacob and Song, Dawn},
  booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year      = {2021}
}
"""
_KWARGS_DESCRIPTION = """
Args:
    predictions: one score for each image; higher means less known.
    references: 1 for an image of an unknown class (out of distribution), 0 for one of a known class.
Returns:
    `aupr`: 0 to 1; `aupr_chance`: the result of guessing, which is the share of unknown images.
"""


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the precision-recall curve in steps, as in scikit-learn and the authors' code.

    Args:
        scores: [N].
        positive: [N] bool.

    Raises:
        ValueError: a score that is not finite, or no positive.
    """
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if not np.isfinite(scores).all() or not positive.any():
        raise ValueError("average precision needs finite scores, and at least one positive.")
    return float(average_precision_score(positive, scores))


class AUPROutOfDistribution(evaluate.Metric):
    """The `evaluate` module."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("int64")}
            ),
            reference_urls=[
                "https://arxiv.org/abs/1907.07174",
                "https://github.com/hendrycks/natural-adv-examples",
            ],
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        unknown = np.asarray(references) == 1
        return {"aupr": average_precision(predictions, unknown), "aupr_chance": float(unknown.mean())}
