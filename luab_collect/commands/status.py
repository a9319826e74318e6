"""Show how far a project is: pages, pace, annotators, events.

luab collect status shop
luab collect status shop --json        for programs
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

SHOWN_ANNOTATORS = 20


def add_options(options: argparse.ArgumentParser) -> None:
    """The command's options."""
    options.add_argument("project", type=Path, metavar="PROJECT", help="folder that `luab collect init` made")
    options.add_argument("--json", action="store_true", help="print everything as JSON")


def run(given: argparse.Namespace) -> int:
    """Prints the figures.

    Raises:
        SourceError: the project or its database cannot be read.
    """
    import json

    from luab_collect.project import Project
    from luab_collect.review.review import read_review
    from luab_collect.review.text import summary
    from luab_collect.store.opening import ProjectStore
    from luab_collect.store.progress import progress

    store = ProjectStore(Project.read(given.project))
    try:
        with store.reading() as connection:
            figures = progress(connection, store.rules, store.clock())
            review = read_review(connection, store.project)
    finally:
        store.close()
    if given.json:
        print(json.dumps({**figures, "review": review.to_json()}, indent=1))
    else:
        print("\n".join([*lines(figures), *(f"quality         {line}" for line in summary(review))]))
    return 0


def _blank(figures: dict[str, Any]) -> list[str]:
    """What to do where images did not come."""
    from luab_data.console.text import counted

    if not figures["blank"]:
        return []
    told = [f"                of {figures['blank']:,} of them no image came in the browser: others get them"]
    if stopped := figures["blank_pages"]:
        told.append(
            f"                {counted(stopped, 'page')} nobody gets any more: several saw no image of it; "
            "see to the images, then reject that work"
        )
    return told


def lines(figures: dict[str, Any]) -> list[str]:
    """The figures as text."""
    from luab_data.console.text import counted

    wanted, done = figures["wanted"], figures["submitted"]
    share = f" ({done / wanted:.0%})" if wanted else ""
    pace, left = figures["pace"], figures["left_hours"]
    events = figures["events"]
    beyond = f", {figures['beyond']:,} beyond the overlap" if figures["beyond"] else ""
    each = f", {events['bytes'] / events['events']:.1f} bytes an event" if events["events"] else ""
    told = [
        f"pages of work   {done:,} of {wanted:,}{share}: {figures['pages']:,} pages x {figures['overlap']}",
        f"                {figures['leased']:,} at work, {figures['returned']:,} left unfinished, "
        f"{figures['not_counted']:,} submitted that do not count{beyond}",
        *_blank(figures),
        f"pace            {pace['last_hour']:,} in the last hour, {pace['last_day']:,} in the last day"
        + (f"; about {left:,.0f} hours left" if left is not None and done < wanted else ""),
        f"events          {events['events']:,} ({events['bytes'] / 1e6:,.1f} MB{each}), "
        f"{counted(figures['conflicts'], 'conflict')}",
        f"assignments     {figures['assignments_complete']:,} complete",
        f"annotators      {len(figures['annotators']):,}",
    ]
    for one in figures["annotators"][:SHOWN_ANNOTATORS]:
        note = ", withdrew" if one["withdrawn"] else ", excluded" if one["verdict"] == "reject" else ""
        told.append(f"  {one['annotator']}    {counted(one['submitted'], 'page')} ({one['platform']}){note}")
    if len(figures["annotators"]) > SHOWN_ANNOTATORS:
        told.append(f"  and {len(figures['annotators']) - SHOWN_ANNOTATORS:,} more: --json lists all")
    return told
