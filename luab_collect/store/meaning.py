"""Whether stored work still means what it meant: the settings that it was made with, kept and compared.

What is stored of classes are their names, of categories of icons their numbers, of pages of work their images
and the class that is asked for. The server keeps the settings that these rest on, until work is there. From
then on a changed setting is refused where it would give stored answers another meaning, and taken where not.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from luab_collect.project import SETTINGS, Project
from luab_collect.store import tables as t
from luab_data.console.names import few
from luab_data.console.text import counted
from luab_data.errors import SourceError

_KEY = "settings"
# What the pages of work rest on besides the images, see `fill.inputs_of`.
PLANNED = ("task", "images_per_page", "seed", "shares")
HARMLESS = (
    "definition, links, icon and category of a class, overlap, pages_per_hit, lease_minutes, quality, "
    "platforms, language, instructions.md and consent.md"
)


def settings_of(project: Project) -> dict[str, Any]:
    """The settings that stored work rests on."""
    settings = project.settings.model_dump(mode="json", include=set(PLANNED))
    return settings | {"classes": list(project.class_names), "categories": list(project.categories)}


def kept(connection: Connection) -> dict[str, Any] | None:
    """The settings that the work was made with; None: no server has run yet."""
    found = connection.execute(select(t.meta.c.value).where(t.meta.c.key == _KEY)).scalar()
    return None if found is None else dict(json.loads(found))


def keep(connection: Connection, project: Project) -> None:
    """A server begins: notes what the work that it hands out rests on; nothing where work is there."""
    before, now = kept(connection), settings_of(project)
    if before is None:
        connection.execute(insert(t.meta).values(key=_KEY, value=json.dumps(now)))
    elif before != now and not _works(connection):
        connection.execute(update(t.meta).where(t.meta.c.key == _KEY).values(value=json.dumps(now)))


def require_same_meaning(connection: Connection, project: Project) -> None:
    """Raises SourceError if the project's settings give stored work another meaning."""
    before = kept(connection)
    works = _works(connection)
    if before is None or not works:
        return
    if faults := list(_misread(before, settings_of(project))):
        raise SourceError(
            f"{project.folder / SETTINGS} was changed after annotators had begun "
            f"({counted(works, 'page')} of work stored), so that their answers would be misread: "
            f"{'; '.join(faults)}. Undo that, or make a new project for the new question. "
            f"What may change at any time: {HARMLESS}{_ORDER[project.task]}."
        )


_ORDER = {"select": "", "place": "; also the order of classes, if categories keeps its own"}


def changed_plan(before: Mapping[str, Any] | None, project: Project) -> str:
    """What differs of the settings that decide the pages of work, in words; empty: nothing that is known."""
    if before is None:
        return ""
    now = settings_of(project)
    told = [
        f"{name} is {json.dumps(now[name])}, and was {json.dumps(before[name])}"
        for name in PLANNED
        if now[name] != before[name]
    ]
    told += _classes(before["classes"], now["classes"], "")
    if not told and before["classes"] != now["classes"]:
        told = ["the classes are in another order"]
    return "; ".join(told)


def _misread(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if before["task"] != now["task"]:
        yield f"task is {now['task']}, and was {before['task']}"
        return
    if now["task"] != "place":
        return  # its classes are in the pages of work, which `fill` compares
    never = ", which annotators were not offered, so that all would say it is not there"
    yield from _classes(before["classes"], now["classes"], never)
    if before["categories"] != now["categories"]:
        shown, stored = now["categories"], before["categories"]
        fix = f" (`categories: {json.dumps(stored)}` keeps their order)" if set(shown) == set(stored) else ""
        yield f"the categories of icons are {few(shown)}, and were {few(stored)}, stored by number{fix}"


def _classes(before: list[str], now: list[str], why_new: str) -> list[str]:
    told = []
    if gone := [name for name in before if name not in now]:
        told.append(f"classes lacks {few(gone)}, which it had")
    if new := [name for name in now if name not in before]:
        told.append(f"classes has the new {few(new)}{why_new}")
    return told


def _works(connection: Connection) -> int:
    """Pages of work that somebody has begun."""
    return connection.execute(select(func.count()).select_from(t.work)).scalar_one()
