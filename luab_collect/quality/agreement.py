"""Agreement of annotators who saw the same images: Krippendorff's alpha, and each one against the others."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from krippendorff import alpha

from luab_collect.quality.facts import PageFacts, Point
from luab_collect.quality.proportions import LEVEL, Proportion

RESAMPLES = 500

# (item, class asked for; None: all) -> annotator -> the classes that she says it shows, in her last answer.
Answers = Mapping[tuple[str, str | None], Mapping[str, frozenset[str]]]


@dataclass(frozen=True)
class Alpha:
    """Krippendorff's alpha of yes or no, an image and a class being a unit: 1 is agreement, 0 is chance.

    `low` to `high` is the percentile interval (95 %) over resampled units. None: nobody saw what another saw,
    or all answers are the same, so that there is no chance to compare with.
    """

    value: float | None
    low: float | None
    high: float | None
    units: int  # with two answers or more

    def __str__(self) -> str:
        if self.value is None or self.low is None or self.high is None:
            return f"- ({self.units:,} units)"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f}; {self.units:,} units)"


def answers_of(facts: Iterable[PageFacts]) -> Answers:
    """The answers of all pages."""
    found: dict[tuple[str, str | None], dict[str, frozenset[str]]] = defaultdict(dict)
    for page in facts:
        for item, shown in page.answers.items():
            found[item, page.asked][page.annotator] = shown
    return found


def krippendorff_alpha(answers: Answers, classes: int, seed: int = 0) -> Alpha:
    """The agreement of all pages.

    Args:
        answers: Of the pages.
        classes: How many classes a `place` page offers; a `select` page asks for one.
        seed: Of the resampled units.
    """
    kinds: Counter[tuple[int, int]] = Counter()  # (no, yes) of a unit -> how many units
    for (_, asked), said in answers.items():
        named = Counter(name for shown in said.values() for name in shown)
        for yes in named.values():
            kinds[len(said) - yes, yes] += 1
        # What nobody named, everybody says is not there.
        kinds[len(said), 0] += max(0, (classes if asked is None else 1) - len(named))
    counts = np.array([kind for kind in kinds if sum(kind) >= 2], dtype=np.int64).reshape(-1, 2)
    times = np.array([kinds[no, yes] for no, yes in counts.tolist()], dtype=np.int64)
    units = int(times.sum())
    value = _alpha(counts, times)
    if value is None:
        return Alpha(None, None, None, units)
    # Units of a kind are interchangeable: how many of each a resample holds is multinomial.
    draws = np.random.default_rng(seed).multinomial(units, times / units, RESAMPLES)
    known = [each for draw in draws if (each := _alpha(counts, draw)) is not None]
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if known else (value, value)
    return Alpha(value, float(low), float(high), units)


def _alpha(counts: np.ndarray, times: np.ndarray) -> float | None:
    units = np.repeat(counts, times, axis=0)
    if (units.sum(axis=0) == 0).any():
        return None
    return float(alpha(value_counts=units, level_of_measurement="nominal"))


def with_majority(answers: Answers) -> dict[str, Proportion]:
    """Annotator -> how often her answer is that of most others; where they are divided, it does not count.

    Of a `place` page only classes that somebody placed count: all agree on most of the others.
    """
    hits: dict[str, list[bool]] = defaultdict(list)
    for (_, asked), said in answers.items():
        names = {name for shown in said.values() for name in shown} if asked is None else {asked}
        for name in names:
            yes = sum(name in shown for shown in said.values())
            for annotator, shown in said.items():
                own = name in shown
                for_it, against = yes - own, len(said) - yes - (not own)
                if for_it != against:
                    hits[annotator].append(own is (for_it > against))
    return {annotator: Proportion.of(each) for annotator, each in hits.items()}


def consensus_distances(facts: Iterable[PageFacts]) -> dict[str, list[float]]:
    """Annotator -> distances of her points to the median of those of two or more others, in ratios."""
    places: dict[tuple[str, str], dict[str, Point]] = defaultdict(dict)
    for page in facts:
        for unit, point in page.points.items():
            places[unit][page.annotator] = point
    found: dict[str, list[float]] = defaultdict(list)
    for each in places.values():
        for annotator, point in each.items():
            others = [other for who, other in each.items() if who != annotator]
            if len(others) >= 2:
                found[annotator].append(math.dist(point, _middle(others)))
    return found


def _middle(points: Sequence[Point]) -> Point:
    return median(x for x, _ in points), median(y for _, y in points)
