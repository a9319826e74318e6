"""The review: figures of what was collected, proposals, decisions."""

import json

import pytest
from fixtures.shops import Running, page_events
from fixtures.trials import make_trial

from luab_collect.commands import run
from luab_collect.export.run import Exported
from luab_collect.project import Project
from luab_collect.review.review import decisions_about, read_review
from luab_collect.review.text import summary, table
from luab_collect.store.opening import ProjectStore
from luab_collect.store.results import stored_work
from luab_data.errors import SourceError


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """A project whose pages five annotators did, one of them a program."""
    shop = make_trial(tmp_path_factory.mktemp("review"), overlap=3)
    assert run("simulate", [str(shop), "--annotators", "5", "--bots", "0.2", "--no-images"]) == 0
    return shop


def review_of(shop, known=None):
    store = ProjectStore(Project.read(shop))
    with store.reading() as connection:
        found = read_review(connection, store.project, known)
    store.close()
    return found


def test_the_program_is_proposed_and_a_decision_settles_it(worked, capsys, tmp_path):
    before = review_of(worked)
    bots = {each.annotator for each in before.proposals if each.rule == "untrusted"}
    assert len(bots) == 1
    [bot] = bots
    assert before.quality.annotators[bot].replayed > 0
    others = {name: each for name, each in before.quality.annotators.items() if name != bot}
    assert others and all(each.untrusted == each.replayed == 0 for each in others.values())
    assert before.quality.agreement.units > 0

    file = tmp_path / "out" / "review.json"
    assert run("review", [str(worked), "--json", str(file)]) == 0
    shown = capsys.readouterr().out
    assert f"annotator {bot}: untrusted" in shown and "Krippendorff's alpha" in shown
    assert json.loads(file.read_text())["annotators"].keys() == before.quality.annotators.keys()

    pages = before.quality.annotators[bot].pages
    assert run("review", [str(worked), "--reject", bot, "--reason", "a program <b>"]) == 0
    after = review_of(worked)
    assert after.rejected == {bot: pages} and bot not in after.quality.annotators
    assert after.quality.whole.pages == before.quality.whole.pages - pages
    assert bot not in {each.id for each in after.proposals}
    assert [(each.subject, each.id, each.verdict, each.reason) for each in after.decisions] == [
        ("annotator", bot, "reject", "a program <b>")
    ]
    assert any(line.startswith(bot) and "rejected" in line for line in table(after))

    assert run("review", [str(worked), "--accept", bot, "--reason", "on second thoughts"]) == 0
    assert review_of(worked).quality.whole.pages == before.quality.whole.pages


def test_a_page_of_work_is_decided_alone(worked):
    before = review_of(worked)
    work, figures = next(iter(before.quality.pages.items()))
    assert figures.pages == 1
    run("review", [str(worked), "--reject", work, "--reason", "blurred"])
    after = review_of(worked)
    assert work not in after.quality.pages and sum(after.rejected.values()) == 1
    run("review", [str(worked), "--accept", work, "--reason", "not so"])


def test_work_after_a_decision_is_looked_at_again(tmp_path):
    running = Running(tmp_path / "shop", images=18, pages_per_hit=6)  # 6 pages

    def proposed():
        with running.store.reading() as connection:
            review = read_review(connection, running.store.project)
        return [(each.subject, each.id, each.reason) for each in review.proposals if each.rule == "untrusted"]

    with running.client:
        (ann,) = running.annotators("Ann")
        ann.finish(trusted=False)
        [(subject, who, reason)] = proposed()
        assert (subject, who) == ("annotator", ann.pseudonym) and reason.startswith("7 events")
        running.decide("accept", annotator=who)
        assert proposed() == []  # nor is the page that was looked at
        ann.finish()
        assert proposed() == []
        for _ in range(2):
            later = ann.finish(trusted=False)["work"]
        [(subject, who, reason)] = proposed()
        assert (subject, who) == ("annotator", ann.pseudonym)
        assert reason.startswith("14 events") and reason.endswith("(3 pages since the last decision)")
        running.decide("accept", work=later)  # a page alone: the others are still to be looked at
        assert [(subject, who) for subject, who, _ in proposed()] == [("annotator", ann.pseudonym)]
        running.decide("accept", annotator=who)
        assert proposed() == []


def exported(store, accepted_only=False):
    with store.reading() as connection:
        pages = Exported(stored_work(connection), accepted_only)
        list(pages)
    return {name: number for name, number in pages.counts.items() if number and name != "submitted"}


