"""Events of a page: what is declared is accepted, everything else is refused with its reason."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luab_collect import events
from luab_collect.events import KINDS, MAX_SEQ, parse_event, parse_events
from luab_data.errors import RejectedRecord

POINTER = {"pointer": "mouse", "trusted": True, "layout": 1}
POSITION = {"x": 0.25, "y": 0.5, "cx": 100.0, "cy": 200}
SELECT = {"seq": 1, "kind": "select", "t": 12.5, "item": "a"} | POINTER | POSITION


def test_a_declared_event_is_accepted():
    event = parse_event(SELECT)
    assert (event.seq, event.kind, event.t, event.fields["x"]) == (1, "select", 12.5, 0.25)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seq": 0}, "seq is '0', not a whole number"),
        ({"seq": True}, "seq is 'true'"),
        ({"seq": MAX_SEQ + 1}, "seq is"),
        ({"kind": "click"}, "kind is .*click.*, not one of open"),
        ({"kind": ["select"]}, "kind is"),
        ({"t": float("nan")}, "t is 'NaN'"),
        ({"t": -1}, "t is '-1', not ms"),
        ({"t": None}, "t is 'null'"),
        ({"x": 1e308}, "x is '1e.308', not a number from -100 to 101"),
        ({"y": float("inf")}, "y is 'Infinity'"),
        ({"x": 10**400}, "x is '1000"),
        ({"x": "0.5"}, "x is"),
        ({"x": True}, "x is 'true'"),
        ({"pointer": "finger"}, "one of mouse, touch, pen, keyboard"),
        ({"pointer": []}, "one of mouse"),
        ({"trusted": 1}, "true or false"),
        ({"item": ""}, "a text of 1 to 255 characters"),
        ({"layout": 1.5}, "a whole number"),
        ({"extra": "<script>"}, "unknown fields"),
    ],
)
def test_what_is_not_declared_is_refused(change, reason):
    with pytest.raises(RejectedRecord, match=reason) as refused:
        parse_event(SELECT | change)
    assert "<" not in refused.value.reason


@pytest.mark.parametrize("kind", ["add", "relocate"])
@pytest.mark.parametrize("name", ["x", "y"])
def test_an_icon_is_put_onto_the_image(kind, name):
    put = SELECT | {"kind": kind, "icon": 1, "label": "cat"}
    del put["item"]
    for near in (-0.5, 1.5):
        assert parse_event(put | {name: near}).fields[name] == near
    for far in (-0.51, 1.51, 100):
        with pytest.raises(RejectedRecord, match=rf"{name} is .{far}., not a number from -0.5 to 1.5"):
            parse_event(put | {name: far})
        assert parse_event(put | {"kind": "drag", name: far}).fields[name] == far


@pytest.mark.parametrize("name", sorted(KINDS["select"]))
def test_a_missing_field_is_named(name):
    with pytest.raises(RejectedRecord, match=rf"event 1 \(select\) has no {name}"):
        parse_event({key: value for key, value in SELECT.items() if key != name})


@pytest.mark.parametrize("boxes", [{"a": [0, 0, 1]}, {"a": [0, 0, 1, float("nan")]}, [1], {"a": "0011"}])
def test_a_layout_has_boxes(boxes):
    layout = {
        "seq": 1,
        "kind": "layout",
        "t": 0,
        "layout": 1,
        "width": 800,
        "height": 600,
        "ratio": 2,
        "zoom": 1,
    }
    layout |= {"left": 0, "top": 10}
    assert parse_event(layout | {"boxes": {"a": [0, 1.5, 340, 340]}}).fields["boxes"] == {
        "a": [0, 1.5, 340, 340]
    }
    with pytest.raises(RejectedRecord, match="boxes is"):
        parse_event(layout | {"boxes": boxes})


ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.integers(), max_size=2)
)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_the_quick_check_finds_the_same_as_the_one_that_explains(data):
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    value = {"seq": 1, "kind": kind, "t": 1.5}
    for name, allowed in KINDS[kind].items():
        value[name] = {bool: True, int: 1, str: "a", dict: {"a": [0, 0, 1, 1]}}.get(
            allowed if isinstance(allowed, type) else None, allowed[0] if isinstance(allowed, tuple) else None
        )
    parse_event(value)
    assert events._is_good(value)
    changed = dict(value)
    for name in data.draw(st.lists(st.sampled_from([*value, "extra"]), max_size=2)):
        if data.draw(st.booleans()):
            changed[name] = data.draw(ODD)
        else:
            changed.pop(name, None)
    try:
        events._check(changed)
        fault = None
    except RejectedRecord as error:
        fault = error
    assert events._is_good(changed) is (fault is None), (changed, fault)


def test_numbers_have_no_gaps():
    assert [event.seq for event in parse_events([SELECT, SELECT | {"seq": 2}])] == [1, 2]
    for seq in (1, 3):
        with pytest.raises(RejectedRecord, match=f"event {seq} follows event 1: numbers have no gaps"):
            parse_events([SELECT, SELECT | {"seq": seq}])


@pytest.mark.parametrize("batch", [[], {}, None, "events", [SELECT] * 5001])
def test_a_batch_is_a_list_of_events(batch):
    with pytest.raises(RejectedRecord, match="a list of 1 to 5000 events"):
        parse_events(batch)


def test_what_is_refused_survives_json():
    with pytest.raises(RejectedRecord):
        parse_event(json.loads('{"seq": 1, "kind": "select", "t": 1e999}'))
