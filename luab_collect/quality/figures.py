"""The figures of an annotator, of a page of work and of a project."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from luab_collect.quality.agreement import (
    Alpha,
    answers_of,
    consensus_distances,
    krippendorff_alpha,
    points_of,
    with_majority,
)
from luab_collect.quality.facts import Gold, PageFacts
from luab_collect.quality.proportions import Proportion

NOTHING = Proportion()
CENTER_RADIUS = 0.05  # ratios of the image: a click this close to its center is one on the center


@dataclass(frozen=True)
class Figures:
    """Of one page of work, of one annotator, or of the project.

    Attributes:
        pages: Number of pages of work.
        recall: Of what gold images show, what was found.
        precision: Of what was said of gold images, what is so.
        in_box: Of the points on gold images with known boxes, those inside one.
        center: Of all points, those on the image's center.
        majority: Answers that are those of most other annotators.
        distance: Median distance of the points to the others', in ratios of the image.
        visible: Median ms that a page was visible, of those of which an image came.
        unmoved: Of the selections with a mouse, those that no movement came before.
        replayed: Traces that are also another image's or another person's, position by position.
        untrusted: Events that no person made.
        mismatched: Events whose place in the image was not that on the screen, by the page's own layout.
        unseen: Of the images on the pages, those that never came in the browser: they have no answer.
    """

    pages: int
    recall: Proportion = NOTHING
    precision: Proportion = NOTHING
    in_box: Proportion = NOTHING
    center: Proportion = NOTHING
    majority: Proportion = NOTHING
    distance: float | None = None
    distances: int = 0
    visible: float | None = None
    unmoved: Proportion = NOTHING
    replayed: int = 0
    untrusted: int = 0
    mismatched: int = 0
    unseen: Proportion = NOTHING

    def to_json(self) -> dict[str, Any]:
        """For reports."""
        return {
            name: value.to_json() if isinstance(value, Proportion) else value
            for name, value in vars(self).items()
        }


@dataclass(frozen=True)
class ProjectQuality:
    """All figures; `pages` by the id of the page of work, `annotators` by pseudonym.

    Attributes:
        whole: Of the project.
        agreement: Of all annotators.
        annotators: Of all pages of each.
        pages: Of each page of work.
        annotator_of: Page of work -> annotator.
        unsettled: `annotators`, of those of their pages that no decision about them covers.
        settled: The pages of work that one covers.
    """

    whole: Figures
    agreement: Alpha
    annotators: Mapping[str, Figures]
    pages: Mapping[str, Figures]
    annotator_of: Mapping[str, str]
    unsettled: Mapping[str, Figures]
    settled: frozenset[str] = frozenset()


def quality(
    facts: Sequence[PageFacts],
    gold: Mapping[str, Gold],
    classes: int,
    settled: frozenset[str] = frozenset(),
) -> ProjectQuality:
    """The figures of all finished pages.

    Args:
        facts: Of the pages, in the order of their submission.
        gold: item -> what it shows, of the images of which this is known.
        classes: How many classes a `place` page offers.
        settled: Pages of work that a decision about their annotator covers: her earlier ones.
    """
    answers, points = answers_of(facts), points_of(facts)
    majority, distance = with_majority(answers), consensus_distances(points)
    seen = Counter(each for page in facts for each in page.fingerprints.values())
    groups: dict[str, list[PageFacts]] = defaultdict(list)
    for page in facts:
        groups[page.annotator].append(page)
    annotators = {
        name: _figures(own, gold, seen, majority.get(name, NOTHING), distance.get(name, []))
        for name, own in sorted(groups.items())
    }

    def later(name: str, own: Sequence[PageFacts]) -> Figures:
        """Of these pages of an annotator, which are her last ones."""
        asked = {(item, page.asked) for page in own for item in page.answers}
        placed = {unit for page in own for unit in page.points}
        alike = with_majority({unit: answers[unit] for unit in asked})
        distances = consensus_distances({unit: points[unit] for unit in placed})
        return _figures(own, gold, seen, alike.get(name, NOTHING), distances.get(name, []))

    unsettled = {}
    for name, whole in annotators.items():
        left = [page for page in groups[name] if page.work not in settled]
        if left:
            unsettled[name] = whole if len(left) == whole.pages else later(name, left)
    return ProjectQuality(
        _figures(
            facts,
            gold,
            seen,
            sum(majority.values(), NOTHING),
            [d for each in distance.values() for d in each],
        ),
        krippendorff_alpha(answers, classes),
        annotators,
        {page.work: _figures([page], gold, seen) for page in facts},
        {page.work: page.annotator for page in facts},
        unsettled,
        settled,
    )


def _figures(
    facts: Sequence[PageFacts],
    gold: Mapping[str, Gold],
    seen: Mapping[str, int],
    majority: Proportion = NOTHING,
    distances: Sequence[float] = (),
) -> Figures:
    points = [point for page in facts for point in page.points.values()]
    clicks, unmoved = (sum(page.clicks[at] for page in facts) for at in (0, 1))
    recall, precision = _gold_shares(facts, gold)
    visible = [page.visible for page in facts if not page.blank]
    return Figures(
        pages=len(facts),
        recall=recall,
        precision=precision,
        in_box=Proportion.of(
            _inside(point, boxes)
            for page in facts
            for (item, name), point in page.points.items()
            if (boxes := gold.get(item, {}).get(name))
        ),
        center=Proportion.of(math.dist(point, (0.5, 0.5)) <= CENTER_RADIUS for point in points),
        majority=majority,
        distance=median(distances) if distances else None,
        distances=len(distances),
        visible=median(visible) if visible else None,
        unmoved=Proportion(unmoved, clicks),
        replayed=sum(seen[each] > 1 for page in facts for each in page.fingerprints.values()),
        untrusted=sum(page.untrusted for page in facts),
        mismatched=sum(page.mismatched for page in facts),
        unseen=Proportion(*(sum(page.images[at] for page in facts) for at in (1, 0))),
    )


def _gold_shares(facts: Sequence[PageFacts], gold: Mapping[str, Gold]) -> tuple[Proportion, Proportion]:
    found = missed = wrong = 0
    for page in facts:
        for item, said in page.answers.items():
            known = gold.get(item)
            if known is not None and (page.asked is None or page.asked in known):
                shown = {name for name, boxes in known.items() if boxes is not None}
                if page.asked is not None:
                    shown &= {page.asked}
                found += len(said & shown)
                missed += len(shown - said)
                wrong += len(said - shown)
    return Proportion(found, found + missed), Proportion(found, found + wrong)


def _inside(point: tuple[float, float], boxes: Sequence[Sequence[float]]) -> bool:
    """The border belongs to the box."""
    x, y = point
    return any(x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in boxes)
