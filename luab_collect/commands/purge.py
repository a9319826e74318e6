"""Forget who annotators are outside, after a time without a sign of life from them.

    luab collect purge shop --older-than 90     days

Removes platforms' ids, names of links and sessions. Pseudonyms, work and events stay. Without --older-than it
takes `retention_days` of project.yaml. For a daily job.
"""

import argparse
from pathlib import Path


def add_options(options: argparse.ArgumentParser) -> None:
    """The command's options."""
    options.add_argument("project", type=Path, metavar="PROJECT", help="folder that `luab collect init` made")
    options.add_argument(
        "--older-than",
        type=float,
        metavar="DAYS",
        help="days since the last sign of life (default: retention_days)",
    )


def run(given: argparse.Namespace) -> int:
    """Removes, and says how much.

    Raises:
        SourceError: the number of days is missing or not one.
    """
    from luab_collect.project import Project
    from luab_collect.store.opening import ProjectStore
    from luab_collect.store.retention import purge
    from luab_data.errors import SourceError

    project = Project.read(given.project)
    days = given.older_than if given.older_than is not None else project.retention_days
    if days is None:
        raise SourceError(
            "after how many days? Give --older-than DAYS, or set retention_days in project.yaml."
        )
    if not 0 <= days <= 36_500:
        raise SourceError(f"--older-than is {days:g}; allowed are 0 to 36500 days.")
    store = ProjectStore(project)
    try:
        with store.writing() as connection:
            removed = purge(connection, days, store.clock())
        store.compact()
    finally:
        store.close()
    names = {"outside_ids": "ids of platforms", "links": "links with names"}
    print("removed: " + ", ".join(f"{number:,} {names.get(name, name)}" for name, number in removed.items()))
    return 0