def test_an_accept_covers_what_was_submitted_by_then(tmp_path):
    running = Running(tmp_path / "shop", images=18, pages_per_hit=6)
    with running.client:
        (ann,) = running.annotators("Ann")
        ann.finish()
        running.decide("accept", annotator=ann.pseudonym)
        running.clock.now -= 1e6  # a clock that is set back changes nothing
        for _ in range(3):
            ann.finish(trusted=False)
        assert exported(running.store, accepted_only=True) == {"exported": 1, "undecided, left out": 3}
        assert exported(running.store) == {"exported": 4}
        with running.store.reading() as connection:
            review = read_review(connection, running.store.project)
        assert "(3 pages since the last decision)" in review.proposals[0].reason
        running.decide("accept", annotator=ann.pseudonym)
        assert exported(running.store, accepted_only=True) == {"exported": 4}


def test_the_last_decision_that_covers_a_page_holds(tmp_path):
    running = Running(tmp_path / "shop", images=9, pages_per_hit=3)
    with running.client:
        (ben,) = running.annotators("Ben")
        first, _ = ben.finish()["work"], ben.finish()
        ben.begin()
        assert running.decide("reject", annotator=ben.pseudonym) == (2, 0)
        assert exported(running.store) == {"rejected": 2}
        assert running.decide("accept", work=first) == (1, 1)
        assert exported(running.store) == {"exported": 1, "rejected": 1}
        assert running.taken() == [1, 0, 0]  # neither the rejected page nor the one at work
        assert running.decide("reject", work=first) == (1, 1)
        assert exported(running.store) == {"rejected": 2}
        assert running.decide("accept", annotator=ben.pseudonym) == (2, 2)
        assert exported(running.store, accepted_only=True) == {"exported": 2}
        assert running.taken() == [1, 1, 1]


def test_a_page_lists_the_decisions_that_cover_it_and_a_standing_reject(tmp_path):
    running = Running(tmp_path / "shop", images=18, pages_per_hit=6)
    with running.client:
        (ann,) = running.annotators("Ann")
        first = ann.finish()["work"]
        running.decide("accept", annotator=ann.pseudonym)
        second = ann.finish()["work"]
        running.decide("reject", work=second)
        third = ann.begin()[0]["work"]

        def listed():
            with running.store.reading() as connection:
                about = [decisions_about(connection, work, ann.pseudonym) for work in (first, second, third)]
            return [[(each.subject, each.verdict) for each in one] for one in about]

        hers, page = ("annotator", "accept"), ("work", "reject")
        assert listed() == [[hers], [page], []]
        running.decide("reject", annotator=ann.pseudonym)
        reject = ("annotator", "reject")  # she gets no more work, and what she still submits is rejected
        assert listed() == [[hers, reject], [page, reject], [reject]]
        running.decide("accept", annotator=ann.pseudonym)
        assert listed() == [[hers, reject, hers], [page, reject, hers], []]


def test_work_that_comes_after_a_reject_is_rejected(tmp_path):
    running = Running(tmp_path / "shop")
    with running.client:
        (ben,) = running.annotators("Ben")
        page, base, epoch = ben.begin()
        assert running.decide("reject", annotator=ben.pseudonym) == (0, 0)
        events = page_events(page["items"][0]["id"])
        ben.send(base, epoch, events)
        assert ben.post(f"{base}/submit", {"epoch": epoch, "last_seq": len(events)}).status_code == 200
        assert exported(running.store) == {"rejected": 1}
        assert running.decide("accept", annotator=ben.pseudonym) == (1, 1)
        assert exported(running.store, accepted_only=True) == {"exported": 1}


def test_pages_are_read_once(worked, monkeypatch):
    known = {}
    first = review_of(worked, known)
    assert set(known) == set(first.quality.pages)
    monkeypatch.setattr("luab_collect.review.review.stored_work", None)
    assert review_of(worked, known) == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--reject", "0f3a91c2d4"], "--reason belongs to"),
        (["--reason", "why"], "--reason belongs to"),
        (["--reject", "abc", "--reason", "why"], "an annotator has 10 hex digits, a page of work 32"),
        (["--reject", "0" * 10, "--reason", "why"], "there is no such annotator"),
        (["--accept", "'; DROP TABLE work; --012345678901", "--reason", "why"], "10 hex digits|no such"),
        (["--accept", "0" * 32, "--reason", "why"], "no such submitted page"),
        (["--reject", "0" * 32, "--reason", " "], "needs its reason"),
    ],
)
def test_wrong_decisions_are_refused(worked, options, message):
    with pytest.raises(SourceError, match=message):
        run("review", [str(worked), *options])


def test_a_project_without_work_has_a_review(tmp_path, capsys):
    shop = make_trial(tmp_path)
    assert run("review", [str(shop)]) == 0
    assert "No page of work was submitted yet." in capsys.readouterr().out
    assert summary(review_of(shop))[0].startswith("gold recall -")


def test_a_project_without_gold_has_no_word_of_the_practice(tmp_path):
    running = Running(tmp_path / "shop")
    with running.client, running.store.reading() as connection:
        review = read_review(connection, running.store.project)
    assert review.practiced == review.gold_images == 0 and "practice" not in "".join(summary(review))
