"""Events -> the result of a page: positions under any layout, states, times, epochs."""

import pytest
from fixtures.pages_of_work import Item, Screen, Work
from hypothesis import given, settings
from hypothesis import strategies as st

from luab_collect.derive import page_result
from luab_collect.geometry import TOLERANCE, position, ratios
from luab_collect.results import Hovering

BOX = [100.0, 50.0, 300.0, 200.0]
WALL = 1_700_000_000_000.0


def screen(*items, box=BOX):
    return Screen({item: list(box) for item in items or ("a",)}).open(WALL)


def only(result):
    (item,) = result.items
    return item


def test_what_a_select_page_says():
    page = screen("a", "b")
    page.at("enter", 0.1, 0.1, after=100).at("move", 0.2, 0.2, after=10).at("select", 0.25, 0.5, after=10)
    page.at("deselect", 0.3, 0.5, after=500).at("select", 0.4, 0.5, after=500).at("leave", 1.0, 0.5, after=10)
    page.at("enter", 0.5, 0.5, item="b", after=5).later(1000).submit()
    result = page_result(page.work(index=3))
    a, b = result.items
    assert a.selected and not b.selected and (a.item, b.item) == ("a", "b")
    assert [(s.x, s.y, s.t) for s in a.selects] == [(0.25, 0.5, 120), (0.4, 0.5, 1120)]
    assert [(s.x, s.t) for s in a.deselects] == [(0.3, 620)]
    assert [(s.x, s.t) for s in a.track] == [(0.2, 110)]
    assert a.hovers == (Hovering("enter", 100), Hovering("leave", 1130))
    assert b.hovers == (
        Hovering("enter", 1135),
        Hovering("leave", 2135),
    )  # the page was sent with the pointer there
    assert (result.started, result.spent, result.visible, result.index) == (WALL, 2135, 2135, 3)
    assert (result.class_name, result.pointers, result.untrusted, result.mismatched) == (
        "cat",
        ("mouse",),
        0,
        0,
    )


def test_what_a_place_page_says():
    page = screen()
    page.later(50).add("category", category=0, pointer="mouse", trusted=True)
    page.at("pick", -0.5, 0.5, icon=1, label="cat", after=50).at(
        "drag", 0.1, 0.5, icon=1, label="cat", after=20
    )
    page.at("add", 0.2, 0.5, icon=1, label="cat", after=20)
    page.at("pick", 2.0, 0.5, icon=2, label="dog", after=50).at("cancel", 3.0, 0.5, icon=2, label="dog")
    page.at("pick", 0.2, 0.5, icon=1, label="cat", after=50)
    page.at("relocate", 0.3, 0.6, icon=1, label="cat", after=9)
    page.at("move", 0.9, 0.9, after=5)
    page.at("pick", 0.5, 0.5, icon=3, label="dog").at("add", 0.6, 0.6, icon=3, label="dog")
    page.at("pick", 0.6, 0.6, icon=3, label="dog").at("remove", 4.0, 0.6, icon=3, label="dog").submit()
    item = only(page_result(page.work(class_name=None)))
    cat, dog = item.icons
    assert (cat.icon, cat.label, cat.place, dog.place) == (1, "cat", (0.3, 0.6), None)
    assert [(a.action, a.start, a.end) for a in cat.actions] == [
        ("add", None, (0.2, 0.5)), ("relocate", (0.2, 0.5), (0.3, 0.6)),
    ]  # fmt: skip
    assert [(a.action, a.start, a.end) for a in dog.actions] == [
        ("add", None, (0.6, 0.6)), ("remove", (0.6, 0.6), None),
    ]  # fmt: skip
    assert [[sample.x for sample in path] for path in cat.paths] == [[-0.5, 0.1, 0.2], [0.2, 0.3]]
    assert item.categories == ((0, 50, False),)
    assert [sample.x for sample in item.track] == [0.1, 0.9]


def test_a_number_that_an_earlier_tab_took_up_and_did_not_place_is_given_again():
    first = screen().at("pick", 0.5, 0.5, icon=1, label="cat").at("cancel", 0.5, 0.5, icon=1, label="cat")
    first.at("pick", 0.5, 0.5, icon=2, label="cat").at("add", 0.1, 0.1, icon=2, label="cat")
    second = screen().at("pick", 0.7, 0.7, icon=1, label="car").at("add", 0.8, 0.8, icon=1, label="car")
    work = Work((Item("a"),), {1: first.parsed(), 2: second.parsed()}, class_name=None)
    car, cat = only(page_result(work)).icons
    assert (car.icon, car.label, car.place) == (1, "car", (0.8, 0.8))
    assert [[sample.x for sample in path] for path in car.paths] == [[0.7, 0.8]]
    assert (cat.icon, cat.label, cat.place) == (2, "cat", (0.1, 0.1))


