"""Writes a project's images and pages of work into the database, once."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from luab_collect.items import ProjectItem
from luab_collect.plan import PlannedPage
from luab_collect.project import ITEMS, Project
from luab_collect.store import tables as t
from luab_collect.store.keys import keyed
from luab_collect.store.meaning import HARMLESS, changed_plan, kept
from luab_data.errors import SourceError
from luab_data.files.durable import file_sha256

_ROWS = 5_000  # a statement
_PLAN = "plan_sha256"
_INPUTS = "inputs_sha256"


def is_filled(connection: Connection, inputs: str) -> bool:
    """Whether the pages of work that these inputs (see `inputs_of`) give are there."""
    return connection.execute(select(t.meta.c.value).where(t.meta.c.key == _INPUTS)).scalar() == inputs


def inputs_of(project: Project) -> str:
    """A digest of all that decides the pages of work, without making them."""
    settings = project.settings.model_dump_json(
        include={"task", "seed", "shares", "images_per_page", "classes"}
    )
    return hashlib.sha256((file_sha256(project.folder / ITEMS) + settings).encode()).hexdigest()


def fill(
    connection: Connection,
    items: Sequence[ProjectItem],
    pages: Sequence[PlannedPage],
    secret: bytes,
    inputs: str,
    project: Project,
) -> bool:
    """Writes images and pages into an empty database; False: they are there already.

    Args:
        connection: Inside of a writing transaction.
        items: The project's images.
        pages: Its pages of work.
        secret: The project's key, for the images' addresses.
        inputs: What they were made of, see `inputs_of`.
        project: Its settings, to name what changed.

    Raises:
        SourceError: other images or pages are there.
    """
    digest = _digest(items, pages)
    stored = connection.execute(select(t.meta.c.value).where(t.meta.c.key == _PLAN)).scalar()
    if stored == digest:
        connection.execute(update(t.meta).where(t.meta.c.key == _INPUTS).values(value=inputs))
        return False
    if stored is not None:
        changed = changed_plan(kept(connection), project)
        why = changed or "images, task, classes, images_per_page, seed or shares were changed"
        raise SourceError(
            f"the database has other images or pages of work than the project: {why} after the first start. "
            f"Undo that, or make a new project. What may change at any time: {HARMLESS}."
        )
    _insert(connection, t.items, (_item_row(item, secret) for item in items))
    _insert(
        connection,
        t.pages,
        ({"id": page.number + 1, "number": page.number, "class_name": page.class_name} for page in pages),
    )
    _insert(
        connection,
        t.page_items,
        (
            {"page_id": page.number + 1, "position": position, "item_id": entry.item, "role": entry.role}
            for page in pages
            for position, entry in enumerate(page.items)
        ),
    )
    connection.execute(insert(t.meta), [{"key": _PLAN, "value": digest}, {"key": _INPUTS, "value": inputs}])
    return True


def _item_row(item: ProjectItem, secret: bytes) -> dict[str, Any]:
    return {
        "id": item.id,
        "key": keyed(secret, "item", item.id),
        "file": item.file,
        "sha256": item.sha256,
        "width": item.width,
        "height": item.height,
        "class_name": item.classes[0] if item.classes else None,
        "gold": item.gold,
    }


def _insert(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    rows = iter(rows)
    while some := list(islice(rows, _ROWS)):
        connection.execute(insert(table), some)


def _digest(items: Sequence[ProjectItem], pages: Sequence[PlannedPage]) -> str:
    """Of what decides the work: which images, and which are together on a page."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(json.dumps([item.id, item.file, item.sha256]).encode("ascii"))
    for page in pages:
        entries = [[entry.item, entry.role] for entry in page.items]
        digest.update(json.dumps([page.number, page.class_name, entries]).encode("ascii"))
    return digest.hexdigest()
