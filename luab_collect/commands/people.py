"""Your own annotators: make, list and revoke their links.

    luab collect people shop add Ann Ben           prints a link for each; a new link ends the earlier one
    luab collect people shop list
    luab collect people shop revoke Ann            ends her link and sessions; her work stays

A link is shown once: the database holds only its hash. Who has it works under that name, so send each link to
one person. Names stay in a table that no export reads.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luab_collect.store.opening import ProjectStore

ACTIONS = ("add", "list", "revoke")
ADDRESS = "http://127.0.0.1:8000"


def add_options(options: argparse.ArgumentParser) -> None:
    """The command's options."""
    options.add_argument("project", type=Path, metavar="PROJECT", help="folder that `luab collect init` made")
    options.add_argument("action", choices=ACTIONS, metavar="ACTION", help=", ".join(ACTIONS))
    options.add_argument("names", nargs="*", metavar="NAME", help="people, for add and revoke")
    options.add_argument(
        "--address",
        default=ADDRESS,
        help="what annotators' browsers call the server, as https://lab.example.org (default: %(default)s)",
    )


def run(given: argparse.Namespace) -> int:
    """Prints links or the list; 1: a name to revoke is not there.

    Raises:
        SourceError: names are missing, too many, or no names.
    """
    from luab_collect.project import Project
    from luab_collect.store.opening import ProjectStore
    from luab_data.errors import SourceError

    if bool(given.names) != (given.action != "list"):
        wanted = "no names" if given.action == "list" else "names"
        raise SourceError(f"{given.action} takes {wanted}: luab collect people {given.project} add Ann Ben")
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
