"""The quality of all submitted pages of work, what the rules propose, and what was decided."""

from collections import Counter
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, select

from luab_collect.derive import page_result
from luab_collect.practice import practice_pages
from luab_collect.project import Project
from luab_collect.quality.facts import PageFacts, page_facts
from luab_collect.quality.figures import ProjectQuality, quality
from luab_collect.quality.rules import Proposal, proposals
from luab_collect.store import tables as t
from luab_collect.store.leases import REJECT
from luab_collect.store.results import StoredItem, known_items, standing, stored_work

Facts = MutableMapping[str, PageFacts]  # page of work -> its facts, which never change once it is submitted


@dataclass(frozen=True)
class Decision:
    """What a person decided; `id` is a pseudonym or the id of a page of work."""

    subject: str  # annotator, work
    id: str
    verdict: str
    reason: str
    by: str
    at: float  # epoch seconds
    submission: int | None = None  # about an annotator: of her work, the last submission that it covers


@dataclass(frozen=True)
class Review:
    """Everything that a decision can rest on.

    Attributes:
        quality: Of all submitted pages of work, but those that a person rejected.
        rejected: Number of rejected pages by annotator.
        proposals: Of the rules, without what a person has decided about: a page of work, or what an annotator
            had submitted by then.
        decisions: All of them, the newest last.
        gold_images: Number of images with a known answer.
        practiced: Of these, those that the practice shows, which are in no figure.
    """

    quality: ProjectQuality
    rejected: dict[str, int]
    proposals: list[Proposal]
    decisions: list[Decision]
    gold_images: int
    practiced: int

    def to_json(self) -> dict[str, Any]:
        """For a file, and for the admin's page."""
        return {
            "whole": self.quality.whole.to_json(),
            "agreement": asdict(self.quality.agreement),
            "annotators": {name: each.to_json() for name, each in self.quality.annotators.items()},
            "rejected": self.rejected,
            "proposals": [asdict(each) for each in self.proposals],
            "decisions": [asdict(each) for each in self.decisions],
            "gold": {"images": self.gold_images, "practiced": self.practiced},
        }


def read_review(connection: Connection, project: Project, known: Facts | None = None) -> Review:
    """The review of a project.

    Args:
        connection: To its database; its transaction sees one state of it.
        project: Its settings.
        known: Facts of earlier calls, to which new ones are added: each page is read once.
    """
    known = {} if known is None else known
    submitted = list(_submitted(connection))
    for work, _, _ in submitted:
        if work not in known:
            [stored] = stored_work(connection, identifier=work)
            known[work] = page_facts(page_result(stored))
    decided = list(decisions(connection))
    rejected = {work for work, verdict, _ in submitted if verdict == REJECT}
    kept = [known[work] for work, _, _ in submitted if work not in rejected]
    until = {each.id: each.submission or 0 for each in decided}  # by the last decision about each
    settled = {work for work, _, number in submitted if number <= until.get(known[work].annotator, 0)}
    images = known_items(connection)
    shown = _practiced(images, project)
    gold = {item.id: item.gold for item in images if item.gold is not None and item.id not in shown}
    figures = quality(kept, gold, len(project.classes), frozenset(settled))
    return Review(
        figures,
        dict(Counter(known[work].annotator for work in sorted(rejected))),
        [
            each
            for each in proposals(figures, project.settings.quality)
            if each.subject == "annotator" or each.id not in until
        ],
        decided,
        len(images),
        len(shown),
    )


def decisions(connection: Connection) -> Iterator[Decision]:
    """All decisions, in their order."""
    d, a = t.decisions.c, t.annotators.c
    query = (
        select(t.decisions, a.pseudonym)
        .select_from(t.decisions.outerjoin(t.annotators, a.id == d.annotator_id))
        .order_by(d.id)
    )
    for row in connection.execute(query):
        subject, identifier = ("work", row.work_id) if row.work_id else ("annotator", row.pseudonym)
        yield Decision(subject, identifier, row.verdict, row.reason, row.by, row.at, row.submission)


def decisions_about(connection: Connection, work: str, annotator: str) -> list[Decision]:
    """The decisions about a page of work, and those about its annotator that cover it or hold for all.

    Args:
        connection: To the database.
        work: Its id.
        annotator: Her pseudonym.
    """
    number = connection.execute(select(t.work.c.submission).where(t.work.c.id == work)).scalar()
    about = [each for each in decisions(connection) if each.id in (work, annotator)]
    last = max((at for at, each in enumerate(about) if each.subject == "annotator"), default=None)

    def holds(at: int, each: Decision) -> bool:
        if each.subject == "work" or (at == last and each.verdict == REJECT):
            return True
        return number is not None and (each.submission or 0) >= number

    return [each for at, each in enumerate(about) if holds(at, each)]


def _submitted(connection: Connection) -> Iterator[tuple[str, str | None, int]]:
    """Of each submitted page of work: its id, accept, reject or None, and the number of its submission."""
    w, a = t.work.c, t.annotators.c
    query = (
        select(w.id, w.verdict, w.submission, a.verdict.label("of_all"))
        .join(t.annotators, a.id == w.annotator_id)
        .where(w.state == "submitted", a.withdrawn.is_(None))
        .order_by(w.submission)
    )
    for row in connection.execute(query):
        yield row.id, standing(row.verdict, row.of_all), row.submission


def _practiced(images: Iterable[StoredItem], project: Project) -> set[str]:
    """Those images that the practice shows with their answers, so that they check nobody."""
    pages = practice_pages(images, project.task, project.class_names)
    return {item.id for page in pages for item in page.items}
