"""`place` by mouse, touch and keyboard alone, and what is stored of it."""

import pytest
from fixtures.annotating import wait
from fixtures.paging import (
    PHONE,
    begin_without_images,
    center,
    chip,
    drag,
    of_kind,
    press,
    spot,
    submit,
    tab_to,
    touch,
)
from sqlalchemy import select

from luab_collect.derive import page_result
from luab_collect.store import tables as t


def test_a_drag_has_its_whole_path_and_a_placed_label_moves_and_goes(things, begin):
    annotator = things.annotator()
    page = begin(annotator)
    drag(page, center(chip(page, "cat")), spot(page, 0.3, 0.6))
    page.wait_for_selector(".canvas .pin")
    drag(page, spot(page, 0.3, 0.6), spot(page, 0.7, 0.2))
    page.wait_for_selector(".canvas .pin[aria-label*='70 %']")
    drag(page, spot(page, 0.7, 0.2), center(page.locator(".bar .progress")))
    page.wait_for_selector(".count:has-text('0 labels')")
    wait(lambda: of_kind(annotator, "remove"), page)
    acts = of_kind(annotator, "pick", "add", "relocate", "remove", "cancel")
    assert [event.kind for event in acts] == ["pick", "add", "pick", "relocate", "pick", "remove"]
    assert {event.fields["icon"] for event in acts} == {1}
    width = page.locator(".canvas img").bounding_box()["width"]
    for event, expected in ((acts[1], (0.3, 0.6)), (acts[3], (0.7, 0.2))):
        assert (event.fields["x"], event.fields["y"]) == pytest.approx(expected, abs=0.5 / width)
    assert acts[0].fields["x"] > 1  # the label lies beside the image
    events = annotator.events()
    path = [event for event in events if event.kind == "drag" and acts[0].seq < event.seq < acts[1].seq]
    assert len(path) >= 10
    assert [event.fields["x"] for event in path] == sorted((e.fields["x"] for e in path), reverse=True)
    assert path[-1].fields["x"] == pytest.approx(0.3, abs=0.5 / width)


def test_a_label_is_carried_by_clicks_and_put_back_by_escape(things, begin):
    annotator = things.annotator()
    page = begin(annotator)
    chip(page, "dog").click()
    page.mouse.move(*spot(page, 0.1, 0.1), steps=4)
    page.keyboard.press("Escape")
    chip(page, "dog").click()
    page.mouse.click(*spot(page, 0.4, 0.5))
    page.wait_for_selector(".canvas .pin")
    page.mouse.click(*spot(page, 0.4, 0.5))  # takes it up again
    page.get_by_role("button", name="Remove", exact=True).click()
    page.wait_for_selector(".count:has-text('0 labels')")
    wait(lambda: of_kind(annotator, "remove"), page)
    acts = of_kind(annotator, "pick", "add", "relocate", "remove", "cancel")
    assert [e.kind for e in acts] == ["pick", "cancel", "pick", "add", "pick", "remove"]
    assert [e.fields["icon"] for e in acts] == [1, 1, 2, 2, 2, 2]
    assert acts[1].fields["pointer"] == "keyboard"


def test_a_finger_drags_a_label(things, begin):
    annotator = things.annotator()
    page = begin(annotator, **PHONE)
    start, end = center(chip(page, "cat")), spot(page, 0.5, 0.25)
    steps = [
        (start[0] + (end[0] - start[0]) * n / 10, start[1] + (end[1] - start[1]) * n / 10) for n in range(11)
    ]
    touch(page, *steps)
    page.wait_for_selector(".canvas .pin")
    (add,) = wait(lambda: of_kind(annotator, "add"), page)
    width = page.locator(".canvas img").bounding_box()["width"]
    assert add.fields["pointer"] == "touch"
    assert (add.fields["x"], add.fields["y"]) == pytest.approx((0.5, 0.25), abs=0.5 / width)
    assert len(of_kind(annotator, "drag")) >= 8


