"""Several tabs, computers and browsers of one annotator: one writes, and each goes on where she was."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fixtures.annotating import ARGUMENTS, CHROMIUM, images_shown, make_project, served, wait
from fixtures.paging import (
    EVENTS,
    PHONE,
    SUBMIT,
    center,
    chip,
    click,
    drag,
    journal,
    selected,
    selects,
    spot,
    submit,
)

from luab_collect.derive import page_result
from luab_collect.store import leases, people
from luab_collect.store import tables as t
from luab_collect.store import work as works


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


def test_a_tab_that_lost_its_turn_while_it_took_the_page_over_stays_out(birds, contexts):
    annotator, context = birds.annotator(), contexts()
    first, held = reading_instructions(annotator, context), []
    first.route("**/api/work/*/epochs", lambda route: held.append(route))
    first.get_by_role("button", name="Start").click()
    wait(lambda: held, first)
    second = context.new_page()
    second.goto(annotator.link)
    second.get_by_role("button", name="Go on here").click()
    second.get_by_role("button", name="Start").click()
    images_shown(second)
    click(second, 1)
    with suppress(Exception):
        held[0].continue_()  # too late
    first.bring_to_front()
    first.wait_for_timeout(1500)  # it does not try again either
    assert first.get_by_role("button", name="Go on here").is_visible()
    second.bring_to_front()
    click(second, 2)
    submit(second)
    assert list(annotator.works()[0].events) == [1] and selects(annotator) == 2


def test_images_that_are_missing_in_some_tabs_and_come_in_the_last_were_seen(birds, begin, contexts):
    annotator, context = birds.annotator(), contexts()
    context.route("**/media/*", lambda route: route.abort())
    first = begin(annotator, context)
    first.wait_for_selector(".picture.is-given-up >> nth=11")
    first.reload()
    first.wait_for_selector(".picture.is-given-up >> nth=11")
    second = context.new_page()
    second.goto(annotator.link)
    second.get_by_role("button", name="Go on here").click()
    second.wait_for_selector(".picture.is-given-up >> nth=11")
    first.wait_for_selector("h1:has-text('another tab')")
    context.unroute("**/media/*")
    first.get_by_role("button", name="Go on here").click()
    first.bring_to_front()
    click(first, 3)
    submit(first)
    work = annotator.works()[0]
    missing = [epoch for epoch, events in work.events.items() if any(e.kind == "missing" for e in events)]
    assert (missing, work.state) == ([1, 2, 3], "submitted")
    assert all(item.loaded for item in page_result(work).items)


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


def test_two_computers_at_once_keep_what_is_shown(birds, begin, contexts):
    annotator = birds.annotator()
    phone = begin(annotator, **PHONE)
    click(phone, 0)
    wait(lambda: selects(annotator) == 1, phone)
    desk = contexts().new_page()
    desk.goto(annotator.link)
    assert selected(desk) == [0]
    click(phone, 1)  # the desk does not show it
    phone.wait_for_selector("h1:has-text('another device')")
    click(desk, 2)
    submit(desk)
    result = page_result(annotator.works()[0])
    assert [number for number, item in enumerate(result.items) if item.selected] == [0, 2]
    phone.get_by_role("button", name="Go on here").click()
    phone.wait_for_selector(".progress:has-text('Page 2')")
    images_shown(phone)
    desk.locator(".tile").first.click()
    desk.wait_for_selector("h1:has-text('another device')")


def reading_instructions(annotator: Any, context: Any) -> Any:
    page = context.new_page()
    page.goto(annotator.link)
    page.get_by_role("button", name="Start").wait_for()
    return page


def test_a_computer_that_opened_the_page_earlier_shows_what_was_selected_since(birds, begin, contexts):
    annotator = birds.annotator()
    desk = reading_instructions(annotator, contexts())
    phone = begin(annotator, **PHONE)
    click(phone, 0)
    wait(lambda: selects(annotator) == 1, phone)
    desk.get_by_role("button", name="Start").click()
    assert selected(desk) == [0]
    images_shown(desk)
    click(desk, 2)
    submit(desk)
    result = page_result(annotator.works()[0])
    assert [number for number, item in enumerate(result.items) if item.selected] == [0, 2]


def test_a_page_that_another_computer_has_submitted_since_is_followed_by_the_next(birds, begin, contexts):
    annotator = birds.annotator()
    desk = reading_instructions(annotator, contexts())
    phone = begin(annotator, **PHONE)
    click(phone, 1)
    submit(phone)
    desk.get_by_role("button", name="Start").click()
    desk.wait_for_selector(".progress:has-text('Page 2')")
    assert selected(desk) == []


def test_icons_of_a_computer_that_opened_the_page_earlier_have_numbers_of_their_own(things, begin, contexts):
    annotator = things.annotator()
    desk = reading_instructions(annotator, contexts())
    laptop = begin(annotator)
    drag(laptop, center(chip(laptop, "cat")), spot(laptop, 0.2, 0.2))
    wait(lambda: "add" in annotator.kinds(), laptop)
    desk.get_by_role("button", name="Start").click()
    desk.wait_for_selector(".pin:not(.ghost)")
    images_shown(desk)
    drag(desk, center(chip(desk, "dog")), spot(desk, 0.8, 0.8))
    wait(lambda: annotator.kinds().count("add") == 2, desk)
    (item,) = page_result(annotator.works()[0]).items
    placed = [(icon.icon, icon.label, *(round(each, 1) for each in icon.place)) for icon in item.icons]
    assert placed == [(1, "cat", 0.2, 0.2), (2, "dog", 0.8, 0.8)]


def test_another_annotators_link_in_the_same_tab_is_hers(birds, begin, contexts):
    ann, ben = birds.annotator(), birds.annotator()
    page = begin(ann)
    click(page, 0)
    page.evaluate("location.hash = '#main'")  # nobody's
    click(page, 1)
    page.goto(ben.link)  # as typed into the address: it loads nothing by itself
    page.get_by_role("button", name="Start").click()
    assert selected(page) == []
    images_shown(page)
    click(page, 3)
    submit(page)
    assert (selects(ann), selects(ben)) == (2, 1)


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


def goes_to_another(running: Any) -> None:
    """Her page of work took her too long, and is another annotator's now."""
    store = running.studio.store
    with store.writing() as connection:
        leases.give_back(connection, t.work.c.state == "leased")
        other = people.annotator_of(connection, store.secret, "link", "another one", 1.0)
        assert works.where(connection, other.id, None, store.rules, time.time()).work is not None