def test_an_icon_has_the_label_that_the_page_shows():
    page = screen().at("add", 0.2, 0.2, icon=1, label="cat").at("add", 0.8, 0.8, icon=1, label="car")
    page.at("pick", 0.8, 0.8, icon=1, label="dog").at("cancel", 0.8, 0.8, icon=1, label="dog")
    (icon,) = only(page_result(page.work(class_name=None))).icons
    assert (icon.label, icon.place) == ("car", (0.8, 0.8))


def far(event, x, y):
    """The same event, with pixels that are far outside of the image, whatever its ratios say."""
    return event | {"cx": BOX[0] + x * BOX[2], "cy": BOX[1] + y * BOX[3]}


def test_an_icon_far_outside_of_the_image_is_not_on_it():
    page = screen()

    def put(kind, x, y, icon, label="cat"):
        page.at(kind, 0.5, 0.5, icon=icon, label=label, after=10)
        page.events[-1] = far(page.events[-1], x, y)

    put("add", 0.5, 0.5, 1)
    put("relocate", 50.0, 0.5, 1)  # an icon that is dropped there is taken off
    put("add", 0.5, -50.0, 2)
    put("remove", 0.5, 0.5, 2)  # of what is not there
    put("add", 1.6, 0.5, 3, "dog")
    put("relocate", 0.3, 0.4, 3, "dog")
    result = page_result(page.submit().work(class_name=None))
    cat, dog = only(result).icons
    assert (cat.icon, cat.place, dog.icon, dog.place) == (1, None, 3, (0.3, 0.4))
    assert [(a.action, a.start, a.end) for a in cat.actions] == [
        ("add", None, (0.5, 0.5)), ("remove", (0.5, 0.5), None),
    ]  # fmt: skip
    assert [(a.action, a.start, a.end) for a in dog.actions] == [("relocate", None, (0.3, 0.4))]
    assert len(cat.paths) == 2 and result.outside == 3


def test_selections_far_outside_of_the_image_are_counted():
    page = screen().at("select", 0.5, 0.5)
    page.events[-1] = far(page.events[-1], 33.0, 48.0)
    page.at("deselect", 9.0, 9.0, after=5).at("select", 1.4, 0.5, after=5).at("move", 7.0, 0.5)
    page.at("deselect", 0.5, 0.5, after=5).at("select", 9.0, 0.5, after=5, pointer="keyboard")
    result = page_result(page.submit().work())
    assert only(result).selected and (result.outside, result.mismatched) == (1, 1)


RATIOS = st.floats(0, 1)
BOXES = st.tuples(
    st.floats(-2000, 2000), st.floats(-5000, 5000), st.floats(20, 3000), st.floats(20, 3000)
).map(lambda box: [round(each, 2) for each in box])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(BOXES, st.floats(0.5, 4), st.lists(st.tuples(RATIOS, RATIOS), max_size=4)), min_size=1)
)
def test_ratios_hold_through_resizes_scrolls_and_zooms(layouts):
    """A pointer at known pixels under any sequence of layouts comes out as the ratio it was at."""
    page, expected = Screen({"a": list(BOX)}).open(WALL), []
    for box, ratio, points in layouts:
        page.ratio = ratio
        page.scroll = (0.0, box[1] / 2)
        page.layout(a=box)
        for x, y in points:
            page.at("move", x, y, after=17)
            expected.append((x, y, box))
    result = page_result(page.submit().work())
    track = only(result).track
    assert result.mismatched == 0 and len(track) == len(expected)
    for sample, (x, y, box) in zip(track, expected, strict=True):
        assert abs(sample.x - x) * box[2] <= TOLERANCE and abs(sample.y - y) * box[3] <= TOLERANCE
    assert all(
        box.ratio == ratio for box, (_, ratio, _) in zip(only(result).boxes[-1:], layouts[-1:], strict=True)
    )


