"""Browsers and projects of the tests in this folder, all of which need Debian's chromium."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.annotating import ARGUMENTS, CHROMIUM, Annotator, Served, images_shown, make_project, served


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and CHROMIUM is None:
            item.add_marker(pytest.mark.skip(reason="chromium is not installed"))


@pytest.fixture(scope="module")  # longer, and Playwright's event loop would hinder `asyncio.run` elsewhere
def playwright() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def chromium(playwright: Any) -> Iterator[Any]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A `select` project: 2 pages of 12 images."""
    gold = {0: {"kingfisher": []}, 1: {"kingfisher": None}, 2: {"kingfisher": []}}
    folder = tmp_path_factory.mktemp("birds") / "shop"
    with served(make_project(folder, "select", 24, gold=gold)) as running:
        yield running


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A `place` project: 2 pages, 3 categories."""
    folder = tmp_path_factory.mktemp("things") / "shop"
    gold = {0: {"cat": [[0.25, 0.25, 0.5, 0.5]]}}
    with served(make_project(folder, "place", 4, gold=gold)) as running:
        yield running


@pytest.fixture
def contexts(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Makes browser contexts, each as a browser of its own; no error in a page goes unseen."""
    opened, errors = [], []

    def make(**options: Any) -> Any:
        context = chromium.new_context(**({"viewport": {"width": 1366, "height": 768}} | options))
        context.set_default_timeout(15_000)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        context.on("console", lambda text: "Content Security" in text.text and errors.append(text.text))
        opened.append(context)
        return context

    yield make
    for context in opened:
        context.close()
    assert errors == []


@pytest.fixture
def begin(contexts: Callable[..., Any]) -> Callable[..., Any]:
    """Opens an annotator's first page of work; answers the browser's page."""

    def open_page(annotator: Annotator, context: Any = None, **options: Any) -> Any:
        page = (context or contexts(**options)).new_page()
        page.goto(annotator.link)
        page.get_by_role("button", name="Start").click()
        page.wait_for_selector(".frame")
        images_shown(page)
        return page

    return open_page
