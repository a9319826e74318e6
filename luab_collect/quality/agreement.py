"""Agreement of annotators who saw the same images: Krippendorff's alpha, and each one against the others."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from luab_collect.places import Point
from luab_collect.quality.facts import PageFacts
from luab_collect.quality.proportions import LEVEL, Proportion
from luab_data.console.text import counted

RESAMPLES = 500

# (item, class asked for; None: all) -> annotator -> the classes that she says it shows, in her last answer.
Answers = Mapping[tuple[str, str | None], Mapping[str, frozenset[str]]]
# (item, class) -> annotator -> where she says that it is, the last time, in ratios.
Points = Mapping[tuple[str, str], Mapping[str, Point]]


@dataclass(frozen=True)
class Alpha:
    """Krippendorff's alpha of yes or no, an image and a class being a unit: 1 is agreement, 0 is chance.

    `low` to `high` is the percentile interval (95 %) over resampled images: the answers about one image
    depend on each other. `value` None: nobody saw what another saw, or all answers are the same, so that
    there is no chance to compare with. `low` and `high` None: also where fewer than two images have units.
    """

    value: float | None
    low: float | None
    high: float | None
    units: int  # with two answers or more
    images: int  # that have units

    def __str__(self) -> str:
        rests = f"{counted(self.units, 'unit')} of {counted(self.images, 'image')}"
        if self.value is None:
            return f"- ({rests})"
        known = self.low is not None and self.high is not None
        interval = f"{self.low:.2f} to {self.high:.2f}" if known else "no interval"
        return f"{self.value:.2f} ({interval}; {rests})"


def answers_of(facts: Iterable[PageFacts]) -> Answers:
    """The answers of all pages."""
    found: dict[tuple[str, str | None], dict[str, frozenset[str]]] = defaultdict(dict)
    for page in facts:
        for item, shown in page.answers.items():
            found[item, page.asked][page.annotator] = shown
    return found


def points_of(facts: Iterable[PageFacts]) -> Points:
    """The points of all pages."""
    found: dict[tuple[str, str], dict[str, Point]] = defaultdict(dict)
    for page in facts:
        for unit, point in page.points.items():
            found[unit][page.annotator] = point
    return found


def krippendorff_alpha(answers: Answers, classes: int, seed: int = 0) -> Alpha:
    """The agreement of all pages.

    Source: Krippendorff, "Computing Krippendorff's alpha-reliability", 2011, section C.

    Args:
        answers: Of the pages.
        classes: How many classes a `place` page offers; a `select` page asks for one.
        seed: Of the resampled images.
    """
    units: dict[str, Counter[tuple[int, int]]] = defaultdict(Counter)  # image -> (no, yes) -> how many units
    for (item, asked), said in answers.items():
        if len(said) < 2:
            continue
        named = Counter(name for shown in said.values() for name in shown)
        for yes in named.values():
            units[item][len(said) - yes, yes] += 1
        # What nobody named, everybody says is not there.
        units[item][len(said), 0] += max(0, (classes if asked is None else 1) - len(named))
    total, images = sum(each.total() for each in units.values()), len(units)
    # Images with the same sums are interchangeable: how many of each a resample holds is multinomial.
    kinds = Counter(_sums(each) for each in units.values())
    sums, times = np.array(list(kinds), dtype=float).reshape(-1, 3), np.array(list(kinds.values()), dtype=int)
    value = _alpha(times @ sums)
    if value is None or images < 2:
        return Alpha(value, None, None, total, images)
    rng = np.random.default_rng(seed)
    draws = (rng.multinomial(images, times / images) @ sums for _ in range(RESAMPLES))
    known = [each for draw in draws if (each := _alpha(draw)) is not None]
    if not known:
        return Alpha(value, None, None, total, images)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Alpha(value, float(low), float(high), total, images)


def _sums(units: Counter[tuple[int, int]]) -> tuple[float, int, int]:
    """What alpha rests on, of the units of one image: weight of pairs that disagree, number of no, of yes."""
    disagreeing = sum(times * no * yes / (no + yes - 1) for (no, yes), times in units.items())
    return (
        disagreeing,
        sum(times * no for (no, _), times in units.items()),
        sum(times * yes for (_, yes), times in units.items()),
    )


def _alpha(sums: np.ndarray) -> float | None:
    """Alpha of `_sums` [3] of all units: 1 - observed / expected disagreement."""
    disagreeing, no, yes = sums.tolist()
    if not no or not yes:
        return None
    return float(1 - (no + yes - 1) * disagreeing / (no * yes))


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


def consensus_distances(points: Points) -> dict[str, list[float]]:
    """Annotator -> distances of her points to the median of those of two or more others, in ratios."""
    found: dict[str, list[float]] = defaultdict(list)
    for each in points.values():
        for annotator, point in each.items():
            others = [other for who, other in each.items() if who != annotator]
            if len(others) >= 2:
                found[annotator].append(math.dist(point, _middle(others)))
    return found


def _middle(points: Sequence[Point]) -> Point:
    return median(x for x, _ in points), median(y for _, y in points)
