"""The history of a page's icons -> one point for each class, by one of two rules.

`final` (ours): replay what the worker did, and take where the icons are at the end.
    add     an icon appears at `point_to`
    move    the icon of this class that is at `point_from` goes to `point_to`
    remove  the icon of this class that is at `point_from` disappears
A page may hold several icons of a class. An action then applies to the icon nearest to `point_from`, or
without `point_from` to the one touched last. Among the remaining icons, the one touched last counts.

`authors` (the dataloader notebook of Han et al., ICCV 2023): the last `add` of each class; moves and removes
are ignored. The notebook rounds the point down to pixels of the original image; here it stays a ratio.

Both rules only read the last annotation of an image, as in the notebook, where later records replace earlier
ones. An action without its point (an `add` or `move` without `point_to`) is skipped. An icon that is not
among COCO's classes gives no point.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from coco_ab.classes import COCO_LABELS
from luab_data.errors import SourceError

Rule = Literal["final", "authors"]
DEFAULT_RULE: Rule = "final"
# Their descriptions in the dataset card.
RULES: dict[Rule, str] = {
    "final": "where the icon of each class was in the end: the actions are replayed (`source`: the last one, "
    "`add` or `move`), an icon that was removed has no point",
    "authors": "where the icon of each class was dropped when it was last added; moves and removals are "
    "ignored",
}


class Placed(NamedTuple):
    """An icon's position, in ratios of the image, and the action that put it there: `add` or `move`."""

    icon: str
    x: float
    y: float
    source: str


def require_rule(rule: str) -> None:
    """Raises `SourceError` for an unknown rule."""
    if rule not in RULES:
        raise SourceError(f"rule={rule!r} is unknown; take one of {', '.join(RULES)}.")


def point_column(annotations: Sequence[Mapping[str, Any]], rule: Rule = DEFAULT_RULE) -> list[dict[str, Any]]:
    """A row's `points`: `{label, x, y, source}` for each of COCO's classes that has one.

    `annotations`: as in the dataset's column, each with `action_histories`.
    """
    return [
        {"label": COCO_LABELS[place.icon], "x": place.x, "y": place.y, "source": place.source}
        for place in points(annotations, rule)
        if place.icon in COCO_LABELS
    ]


def unknown_icons(annotations: Sequence[Mapping[str, Any]]) -> int:
    """The number of actions with an icon that is not among COCO's classes."""
    actions = (action for annotation in annotations for action in annotation["action_histories"])
    return sum(action["icon_type"] not in COCO_LABELS for action in actions)


def points(annotations: Sequence[Mapping[str, Any]], rule: Rule = DEFAULT_RULE) -> list[Placed]:
    """One position for each icon class, known or not, in the order of placement."""
    require_rule(rule)
    actions = annotations[-1]["action_histories"] if annotations else []
    placed = _replayed(actions) if rule == "final" else _added(actions)
    by_class: dict[str, Placed] = {}
    for place in placed:
        by_class.pop(place.icon, None)  # so that the order is that of the places that count
        by_class[place.icon] = place
    return list(by_class.values())


def _added(actions: Sequence[Mapping[str, Any]]) -> list[Placed]:
    return [_at(action) for action in actions if action["action_type"] == "add" and action["point_to"]]


def _replayed(actions: Sequence[Mapping[str, Any]]) -> list[Placed]:
    """The icons on the page at the end, the one touched last at the end."""
    page: list[Placed] = []
    for action in actions:
        kind, target = action["action_type"], action["point_to"]
        if kind != "remove" and not target:
            continue
        if kind != "add":
            meant = _meant(page, action)
            if meant is not None:
                page.pop(meant)
        if kind != "remove":
            page.append(_at(action))
    return page


def _meant(page: list[Placed], action: Mapping[str, Any]) -> int | None:
    """Index of the icon of a `move` or `remove`; None if the page has no icon of its class."""
    candidates = [index for index, place in enumerate(page) if place.icon == action["icon_type"]]
    origin = action["point_from"]
    if not candidates or not origin:
        return candidates[-1] if candidates else None
    return min(candidates, key=lambda i: (page[i].x - origin["x"]) ** 2 + (page[i].y - origin["y"]) ** 2)


def _at(action: Mapping[str, Any]) -> Placed:
    return Placed(
        action["icon_type"], action["point_to"]["x"], action["point_to"]["y"], action["action_type"]
    )
