"""The admin's pages in a browser: figures, replay, decisions, keyboard, axe, hostile names, screenshots."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from fixtures.annotating import wait
from fixtures.trials import make_trial

from luab_collect.simulate.server import running

# `LUAB_SCREENSHOTS=docs/images/collect` renews those of the documentation.
SCREENSHOTS = os.environ.get("LUAB_SCREENSHOTS")
COLORS = """() => {
  const canvas = document.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""
# replay.js by itself, on events made here.
STATES = """async () => {
  const { stateAt } = await import("/admin/static/replay.js");
  const place = { x: 0.5, y: 0.25, cx: 9, cy: 8, pointer: "mouse" };
  const at = (t, kind, more) => ({ t, kind, ...place, ...more });
  const cat = { icon: 1, label: "cat" };
  const events = [
    { t: 0, kind: "open", wall: 1 },
    { t: 1, kind: "layout", layout: 1, width: 100, height: 50, boxes: { a: [0, 0, 10, 10] } },
    { t: 1.5, kind: "missing", item: "a" },
    { t: 1.75, kind: "loaded", item: "a" },
    at(2, "enter", { item: "a" }),
    at(3, "move", { item: "a", x: 0.75 }),
    at(4, "select", { item: "a" }),
    at(5, "select", { item: "b", pointer: "keyboard" }),
    at(6, "deselect", { item: "a" }),
    at(7, "pick", { ...cat, x: -0.5 }),
    at(8, "drag", cat),
    at(9, "add", { ...cat, x: 0.125 }),
    at(10, "remove", cat),
    { t: 11, kind: "hidden" },
    { t: 12, kind: "category", category: 3, pointer: "mouse", trusted: true },
  ];
  const short = (t) => {
    const state = stateAt(events, t);
    return {
      selected: [...state.selected],
      icons: [...state.icons.values()],
      clicks: state.clicks.length,
      trail: state.trail.map((each) => each && each.x),
      hidden: state.hidden,
      missing: [...state.missing],
      category: state.category,
      last: state.last?.kind ?? null,
      width: state.layout?.width ?? null,
    };
  };
  return [-1, 1.5, 4, 5, 6, 9, 12].map(short);
}"""


def simulated(shop):
    """Its pages are done, by a program among others; apart, since Playwright's loop runs in this process."""
    command = [sys.executable, "-m", "luab.cli", "collect", "simulate", str(shop)]
    options = ["--annotators", "4", "--bots", "0.25", "--boxes", str(shop.parent / "truth.csv")]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def admin(tmp_path_factory):
    """The admin's address of a project whose pages were done."""
    shop = make_trial(tmp_path_factory.mktemp("admin"), overlap=3)
    simulated(shop)
    with running(shop) as addresses:
        yield addresses.admin


@pytest.fixture
def page(admin, contexts):
    page = contexts().new_page()
    page.goto(admin)
    page.get_by_role("heading", name="What to look at").wait_for()
    return page


def violations(page):
    return Axe().run(page).response["violations"]


def first_work(page):
    page.get_by_role("link", name="Pages of work").click()
    page.get_by_role("columnheader", name="since it was given out").wait_for()
    page.locator("tbody th a").first.click()
    page.get_by_role("heading", name="Replay").wait_for()


def test_the_overview_shows_progress_quality_and_proposals(page):
    assert page.url.endswith("/admin")  # the token is no part of the address any more
    assert page.get_by_role("heading", level=1).inner_text() == "Shop <b>"
    assert page.get_by_role("progressbar").is_visible()
    for name in ("Krippendorff's alpha", "gold recall", "submitted in the last hour"):
        assert page.locator("dt", has_text=name).is_visible()
    practiced = page.locator("p", has_text="images with a known answer: they are not counted as gold.")
    assert practiced.inner_text().startswith("The practice shows 8 of 8 ")
    proposed = page.get_by_role("region", name="Proposed by the rules")
    assert "events were made by a program" in proposed.inner_text()
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(admin, contexts, scheme):
    page = contexts(color_scheme=scheme, viewport={"width": 390, "height": 844}).new_page()
    page.goto(admin)
    page.get_by_role("heading", name="What to look at").wait_for()
    assert violations(page) == []
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390  # tables scroll by themselves
    first_work(page)
    assert violations(page) == []
    page.get_by_role("link", name="Pages of work").click()
    page.get_by_role("columnheader", name="since it was given out").wait_for()
    assert violations(page) == []


def test_the_replay_shows_the_trace_over_the_images(page):
    first_work(page)
    wait(lambda: page.locator("#said").inner_text().endswith("submit"), page)
    wait(lambda: page.evaluate(COLORS) > 500, page)  # drawn images
    page.get_by_role("slider", name="Time").press("Home")
    assert page.locator("#said").inner_text().startswith("0.0 s: open")
    assert page.evaluate(COLORS) == 1  # nothing was there yet
    page.get_by_role("button", name="Next event").click()
    assert ": layout" in page.locator("#said").inner_text()
    page.get_by_label("Speed").select_option("10")
    page.get_by_role("button", name="Play").click()
    wait(lambda: float(page.get_by_role("slider", name="Time").input_value()) > 3000, page)
    page.get_by_role("button", name="Pause").click()
    stopped = page.get_by_role("slider", name="Time").input_value()
    page.wait_for_timeout(200)
    assert page.get_by_role("slider", name="Time").input_value() == stopped


def test_a_decision_by_keyboard_needs_its_reason(page):
    first_work(page)
    page.get_by_role("button", name="Reject").press("Enter")
    assert "needs its reason" in page.get_by_role("alert").inner_text()
    page.keyboard.type("<img src=x onerror=alert(1)> blurred")  # the focus went there
    page.get_by_role("button", name="Reject").press("Enter")
    page.get_by_role("heading", name="Decisions").wait_for()
    assert "reject (admin's page): <img src=x onerror=alert(1)> blurred" in page.locator("main").inner_text()
    assert page.locator("main img").count() == 0
    page.reload()  # this tab still has the token
    page.get_by_role("heading", name="Decisions").wait_for()


def test_a_decision_says_what_it_covers_and_takes_back(page):
    page.get_by_role("link", name="Pages of work").click()
    row = page.locator("tbody tr", has_not_text="reject").first
    annotator = row.locator("td a").first.inner_text()
    row.locator("th a").click()
    page.get_by_label("Reason").fill("blurred")
    page.get_by_role("button", name="Reject").click()
    page.get_by_text("Kept: reject (1 page of work).").first.wait_for()
    page.get_by_role("link", name=annotator).click()
    page.get_by_role("heading", name="Decide about what this annotator has submitted").wait_for()
    page.get_by_label("Reason").fill("looked at some")
    page.get_by_role("button", name="Accept").click()
    page.locator("main p", has_text=re.compile(r", of which \d decided otherwise before\)")).wait_for()


def test_without_the_token_nothing_is_shown(admin, contexts):
    page = contexts().new_page()
    page.goto(admin.partition("#")[0])
    assert "it ends with a token" in page.get_by_role("alert").inner_text()
    page.goto(admin.partition("#")[0] + "#t=wrong")
    page.reload()
    page.get_by_role("alert").wait_for()
    assert page.locator("table").count() == 0


def test_states_are_those_of_the_events(page):
    """What is selected, where icons are, what is traced at a moment."""
    found = page.evaluate(STATES)
    before, blank, fourth, fifth, sixth, ninth, end = found
    assert (before["last"], before["width"], before["trail"]) == (None, None, [])
    assert (blank["missing"], fourth["missing"]) == (["a"], [])
    assert (fourth["selected"], fourth["clicks"], fourth["width"]) == (["a"], 1, 100)
    assert fourth["trail"] == [None, 0.5, 0.75]
    assert (fifth["selected"], fifth["clicks"]) == (["a", "b"], 1)  # a keyboard clicks nowhere
    assert (sixth["selected"], sixth["clicks"]) == (["b"], 2)
    assert ninth["icons"] == [{"label": "cat", "x": 0.125, "y": 0.25}]
    assert ninth["trail"][-5:] == [None, -0.5, 0.5, 0.125, None]
    assert (end["icons"], end["hidden"], end["category"]) == ([], True, 3)


@pytest.mark.skipif(
    not SCREENSHOTS, reason="LUAB_SCREENSHOTS names no folder for the documentation's pictures"
)
def test_screenshots_of_the_documentation(tmp_path, contexts):
    names = {"names": ("circle", "star"), "name": "Shapes"}
    shop = make_trial(tmp_path, per_class=40, side=200, images_per_page=24, overlap=3, **names)
    simulated(shop)
    with running(shop) as addresses:
        page = contexts().new_page()
        page.goto(addresses.admin)
        page.get_by_role("heading", name="What to look at").wait_for()
        page.screenshot(path=Path(SCREENSHOTS) / "admin-overview.png", full_page=True)
        first_work(page)
        page.wait_for_load_state("networkidle")
        page.get_by_label("What is known").check()
        page.screenshot(path=Path(SCREENSHOTS) / "admin-replay.png")
