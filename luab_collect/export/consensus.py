"""What several annotators say of an image together.

* Each annotator has one vote a class: that of the last time. Distractors do not vote.
* A class is shown if more than half of those who were asked say so. Half of them: undecided, and not a label.
* `select`: the click is the mean of the first selections, as the authors' rule has it.
* `place`: the point is that annotator's whose place is nearest to the others' (of two, the first one's): a
  mean would lie between two objects of the class.

Places that were selected with the keyboard, or far outside of the image, are none.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from luab_collect.export.views import ItemView
from luab_collect.places import Point, final_places, selected_place
from luab_collect.plan import DISTRACTOR
from luab_collect.results import PlaceItem, SelectItem


@dataclass(frozen=True)
class Vote:
    """The votes on one class of one image."""

    label: str
    yes: int
    asked: int
    point: Point | None  # of those who said yes

    @property
    def shown(self) -> bool:
        """More than half say that the image shows the class."""
        return 2 * self.yes > self.asked

    @property
    def undecided(self) -> bool:
        """Half say so."""
        return 2 * self.yes == self.asked


def select_votes(views: Iterable[ItemView]) -> list[Vote]:
    """The votes on each class that was asked for, in the order in which it was first."""
    by_class: dict[str, dict[str, SelectItem]] = {}
    for view in views:
        if view.role != DISTRACTOR and view.class_name is not None and isinstance(view.seen, SelectItem):
            of_class = by_class.setdefault(view.class_name, {})
            of_class.pop(view.annotator, None)
            of_class[view.annotator] = view.seen
    votes = []
    for name, seen in by_class.items():
        chosen = [each for each in seen.values() if each.selected]
        firsts = [place for each in chosen if (place := selected_place(each)) is not None]
        click = None
        if firsts:
            click = sum(x for x, _ in firsts) / len(firsts), sum(y for _, y in firsts) / len(firsts)
        votes.append(Vote(name, len(chosen), len(seen), click))
    return votes


def place_votes(views: Iterable[ItemView]) -> list[Vote]:
    """The votes on each class that somebody placed, in the order in which it was first."""
    last: dict[str, PlaceItem] = {}
    for view in views:
        if isinstance(view.seen, PlaceItem):
            last.pop(view.annotator, None)
            last[view.annotator] = view.seen
    by_class: dict[str, list[Point]] = {}
    for seen in last.values():
        for label, place in final_places(seen).items():
            by_class.setdefault(label, []).append(place)
    return [Vote(name, len(places), len(last), medoid(places)) for name, places in by_class.items()]


def medoid(points: Sequence[Point]) -> Point:
    """The one of the points with the smallest sum of distances to the others; of equal ones the first."""
    return min(points, key=lambda point: sum(math.dist(point, other) for other in points))
