"""Accuracy with several right labels per image, as in ImageNet-ReaL (Beyer et al., 2020)."""

from typing import Any

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """\
Share of images whose predicted class is one of the image's right labels; images without a label do not count.
"""
_CITATION = """\
@article{beyer2020imagenet,
  title   = {Are we done with ImageNet?},
  author  = {Beyer, Lucas and H{\\'e}naff, Olivier J. and Kolesnikov, Alexander and Zhai, Xiaohua
             and van den Oord, A{\\"a}ron},
  journal = {arXiv preprint arXiv:2006.07159},
  year    = {2020}
}
"""
_KWARGS_DESCRIPTION = """
Args:
    predictions: the predicted class of each image.
    references: the right classes of each image, a list; empty without agreement.
Returns:
    `real_accuracy`: 0 to 1; `real_images`: number of images with a label (46,837 of ImageNet's 50,000).
"""


class RealAccuracy(evaluate.Metric):
    """The `evaluate` module."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Value("int64"),
                    "references": datasets.Sequence(datasets.Value("int64")),
                }
            ),
            reference_urls=[
                "https://arxiv.org/abs/2006.07159",
                "https://github.com/google-research/reassessed-imagenet",
            ],
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        right = [
            answer in labels for answer, labels in zip(predictions, references, strict=True) if len(labels)
        ]
        if not right:
            raise ValueError("no image has a label, so there is no accuracy.")
        return {"real_accuracy": float(np.mean(right)), "real_images": len(right)}
