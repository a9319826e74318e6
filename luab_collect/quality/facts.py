"""What one finished page of work says about quality: small enough to keep for all pages, traces are not."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from luab_collect.places import KEYBOARD, Point, final_places, selected_place
from luab_collect.results import PageResult, PlaceItem, Sample, SelectItem

# What is known of an image (`luab_collect.gold`): class -> boxes [x0, y0, x1, y1] in ratios, none where it is
# not known where; None: the class is not shown. Of a class that is not named nothing is known on a `select`
# page; on a `place` page it is not shown.
Gold = Mapping[str, Sequence[Sequence[float]] | None]

# Of a trace that can be recognized: distinct positions. No two hands make so many alike.
MIN_DISTINCT = 10
_DIGITS = 4  # of a position in a trace's fingerprint; the arithmetic of ratios differs far behind


@dataclass(frozen=True)
class PageFacts:
    """One page of work, without its traces.

    Attributes:
        answers: item -> the classes that the annotator says it shows.
        asked: The class of a `select` page; None: all classes of the project.
        points: (item, class) -> where the annotator says that it is, in ratios, as it is exported.
        clicks: Number of clicks with a mouse, and of those with no movement over the image before.
        fingerprints: item -> fingerprint of its trace, of traces that can be recognized.
        images: Number of images, and of those that never came: they have no answer.
    """

    work: str
    annotator: str
    visible: float  # ms
    untrusted: int  # events that no person made
    mismatched: int  # events whose place in the image was not that on the screen
    answers: Mapping[str, frozenset[str]]
    asked: str | None
    points: Mapping[tuple[str, str], Point]
    clicks: tuple[int, int]
    fingerprints: Mapping[str, str]
    images: tuple[int, int] = (0, 0)

    @property
    def blank(self) -> bool:
        """Whether none of its images came."""
        shown, unseen = self.images
        return 0 < shown == unseen


def page_facts(result: PageResult) -> PageFacts:
    """The facts of one page."""
    answers: dict[str, frozenset[str]] = {}
    points: dict[tuple[str, str], Point] = {}
    fingerprints: dict[str, str] = {}
    clicks, unmoved = 0, 0
    for item in result.items:
        if not item.loaded:
            continue
        if isinstance(item, SelectItem):
            asked = result.class_name or ""
            shown = frozenset({asked} if item.selected else ())
            if (place := selected_place(item)) is not None:
                points[item.item, asked] = place
        else:
            places = final_places(item)
            shown = frozenset(places)
            points |= {(item.item, name): place for name, place in places.items()}
        answers[item.item] = answers.get(item.item, frozenset()) | shown
        made, without = _clicks(item)
        clicks, unmoved = clicks + made, unmoved + without
        if found := fingerprint(item.track):
            fingerprints[item.item] = found
    return PageFacts(
        result.work,
        result.annotator,
        result.visible,
        result.untrusted,
        result.mismatched,
        answers,
        result.class_name,
        points,
        (clicks, unmoved),
        fingerprints,
        (len(result.items), sum(not item.loaded for item in result.items)),
    )


def fingerprint(track: Iterable[Sample]) -> str | None:
    """Equal for traces through the same positions; None: too short to tell.

    Times do not count: a program that replays a trace waits as it likes. Nor does the keyboard, with which
    all hands make the same steps.
    """
    by_hand = [each for each in track if each.pointer != KEYBOARD]
    positions = [(round(each.x, _DIGITS), round(each.y, _DIGITS)) for each in by_hand]
    distinct = [place for at, place in enumerate(positions) if at == 0 or place != positions[at - 1]]
    if len(set(distinct)) < MIN_DISTINCT:
        return None
    return hashlib.sha256(repr(distinct).encode()).hexdigest()[:32]


def _clicks(item: SelectItem | PlaceItem) -> tuple[int, int]:
    """Selections with a mouse, and how many of them no movement over the image came before."""
    if isinstance(item, PlaceItem):
        return 0, 0  # an icon cannot be dragged without a path
    mouse = [click for click in item.selects if click.pointer == "mouse"]
    moved = sorted({(sample.x, sample.y): sample.t for sample in reversed(item.track)}.values())
    since = moved[1] if len(moved) > 1 else math.inf  # one position is where the pointer came from
    return len(mouse), sum(click.t < since for click in mouse)
