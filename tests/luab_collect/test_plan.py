"""Pages of work: each target once, roles by their shares, the same for the same seed."""

from collections import Counter
from dataclasses import replace

import pytest
from test_items import project

from luab_collect.items import ProjectItem, item_id
from luab_collect.plan import plan_lines, plan_pages
from luab_data.errors import SourceError


def items(number, *classes, gold=None, prefix=""):
    files = [f"{prefix}{'-'.join(classes)}{n}.jpg" for n in range(number)]
    return [ProjectItem(item_id(file), file, "0" * 64, 8, 6, classes, gold) for file in files]


@pytest.fixture
def made(tmp_path):
    def make(task="select", classes=("cat", "dog", "car"), **settings):
        (tmp_path / "photos").mkdir(exist_ok=True)
        return project(tmp_path, task, classes, **settings)

    return make


def roles(page):
    return Counter(entry.role for entry in page.items)


def test_each_target_is_on_one_page_of_its_class(made):
    everything = [*items(100, "cat"), *items(75, "dog"), *items(1, "car")]
    pages = plan_pages(made(), everything)
    by_id = {item.id: item for item in everything}
    asked = Counter(
        (entry.item, page.class_name) for page in pages for entry in page.items if entry.role == "target"
    )
    assert asked == Counter((item.id, item.classes[0]) for item in everything)
    for page in pages:
        assert len({entry.item for entry in page.items}) == len(page.items) <= 48
        for entry in page.items:
            assert (entry.role == "target") == (page.class_name in by_id[entry.item].classes)
    assert [page.number for page in pages] == list(range(len(pages)))


def test_a_full_page_has_the_shares_of_the_settings(made):
    shown, absent = {"cat": ((0.0, 0.0, 1.0, 1.0),)}, {"cat": None}
    gold = [*items(4, gold=shown, prefix="yes"), *items(4, gold=absent, prefix="no")]
    pages = plan_pages(made(), [*items(360, "cat"), *items(300, "dog"), *gold])
    cats = [page for page in pages if page.class_name == "cat"]
    assert len(cats) == 10
    assert all(roles(page) == {"target": 36, "distractor": 7, "gold": 5} for page in cats)
    used = Counter(entry.item for page in cats for entry in page.items if entry.role == "gold")
    assert set(used) == {item.id for item in gold} and max(used.values()) - min(used.values()) <= 1
    assert not any(roles(page)["gold"] for page in pages if page.class_name == "dog")


def known(item, **gold):
    return replace(item, gold=gold)


@pytest.mark.parametrize("shares", [{}, {"shares": {"target": 0.9, "distractor": 0.1, "gold": 0.0}}])
def test_a_candidate_whose_answer_is_known_is_asked_about_too(made, shares):
    """Also where the gold images are many more than their share, or all there are of a class."""
    cats = [known(item, cat=()) if at < 60 else item for at, item in enumerate(items(100, "cat"))]
    dogs = [known(item, dog=None if at % 2 else ()) for at, item in enumerate(items(20, "dog"))]
    pages = plan_pages(made(**shares), [*cats, *dogs])
    asked = Counter((entry.item, page.class_name) for page in pages for entry in page.items)
    assert all(asked[item.id, item.classes[0]] >= 1 for item in (*cats, *dogs))
    with_answer = {item.id for item in (*cats, *dogs) if item.gold}
    for page in pages:
        assert len({entry.item for entry in page.items}) == len(page.items) <= 48
        assert all(entry.role != "target" or entry.item not in with_answer for entry in page.items)
    assert [roles(page)["gold"] for page in pages if page.class_name == "dog"] == [20]
    assert len(pages) == 4 and min(roles(page)["target"] for page in pages if page.class_name == "cat") >= 1


def test_gold_images_that_fit_their_share_change_no_page(made):
    """Three gold candidates of 400, and five places for gold on each of ten pages."""
    cats = [known(item, cat=()) if at < 3 else item for at, item in enumerate(items(400, "cat"))]
    pages = plan_pages(made(), [*cats, *items(100, "dog")])
    shown = [roles(page) for page in pages if page.class_name == "cat"]
    assert sum(each["target"] for each in shown) == 397 and {each["gold"] for each in shown} == {3}


def test_gold_images_of_no_page_are_said(made):
    cats, gold = items(30, "cat"), items(20, gold={"cat": None}, prefix="gold")
    everything = [*cats, *gold]
    lines = plan_lines(plan_pages(made(), everything), everything, 1)
    assert lines[-1].startswith("16 gold images on no page: candidates of no class")
    assert len(plan_lines(plan_pages(made(), cats), cats, 1)) == 2


def test_distractors_are_of_confusable_classes(made):
    classes = ({"name": "cat", "confusable": ("dog",)}, "dog", "car")
    everything = [*items(60, "cat"), *items(20, "dog"), *items(200, "car"), *items(5, "cat", "dog")]
    pages = plan_pages(made(classes=classes), everything)
    by_id = {item.id: item for item in everything}
    for page in pages:
        for entry in page.items:
            if page.class_name == "cat" and entry.role == "distractor":
                assert by_id[entry.item].classes == ("dog",)


def test_the_same_seed_gives_the_same_pages_and_another_gives_others(made):
    everything = [*items(100, "cat"), *items(100, "dog")]
    assert plan_pages(made(seed=3), everything) == plan_pages(made(seed=3), everything)
    assert plan_pages(made(seed=3), everything) != plan_pages(made(seed=4), everything)


def test_positions_and_pages_are_mixed(made):
    pages = plan_pages(made(), [*items(400, "cat"), *items(400, "dog")])
    assert len({page.class_name for page in pages[:6]}) == 2
    places = [at for page in pages for at, entry in enumerate(page.items) if entry.role == "distractor"]
    assert min(places) < 5 and max(places) > 42


def test_a_class_with_few_images_is_not_buried_in_others(made):
    page = next(
        p for p in plan_pages(made(), [*items(2, "cat"), *items(500, "dog")]) if p.class_name == "cat"
    )
    assert roles(page) == {"target": 2, "distractor": 1}


def test_place_has_one_image_a_page_and_gold_comes_back(made):
    gold = items(2, gold={"cat": ()}, prefix="gold")
    pages = plan_pages(made("place"), [*items(90), *gold])
    shown = Counter(entry.item for page in pages for entry in page.items)
    assert all(len(page.items) == 1 and page.class_name is None for page in pages)
    assert len(pages) == 100 and [shown[item.id] for item in gold] == [5, 5]
    assert len(plan_pages(made("place"), [*items(3), *gold])) == 5  # each gold image at least once


def test_a_class_that_was_renamed_after_the_start_is_named(made):
    with pytest.raises(SourceError, match="classes lacks dog, which images of this project are asked about"):
        plan_pages(made(classes=("cat", "dogs")), [*items(3, "cat"), *items(3, "dog")])


def test_nothing_to_ask_is_an_error(made):
    with pytest.raises(SourceError, match="nothing is asked about any of its 3 images"):
        plan_pages(made(), items(3, gold={"cat": None}))