def test_what_another_page_of_work_left_is_sent_too(begin, contexts, tmp_path):
    with served(make_project(tmp_path / "shop", "select", 6, overlap=1)) as running:
        annotator, context = running.annotator(), contexts()
        page = begin(annotator, context)
        context.route(EVENTS, lambda route: route.abort())
        click(page, 0)
        goes_to_another(running)
        context.unroute_all()
        page.reload()
        page.get_by_role("button", name="Start").click()
        page.wait_for_selector(".tile")
        wait(lambda: selects(annotator) == 1, page)
        assert [work.state for work in annotator.works()] == ["returned", "leased"]
        wait(lambda: not any(kind == "select" for _, _, kind in journal(page)), page)


@pytest.mark.parametrize("cut", [(EVENTS, SUBMIT), (SUBMIT,)], ids=["no event came", "all events came"])
@pytest.mark.parametrize(
    ("pages", "then"),
    [(2, ".progress:has-text('Page 2')"), (1, ".code")],
    ids=["another page is left", "no page is left"],
)
def test_a_page_that_was_finished_counts_also_if_another_annotator_has_got_it(
    begin, contexts, tmp_path, pages, then, cut
):
    settings = {"overlap": 1, "images_per_page": 3, "pages_per_hit": pages}
    with served(make_project(tmp_path / "shop", "select", 3 * pages, **settings)) as running:
        annotator, context = running.annotator(), contexts()
        page = begin(annotator, context)
        for address in cut:
            context.route(address, lambda route: route.abort())
        click(page, 0)
        page.locator(".bar .primary").click()
        wait(lambda: any(kind == "submit" for _, _, kind in journal(page)), page)
        if EVENTS not in cut:
            wait(lambda: "submit" in annotator.kinds(), page)
        goes_to_another(running)
        context.unroute_all()
        page.reload()
        page.wait_for_selector(then)
        first = annotator.works()[0]
        assert first.state == "submitted"
        assert [item.selected for item in page_result(first).items] == [True, False, False]
        assert all(epoch != 1 or kind != "submit" for epoch, _, kind in journal(page))
