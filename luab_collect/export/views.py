"""Views: what one annotator did with one image on one page of work, kept by image in a temporary file."""

import pickle
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from luab_collect.results import PageResult, PlaceItem, SelectItem


@dataclass(frozen=True)
class ItemView:
    """One annotator saw one image once. Times are ms since the page was first visible."""

    work: str
    assignment: str
    annotator: str
    index: int  # of the page in its assignment
    class_name: str | None  # `select`: what the page asked for
    role: str  # target, distractor, gold
    started: float  # epoch ms
    spent: float
    visible: float
    untrusted: int  # events of the page that no person made
    pointers: tuple[str, ...]
    seen: SelectItem | PlaceItem

    @property
    def first_move(self) -> float | None:
        """When the pointer first moved over the image."""
        return self.seen.track[0].t if self.seen.track else None

    def epoch(self, t: float) -> int:
        """A time of the page in whole epoch ms."""
        return round(self.started + t)


def views_of(result: PageResult, roles: dict[str, str]) -> Iterator[ItemView]:
    """The views of a page of work; `roles`: item -> role. An image that never came was not viewed."""
    for item in result.items:
        if not item.loaded:
            continue
        yield ItemView(
            work=result.work,
            assignment=result.assignment,
            annotator=result.annotator,
            index=result.index,
            class_name=result.class_name,
            role=roles[item.item],
            started=result.started,
            spent=result.spent,
            visible=result.visible,
            untrusted=result.untrusted,
            pointers=result.pointers,
            seen=item,
        )


class Spool:
    """Views by item in a file of this run, so that a million images need no memory."""

    def __init__(self, path: Path):
        """Makes the file; an old one is replaced."""
        path.unlink(missing_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute("PRAGMA synchronous=OFF")  # a killed run starts it anew
        self._database.execute("CREATE TABLE views (item TEXT, number INTEGER PRIMARY KEY, body BLOB)")
        self._database.execute("BEGIN")
        self.count = 0

    def add(self, view: ItemView) -> None:
        """Adds a view."""
        body = zlib.compress(pickle.dumps(view), 1)
        self._database.execute("INSERT INTO views (item, body) VALUES (?, ?)", (view.seen.item, body))
        self.count += 1

    def finish(self) -> None:
        """No view after this."""
        self._database.execute("CREATE INDEX by_item ON views (item, number)")
        self._database.execute("COMMIT")

    def items(self) -> set[str]:
        """The items that have views."""
        return {item for (item,) in self._database.execute("SELECT DISTINCT item FROM views")}

    def get(self, item: str) -> list[ItemView]:
        """The views of an item in the order in which they were added."""
        query = "SELECT body FROM views WHERE item = ? ORDER BY number"
        rows = self._database.execute(query, (item,)).fetchall()
        return [pickle.loads(zlib.decompress(body)) for (body,) in rows]

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
