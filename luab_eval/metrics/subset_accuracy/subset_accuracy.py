"""Accuracy over a subset of the model's classes, as on ImageNet-A and -R (Hendrycks et al., 2021)."""

from typing import Any

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """\
Share of images whose right class has the highest logit among the classes of a subset; others are ignored.
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
    predictions: the logits `[K]` of each image over all of the model's K classes.
    references: the right class of each image, 0 to K-1 (not its position in the subset).
    subset: the classes that count.
Returns:
    `subset_accuracy`: 0 to 1.
"""


class SubsetAccuracy(evaluate.Metric):
    """The `evaluate` module."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("float32")),
                    "references": datasets.Value("int64"),
                }
            ),
            reference_urls=["https://arxiv.org/abs/1907.07174", "https://arxiv.org/abs/2006.16241"],
        )

    def _compute(self, predictions: Any, references: Any, subset: Any) -> dict[str, float]:
        subset, references = np.asarray(subset), np.asarray(references)
        if absent := sorted(set(references.tolist()) - set(subset.tolist())):
            raise ValueError(f"references hold the classes {absent}, which are not in the subset.")
        answers = subset[np.asarray(predictions)[:, subset].argmax(axis=1)]
        return {"subset_accuracy": float((answers == references).mean())}
