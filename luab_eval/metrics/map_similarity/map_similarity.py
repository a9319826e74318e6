"""How alike two maps of attention are: Spearman correlation, CC, SIM, KL divergence.

CC, SIM and KL are pysaliency's; the Spearman correlation over cells is that of ClickMe's protocol (Linsley et
al., 2019; Fel et al., 2022). They differ in one place, so that a figure is never NaN: a correlation with a
constant map is 0.
"""

from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

REGULARIZATION = 2.2204e-16  # in both logarithms of the KL divergence, as in the Tübingen/MIT benchmark

_DESCRIPTION = """\
Means over images of how alike two maps are: rank correlation (Spearman), linear correlation (CC), shared mass
(SIM), and the KL divergence of the first from the second.
"""
_CITATION = """\
@article{bylinskii2019metrics,
  title   = {What Do Different Evaluation Metrics Tell Us About Saliency Models?},
  author  = {Bylinskii, Zoya and Judd, Tilke and Oliva, Aude and Torralba, Antonio and Durand, Fr{\\'e}do},
  journal = {IEEE Transactions on Pattern Analysis and Machine Intelligence},
  year    = {2019}
}
"""
_KWARGS_DESCRIPTION = """
Args:
    predictions: one map `[h, w]` for each image.
    references: one map of people's attention for each image, of the same size.
Returns:
    `spearman`: -1 to 1; `cc`: -1 to 1; `sim`: 0 to 1; `kl`: nats, 0 or more: KL(reference || prediction),
    lower is better.
"""


def ranks(scores: np.ndarray) -> np.ndarray:
    """The rank of each cell of a map; equal cells share their mean rank."""
    return rankdata(scores).reshape(scores.shape)


def cc(one: np.ndarray, other: np.ndarray) -> float:
    """The linear correlation of two maps over their cells; 0 if one is constant."""
    if one.max() == one.min() or other.max() == other.min():
        return 0.0
    one, other = one - one.mean(), other - other.mean()
    scale = np.sqrt((one**2).sum() * (other**2).sum())
    return float(np.clip((one * other).sum() / scale, -1, 1)) if scale > 0 else 0.0


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """The rank correlation of two maps over their cells; 0 if one is constant."""
    return cc(ranks(one), ranks(other))


def sim(one: np.ndarray, other: np.ndarray) -> float:
    """The mass that two maps, as densities, share: the sum of the smaller values."""
    return float(np.minimum(density(one), density(other)).sum())


def kl(prediction: np.ndarray, reference: np.ndarray) -> float:
    """KL(reference || prediction) of two maps as densities, in nats."""
    p, q = density(prediction), density(reference)
    return float((q * np.log(REGULARIZATION + q / (p + REGULARIZATION))).sum())


def density(scores: np.ndarray) -> np.ndarray:
    """A map that sums to 1, as pysaliency makes it.

    A map with negative values is shifted until its smallest is 0. A map of zeros becomes uniform.
    """
    values = scores - scores.min() if scores.min() < 0 else scores
    total = values.sum()
    return values / total if total > 0 else np.full(values.shape, 1 / values.size)


def _pair(prediction: ArrayLike, reference: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.asarray(prediction, np.float64), np.asarray(reference, np.float64)
    if one.ndim != 2 or one.shape != other.shape or not one.size:
        raise ValueError(f"maps [height, width] of one size are needed; got {one.shape} and {other.shape}.")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("a map has values that are not finite.")
    return one, other


class MapSimilarity(evaluate.Metric):
    """The `evaluate` module."""

    def _info(self) -> evaluate.MetricInfo:
        one = datasets.Sequence(datasets.Sequence(datasets.Value("float64")))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features({"predictions": one, "references": one}),
            reference_urls=["https://github.com/matthias-k/pysaliency", "https://arxiv.org/abs/1604.03605"],
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        pairs = [_pair(*maps) for maps in zip(predictions, references, strict=True)]
        measures = {"spearman": spearman, "cc": cc, "sim": sim, "kl": kl}
        return {name: float(np.mean([of(*pair) for pair in pairs])) for name, of in measures.items()}
