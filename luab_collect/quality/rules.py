"""Rules that propose to look at an annotator or at a page of work, with the figures that they rest on.

A rule on a share fires only where its whole interval is on the wrong side of the threshold, so that few
decisions accuse nobody. Nothing is rejected by a rule. What a person has decided about an annotator covers
what she had submitted by then; what comes later is judged by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from luab_collect.quality.figures import Figures, ProjectQuality
from luab_collect.quality.proportions import Proportion
from luab_collect.quality.thresholds import QualityThresholds
from luab_data.console.text import counted, percent


@dataclass(frozen=True)
class Proposal:
    """What a person should look at.

    Attributes:
        subject: `annotator` or `work`.
        id: Its pseudonym, or the id of the page of work.
        annotator: Whose work it is.
        rule: Name of the threshold.
        reason: What was found and what is expected, in words.
    """

    subject: str
    id: str
    annotator: str
    rule: str
    reason: str


def proposals(figures: ProjectQuality, thresholds: QualityThresholds) -> list[Proposal]:
    """What the rules propose: annotators first, then single pages of work of the other annotators."""
    times = [each.visible for each in figures.pages.values() if each.visible is not None]
    usual = median(times) if times else 0.0
    found = [
        Proposal("annotator", name, name, rule, reason + _since(each, figures.annotators[name]))
        for name, each in figures.unsettled.items()
        for rule, reason in _findings(each, thresholds, usual)
    ]
    accused = {each.id for each in found}
    found += [
        Proposal("work", work, figures.annotator_of[work], rule, reason)
        for work, each in figures.pages.items()
        if figures.annotator_of[work] not in accused and work not in figures.settled
        for rule, reason in _findings(each, thresholds, usual)
    ]
    return found


def _since(each: Figures, whole: Figures) -> str:
    """What figures rest on that are not of all pages."""
    return "" if each.pages == whole.pages else f" ({counted(each.pages, 'page')} since the last decision)"


def _findings(each: Figures, limits: QualityThresholds, usual: float) -> Iterator[tuple[str, str]]:
    yield from _too_few("gold_recall", "of what gold images show was found", each.recall, limits.gold_recall)
    yield from _too_few(
        "gold_precision", "of what was said of gold images is so", each.precision, limits.gold_precision
    )
    yield from _too_few(
        "in_box", "of the points on gold images are on the object", each.in_box, limits.in_box
    )
    yield from _too_few("majority", "of the answers are those of most others", each.majority, limits.majority)
    if each.distance is not None and each.distances >= limits.min_points and each.distance > limits.distance:
        yield (
            "distance",
            f"the median distance to the others' points is {each.distance:.2f} of the image "
            f"({each.distances} points); expected: at most {limits.distance:g}",
        )
    if each.center.total >= limits.min_points:
        yield from _too_many("center", "of the points are on the image's center", each.center, limits.center)
    if each.visible is not None and each.visible < limits.fast * usual:
        yield (
            "fast",
            f"a page was visible for {each.visible / 1000:.1f} s, usual are {usual / 1000:.1f} s; "
            f"expected: at least {limits.fast * usual / 1000:.1f} s",
        )
    yield from _too_many("unmoved", "of the clicks had no movement before", each.unmoved, limits.unmoved)
    if each.replayed > limits.replayed:
        yield (
            "replayed",
            f"{each.replayed} traces are, position by position, those of other images or people; "
            f"expected: at most {limits.replayed}",
        )
    if each.untrusted > limits.untrusted:
        yield (
            "untrusted",
            f"{each.untrusted} events were made by a program, not by a hand; expected: at most "
            f"{limits.untrusted}",
        )
    if each.mismatched > limits.mismatched:
        yield (
            "mismatched",
            f"{each.mismatched} events were elsewhere on the screen than they say; expected: at most "
            f"{limits.mismatched}",
        )
    yield from _too_many("unseen", "of the images never came in the browser", each.unseen, limits.unseen)


def _too_few(rule: str, what: str, share: Proportion, least: float) -> Iterator[tuple[str, str]]:
    if share.total and share.high < least:
        yield rule, f"{share} {what}; expected: at least {percent(least)}"


def _too_many(rule: str, what: str, share: Proportion, most: float) -> Iterator[tuple[str, str]]:
    if share.total and share.low > most:
        yield rule, f"{share} {what}; expected: at most {percent(most)}"
