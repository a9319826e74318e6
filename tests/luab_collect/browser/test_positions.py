"""A pointer at a known spot of an image is stored with that spot's ratios, however the page is shown."""

import io
import math
from typing import Any

import numpy as np
import pytest
from fixtures.annotating import Annotator, wait
from fixtures.paging import submit
from PIL import Image

from luab_collect.derive import page_result

YELLOW = (245, 220, 120)  # the disk in each image
HALF_A_PIXEL = 0.5  # CSS


def disk_on_screen(page: Any, tile: Any, ratio: float) -> tuple[float, float]:
    """Center of the tile's yellow disk in CSS pixels of the viewport, measured in a screenshot."""
    box, view = tile.bounding_box(), page.viewport_size
    # In steps of 20 pixels, which are whole device pixels at all ratios here.
    left, top = (max(0, math.floor(box[side] / 20) * 20) for side in ("x", "y"))
    right = min(view["width"], math.ceil((box["x"] + box["width"]) / 20) * 20)
    bottom = min(view["height"], math.ceil((box["y"] + box["height"]) / 20) * 20)
    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")).astype(int)
    rows, columns = np.nonzero(np.abs(shot - YELLOW).sum(axis=2) < 40)
    assert len(rows) > 100, "the disk is not on the screen"
    return left + (columns.mean() + 0.5) / ratio, top + (rows.mean() + 0.5) / ratio


def disk_in_image(width: int, height: int) -> tuple[float, float]:
    """Center of the disk as ratios, by how it is drawn: both corners inside."""
    return ((width // 4 + width // 2) / 2 + 0.5) / width, ((height // 4 + height // 2) / 2 + 0.5) / height


def click_disk(page: Any, number: int, ratio: float) -> None:
    tile = page.locator(".tile").nth(number)
    tile.scroll_into_view_if_needed()
    page.wait_for_timeout(30)
    pointer = disk_on_screen(page, tile, ratio)
    page.mouse.move(*pointer)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_selector(f".tile >> nth={number} >> css=:scope[aria-pressed=true]")


def selects(annotator: Annotator) -> dict[str, Any]:
    return {event.fields["item"]: event for event in annotator.events() if event.kind == "select"}


def check(annotator: Annotator, numbers: list[int], ratio: float = 1) -> None:
    """Each click's ratios, and those computed again from its layout, are the disk's center.

    An image is drawn from a whole device pixel on, and the disk is measured on these: with large ones a click
    in the middle of what is seen is off by as much.
    """
    allowed = HALF_A_PIXEL if ratio >= 1 else 1 / ratio
    result = page_result(annotator.works()[0])
    assert (result.mismatched, result.untrusted) == (0, 0)
    assert [number for number, item in enumerate(result.items) if item.selected] == numbers
    events = annotator.events()
    layouts = {event.fields["layout"]: event.fields["boxes"] for event in events if event.kind == "layout"}
    items = annotator.works()[0].items
    stored = selects(annotator)
    assert set(stored) == {items[number].id for number in numbers}
    for number in numbers:
        item = items[number]
        fields = stored[item.id].fields
        left, top, width, height = layouts[fields["layout"]][item.id]
        expected = disk_in_image(item.width, item.height)
        for name, pixels, place in (("x", width, expected[0]), ("y", height, expected[1])):
            assert abs(fields[name] - place) * pixels <= allowed, (number, name)
        assert (fields["cx"] - left) / width == pytest.approx(fields["x"], abs=1e-4)
        assert (fields["cy"] - top) / height == pytest.approx(fields["y"], abs=1e-4)


@pytest.mark.parametrize("ratio, zoom", [(1, 1), (1.5, 1), (2, 1), (1, 0.8), (1, 1.25), (1.5, 2)])
def test_a_click_has_its_ratio_at_any_pixel_ratio_and_zoom(birds, begin, ratio, zoom):
    annotator = birds.annotator()
    size = {"width": round(1366 / zoom), "height": round(768 / zoom)}  # what zoom does to a window
    page = begin(annotator, viewport=size, device_scale_factor=ratio * zoom)
    numbers = [0, 2, 7]  # of different shapes; the last one after a scroll
    for number in numbers:
        click_disk(page, number, ratio * zoom)
    submit(page)
    check(annotator, numbers, ratio * zoom)


def test_a_click_has_its_ratio_under_css_zoom(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator)
    page.evaluate("document.documentElement.style.zoom = 1.3")
    click_disk(page, 1, 1)
    submit(page)
    check(annotator, [1])


def test_ratios_follow_a_resize_and_a_scroll_in_the_middle_of_a_page(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator)
    click_disk(page, 0, 1)
    page.set_viewport_size({"width": 700, "height": 500})
    page.mouse.move(350, 250)
    page.mouse.wheel(0, 230)
    wait(lambda: page.evaluate("document.querySelector('.scroller').scrollTop") > 200, page)
    click_disk(page, 7, 1)
    submit(page)
    check(annotator, [0, 7])
    layouts = [event.fields for event in annotator.events() if event.kind == "layout"]
    assert layouts[0]["width"] == 1366
    assert (layouts[-1]["width"], layouts[-1]["top"] > 200) == (700, True)


def test_borders_padding_and_object_fit_are_no_part_of_an_image(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator)
    page.evaluate(
        """() => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(`.picture { border: solid black; border-width: 3px 17px 5px 7px;
                padding: 4px 9px; height: 190px; width: 340px; object-fit: contain; object-position: 100% 0 }
                .cell { flex: none; width: 340px }`); // whole pixels: browsers draw images at those
            document.adoptedStyleSheets = [sheet];
        }"""
    )
    for number in range(3):
        click_disk(page, number, 1)
    submit(page)
    check(annotator, [0, 1, 2])


def test_moves_have_the_path_over_the_image_and_times_that_never_go_back(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator)
    box = page.locator(".tile").first.bounding_box()
    for step in range(21):
        page.mouse.move(box["x"] + box["width"] * step / 20, box["y"] + box["height"] * 0.25)
    moves = wait(lambda: [e for e in annotator.events() if e.kind == "move"], page)
    path = [event.fields["x"] for event in moves if event.fields["item"] == annotator.works()[0].items[0].id]
    assert len(path) >= 15
    assert path == sorted(path)
    assert all(event.fields["trusted"] and event.fields["pointer"] == "mouse" for event in moves)
    times = [event.t for event in annotator.events()]
    assert times == sorted(times)
    assert times[0] == 0
