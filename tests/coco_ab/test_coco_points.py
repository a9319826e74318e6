"""From an icon's history to its point, by both rules; histories worked out by hand."""

import pytest

from coco_ab.points import Placed, points
from luab_data.errors import SourceError


def act(kind: str, icon: str, start: tuple | None = None, end: tuple | None = None) -> dict:
    point_from, point_to = (None if p is None else {"x": p[0], "y": p[1]} for p in (start, end))
    return {
        "action_type": kind,
        "icon_type": icon,
        "point_from": point_from,
        "point_to": point_to,
        "time_at": 1,
    }


def page(*actions: dict) -> dict:
    return {"action_histories": list(actions)}


A, B, C = (0.1, 0.2), (0.5, 0.6), (0.8, 0.9)

HISTORIES = {
    "nothing": ([], [], []),
    "added": ([act("add", "cat", None, A)], [("cat", *A, "add")], [("cat", *A, "add")]),
    "moved": (
        [act("add", "cat", None, A), act("move", "cat", A, B), act("move", "cat", B, C)],
        [("cat", *C, "move")],
        [("cat", *A, "add")],
    ),
    "removed": ([act("add", "cat", None, A), act("remove", "cat", A)], [], [("cat", *A, "add")]),
    "removed and added again": (
        [act("add", "cat", None, A), act("remove", "cat", A), act("add", "cat", None, B)],
        [("cat", *B, "add")],
        [("cat", *B, "add")],
    ),
    "two classes in the order of their places": (
        [act("add", "cat", None, A), act("add", "dog", None, B), act("move", "cat", A, C)],
        [("dog", *B, "add"), ("cat", *C, "move")],
        [("cat", *A, "add"), ("dog", *B, "add")],
    ),
    "two icons of a class, the first moved": (
        [act("add", "cat", None, A), act("add", "cat", None, B), act("move", "cat", A, C)],
        [("cat", *C, "move")],
        [("cat", *B, "add")],
    ),
    "two icons of a class, the second removed": (
        [act("add", "cat", None, A), act("add", "cat", None, B), act("remove", "cat", B)],
        [("cat", *A, "add")],
        [("cat", *B, "add")],
    ),
    "the icon nearest to where the action starts is meant": (
        [act("add", "cat", None, A), act("add", "cat", None, B), act("remove", "cat", (0.49, 0.61))],
        [("cat", *A, "add")],
        [("cat", *B, "add")],
    ),
    "without a start, the icon touched last is meant": (
        [act("add", "cat", None, A), act("add", "cat", None, B), act("remove", "cat")],
        [("cat", *A, "add")],
        [("cat", *B, "add")],
    ),
    "another class's icon is never meant": (
        [act("add", "cat", None, A), act("remove", "dog", A)],
        [("cat", *A, "add")],
        [("cat", *A, "add")],
    ),
    "a move of an icon whose adding was not recorded": (
        [act("move", "cat", A, B)],
        [("cat", *B, "move")],
        [],
    ),
    "actions without their point are passed over": (
        [act("add", "dog"), act("add", "cat", None, A), act("move", "cat", A, None), act("add", "cat")],
        [("cat", *A, "add")],
        [("cat", *A, "add")],
    ),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_history(name):
    actions, final, authors = HISTORIES[name]
    assert points([page(*actions)]) == [Placed(*each) for each in final]
    assert points([page(*actions)], rule="authors") == [Placed(*each) for each in authors]


@pytest.mark.parametrize("rule", ["final", "authors"])
def test_the_last_record_of_an_image_counts(rule):
    first, last = page(act("add", "cat", None, A)), page(act("add", "dog", None, B))
    assert [place.icon for place in points([first, last], rule)] == ["dog"]
    assert points([first, page()], rule) == []
    assert points([], rule) == []


def test_rule_must_be_known():
    with pytest.raises(SourceError, match="'last' is unknown; take one of final, authors"):
        points([], rule="last")
