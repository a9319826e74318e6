"""The column `collected`: what the released files have no place for, one entry a view."""

from collections.abc import Sequence
from typing import Any

from datasets import List, Value

from luab_collect.export.views import ItemView
from luab_collect.results import ContentBox, Icon, PlaceItem, Sample, SelectItem

COLLECTED = "collected"

_RATIO, _MS, _TEXT = Value("float32"), Value("float64"), Value("string")
_SAMPLE = {"x": _RATIO, "y": _RATIO, "time": _MS, "pointer": _TEXT, "trusted": Value("bool")}
_BOX_FIELDS = ("left", "top", "width", "height", "ratio", "zoom", "scroll_left", "scroll_top")
_SHARED = {
    "work": _TEXT,
    "annotator": _TEXT,
    "role": _TEXT,
    "started": Value("int64"),
    "spent": _MS,
    "visible": _MS,
    "time_to_first_move": _MS,
    "pointers": List(_TEXT),
    "untrusted_events": Value("int32"),
    "layouts": List({"time": _MS} | dict.fromkeys(_BOX_FIELDS, Value("float32"))),
}
_PATH = {"x": List(_RATIO), "y": List(_RATIO), "time": List(_MS), "pointer": _TEXT}
_ICON = {"icon": Value("int32"), "label": _TEXT, "x": _RATIO, "y": _RATIO, "paths": List(_PATH)}

FEATURES = {
    "select": List(
        _SHARED
        | {
            "class_name": _TEXT,
            "selected": Value("bool"),
            "selects": List(_SAMPLE),
            "deselects": List(_SAMPLE),
        }
    ),
    "place": List(_SHARED | {"icons": List(_ICON)}),
}
DESCRIPTIONS = {
    "select": "one entry for each time that the image was shown, first those of `annotations` in their "
    "order, then those on pages that asked for another class. `class_name`: what was asked for; "
    "`selects`, `deselects`: with the kind of pointer (a keyboard selects no place)",
    "place": "one entry for each of `annotations`. `icons`: where each icon was in the end (null: removed) "
    "and the path of each drag",
}
_COMMON = (
    "; `layouts`: where the image was in the window, CSS pixels; `time_to_first_move`, `spent`, `visible` "
    "and all other times: ms since the page was first visible, which was at `started` (epoch ms)"
)


def description(task: str) -> str:
    """The column's line on the card."""
    return DESCRIPTIONS[task] + _COMMON


def collected(views: Sequence[ItemView]) -> list[dict[str, Any]]:
    """The column's value for the views of an image."""
    return [_entry(view) for view in views]


def _entry(view: ItemView) -> dict[str, Any]:
    seen = view.seen
    shared = {
        "work": view.work,
        "annotator": view.annotator,
        "role": view.role,
        "started": view.epoch(0),
        "spent": view.spent,
        "visible": view.visible,
        "time_to_first_move": view.first_move,
        "pointers": list(view.pointers),
        "untrusted_events": view.untrusted,
        "layouts": [_box(box) for box in seen.boxes],
    }
    if isinstance(seen, PlaceItem):
        return shared | {"icons": [_icon(icon) for icon in seen.icons]}
    return shared | _selections(seen) | {"class_name": view.class_name}


def _selections(seen: SelectItem) -> dict[str, Any]:
    return {
        "selected": seen.selected,
        "selects": [_sample(each) for each in seen.selects],
        "deselects": [_sample(each) for each in seen.deselects],
    }


def _sample(sample: Sample) -> dict[str, Any]:
    position = {"x": sample.x, "y": sample.y, "time": sample.t}
    return position | {"pointer": sample.pointer, "trusted": sample.trusted}


def _box(box: ContentBox) -> dict[str, Any]:
    return {"time": box.t} | {name: getattr(box, name) for name in _BOX_FIELDS}


def _icon(icon: Icon) -> dict[str, Any]:
    x, y = (None, None) if icon.place is None else icon.place
    paths = [
        {
            "x": [each.x for each in path],
            "y": [each.y for each in path],
            "time": [each.t for each in path],
            "pointer": path[0].pointer,
        }
        for path in icon.paths
        if path
    ]
    return {"icon": icon.icon, "label": icon.label, "x": x, "y": y, "paths": paths}
