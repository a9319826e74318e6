"""A model's maps against people's attention on the same images, with the baselines beside each figure.

    maps [N, h, w], People of each image --(Alignment)--> metric -> [N], of the model and of each baseline

Baselines, computed on the same images with the same code:

    uniform       the same everywhere
    center        the mean density of all other images, the "center bias" (leave one image out)
    other_image   the model's map of another image
    one_human     one annotator's density against all the others', mean over annotators
    split_halves  half of the annotators against the other half, in both directions: the human ceiling

KL and information gain judge people as densities, and a few fixations make no density: what they leave empty
would cost them most. So for these two, people are mixed with the center bias, as in pysaliency's gold
standard, by the share under which they predict the others best over all images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from luab_data.console.bars import progress
from luab_eval.alignment.people import GRID, People, without_rounding
from luab_eval.arrays import hash_of
from luab_eval.metrics.fixation_prediction.fixation_prediction import (
    area_under_curve,
    auc_judd,
    auc_judd_unfixated,
    information_gain,
    nss,
)
from luab_eval.metrics.map_similarity.map_similarity import cc, kl, sim, spearman

OF_MAPS: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "spearman": spearman,
    "cc": cc,
    "sim": sim,
    "kl": kl,
}
OF_FIXATIONS = ("nss", "auc_judd", "auc_judd_unfixated", "shuffled_auc", "information_gain")
UNIFORM, CENTER, OTHER_IMAGE = "uniform", "center", "other_image"
ONE_HUMAN, SPLIT_HALVES = "one_human", "split_halves"
SEED = 0
MOST_HUMANS = 8  # annotators of an image that are compared with the others
SPLITS = 4  # random splits of the annotators of an image
# The center bias of few images is blurred more (Scott's rule, for attention that deviates by 0.2 of the image
# from its center), and a little of it is uniform, so that no place is impossible.
CENTER_SPREAD, CENTER_UNIFORM = 0.2, 0.01
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of the center bias in people's densities
OF_DENSITIES: Mapping[str, Callable[..., float]] = {"kl": min, "information_gain": max}  # and what is best
MODELS_KEPT = 8  # whose figures are kept for the benchmarks of other metrics

Figures = dict[str, float]


class Reference(NamedTuple):
    """What a map is compared with.

    Attributes:
        map: `[GRID, GRID]` people's density.
        cells: Rows and columns of the cells of their fixations; None: there are none.
        negatives: `[GRID, GRID]` how many fixations of other images fall into each cell.
        center: `[GRID, GRID]` the center bias.
    """

    map: np.ndarray
    cells: tuple[np.ndarray, np.ndarray] | None
    negatives: np.ndarray
    center: np.ndarray


def figures_of(prediction: np.ndarray, reference: Reference) -> Figures:
    """All metrics of a density `[GRID, GRID]`; those of fixations only where there are some."""
    found = {name: of(prediction, reference.map) for name, of in OF_MAPS.items()}
    if reference.cells is None:
        return found
    values = (
        nss(prediction, *reference.cells),
        auc_judd(prediction, *reference.cells),
        auc_judd_unfixated(prediction, *reference.cells),
        area_under_curve(prediction[reference.cells], prediction, reference.negatives),
        information_gain(prediction, reference.center, *reference.cells),
    )
    return found | dict(zip(OF_FIXATIONS, values, strict=True))


class Alignment:
    """The people of N images, and how well maps agree with them.

    Args:
        people: Those of each image; read when needed, so that it may be lazy.
        pictures: `[N]` the number of each image's picture. Images with one number show the same picture,
            asked for different classes: they are no "other images" for each other, and one image in figures
            (`by_picture`).

    Raises:
        ValueError: fewer than two pictures.
    """

    def __init__(self, people: Sequence[People], pictures: Sequence[int]):
        self.people = people
        self.pictures = np.unique(np.asarray(pictures), return_inverse=True)[1]
        self.first = np.unique(self.pictures, return_index=True)[1]  # [P] image of each picture
        self.class_counts = np.bincount(self.pictures)[self.pictures]  # [N] of each image's picture
        count = len(self.first)
        if count < 2:
            raise ValueError(
                f"alignment needs at least two images, and got {count}: the center bias, the shuffled AUC "
                "and the map of another image come from the other images"
            )
        self._sums: tuple[np.ndarray, np.ndarray] | None = None
        self.center_shares: dict[tuple[str, str], float] = {}  # metric, whose density; set with the baselines
        self._baselines: dict[str, dict[str, np.ndarray]] | None = None
        self._of_models: dict[bytes, dict[str, dict[str, np.ndarray]]] = {}

    def of_model(self, maps: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
        """Metric -> who -> `[N]` for the model ("model") and all baselines; NaN where one has no figure.

        Args:
            maps: `[N, h, w]` the model's maps on its own grid, not negative.
        """
        key = hashlib.blake2b(maps.tobytes(), digest_size=16).digest()
        if key not in self._of_models:
            grid = on_grid(maps)
            others = self._others()
            of_images = [
                {
                    "model": figures_of(grid[at], reference),
                    OTHER_IMAGE: figures_of(grid[others[at]], reference),
                }
                for at, (reference, _) in enumerate(self._references())
            ]
            while len(self._of_models) >= MODELS_KEPT:
                self._of_models.pop(next(iter(self._of_models)))
            self._of_models[key] = _columns(of_images)
        found = {metric: dict(of) for metric, of in self._of_models[key].items()}
        for metric, of in self.baselines().items():
            found[metric] |= of
        return found

    def baselines(self) -> dict[str, dict[str, np.ndarray]]:
        """Metric -> baseline -> `[N]`, of the baselines that need no model."""
        if self._baselines is None:
            flat = np.full((GRID, GRID), 1 / GRID**2)
            of_images = []
            for at, (reference, people) in enumerate(self._references()):
                found = {
                    UNIFORM: figures_of(flat, reference),
                    CENTER: figures_of(reference.center, reference),
                }
                of_images.append(found | _of_humans(people, reference, np.random.default_rng([SEED, at])))
            self._baselines = _columns(of_images)
            self.center_shares = _choose_shares(self._baselines, self.by_picture)
        return self._baselines

    def by_picture(self, values: np.ndarray) -> np.ndarray:
        """`[N]` -> `[P]` the mean over the classes of each picture; NaN if it has no figure."""
        known = ~np.isnan(values)
        sums = np.bincount(self.pictures, np.where(known, values, 0))
        counts = np.bincount(self.pictures, known)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    def reference(self, at: int, people: People) -> Reference:
        """What maps of image `at` are compared with."""
        sums, counts = self._totals()
        own = np.flatnonzero(self.pictures == self.pictures[at])
        same = [people if other == at else self.people[other] for other in own.tolist()]
        blur = _blur(CENTER_SPREAD * len(self.first) ** (-1 / 6))
        rest = (blur @ (sums - np.mean([each.map for each in same], axis=0)) @ blur.T).clip(0)
        center = (1 - CENTER_UNIFORM) * rest / rest.sum() + CENTER_UNIFORM / rest.size
        negatives = counts - np.sum([_counts(each) for each in same], axis=0)
        return Reference(people.map, people.cells(), negatives, center)

    def _references(self) -> Iterator[tuple[Reference, People]]:
        with progress(len(self.people), "alignment", "img", leave=False) as bar:
            for at in range(len(self.people)):
                people = self.people[at]
                yield self.reference(at, people), people
                bar.update()

    def references(self, classes: Sequence[str]) -> np.ndarray:
        """`[P]` int64, a hash of each picture's people (`People.fingerprint`) with the `[N]` classes."""
        self._totals()
        of_pictures: list[list[tuple[str, int]]] = [[] for _ in self.first]
        for picture, of_class in zip(
            self.pictures.tolist(), zip(classes, self._fingerprints.tolist(), strict=True), strict=True
        ):
            of_pictures[picture].append(of_class)
        return np.array([hash_of(repr(sorted(each)).encode()) for each in of_pictures], np.int64)

    def _totals(self) -> tuple[np.ndarray, np.ndarray]:
        """The sum of the pictures' densities, means over their classes, and the fixations of each cell."""
        if self._sums is None:
            sums, counts = np.zeros((2, GRID, GRID))
            self._fingerprints = np.zeros(len(self.people), np.int64)
            for at in range(len(self.people)):
                people = self.people[at]
                self._fingerprints[at] = people.fingerprint
                sums += people.map / self.class_counts[at]
                counts += _counts(people)
            self._sums = sums, counts
        return self._sums

    def _others(self) -> np.ndarray:
        """`[N]` for each image one of another picture: the next in a random order of the pictures."""
        order = np.random.default_rng(SEED).permutation(len(self.first))
        following = np.empty(len(order), np.int64)
        following[order] = np.roll(order, -1)
        return self.first[following[self.pictures]]


