"""Show how well the work is done, what the rules propose to look at, and decide about it.

    luab collect review shop
    luab collect review shop --json review.json
    luab collect review shop --reject 0f3a91c2d4 --reason "clicks on the centers of all images"
    luab collect review shop --accept 0f3a91c2d4 --reason "looked at five pages: all fine"

ID is an annotator (10 hex digits) or a page of work (32). Nothing is rejected by itself: the rules, whose
thresholds are in project.yaml under `quality`, propose, and a person decides, with the reason kept. Rejected
work does not count and is not exported; its pages go to other annotators. A decision about an annotator
covers what she has submitted by then. Of several decisions that cover a page of work the last one holds. The
rules propose nothing that was decided about. The admin's page of `luab collect serve` replays each page of
work.
"""

from __future__ import annotations

import argparse
import getpass
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from luab_collect.store.decisions import Decided

ANNOTATOR_DIGITS, WORK_DIGITS = 10, 32


def add_options(options: argparse.ArgumentParser) -> None:
    """The command's options."""
    options.add_argument("project", type=Path, metavar="PROJECT", help="folder that `luab collect init` made")
    verdict = options.add_mutually_exclusive_group()
    verdict.add_argument("--accept", metavar="ID", help="accept an annotator's or a page's work")
    verdict.add_argument("--reject", metavar="ID", help="reject an annotator's or a page's work")
    options.add_argument("--reason", help="why; kept with the decision")
    options.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")


def run(given: argparse.Namespace) -> int:
    """Decides, or shows the review.

    Raises:
        SourceError: an id that is none; a decision without its reason.
    """
    from luab_collect.project import Project
    from luab_collect.review.review import read_review
    from luab_collect.review.text import full
    from luab_collect.store.opening import ProjectStore
    from luab_data.console.text import counted
    from luab_data.errors import SourceError
    from luab_data.files.whole import write_json

    decided = given.accept or given.reject
    if (decided is None) != (given.reason is None):
        raise SourceError("--reason belongs to --accept or --reject, and each needs one.")
    store = ProjectStore(Project.read(given.project))
    try:
        if decided is not None:
            verdict = "accept" if given.accept else "reject"
            with store.writing() as connection:
                covered = _decide(connection, decided, verdict, given.reason)
            undone = f", of which {covered.undone:,} decided otherwise before" if covered.undone else ""
            print(f"{verdict}: {decided} ({counted(covered.pages, 'page')} of work{undone})")
            return 0
        with store.reading() as connection:
            review = read_review(connection, store.project)
    finally:
        store.close()
    print("\n".join(full(review)))
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(given.json, review.to_json())
        print(f"\nall figures in {given.json}")
    return 0


def _decide(connection: Connection, identifier: str, verdict: str, reason: str) -> Decided:
    from luab_collect.store.decisions import decide
    from luab_collect.store.refusals import Refusal
    from luab_data.errors import SourceError

    subject = {ANNOTATOR_DIGITS: "annotator", WORK_DIGITS: "work"}.get(len(identifier))
    if subject is None:
        raise SourceError(
            f"--{verdict} {identifier!a}: an annotator has {ANNOTATOR_DIGITS} hex digits, a page of work "
            f"{WORK_DIGITS}; `luab collect review` lists them."
        )
    try:
        about = {subject: identifier}
        return decide(
            connection, verdict=verdict, reason=reason, by=getpass.getuser(), now=time.time(), **about
        )
    except Refusal as error:
        raise SourceError(f"--{verdict} {identifier!a}: {error.reason}.") from error
