"""A dead network, lost answers, several tabs, a killed browser, a full disk: nothing is lost or double."""

import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fixtures.annotating import wait
from fixtures.paging import EVENTS, SUBMIT, click, cut_off, journal, selected, selects, stored, submit
from sqlalchemy import delete

from luab_collect.derive import page_result
from luab_collect.store import tables as t
from luab_collect.store.writer import Full


def test_five_minutes_offline_and_a_reload_lose_no_event(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    context.clock.install()
    page = begin(annotator, context)
    click(page, 0)
    wait(lambda: selects(annotator) == 1, page)
    context.set_offline(True)
    page.wait_for_selector("[data-banner='banner.offline']")
    for number in range(1, 6):
        click(page, number)
        context.clock.run_for(60_000)
    page.wait_for_selector(".saved:has-text('Kept on this computer')")
    kept = journal(page)
    assert [kind for _, _, kind in kept].count("select") == 5
    assert selects(annotator) == 1
    with suppress(Exception):  # the browser's own page for no network
        page.reload()
    context.set_offline(False)
    page.goto(annotator.link)
    assert selected(page) == [0, 1, 2, 3, 4, 5]
    wait(lambda: set(kept) <= set(stored(annotator)), page)
    click(page, 6)
    submit(page)
    assert selects(annotator) == 7
    assert "offline" in annotator.kinds()
    result = page_result(annotator.works()[0])
    assert [number for number, item in enumerate(result.items) if item.selected] == list(range(7))
    assert result.spent > 5 * 60_000  # the browser's clock was moved on


def test_an_offline_page_goes_on_by_itself(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    page = begin(annotator, context)
    context.set_offline(True)
    click(page, 0, 1)
    page.get_by_role("button", name="Submit page").click()
    page.wait_for_selector(".bar .primary:has-text('Sending')")
    context.set_offline(False)
    page.wait_for_selector(".progress:has-text('Page 2')")
    page.wait_for_selector("[data-banner]", state="detached")
    assert selects(annotator) == 2


def test_an_answer_that_is_lost_after_the_commit_makes_no_duplicate(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    page = begin(annotator, context)
    lost = []

    def lose(route: Any) -> None:
        if len(lost) < 2:
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    context.route(EVENTS, lose)
    click(page, 0, 3)
    submit(page)
    assert lost == [200, 200]
    assert selects(annotator) == 2
    assert [work.index for work in annotator.works()] == [0, 1]


def test_a_submission_whose_answer_is_lost_counts_once(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    page = begin(annotator, context)
    lost = []

    def lose(route: Any) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch().status)
            route.abort()

    context.route(SUBMIT, lose)
    click(page, 2)
    submit(page)
    assert lost == [200]
    assert [work.state for work in annotator.works()] == ["submitted", "leased"]


def test_a_reload_in_the_middle_of_a_submission_goes_on_with_it(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    page = begin(annotator, context)
    context.route(SUBMIT, lambda route: route.abort())
    click(page, 2)
    page.get_by_role("button", name="Submit page").click()
    wait(lambda: "submit" in annotator.kinds(), page)
    context.unroute_all()
    page.reload()
    page.wait_for_selector(".progress:has-text('Page 2')")
    assert list(annotator.works()[0].events) == [1]
    assert selects(annotator) == 1


def test_a_full_disk_of_the_server_is_said_and_nothing_is_lost(birds, begin, monkeypatch):
    annotator = birds.annotator()
    page = begin(annotator)

    async def full(change: Any) -> None:
        raise Full

    with monkeypatch.context() as patched:
        patched.setattr(birds.studio, "write", full)
        click(page, 0, 1)
        page.wait_for_selector("[data-banner='banner.full']")
        click(page, 2)
    submit(page)
    page.wait_for_selector("[data-banner]", state="detached")
    assert selects(annotator) == 3


def test_a_browser_that_stores_nothing_says_so_and_still_works(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    context.add_init_script("delete Window.prototype.indexedDB; delete window.indexedDB")
    page = begin(annotator, context)
    page.wait_for_selector("[data-banner='banner.unstored']")
    click(page, 3)
    submit(page)
    assert selects(annotator) == 1


def test_a_session_that_is_over_is_begun_again_with_the_link(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator)
    with birds.studio.store.writing() as connection:
        connection.execute(delete(t.sessions))
    click(page, 0)
    submit(page)
    assert selects(annotator) == 1


def test_a_link_that_is_no_longer_valid_ends_with_a_page_that_says_so(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator)
    with birds.studio.store.writing() as connection:
        connection.execute(delete(t.sessions))
        connection.execute(delete(t.links))
    click(page, 0)
    page.wait_for_selector("h1:has-text('no longer works')")
    assert [kind for _, _, kind in journal(page)].count("select") == 1


def test_the_last_bit_is_sent_while_the_page_goes_away(birds, begin):
    annotator = birds.annotator()
    page = begin(annotator)
    click(page, 0)
    page.goto("about:blank")  # before the next upload, which comes every two seconds
    wait(lambda: selects(annotator) == 1, page)
    page.goto(annotator.link)
    assert selected(page) == [0]


def answer_once(status: int, code: str) -> Callable[[Any], None]:
    """A route that refuses the first request, and lets all others through."""
    refused: list[str] = []

    def handle(route: Any) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(status=status, json={"error": code, "reason": "no reason"})

    return handle


def test_leftovers_that_are_refused_are_said_and_the_page_shows_what_the_server_has(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    page = begin(annotator, context)
    click(page, 0)
    wait(lambda: selects(annotator) == 1, page)
    cut_off(page)
    click(page, 1)
    page.wait_for_selector("[data-banner='banner.offline']")

    def refuse_the_first_tab(route: Any) -> None:
        body = route.request.post_data_buffer
        plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        if json.loads(plain)["epoch"] == 1:
            route.fulfill(status=422, json={"error": "event", "reason": "no <b>reason</b>"})
        else:
            route.continue_()

    context.route(EVENTS, refuse_the_first_tab)
    page.reload()
    page.wait_for_selector("[data-banner='banner.refused']:has-text('<b>reason</b>')")
    assert selected(page) == [0]
    click(page, 2)
    page.reload()  # it was told: it is settled, and stays on this disk
    assert selected(page) == [0, 2]
    assert page.locator("[data-banner]").count() == 0
    submit(page)
    result = page_result(annotator.works()[0])
    assert [number for number, item in enumerate(result.items) if item.selected] == [0, 2]
    assert [kind for epoch, _, kind in journal(page) if epoch == 1].count("select") == 1


def test_what_is_said_of_refused_leftovers_goes_with_the_page(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    page = begin(annotator, context)
    cut_off(page)
    click(page, 1)
    page.wait_for_selector("[data-banner='banner.offline']")
    context.route(EVENTS, answer_once(409, "superseded"))
    page.reload()
    page.wait_for_selector("[data-banner='banner.refused']")
    click(page, 2)
    submit(page)
    assert page.locator("[data-banner]").count() == 0


def test_a_page_that_the_server_finds_unfinished_comes_back(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    page = begin(annotator, context)
    context.route(SUBMIT, answer_once(422, "unfinished"))
    click(page, 3)
    page.get_by_role("button", name="Submit page").click()
    page.wait_for_selector("[data-banner='banner.unfinished']")
    assert selected(page) == [3]
    submit(page)
    assert annotator.works()[0].state == "submitted"


def test_events_that_contradict_what_is_stored_begin_the_page_anew(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    page = begin(annotator, context)
    click(page, 3)
    wait(lambda: selects(annotator) == 1, page)
    context.route(EVENTS, answer_once(409, "conflict"))
    click(page, 4)
    wait(lambda: len(annotator.works()[0].events) == 2, page)  # a new epoch has begun
    assert selected(page) == [3, 4]
    submit(page)
    assert selects(annotator) == 2