def test_a_finger_taps_a_label_and_then_the_image(things, begin):
    annotator = things.annotator()
    page = begin(annotator, **PHONE)
    page.touchscreen.tap(*center(chip(page, "cat")))
    page.wait_for_selector(".canvas.is-holding")
    page.touchscreen.tap(*spot(page, 0.2, 0.8))
    page.wait_for_selector(".canvas .pin")
    (add,) = wait(lambda: of_kind(annotator, "add"), page)
    assert (add.fields["x"], add.fields["y"]) == pytest.approx((0.2, 0.8), abs=0.005)


def test_the_keyboard_alone_places_moves_and_removes(things, begin):
    annotator = things.annotator()
    page = begin(annotator)
    tab_to(page, ".chip")
    press(page, "ArrowRight", "Enter")  # dog
    page.wait_for_selector(".canvas:focus")
    press(page, "ArrowLeft", "Shift+ArrowUp", "Enter")
    page.wait_for_selector(".canvas .pin")
    page.wait_for_selector('.chip:focus[data-label="dog"]')
    press(page, "ArrowLeft", "Enter")  # cat
    page.wait_for_selector(".canvas:focus")
    press(page, "Enter")
    page.wait_for_selector(".canvas .pin >> nth=1")
    page.locator(".canvas").focus()
    tab_to(page, ".pin")
    press(page, "Enter")  # takes the dog up
    page.wait_for_selector(".canvas:focus")
    press(page, "Shift+ArrowDown", "Enter")
    page.wait_for_selector(".pin:focus[aria-label^='dog, 49 % from the left, 50 %']")
    press(page, "Delete")
    page.wait_for_selector(".count:has-text('1 label')")
    tab_to(page, ".tab[aria-selected=true]")
    press(page, "ArrowRight", "ArrowRight")
    page.wait_for_selector(".bar .primary[aria-disabled=false]")
    tab_to(page, ".bar .primary")
    press(page, "Enter")
    page.wait_for_selector(".progress:has-text('Page 2')")
    acts = of_kind(annotator, "pick", "add", "relocate", "remove", "cancel")
    assert [(event.kind, event.fields["label"]) for event in acts] == [
        ("pick", "dog"),
        ("add", "dog"),
        ("pick", "cat"),
        ("add", "cat"),
        ("pick", "dog"),
        ("relocate", "dog"),
        ("pick", "dog"),
        ("remove", "dog"),
    ]
    assert (acts[1].fields["x"], acts[1].fields["y"]) == pytest.approx((0.49, 0.4))
    assert {event.fields["pointer"] for event in acts} == {"keyboard"}
    result = page_result(annotator.works()[0])
    assert (result.mismatched, result.untrusted) == (0, 0)
    dog, cat = result.items[0].icons
    assert (dog.label, dog.place, cat.label, cat.place) == ("dog", None, "cat", (0.5, 0.5))
    assert [event.fields["category"] for event in of_kind(annotator, "category")] == [0, 1, 2]


def test_a_page_is_submitted_only_when_all_categories_were_seen(things, begin):
    annotator = things.annotator()
    page = begin(annotator)
    button = page.locator(".bar .primary")
    assert button.get_attribute("aria-disabled") == "true"
    assert "2 categories not seen yet" in page.locator(".why").inner_text()
    button.click(force=True)
    for name in ("street", "kitchen"):
        page.get_by_role("tab", name=name).click()
    page.wait_for_selector(".bar .primary[aria-disabled=false]")
    assert "submit" not in annotator.kinds()
    button.click()
    page.wait_for_selector(".progress:has-text('Page 2')")
    assert annotator.works()[0].state == "submitted"


def test_a_page_whose_image_never_came_goes_to_another_annotator(things, contexts):
    annotator = things.annotator()
    page = begin_without_images(annotator, contexts())
    page.wait_for_selector(".picture.is-given-up")
    for name in ("street", "kitchen"):
        page.get_by_role("tab", name=name).click()
    submit(page)
    (work, *_) = annotator.works()
    assert not page_result(work).items[0].loaded
    with things.studio.store.reading() as connection:
        assert connection.execute(select(t.work.c.blank).where(t.work.c.id == work.id)).scalar() is True
