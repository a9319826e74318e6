"""`select` by mouse, touch, pen and keyboard alone, and what is stored of it."""

from typing import Any

import pytest
from fixtures.annotating import images_shown, wait
from fixtures.paging import MEDIA, PHONE, begin_without_images, center, of_kind, press, submit, tab_to, touch

from luab_collect.derive import page_result


def test_a_finger_selects(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator, **PHONE)
    box = page.locator(".tile").nth(1).bounding_box()
    page.touchscreen.tap(box["x"] + 0.25 * box["width"], box["y"] + 0.75 * box["height"])
    page.wait_for_selector(".tile[aria-pressed=true]")
    (select,) = wait(lambda: of_kind(annotator, "select"), page)
    assert select.fields["pointer"] == "touch"
    assert select.fields["x"] == pytest.approx(0.25, abs=0.5 / box["width"])
    assert select.fields["y"] == pytest.approx(0.75, abs=0.5 / box["height"])
    assert "enter" in annotator.kinds()


def test_a_finger_that_scrolls_selects_nothing(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator, **PHONE)
    x, y = center(page.locator(".tile").nth(2))
    touch(page, *[(x, y - step) for step in range(0, 160, 15)])
    wait(lambda: page.evaluate("document.querySelector('.scroller').scrollTop") > 0, page)
    wait(lambda: len(of_kind(annotator, "layout")) > 1, page)
    assert of_kind(annotator, "select") == []


def test_a_pen_selects(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator)
    x, y = center(page.locator(".tile").first)
    client = page.context.new_cdp_session(page)
    pen = {"x": x, "y": y, "pointerType": "pen", "button": "left", "clickCount": 1}
    client.send("Input.dispatchMouseEvent", pen | {"type": "mouseMoved", "button": "none"})
    client.send("Input.dispatchMouseEvent", pen | {"type": "mousePressed"})
    client.send("Input.dispatchMouseEvent", pen | {"type": "mouseReleased"})
    page.wait_for_selector(".tile[aria-pressed=true]")
    (select,) = wait(lambda: of_kind(annotator, "select"), page)
    assert select.fields["pointer"] == "pen"


def test_a_second_click_deselects_and_both_are_kept(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator)
    tile = page.locator(".tile").first
    tile.click()
    tile.click()
    page.wait_for_selector(".count:has-text('0 images')")
    assert tile.get_attribute("aria-pressed") == "false"
    wait(lambda: len(of_kind(annotator, "select", "deselect")) == 2, page)
    assert [event.kind for event in of_kind(annotator, "select", "deselect")] == ["select", "deselect"]


def test_the_keyboard_alone_goes_from_the_link_to_the_code(birds, contexts):
    annotator = birds.annotator(new=True)
    page = contexts().new_page()
    page.goto(annotator.link)
    page.wait_for_selector("#agree")
    tab_to(page, "#agree")
    press(page, "Space", "Tab", "Enter")
    page.wait_for_selector("h1:has-text('What to do')")
    tab_to(page, "button.primary")
    press(page, "Enter")
    practice_by_keyboard(page)
    for number in (1, 2):
        page.wait_for_selector(f".progress:has-text('Page {number}')")
        images_shown(page)
        tab_to(page, ".tile")
        press(page, "ArrowRight", "ArrowDown", "Space")
        page.wait_for_selector(".count:has-text('1 image')")
        tab_to(page, ".bar .primary")
        press(page, "Enter")
    page.wait_for_selector(".code")
    (select,) = of_kind(annotator, "select")
    assert (select.fields["pointer"], select.fields["x"], select.fields["y"]) == ("keyboard", 0.5, 0.5)
    assert [event.fields["pointer"] for event in of_kind(annotator, "submit")] == ["keyboard"]
    looked = [event.fields["item"] for event in of_kind(annotator, "enter")]
    assert looked[-1] == select.fields["item"]
    assert len(looked) == 2
    assert [work.state for work in annotator.works()] == ["submitted", "submitted"]
    assert page_result(annotator.works()[0]).pointers == ("keyboard",)


