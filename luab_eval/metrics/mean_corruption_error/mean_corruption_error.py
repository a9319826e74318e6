"""mCE: the error on corrupted images, relative to AlexNet's (Hendrycks and Dietterich, ICLR 2019)."""

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """\
Mean corruption error: for each corruption, the sum of the errors at its severities divided by AlexNet's sum;
then the mean over the corruptions.
"""
_CITATION = """\
@inproceedings{hendrycks2019benchmarking,
  title     = {Benchmarking Neural Network Robustness to Common Corruptions and Perturbations},
  author    = {Hendrycks, Dan and Dietterich, Thomas},
  booktitle = {International Conference on Learning Representations},
  year      = {2019}
}
"""
_KWARGS_DESCRIPTION = """
Args:
    predictions: the predicted class of each image.
    references: the right class of each image.
    corruptions: the corruption of each image, named as ImageNet-C's folders (`gaussian_noise`, ...).
    severities: its severity, 1 to 5.
Returns:
    `mce`: relative to AlexNet's errors, may exceed 1; `mce_unnormalized`: the plain mean of the errors.
"""

# Mean over the severities: the authors' table (github.com/hendrycks/robustness).
ALEXNET_ERRORS = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}


def mean_corruption_error(errors: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Error rates of each corruption at its severities -> `mce` and `mce_unnormalized`.

    Raises:
        ValueError: a corruption without published errors of AlexNet.
    """
    if unknown := sorted(set(errors) - set(ALEXNET_ERRORS)):
        raise ValueError(
            f"mCE is not defined for {', '.join(unknown)}; ImageNet-C's corruptions are "
            f"{', '.join(ALEXNET_ERRORS)}."
        )
    means = {corruption: float(np.mean(rates)) for corruption, rates in errors.items()}
    relative = [mean / ALEXNET_ERRORS[corruption] for corruption, mean in means.items()]
    return {"mce": float(np.mean(relative)), "mce_unnormalized": float(np.mean(list(means.values())))}


class MeanCorruptionError(evaluate.Metric):
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
                    "corruptions": datasets.Value("string"),
                    "severities": datasets.Value("int64"),
                }
            ),
            reference_urls=["https://arxiv.org/abs/1903.12261", "https://github.com/hendrycks/robustness"],
        )

    def _compute(
        self, predictions: Any, references: Any, corruptions: Any, severities: Any
    ) -> dict[str, float]:
        wrong: dict[tuple[str, int], list[bool]] = {}
        for kind, answer, right in zip(
            zip(corruptions, severities, strict=True), predictions, references, strict=True
        ):
            wrong.setdefault(kind, []).append(answer != right)
        errors: dict[str, list[float]] = {}
        for (corruption, _), each in wrong.items():
            errors.setdefault(corruption, []).append(float(np.mean(each)))
        return mean_corruption_error(errors)