def on_grid(maps: np.ndarray) -> np.ndarray:
    """A model's maps `[N, h, w]` -> densities `[N, GRID, GRID]`, bilinear as in the pointing game."""
    resized = F.interpolate(
        torch.from_numpy(np.ascontiguousarray(maps, np.float64))[:, None],
        size=(GRID, GRID),
        mode="bilinear",
        align_corners=False,
        antialias=True,  # for a model's grid finer than ours
    )[:, 0].numpy()
    resized = without_rounding(resized.clip(0))
    total = resized.sum(axis=(1, 2), keepdims=True)
    return np.where(total > 0, resized / np.where(total > 0, total, 1), 1 / GRID**2)


def _of_humans(people: People, reference: Reference, rng: np.random.Generator) -> dict[str, Figures]:
    """The figures of people as predictions of other people; empty if they are not told apart."""
    if people.count < 2:
        return {}
    everyone = np.arange(people.count)

    def against(one: np.ndarray, rest: np.ndarray) -> Figures:
        own = people.maps[one].mean(axis=0)
        of_rest = reference._replace(map=people.maps[rest].mean(axis=0), cells=people.cells(rest))
        return figures_of(own, of_rest) | _mixtures(own, of_rest)

    asked = rng.permutation(everyone)[:MOST_HUMANS]
    singles = [against(np.array([one]), everyone[everyone != one]) for one in asked.tolist()]
    halves = []
    for _ in range(SPLITS):
        shuffled = rng.permutation(everyone)
        one, other = shuffled[: len(shuffled) // 2], shuffled[len(shuffled) // 2 :]
        halves += [against(one, other), against(other, one)]
    return {ONE_HUMAN: _mean(singles), SPLIT_HALVES: _mean(halves)}


def _mixtures(prediction: np.ndarray, reference: Reference) -> Figures:
    """The metrics of `OF_DENSITIES` with each share of the center bias."""
    found = {}
    for share in SHARES:
        mixed = (1 - share) * prediction + share * reference.center
        found[f"kl@{share}"] = kl(mixed, reference.map)
        if reference.cells is not None:
            gain = information_gain(mixed, reference.center, *reference.cells)
            found[f"information_gain@{share}"] = gain
    return found


def _choose_shares(
    columns: dict[str, dict[str, np.ndarray]], by_picture: Callable[[np.ndarray], np.ndarray]
) -> dict[tuple[str, str], float]:
    """Puts people's figures with the best of the shares in place of those with each of them.

    One share is chosen for all pictures, and each figure is of people who were not mixed in.

    Args:
        columns: See `_columns`.
        by_picture: See `Alignment`.

    Returns:
        The share for each metric, and whose density.
    """
    chosen = {}
    for metric, best in OF_DENSITIES.items():
        names = {share: f"{metric}@{share}" for share in SHARES}
        mixed = {share: columns.pop(name) for share, name in names.items() if name in columns}
        for who in (ONE_HUMAN, SPLIT_HALVES) if mixed else ():
            means = {share: float(np.nanmean(by_picture(of[who]))) for share, of in mixed.items()}
            share = chosen[metric, who] = best(means, key=means.__getitem__)
            columns[metric][who] = mixed[share][who]
    return chosen


def _mean(figures: Sequence[Figures]) -> Figures:
    return {name: float(np.mean([each[name] for each in figures])) for name in figures[0]}


def _columns(of_images: Sequence[Mapping[str, Figures]]) -> dict[str, dict[str, np.ndarray]]:
    """Who -> metric of each image -> metric -> who -> `[N]`, NaN where an image has none."""
    whose = dict.fromkeys(who for found in of_images for who in found)
    metrics = dict.fromkeys(name for found in of_images for of in found.values() for name in of)
    return {
        metric: {
            who: np.array([found.get(who, {}).get(metric, np.nan) for found in of_images]) for who in whose
        }
        for metric in metrics
    }


def _counts(people: People) -> np.ndarray:
    counts = np.zeros((GRID, GRID))
    if (cells := people.cells()) is not None:
        np.add.at(counts, cells, 1)
    return counts


def _blur(sigma: float) -> np.ndarray:
    """`[GRID, GRID]` a Gaussian blur along one axis; no mass leaves the image."""
    centers = (np.arange(GRID) + 0.5) / GRID
    weights = np.exp(-((centers[:, None] - centers) ** 2) / (2 * sigma**2))
    return weights / weights.sum(axis=0)