@settings(max_examples=200, deadline=None)
@given(BOXES, RATIOS, RATIOS, st.floats(-3, 3), st.floats(-3, 3))
def test_ratios_that_do_not_fit_their_pixels_are_computed_again(box, x, y, wrong_x, wrong_y):
    left, top, width, height = box
    fields = {"x": wrong_x, "y": wrong_y, "cx": round(left + x * width, 2), "cy": round(top + y * height, 2)}
    found_x, found_y, replaced = position(fields, box)
    off = max(abs(wrong_x - x) * width, abs(wrong_y - y) * height)
    if off > 3 * TOLERANCE:
        assert replaced
    assert abs(found_x - x) * width <= 3 * TOLERANCE and abs(found_y - y) * height <= 3 * TOLERANCE


def test_a_page_that_sends_ratios_of_an_older_layout_is_corrected_and_counted():
    page = screen()
    page.at("select", 0.25, 0.5)
    page.layout(a=[0.0, 0.0, 600.0, 400.0])
    page.events.append(page.events[-2] | {"seq": 4, "kind": "deselect", "layout": 2})
    result = page_result(page.work())
    (again,) = only(result).deselects
    assert (again.x, again.y) == pytest.approx((175 / 600, 150 / 400))
    assert result.mismatched == 1


def test_without_the_layout_or_an_area_what_was_sent_stays():
    fields = {"x": 0.5, "y": 0.25, "cx": 10.0, "cy": 10.0}
    assert position(fields, None) == (0.5, 0.25, False)
    assert position(fields, [0, 0, 0, 0]) == (0.5, 0.25, False)
    assert ratios([0, 0, 1e-9, 1], 1e6, 0.5) == (101.0, 0.5)


def test_a_new_tab_goes_on_where_the_other_ended():
    first = screen().at("enter", 0.5, 0.5, after=100).at("select", 0.5, 0.5, after=100).later(100)
    first.at("move", 0.6, 0.5)
    second = Screen({"a": [0.0, 0.0, 600.0, 400.0]}).open(WALL + 10_000)
    second.at("deselect", 0.5, 0.5, after=50).submit()
    work = Work((Item("a"),), {2: second.parsed(), 1: first.parsed()})
    result = page_result(work)
    item = only(result)
    assert not item.selected and [s.t for s in item.deselects] == [10_050]
    assert item.hovers == (Hovering("enter", 100), Hovering("leave", 300))  # it ended with the tab
    assert (result.started, result.spent, result.visible) == (WALL, 10_050, 350)
    assert [box.width for box in item.boxes] == [300, 600]
    assert result.mismatched == 0  # each tab numbers its layouts


def test_a_clock_that_was_set_back_turns_no_time_around():
    first, second = screen().at("select", 0.5, 0.5, after=5000), screen()
    second = Screen({"a": list(BOX)}).open(WALL - 3_600_000).at("deselect", 0.5, 0.5, after=10)
    result = page_result(Work((Item("a"),), {1: first.parsed(), 2: second.parsed()}))
    assert [s.t for s in only(result).deselects] == [5010] and result.spent == 5010


@pytest.mark.parametrize("wall", [0.0, 1e14])
def test_a_clock_of_another_century_is_replaced_by_the_servers(wall):
    page = Screen({"a": list(BOX)}).open(wall).at("select", 0.5, 0.5, after=40)
    result = page_result(page.work())
    assert (result.started, result.spent) == (WALL, 40)


def test_times_within_a_tab_never_go_back():
    page = screen().at("select", 0.5, 0.5, after=500)
    page.t = 100
    page.at("deselect", 0.5, 0.5)
    item = only(page_result(page.work()))
    assert [s.t for s in item.deselects] == [500]


def test_hidden_times_are_not_visible_times():
    page = (
        screen().later(100).add("hidden").later(1000).add("visible").later(50).add("hidden").later(5).submit()
    )
    result = page_result(page.work())
    assert (result.spent, result.visible) == (1155, 150)


def test_what_no_person_did_is_counted():
    page = screen().at("select", 0.5, 0.5, trusted=False).at("deselect", 0.5, 0.5, pointer="touch").submit()
    result = page_result(page.work())
    assert result.untrusted == 1 and set(result.pointers) == {"mouse", "touch"}
    assert not only(result).selects[0].trusted and only(result).deselects[0].pointer == "touch"


def test_events_of_other_images_say_nothing():
    page = screen("a", "b").at("select", 0.5, 0.5, item="b")
    result = page_result(Work((Item("a"),), {1: page.parsed()}))
    assert only(result).selects == ()


def test_a_page_without_events_or_without_its_opening():
    assert page_result(Work((Item("a"),), {})).spent == 0
    page = Screen({"a": list(BOX)}).layout().at("select", 0.5, 0.5, after=40)
    result = page_result(page.work())
    assert (result.started, result.spent) == (WALL, 40)  # from when it was handed out
