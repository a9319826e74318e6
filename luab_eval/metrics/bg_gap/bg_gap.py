"""BG-gap: how much a classifier relies on the background (Xiao et al., ICLR 2021)."""

from typing import Any

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """\
Accuracy on objects with another background of their own class (mixed-same) minus accuracy on objects with a
background of a random class (mixed-rand).
"""
_CITATION = """\
@inproceedings{xiao2021noise,
  title     = {Noise or Signal: The Role of Image Backgrounds in Object Recognition},
  author    = {Xiao, Kai and Engstrom, Logan and Ilyas, Andrew and Madry, Aleksander},
  booktitle = {International Conference on Learning Representations},
  year      = {2021}
}
"""
_KWARGS_DESCRIPTION = """
Args:
    predictions: the predicted class of each image (of ImageNet-9's).
    references: the right class of each image.
    variants: the variant of each image: `mixed_same`, `mixed_rand`, and any others (accuracy only).
Returns:
    `bg_gap`: -1 to 1; the accuracy of each variant under its name.
"""


class BGGap(evaluate.Metric):
    """The `evaluate` module."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Value("int64"),
                    "references": datasets.Value("int64"),
                    "variants": datasets.Value("string"),
                }
            ),
            reference_urls=[
                "https://arxiv.org/abs/2006.09994",
                "https://github.com/MadryLab/backgrounds_challenge",
            ],
        )

    def _compute(self, predictions: Any, references: Any, variants: Any) -> dict[str, float]:
        right, variants = np.asarray(predictions) == np.asarray(references), np.asarray(variants)
        accuracy = {name: float(right[variants == name].mean()) for name in np.unique(variants).tolist()}
        if absent := {"mixed_same", "mixed_rand"} - set(accuracy):
            raise ValueError(
                f"there are no images of {', '.join(sorted(absent))}, only of {', '.join(accuracy)}."
            )
        return {"bg_gap": accuracy["mixed_same"] - accuracy["mixed_rand"], **accuracy}
