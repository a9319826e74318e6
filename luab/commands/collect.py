"""Collect labels, clicks and mouse traces of your own: from a folder of images to a dataset that trains.

    luab collect init shop --task select --images photos --classes classes.txt
    luab collect serve shop
    luab collect status shop
    luab collect review shop
    luab collect export shop --out data/shop
    luab train --dataset data/shop ...

`shop` is the project's folder. Its `project.yaml` holds all settings; images stay where they are.
"""

from __future__ import annotations

import sys

from luab_data.console.boundary import guarded
from luab_data.console.text import did_you_mean, printable


def usage() -> str:
    """The text of `luab collect --help`."""
    from luab_collect.commands import commands

    known = commands()
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in known.items()]
    closing = "`luab collect COMMAND --help` lists a command's options."
    return "\n".join([f"usage: luab collect COMMAND PROJECT ...\n\n{__doc__}", *lines, "", closing])


@guarded("luab collect")
def main(argv: list[str]) -> int:
    """Run one of the commands; return the exit status (2: unknown command)."""
    from luab_collect.commands import commands, run

    if argv[:1] in (["-h"], ["--help"]):
        print(usage())
        return 0
    known = commands()
    if not argv or argv[0] not in known:
        if argv:
            problem = f"there is no command {printable(argv[0])!r}{did_you_mean(argv[0], known)}"
            print(f"luab collect: {problem}\n", file=sys.stderr)
        print(usage(), file=sys.stderr)
        return 2
    return run(argv[0], argv[1:])
