"""All pages: clean by axe and calm, in light and dark, on a desk and on a phone; hostile names are text.

With LUAB_SCREENSHOTS=FOLDER the pages' pictures are written there: docs/images/collect holds them.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.annotating import images_shown, make_project, served, wait
from fixtures.paging import COMING, submit
from PIL import Image
from sqlalchemy import delete, update

from luab_collect.store import tables as t

DESK, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PICTURES = os.environ.get("LUAB_SCREENSHOTS")


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Callable[[Any, str], None]:
    """Checks a page as it is now in all looks, and takes its pictures."""
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()

    def check(page: Any, name: str) -> None:
        wait(lambda: not page.evaluate(COMING), page)
        for size, place in ((DESK, "desk"), (PHONE, "phone")):
            page.set_viewport_size(size)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name}: too wide"
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                found = axe.run(page, options={"runOnly": {"type": "tag", "values": RULES}})
                rules = {rule["id"] for rule in found.response["passes"]}
                assert "color-contrast" in rules
                assert found.violations_count == 0, f"{name}, {place}, {scheme}: {found.generate_report()}"
                if PICTURES and (place, scheme) in {("desk", "light"), ("phone", "dark")}:
                    picture(page, Path(PICTURES) / f"{name}-{place}.png")
        page.set_viewport_size(DESK)

    return check


def picture(page: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(64).save(path, optimize=True)


def test_all_pages_of_select_are_clean(birds, contexts, seen):
    annotator, context = birds.annotator(new=True), contexts()
    page = context.new_page()
    page.goto(annotator.link)
    page.wait_for_selector("#agree")
    page.locator("button.primary").click(force=True)
    page.wait_for_selector(".need:has-text('Tick')")
    seen(page, "consent")
    page.get_by_role("button", name="I do not agree").click()
    seen(page, "declined")
    page.get_by_role("button", name="Back to the consent").click()
    page.check("#agree")
    page.locator("button.primary").click()
    page.wait_for_selector("h1:has-text('What to do')")
    seen(page, "instructions")
    page.locator("button.primary").click()
    page.wait_for_selector(".practice")
    images_shown(page)
    page.locator(".tile").first.click()
    page.get_by_role("button", name="Check").click()
    page.wait_for_selector(".tile[data-verdict=wrong]")
    seen(page, "practice-select")
    page.get_by_role("button", name="Check again").click()
    page.get_by_role("button", name="Go on").click()
    page.wait_for_selector(".progress:has-text('Page 1')")
    images_shown(page)
    for number in (1, 4):
        page.locator(".tile").nth(number).click()
    page.wait_for_selector(".count:has-text('2 images')")
    seen(page, "select")
    page.get_by_role("button", name="Instructions").click()
    seen(page, "help")
    page.get_by_role("button", name="Close").click()
    context.set_offline(True)
    page.wait_for_selector("[data-banner='banner.offline']")
    banner, head = page.locator(".banner").bounding_box(), page.locator(".head").bounding_box()
    assert banner["y"] > head["y"] + head["height"]
    seen(page, "offline")
    context.set_offline(False)
    submit(page)
    submit(page, then=".code")
    seen(page, "done")


def test_all_pages_of_place_are_clean(things, contexts, seen):
    annotator = things.annotator(new=True)
    page = contexts().new_page()
    page.goto(annotator.link)
    page.check("#agree")
    page.locator("button.primary").click()
    page.wait_for_selector("h1:has-text('What to do')")
    page.locator("button.primary").click()
    page.wait_for_selector(".practice")
    for name in ("street", "kitchen"):
        page.get_by_role("tab", name=name).click()
    page.get_by_role("button", name="Check").click()
    page.wait_for_selector(".report li")
    seen(page, "practice-place")
    page.get_by_role("button", name="Check again").click()
    page.get_by_role("button", name="Go on").click()
    page.wait_for_selector(".progress:has-text('Page 1')")
    page.get_by_role("tab", name="street").click()
    for label, (x, y) in {"car": (0.37, 0.37), "traffic light": (0.75, 0.6)}.items():
        page.locator(f'.chip[data-label="{label}"]').click()
        box = page.locator(".canvas img").bounding_box()
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.wait_for_selector(".count:has-text('2 labels')")
    seen(page, "place")
    page.locator('.chip[data-label="car"]').press("Enter")
    page.wait_for_selector(".canvas:focus")
    seen(page, "place-keys")


def test_pages_that_say_one_thing_are_clean(birds, begin, contexts, seen):
    annotator, context = birds.annotator(), contexts()
    page = begin(annotator, context)
    second = context.new_page()
    second.goto(annotator.link)
    second.wait_for_selector("h1:has-text('another tab')")
    seen(second, "elsewhere")
    second.goto("about:blank")
    second.goto(f"{birds.address}/work")
    second.wait_for_selector("h1:has-text('personal link')")
    seen(second, "no-link")
    second.goto("about:blank")
    second.goto(f"{birds.address}/work#t=unknown")
    second.wait_for_selector("h1:has-text('no longer works')")
    seen(second, "expired")
    context.route("**/api/work", lambda route: route.fulfill(json={"state": "nothing"}))
    page.reload()
    page.wait_for_selector("h1:has-text('Nothing left')")
    seen(page, "nothing")
    context.unroute_all()
    context.route("**/api/work", lambda route: route.fulfill(status=409, json={"error": "strange"}))
    page.reload()
    page.wait_for_selector("h1:has-text('went wrong')")
    seen(page, "error")
    context.unroute_all()
    with birds.studio.store.writing() as connection:
        row = update(t.annotators).where(t.annotators.c.pseudonym == annotator.pseudonym)
        connection.execute(row.values(withdrawn=1.0))
        connection.execute(delete(t.sessions))
    page.reload()
    page.wait_for_selector("h1:has-text('withdrawn')")
    seen(page, "withdrawn")


def test_completion_goes_to_the_platform_unless_the_annotator_stays(contexts, tmp_path):
    platforms = {"url": {"completion_url": "https://example.org/done?cc={code}"}}
    with served(make_project(tmp_path / "shop", "select", 6, platforms=platforms)) as running:
        context = contexts()
        context.clock.install()
        context.route("https://example.org/**", lambda route: route.fulfill(body="arrived"))
        page = context.new_page()
        page.goto(f"{running.address}/work?worker=W1")
        page.check("#agree")
        page.locator("button.primary").click()
        page.wait_for_selector("h1:has-text('What to do')")
        page.locator("button.primary").click()
        page.wait_for_selector(".progress:has-text('Page 1')")
        submit(page)
        submit(page, then=".code")
        code = page.locator(".code").inner_text()
        assert page.get_by_role("link", name="Go back").get_attribute("href").endswith(code)
        page.get_by_role("button", name="Stay").click()
        context.clock.run_for(20_000)
        assert running.address in page.url
        page.reload()
        page.wait_for_selector(".code")
        context.clock.run_for(9_000)
        wait(lambda: page.url == f"https://example.org/done?cc={code}", page)


NASTY = '<img src=x onerror="document.title=1">'


def test_hostile_names_are_text(contexts, tmp_path):
    settings = {
        "name": "</script><script>document.title = 1</script>",
        "classes": [{"name": NASTY, "definition": f"{NASTY} {{name}} &amp;", "category": "<b>x</b>"}],
        "categories": ["<b>x</b>"],
    }
    project = make_project(tmp_path / "shop", "place", 2, **settings)
    (project.folder / "instructions.md").write_text(
        f"# Hi\n\n{NASTY} <script>document.title = 1</script> [x](javascript:document.title=1) ![y](https://e.org/a.png)"
    )
    (project.folder / "consent.md").write_text(f"{NASTY}\n\n<svg onload='document.title=1'>")
    with served(project) as running:
        page = contexts().new_page()
        page.goto(running.annotator(new=True).link)
        page.wait_for_selector("#agree")
        assert "<svg onload=" in page.inner_text(".prose")
        page.check("#agree")
        page.locator("button.primary").click()
        page.wait_for_selector("h1:has-text('What to do')")
        assert page.locator(".prose a").count() == 0
        assert page.locator(".prose img").count() == 0
        page.locator("button.primary").click()
        page.wait_for_selector(".canvas")
        assert page.inner_text(".chip-name") == NASTY
        assert "<b>x</b>" in page.inner_text(".palette-title")
        page.locator(".chip").click()
        page.locator(".canvas").click(position={"x": 50, "y": 50})
        page.wait_for_selector(".canvas .pin")
        assert page.inner_text(".canvas .pin-tag") == NASTY
        assert page.title() == settings["name"]
        assert page.locator("img").count() == 1  # the page's own


def test_nothing_moves_when_images_come_late(birds, contexts):
    annotator, context = birds.annotator(), contexts()
    held: list[Any] = []
    context.route("**/media/*", lambda route: route.continue_() if released else held.append(route))
    released = False
    context.add_init_script(
        """window.shifts = [];
        new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((each) => each.value)))
            .observe({ type: "layout-shift", buffered: true });"""
    )
    page = context.new_page()
    page.goto(annotator.link)
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector(".tile")
    wait(lambda: held, page)
    page.locator(".tile").first.click()  # an image that cannot be seen is not selected
    before = [tile.bounding_box() for tile in page.locator(".tile").all()]
    released = True
    for route in held:
        route.continue_()
    images_shown(page)
    assert [tile.bounding_box() for tile in page.locator(".tile").all()] == before
    page.locator(".tile").nth(1).click()
    page.wait_for_selector(".tile[aria-pressed=true]")
    assert page.locator(".tile[aria-pressed=true]").count() == 1
    assert page.evaluate("window.shifts") == []


def test_an_image_that_does_not_come_is_asked_for_again(birds, contexts):
    annotator, context = birds.annotator(), contexts()
    failed: list[str] = []

    def fail_once(route: Any) -> None:
        if route.request.url in failed:
            route.continue_()
        else:
            failed.append(route.request.url)
            route.abort()

    context.route("**/media/*", fail_once)
    page = context.new_page()
    page.goto(annotator.link)
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector(".picture.is-missing")
    wait(lambda: len(failed) == page.locator(".tile").count(), page)
    wait(lambda: page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)"), page)
    assert page.locator(".picture.is-missing").count() == 0


def test_a_page_is_not_submitted_before_its_images_have_come(birds, contexts):
    annotator, context = birds.annotator(), contexts()
    held: list[Any] = []
    released = False
    context.route("**/media/*", lambda route: route.continue_() if released else held.append(route))
    page = context.new_page()
    page.goto(annotator.link)
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector(".tile")
    wait(lambda: held, page)
    page.get_by_role("button", name="None shows it").click()
    page.wait_for_selector(f".why:has-text('{page.locator('.tile').count()} images are still to come')")
    released = True
    for route in held:
        route.continue_()
    images_shown(page)
    page.wait_for_selector(".why", state="hidden")
    assert "submit" not in annotator.kinds()
    page.get_by_role("button", name="None shows it").click()
    page.wait_for_selector(".progress:has-text('Page 2')")


def test_an_image_that_never_comes_holds_nobody_up(birds, contexts):
    annotator, context = birds.annotator(), contexts()
    context.route("**/media/*", lambda route: route.fulfill(status=404))
    page = context.new_page()
    page.goto(annotator.link)
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector(".tile")
    wait(lambda: page.locator(".is-given-up").count() == page.locator(".tile").count(), page)
    page.get_by_role("button", name="None shows it").click()
    page.wait_for_selector(".progress:has-text('Page 2')")


def test_very_long_images_have_tiles_of_bounded_shape(contexts, tmp_path):
    project = make_project(tmp_path / "shop", "select", 24)
    lines = [json.loads(line) for line in (project.folder / "items.jsonl").read_text().splitlines()]
    for line, size in zip(lines, ((1, 20_000), (20_000, 1)), strict=False):
        path = project.images / line["file"]
        Image.new("RGB", size, "red").save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        line.update(width=size[0], height=size[1], sha256=digest)
    (project.folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with served(project) as running:
        page = contexts().new_page()
        seen = []
        annotator = running.annotator()
        page.goto(annotator.link)
        page.get_by_role("button", name="Start").click()
        for number in (1, 2):
            page.wait_for_selector(f".progress:has-text('Page {number}')")
            images_shown(page)
            seen += page.evaluate("[...document.images].map((i) => [i.naturalHeight, i.width, i.height])")
            if number == 1:
                page.get_by_role("button", name="None shows it").click()
        tall, wide = [next(each for each in seen if each[0] == height) for height in (20_000, 1)]
        assert tall[2] / tall[1] < 5 and wide[1] / wide[2] < 5 and min(*tall[1:], *wide[1:]) >= 24


def test_the_definition_stays_in_view_and_the_focus_is_never_hidden(birds, begin):
    page = begin(birds.annotator(), viewport={"width": 683, "height": 440})
    page.locator(".tile").first.focus()
    for _ in range(11):
        page.keyboard.press("ArrowRight")
        box = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
        scroller = page.locator(".scroller").bounding_box()
        assert box["top"] >= scroller["y"] - 1
        assert box["bottom"] <= scroller["y"] + scroller["height"] + 1
    assert page.locator(".definition").is_visible()
    head = page.locator(".head").bounding_box()
    assert head["y"] == 0


def test_withdrawal_in_the_middle_of_a_page_ends_with_a_page_that_says_so(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator)
    with birds.studio.store.writing() as connection:
        row = update(t.annotators).where(t.annotators.c.pseudonym == annotator.pseudonym)
        connection.execute(row.values(withdrawn=1.0))
    page.locator(".tile").first.click()
    page.wait_for_selector("h1:has-text('withdrawn')")
