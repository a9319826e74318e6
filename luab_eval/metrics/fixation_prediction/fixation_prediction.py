"""How well a map predicts fixations: NSS, AUC-Judd, shuffled AUC, information gain.

The definitions are pysaliency's (Kümmerer et al., 2018): means over fixations of the value of the map's cell
that each falls into. They differ in two places, so that a figure is never NaN or infinite: a constant map has
NSS 0 and AUC 0.5, and densities have `REGULARIZATION` added before the logarithm, as in the Tübingen/MIT
benchmark's KL divergence.

What an AUC compares the fixated cells with:

    auc_judd             all cells of the map, also the fixated ones (pysaliency: "uniform")
    auc_judd_unfixated   cells without a fixation of the image (Judd et al., 2009; pysaliency: "unfixated")
    shuffled_auc         cells of given other fixations, usually of all other images (Zhang et al., 2008)
"""

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import ArrayLike

REGULARIZATION = 2.2204e-16

_DESCRIPTION = """\
Means over images of how well a map predicts where people looked: normalized scanpath saliency (NSS), areas
under ROC curves (AUC), and the information gain over a baseline density.
"""
_CITATION = """\
@inproceedings{kummerer2018saliency,
  title     = {Saliency Benchmarking Made Easy: Separating Models, Maps and Metrics},
  author    = {K{\\"u}mmerer, Matthias and Wallis, Thomas S. A. and Bethge, Matthias},
  booktitle = {ECCV},
  year      = {2018}
}
"""
_KWARGS_DESCRIPTION = """
Args:
    predictions: one map `[h, w]` for each image, of any size; it covers the whole image.
    references: one `{"x": [...], "y": [...]}` for each image: its fixations, ratios of the image.
    negatives: for `shuffled_auc`, optional: fixations to compare with, laid out as `references`.
    baselines: for `information_gain`, optional: one density for each image, of the size of its map.
Returns:
    `nss`; `auc_judd`: against all cells; `auc_judd_unfixated`: against the cells without a fixation;
    `shuffled_auc` with `negatives`: against the cells of these; `information_gain` with `baselines`: bits per
    fixation that the map, as a density, knows more than the baseline.
"""


def cells_of(x: ArrayLike, y: ArrayLike, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of the cells of a map of `shape` (h, w) that fixations fall into.

    Args:
        x: [P] ratios of the image, from the left.
        y: [P] ratios of the image, from the top.
        shape: Height and width of the map.

    Raises:
        ValueError: no fixation, or one that is not inside the image.
    """
    places = np.stack([np.asarray(y, np.float64), np.asarray(x, np.float64)])
    if places.ndim != 2 or not places.size or not ((places >= 0) & (places <= 1)).all():
        raise ValueError(
            "an image needs at least one fixation, in ratios of the image from 0 to 1; leave out others."
        )
    # A fixation on the right or lower edge is in the last cell.
    row, column = np.minimum(places.T * shape, np.array(shape) - 1).astype(int).T
    return row, column


def nss(scores: np.ndarray, row: np.ndarray, column: np.ndarray) -> float:
    """Mean at the fixated cells of the map `[h, w]` whose mean is made 0 and whose deviation is made 1."""
    deviation = scores.std()
    if scores.max() == scores.min() or not deviation:
        return 0.0
    return float((scores[row, column].mean() - scores.mean()) / deviation)


def area_under_curve(positives: ArrayLike, negatives: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The probability that a positive value exceeds a negative one; equal values count half.

    Args:
        positives: [P] values.
        negatives: [N] values. Without any, there is nothing to tell apart: 0.5.
        weights: [N] how often each negative counts; default: once.
    """
    positives, negatives = np.ravel(positives).astype(np.float64), np.ravel(negatives).astype(np.float64)
    weights = np.ones(len(negatives)) if weights is None else np.ravel(weights).astype(np.float64)
    if not weights.sum() > 0:
        return 0.5
    order = np.argsort(negatives, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    lower, upper = (np.searchsorted(negatives[order], positives, side=side) for side in ("left", "right"))
    return float((below[lower] + below[upper]).mean() / (2 * below[-1]))


def auc_judd(scores: np.ndarray, row: np.ndarray, column: np.ndarray) -> float:
    """Fixated cells against all cells of the map `[h, w]`."""
    return area_under_curve(scores[row, column], scores)


def auc_judd_unfixated(scores: np.ndarray, row: np.ndarray, column: np.ndarray) -> float:
    """Fixated cells against the cells of the map `[h, w]` without a fixation."""
    fixated = np.zeros(scores.shape, bool)
    fixated[row, column] = True
    return area_under_curve(scores[row, column], scores[~fixated])


def information_gain(scores: np.ndarray, baseline: np.ndarray, row: np.ndarray, column: np.ndarray) -> float:
    """Mean over fixations of log2(density / baseline's density), in bits.

    Raises:
        ValueError: the map or the baseline `[h, w]` has negative values, or their sizes differ.
    """
    if scores.shape != baseline.shape:
        raise ValueError(f"the map is {scores.shape} and its baseline {baseline.shape}; give both one size.")
    own, other = (_density(values)[row, column] + REGULARIZATION for values in (scores, baseline))
    return float(np.log2(own / other).mean())


def _density(values: np.ndarray) -> np.ndarray:
    """A map that sums to 1; a map of zeros is uniform, as in pysaliency."""
    if (values < 0).any():
        raise ValueError("information gain compares densities: no value may be negative.")
    total = values.sum()
    return values / total if total > 0 else np.full(values.shape, 1 / values.size)


def _map(scores: ArrayLike) -> np.ndarray:
    values = np.asarray(scores, np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"a map must be [height, width] of finite values; got the shape {values.shape}.")
    return values


class FixationPrediction(evaluate.Metric):
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
                        "x": datasets.Sequence(datasets.Value("float64")),
                        "y": datasets.Sequence(datasets.Value("float64")),
                    },
                }
            ),
            reference_urls=["https://github.com/matthias-k/pysaliency", "https://arxiv.org/abs/1704.08615"],
        )

    def _compute(
        self,
        predictions: Any,
        references: Any,
        negatives: Sequence[Mapping[str, ArrayLike]] | None = None,
        baselines: Sequence[ArrayLike] | None = None,
    ) -> dict[str, float]:
        found: dict[str, list[float]] = {"nss": [], "auc_judd": [], "auc_judd_unfixated": []}
        found |= {"shuffled_auc": []} if negatives is not None else {}
        found |= {"information_gain": []} if baselines is not None else {}
        for given, name in ((negatives, "negatives"), (baselines, "baselines")):
            if given is not None and len(given) != len(predictions):
                raise ValueError(f"{len(given)} {name} are given for {len(predictions)} maps; give one each.")
        for at, (scores, fixations) in enumerate(zip(map(_map, predictions), references, strict=True)):
            cells = cells_of(fixations["x"], fixations["y"], scores.shape)
            found["nss"].append(nss(scores, *cells))
            found["auc_judd"].append(auc_judd(scores, *cells))
            found["auc_judd_unfixated"].append(auc_judd_unfixated(scores, *cells))
            if negatives is not None:
                others = cells_of(negatives[at]["x"], negatives[at]["y"], scores.shape)
                found["shuffled_auc"].append(area_under_curve(scores[cells], scores[others]))
            if baselines is not None:
                found["information_gain"].append(information_gain(scores, _map(baselines[at]), *cells))
        return {name: float(np.mean(values)) for name, values in found.items()}
