"""What a page sends: events, each declared once with its fields. Only what is declared is accepted.

A page of work numbers its events from 1 in each epoch (the tab that writes). Times are milliseconds since the
page was first visible, from the browser's monotonic clock; `open` ties them to the wall clock. `x`, `y` are
ratios of the content box of the item's image (or of the page's image), measured when the event happened; they
may leave 0 to 1 while something is dragged, but an icon is put within `PLACE`. `cx`, `cy` are the same
position in CSS pixels of the viewport, and `layout` the number of the last `layout` event, so that ratios can
be computed again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from imagenet_ab.fields import RATIO as RELEASED
from luab_data.errors import RejectedRecord

POINTERS = ("mouse", "touch", "pen", "keyboard")
MAX_TIME = 7 * 24 * 3600 * 1000.0  # ms on one page of work
MAX_SEQ = 2_000_000
MAX_TEXT = 255
MAX_BATCH = 5_000  # events
RATIO = (-100.0, 101.0)
PLACE = (RELEASED.low, RELEASED.high)  # of what is in the image: at its border, a little outside
CSS_PIXELS = (-1e6, 1e6)

# Field -> what is allowed. A tuple of numbers is a range, of strings a choice.
_POSITION = {"x": RATIO, "y": RATIO, "cx": CSS_PIXELS, "cy": CSS_PIXELS}
_PLACE = _POSITION | {"x": PLACE, "y": PLACE}
_POINTER = {"pointer": POINTERS, "trusted": bool, "layout": int}
_ITEM = {"item": str}
_ICON = {"icon": int, "label": str}  # `icon`: number of the placed icon on this page, from 1
KINDS: dict[str, dict[str, Any]] = {
    "open": {"wall": (0.0, 1e14)},  # epoch ms at `t`
    # `boxes`: item -> [left, top, width, height] of its image's content box, in CSS pixels of the viewport.
    "layout": {
        "layout": int,
        "width": CSS_PIXELS,
        "height": CSS_PIXELS,
        "ratio": (0.01, 100.0),  # device pixels a CSS pixel
        "zoom": (0.01, 100.0),  # of the visual viewport
        "left": CSS_PIXELS,  # scroll
        "top": CSS_PIXELS,
        "boxes": dict,
    },
    "loaded": _ITEM,  # the image came: it can be seen from now on
    "missing": _ITEM,  # it failed again and again, and is waited for no longer
    "enter": _ITEM | _POSITION | _POINTER,
    "leave": _ITEM | _POSITION | _POINTER,
    "move": _ITEM | _POSITION | _POINTER,
    "select": _ITEM | _POSITION | _POINTER,
    "deselect": _ITEM | _POSITION | _POINTER,
    "pick": _ICON | _POSITION | _POINTER,  # a new or a placed icon is taken up
    "drag": _ICON | _POSITION | _POINTER,
    "add": _ICON | _PLACE | _POINTER,
    "relocate": _ICON | _PLACE | _POINTER,  # the released files' `move`
    "remove": _ICON | _POSITION | _POINTER,
    "cancel": _ICON | _POSITION | _POINTER,  # a drag that changed nothing
    "category": {"category": int, "pointer": POINTERS, "trusted": bool},
    "hidden": {},
    "visible": {},
    "offline": {},
    "online": {},
    "submit": {"pointer": POINTERS, "trusted": bool},
}
DURABLE = frozenset(KINDS) - {"move", "drag"}  # written to disk in the browser before they show

# Of each kind: all names, the numbers with their ranges, and the rest.
_NAMES = {kind: {"seq", "kind", "t", *declared} for kind, declared in KINDS.items()}
_RANGES: dict[str, list[tuple[str, float, float]]] = {kind: [("t", 0.0, MAX_TIME)] for kind in KINDS}
_OTHERS: dict[str, list[tuple[str, Any]]] = {kind: [] for kind in KINDS}
for _kind, _declared in KINDS.items():
    for _name, _allowed in _declared.items():
        if isinstance(_allowed, tuple) and not isinstance(_allowed[0], str):
            _RANGES[_kind].append((_name, *_allowed))
        else:
            _OTHERS[_kind].append((_name, _allowed))


@dataclass(frozen=True)
class Event:
    """One event; `fields` are those that its kind declares."""

    seq: int
    kind: str
    t: float
    fields: Mapping[str, Any]


def parse_events(values: object) -> list[Event]:
    """The events of one batch, numbered without gaps; raises RejectedRecord, which names the event."""
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_BATCH:
        raise RejectedRecord(f"events is not a list of 1 to {MAX_BATCH} events")
    events = [parse_event(value) for value in values]
    for before, after in pairwise(events):
        if after.seq != before.seq + 1:
            raise RejectedRecord(f"event {after.seq} follows event {before.seq}: numbers have no gaps")
    return events


def parse_event(value: object) -> Event:
    """One event as the page sent it; raises RejectedRecord with what was found and what is allowed."""
    if not isinstance(value, dict) or not _is_good(value):
        _check(value)
    assert isinstance(value, dict)
    fields = {name: each for name, each in value.items() if name not in ("seq", "kind", "t")}
    return Event(value["seq"], value["kind"], float(value["t"]), fields)


def _is_good(value: Mapping[str, Any]) -> bool:
    """Whether `_check` finds nothing; quicker, for 12,000 events a second."""
    kind = value.get("kind")
    if type(kind) is not str or _NAMES.get(kind) != set(value):
        return False
    seq = value["seq"]
    if type(seq) is not int or not 1 <= seq <= MAX_SEQ:
        return False
    for name, low, high in _RANGES[kind]:
        number = value[name]
        if (type(number) is not float and type(number) is not int) or not low <= number <= high:
            return False
    return all(_fault(value[name], allowed) is None for name, allowed in _OTHERS[kind])


def _check(value: object) -> None:
    """Raises RejectedRecord with the first fault of an event."""
    if not isinstance(value, dict):
        raise RejectedRecord(f"an event is not an object: {_shown(value)}")
    seq, kind, t = value.get("seq"), value.get("kind"), value.get("t")
    if type(seq) is not int or not 1 <= seq <= MAX_SEQ:
        raise RejectedRecord(f"seq is {_shown(seq)}, not a whole number from 1 to {MAX_SEQ}")
    if not isinstance(kind, str) or kind not in KINDS:
        raise RejectedRecord(f"event {seq}: kind is {_shown(kind)}, not one of {', '.join(KINDS)}")
    if isinstance(t, str) or t is None or not _in_range(t, (0.0, MAX_TIME)):
        raise RejectedRecord(f"event {seq}: t is {_shown(t)}, not ms from 0 to {MAX_TIME:g}")
    declared = KINDS[kind]
    fields = {name: each for name, each in value.items() if name not in ("seq", "kind", "t")}
    if unknown := sorted(set(fields) - set(declared)):
        raise RejectedRecord(f"event {seq} ({kind}) has unknown fields: {_shown(unknown)}")
    if missing := [name for name in declared if name not in fields]:
        raise RejectedRecord(f"event {seq} ({kind}) has no {', '.join(missing)}")
    for name, allowed in declared.items():
        if fault := _fault(fields[name], allowed):
            raise RejectedRecord(f"event {seq} ({kind}): {name} is {_shown(fields[name])}, not {fault}")


def _fault(value: object, allowed: Any) -> str | None:
    """What is allowed, if the value is not."""
    if allowed is bool:
        return None if isinstance(value, bool) else "true or false"
    if allowed is int:
        return None if type(value) is int and 0 <= value <= MAX_SEQ else f"a whole number from 0 to {MAX_SEQ}"
    if allowed is str:
        good = isinstance(value, str) and 0 < len(value) <= MAX_TEXT
        return None if good else f"a text of 1 to {MAX_TEXT} characters"
    if allowed is dict:
        good = isinstance(value, dict) and all(
            isinstance(name, str)
            and isinstance(box, list)
            and len(box) == 4
            and all(_in_range(each, CSS_PIXELS) for each in box)
            for name, box in value.items()
        )
        return None if good else "item -> [left, top, width, height] in CSS pixels"
    if isinstance(allowed[0], str):
        return None if value in allowed else f"one of {', '.join(allowed)}"
    return None if _in_range(value, allowed) else f"a number from {allowed[0]:g} to {allowed[1]:g}"


def _in_range(value: object, bounds: tuple[float, float]) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return bounds[0] <= value <= bounds[1]  # false for NaN; whole numbers may be too large for a float


def _shown(value: object) -> str:
    """The value in a message: short, ASCII, without markup."""
    return ascii(json.dumps(value, default=repr)[:80]).replace("<", "\\x3c")
