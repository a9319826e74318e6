"""Where an annotator says that a class is: what the export writes and the figures of quality judge."""

from collections.abc import Iterable

from luab_collect.events import PLACE
from luab_collect.results import PlaceItem, Sample, SelectItem

Point = tuple[float, float]
KEYBOARD = "keyboard"  # a kind of pointer that selects no place


def pointed(samples: Iterable[Sample], low: float, high: float) -> list[Sample]:
    """The samples that are places: not from the keyboard, which selects no place, and within a range."""
    return [
        each
        for each in samples
        if each.pointer != KEYBOARD and low <= each.x <= high and low <= each.y <= high
    ]


def selected_place(seen: SelectItem) -> Point | None:
    """Where a selected image was selected: the first selection that is a place; None: none is."""
    found = pointed(seen.selects, *PLACE) if seen.selected else []
    return (found[0].x, found[0].y) if found else None


def final_places(seen: PlaceItem) -> dict[str, Point]:
    """Class -> where its icon was at the end; of several icons, the one that was touched last."""
    placed = [icon for icon in seen.icons if icon.place is not None]
    placed.sort(key=lambda icon: icon.actions[-1].t)
    return {icon.label: icon.place for icon in placed if icon.place is not None}
