"""Annotators: make, list and revoke links of your own; list and check completion codes.

    luab collect people shop add Ann Ben           prints a link for each; a new link ends the earlier one
    luab collect people shop list
    luab collect people shop revoke Ann            ends her link and sessions; her work stays
    luab collect people shop codes                 completion codes: whose, since when, for how many pages
    luab collect people shop codes CODE CODE       whether they are true
    luab collect people shop codes --json          for programs

A link is shown once: the database holds only its hash. Who has it works under that name, so send each link to
one person. Names stay in a table that no export reads. A code belongs to one complete assignment, also if its
work was rejected or withdrawn; a code that is not listed was not made here. An assignment is complete with
fewer pages than were planned where no more are left for her.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luab_collect.store.opening import ProjectStore

ACTIONS = ("add", "list", "revoke", "codes")
WHAT = {"add": "names", "list": "no names", "revoke": "names"}
ADDRESS = "http://127.0.0.1:8000"


def add_options(options: argparse.ArgumentParser) -> None:
    """The command's options."""
    options.add_argument("project", type=Path, metavar="PROJECT", help="folder that `luab collect init` made")
    options.add_argument("action", choices=ACTIONS, metavar="ACTION", help=", ".join(ACTIONS))
    options.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="people, for add and revoke; completion codes to check, for codes",
    )
    options.add_argument(
        "--address",
        default=ADDRESS,
        help="what annotators' browsers call the server, as https://lab.example.org (default: %(default)s)",
    )
    options.add_argument("--json", action="store_true", help="codes: print all as JSON")


def run(given: argparse.Namespace) -> int:
    """Prints links, the list or codes; 1: a name to revoke or a code is not there.

    Raises:
        SourceError: names are missing, too many, or no names.
    """
    from luab_collect.project import Project
    from luab_collect.store.opening import ProjectStore
    from luab_data.errors import SourceError

    wanted = WHAT.get(given.action)
    if wanted is not None and bool(given.names) != (wanted == "names"):
        raise SourceError(f"{given.action} takes {wanted}: luab collect people {given.project} add Ann Ben")
    if given.json and given.action != "codes":
        raise SourceError(f"--json belongs to codes: luab collect people {given.project} codes --json")
    if given.json and given.names:
        raise SourceError(f"codes --json takes no CODE: it prints all. Leave out {given.names[0]!a}.")
    for name in given.names:
        if not name.isprintable() or name != name.strip() or not 1 <= len(name) <= 255:
            raise SourceError(f"{name!a} is no name: allowed are 1 to 255 characters that print.")
    address = str(given.address).rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise SourceError(f"--address is {address!r}; it begins with https:// or http://.")
    store = ProjectStore(Project.read(given.project))
    try:
        if given.action == "add":
            return _add(store, given.names, address)
        if given.action == "codes":
            return _codes(store, given.names, given.json)
        return _list(store) if given.action == "list" else _revoke(store, given.names)
    finally:
        store.close()


def _add(store: ProjectStore, names: list[str], address: str) -> int:
    from luab_collect.store import people
    from luab_collect.store.refusals import Refusal
    from luab_data.errors import SourceError

    with store.writing() as connection:
        try:
            tokens = [people.add_link(connection, store.secret, name, store.clock()) for name in names]
        except Refusal:
            raise SourceError("one of these people has withdrawn: nothing was changed.") from None
    for name, token in zip(names, tokens, strict=True):
        print(f"{name}\t{address}/work#t={token}")
    return 0


def _list(store: ProjectStore) -> int:
    from luab_collect.store import people
    from luab_data.console.text import counted

    with store.reading() as connection:
        rows = people.link_names(connection)
    for row in rows:
        print(f"{row.name}\t{row.pseudonym}\t{counted(row.submitted, 'page')}")
    if not rows:
        print(f"nobody yet: luab collect people {store.project.folder} add NAME ...")
    return 0


def _revoke(store: ProjectStore, names: list[str]) -> int:
    from luab_collect.store import people

    with store.writing() as connection:
        ended = {name: people.revoke_link(connection, name) for name in names}
    for name, found in ended.items():
        print(f"{name}: {'the link has ended' if found else 'there is no such link'}")
    return 0 if all(ended.values()) else 1


def _codes(store: ProjectStore, wanted: list[str], as_json: bool) -> int:
    import json

    from luab_collect.store import people

    with store.reading() as connection:
        found = people.codes(connection)
    if as_json:
        print(json.dumps(found, indent=1))
        return 0
    lines = {each["code"]: _code_line(each) for each in found}
    if not wanted:
        print("\n".join(lines.values()) or "no assignment is complete yet: there is no code")
        return 0
    for code in wanted:
        print(lines.get(code.upper(), f"{code}\tno code of this project"))
    return 0 if all(code.upper() in lines for code in wanted) else 1


def _code_line(code: dict[str, Any]) -> str:
    from datetime import datetime, timezone

    from luab_data.console.text import counted

    whose = "withdrew" if code["withdrawn"] else code["outside_id"] or "id removed"
    at = f"{datetime.fromtimestamp(code['completed'], timezone.utc):%Y-%m-%d %H:%M} UTC"
    note = ["rejected"] if code["verdict"] == "reject" else []
    done = "removed" if code["done"] is None else f"{code['done']:,}"
    pages = f"{done} of {counted(code['pages'], 'page')}"
    return "\t".join([code["code"], code["annotator"], code["platform"], whose, at, pages, *note])