def practice_by_keyboard(page: Any) -> None:
    """The practice of `birds`: of three images all but one show the bird; first a wrong answer."""
    page.wait_for_selector(".practice")
    images_shown(page)
    tab_to(page, ".bar .primary")
    press(page, "Enter")
    page.wait_for_selector(".verdict:has-text('2 things')")
    tiles = page.locator(".tile")
    wrong = [index for index in range(3) if tiles.nth(index).get_attribute("data-verdict") == "wrong"]
    press(page, "Shift+Tab", "Shift+Tab")
    press(page, "Home")
    for index in range(3):
        if index in wrong:
            press(page, "Space")
        press(page, "ArrowRight")
    tab_to(page, ".bar .primary")
    press(page, "Enter")
    page.wait_for_selector(".verdict:has-text('All right')")
    press(page, "Enter")


def test_a_press_beside_an_image_that_is_longer_than_its_tile_selects_nothing(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator)
    page.evaluate(
        """() => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(".cell { flex: none; width: 120px } .cell .picture { aspect-ratio: 0.25 }");
            document.adoptedStyleSheets = [sheet];
        }"""
    )
    left, top, width, height = page.evaluate(
        """async () => (await import("/static/geometry.js")).contentBox(document.querySelector(".picture"))"""
    )
    tile = page.locator(".tile").first.bounding_box()
    assert width == pytest.approx(120) and top - height > tile["y"]  # a bar above, one below
    page.mouse.click(left + 0.5 * width, top - 0.7 * height)
    page.mouse.click(left + 0.25 * width, top + 0.5 * height)
    page.wait_for_selector(".tile[aria-pressed=true]")
    page.mouse.click(left + 0.5 * width, top - 0.7 * height)  # nor does it take back
    submit(page)
    (select,) = of_kind(annotator, "select", "deselect")
    assert (select.fields["x"], select.fields["y"]) == pytest.approx((0.25, 0.5), abs=0.01)
    assert [item.selected for item in page_result(annotator.works()[0]).items] == [True] + [False] * 11


def test_clicks_that_a_script_makes_and_hidden_tabs_are_told_apart(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator)
    page.evaluate("document.querySelector('.tile').click()")
    page.wait_for_selector(".tile[aria-pressed=true]")
    for hidden in ("true", "false"):
        page.evaluate(f"Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }})")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.get_by_role("button", name="Submit page").click()
    page.wait_for_selector(".progress:has-text('Page 2')")
    (select,) = of_kind(annotator, "select")
    assert select.fields["trusted"] is False
    assert page_result(annotator.works()[0]).untrusted == 1
    assert [event.kind for event in of_kind(annotator, "hidden", "visible")] == ["hidden", "visible"]


def test_an_image_that_fails_is_recorded_as_missing_and_one_that_comes_as_loaded(birds, contexts):
    annotator = birds.annotator()
    context = contexts()
    failed: list[str] = []

    def fail(route: Any) -> None:
        """The first image that is asked for fails each time."""
        failed[:] = failed or [route.request.url]
        route.abort() if route.request.url == failed[0] else route.continue_()

    context.route(MEDIA, fail)
    page = context.new_page()
    page.goto(annotator.link)
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector(".picture.is-given-up")
    submit(page)
    (missing,) = of_kind(annotator, "missing")
    loaded = [event.fields["item"] for event in of_kind(annotator, "loaded")]
    assert len(loaded) == len(set(loaded)) == 11 and missing.fields["item"] not in loaded
    result = page_result(annotator.works()[0])
    assert [item.item for item in result.items if not item.loaded] == [missing.fields["item"]]


def test_an_image_that_comes_at_a_later_try_was_seen(birds, contexts):
    annotator = birds.annotator()
    context = contexts()
    page = begin_without_images(annotator, context)
    wait(lambda: len(of_kind(annotator, "missing")) == 12, page)
    context.unroute(MEDIA)
    page.evaluate("window.dispatchEvent(new Event('online'))")
    submit(page)
    assert len(of_kind(annotator, "loaded")) == 12
    assert all(item.loaded for item in page_result(annotator.works()[0]).items)
