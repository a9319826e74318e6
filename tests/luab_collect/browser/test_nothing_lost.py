"""A dead network, lost answers, several tabs, a killed browser, a full disk: nothing is lost or double."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fixtures.annotating import ARGUMENTS, CHROMIUM, Annotator, images_shown, wait
from sqlalchemy import delete

from luab_collect.derive import page_result
from luab_collect.store import tables as t
from luab_collect.store.writer import Full

EVENTS = "**/api/work/*/events"
SUBMIT = "**/api/work/*/submit"


def click(page: Any, *numbers: int) -> None:
    """Clicks images, and waits until each is on this computer's disk and shown as selected."""
    for number in numbers:
        page.locator(".tile").nth(number).click()
        page.wait_for_selector(f".tile >> nth={number} >> css=:scope[aria-pressed=true]")


def selected(page: Any) -> list[int]:
    page.wait_for_selector(".tile")
    tiles = page.locator(".tile").all()
    return [number for number, tile in enumerate(tiles) if tile.get_attribute("aria-pressed") == "true"]


def journal(page: Any) -> list[tuple[int, int, str]]:
    """What the browser has on its disk: (epoch, number, kind)."""
    found = page.evaluate(
        """() => new Promise((resolve, reject) => {
            const opening = indexedDB.open("luab-collect", 1);
            opening.onerror = () => reject(opening.error);
            opening.onsuccess = () => {
                const request = opening.result.transaction("chunks").objectStore("chunks").getAll();
                request.onsuccess = () => {
                    opening.result.close();
                    resolve(request.result.flatMap((c) => c.events.map((e) => [c.epoch, e.seq, e.kind])));
                };
            };
        })"""
    )
    return sorted((epoch, seq, kind) for epoch, seq, kind in found)


def stored(annotator: Annotator, index: int = 0) -> list[tuple[int, int, str]]:
    """What the server has, in the same form; each number once, without gaps."""
    works = annotator.works()
    if index >= len(works):
        return []
    events = works[index].events
    for each in events.values():
        assert [event.seq for event in each] == list(range(1, len(each) + 1))
    assert works[index].conflicts == 0
    return sorted((epoch, event.seq, event.kind) for epoch in events for event in events[epoch])


def selects(annotator: Annotator) -> int:
    return [kind for _, _, kind in stored(annotator)].count("select")


def submit(page: Any) -> None:
    page.get_by_role("button", name="Submit page").click()
    page.wait_for_selector(".progress:has-text('Page 2')")


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


def test_a_second_tab_offers_to_take_over_and_the_first_one_stops(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    first = begin(annotator, context)
    click(first, 0, 1)
    second = context.new_page()
    second.goto(annotator.link)
    second.get_by_role("button", name="Go on here").click()
    assert selected(second) == [0, 1]
    first.wait_for_selector("h1:has-text('another tab')")
    click(second, 2)
    first.bring_to_front()
    first.get_by_role("button", name="Go on here").click()
    assert selected(first) == [0, 1, 2]
    second.wait_for_selector("h1:has-text('another tab')")
    submit(first)
    assert selects(annotator) == 3


def test_without_web_locks_tabs_ask_each_other(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    # A plain HTTP address in a network: no locks, no coalesced samples, no clipboard.
    context.add_init_script(
        """for (const [of, name] of [[Navigator, "locks"], [Navigator, "clipboard"],
            [PointerEvent, "getCoalescedEvents"]]) delete of.prototype[name];"""
    )
    first = begin(annotator, context)
    click(first, 4)
    second = context.new_page()
    second.goto(annotator.link)
    second.get_by_role("button", name="Go on here").click()
    assert selected(second) == [4]
    first.wait_for_selector("h1:has-text('another tab')")
    submit(second)
    assert "move" in annotator.kinds()


def test_another_computer_goes_on_with_the_selections(birds, begin, contexts):
    annotator = birds.annotator()
    click(begin(annotator), 1)
    wait(lambda: selects(annotator) == 1, contexts().new_page())
    other = contexts().new_page()
    other.goto(annotator.link)
    assert selected(other) == [1]


def test_back_and_a_closed_tab_go_on_with_the_selections(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    page = begin(annotator, context)
    click(page, 0)
    page.goto("about:blank")
    page.go_back()
    assert selected(page) == [0]
    click(page, 5)
    page.close()
    page = context.new_page()
    page.goto(annotator.link)
    assert selected(page) == [0, 5]
    submit(page)
    assert selects(annotator) == 2


def test_a_killed_browser_goes_on_with_the_selections(birds, playwright, tmp_path):
    annotator = birds.annotator()
    killed = persistent(playwright, tmp_path)
    page = killed.new_page()
    page.goto(annotator.link)
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector(".tile")
    images_shown(page)
    killed.route(EVENTS, lambda route: route.abort())  # nothing is anywhere but on this disk
    click(page, 1, 2, 6)
    client = (
        killed.browser.new_browser_cdp_session() if killed.browser else page.context.new_cdp_session(page)
    )
    processes = client.send("SystemInfo.getProcessInfo")["processInfo"]
    os.kill(next(each["id"] for each in processes if each["type"] == "browser"), signal.SIGKILL)
    with suppress(Exception):
        killed.close()
    assert selects(annotator) == 0
    again = persistent(playwright, tmp_path)
    try:
        page = again.new_page()
        page.goto(annotator.link)
        assert selected(page) == [1, 2, 6]
        assert selects(annotator) == 3
        submit(page)
    finally:
        again.close()


def persistent(playwright: Any, profile: Path) -> Any:
    return playwright.chromium.launch_persistent_context(profile, executable_path=CHROMIUM, args=ARGUMENTS)


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


@pytest.mark.parametrize("reached", [False, True])
def test_the_last_bit_is_sent_while_the_page_goes_away(birds, begin, contexts, reached):
    annotator, context = birds.annotator(), contexts()
    page = begin(annotator, context)
    if not reached:
        context.route(EVENTS, lambda route: route.abort())
    click(page, 0)
    page.goto("about:blank")
    if reached:
        wait(lambda: selects(annotator) == 1, page)
    context.unroute_all()
    page.goto(annotator.link)
    assert selected(page) == [0]
