"""Remove an annotator who withdraws: her events, her work, and who she is.

    luab collect withdraw shop Ann            says what there is of her
    luab collect withdraw shop Ann --yes      removes it

A name that several annotators have is refused, because whoever comes by an address with parameters chooses
her own id. --by says what the name is; then it is one annotator's.

Her pages go to other annotators. What stays is that this pseudonym has withdrawn, and the completion codes by
which she was paid. Datasets that were exported before still hold her work: export anew. So do backups.
"""

import argparse
from pathlib import Path

from luab_collect.platforms import CALLED_BY


def add_options(options: argparse.ArgumentParser) -> None:
    """The command's options."""
    options.add_argument("project", type=Path, metavar="PROJECT", help="folder that `luab collect init` made")
    options.add_argument(
        "annotator",
        metavar="ANNOTATOR",
        help="pseudonym (10 hex digits), name of a link, or id at the platform",
    )
    options.add_argument(
        "--by",
        choices=CALLED_BY,
        help="what ANNOTATOR is: a pseudonym, the name of a link, or an id at Prolific or at the platform of "
        "`url` (default: any of them, if only one annotator has it)",
    )
    options.add_argument("--yes", action="store_true", help="remove it; without, only say what there is")


def run(given: argparse.Namespace) -> int:
    """Removes an annotator's data, or says what there is; then 1.

    Raises:
        SourceError: there is no such annotator, or several.
    """
    from luab_collect.project import Project
    from luab_collect.store import retention
    from luab_collect.store.opening import ProjectStore
    from luab_data.console.text import counted, printable
    from luab_data.errors import SourceError

    store = ProjectStore(Project.read(given.project))
    try:
        with store.writing() as connection:
            several = retention.find(connection, store.secret, given.annotator, given.by)
            name = printable(given.annotator)
            if not several:
                raise SourceError(f"there is no annotator {name!r}: `luab collect status` lists pseudonyms.")
            if len(several) > 1:
                who = ", ".join(f"{each.pseudonym} ({each.platform})" for each in several)
                raise SourceError(
                    f"{name!r} may be {len(several)} annotators: {who}. Nothing was removed. Say which one, "
                    f"such as {several[0].pseudonym} --by pseudonym."
                )
            [found] = several
            who = f"{found.pseudonym} ({found.platform})"
            pages, batches = counted(found.pages, "page"), counted(found.batches, "batch", "batches")
            what = f"{pages} of work and {batches} of events"
            if not given.yes:
                print(f"{who}: {what}. Nothing was removed: --yes removes it.")
                return 1
            retention.withdraw(connection, found.annotator, store.clock())
        store.compact()
        print(f"{who}: {what} removed, with all that says who this is.")
        return 0
    finally:
        store.close()
