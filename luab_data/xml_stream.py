"""Large untrusted XML, element by element, with attributes, in bounded time and memory.

As in `luab_data.xml` nothing is expanded or opened: a DOCTYPE is an error, and depth and size are limited.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from luab_data.errors import SourceError

CHUNK = 1 << 16  # bytes
MAX_DEPTH = 16
MAX_INSIDE = 100_000  # elements in one of those asked for
MAX_BYTES = 64 << 20  # of one of those asked for: a brush over a whole image has a few MB
KEPT_TEXT = 1000  # characters


@dataclass
class XmlElement:
    """An element: its attributes, its children in order, and about `KEPT_TEXT` characters of its text."""

    tag: str
    attributes: dict[str, str]
    children: list["XmlElement"] = field(default_factory=list)
    text: str = ""


def stream_elements(path: Path, role: str, tag: str, root: str) -> Iterator[XmlElement]:
    """The children called `tag` of the file's root, one by one.

    Args:
        path: the file, in UTF-8.
        role: what the file is, for errors.
        tag: of the children.
        root: of the root.

    Raises:
        SourceError: another root, XML that is not well-formed, a DOCTYPE, or a limit that is exceeded.
    """
    where = f"{role}={str(path)!r}"
    handlers = _StreamHandlers(where, tag, root)
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = handlers.start
    parser.EndElementHandler = handlers.end
    parser.CharacterDataHandler = handlers.data
    parser.StartDoctypeDeclHandler = handlers.doctype
    with path.open("rb") as file:
        while True:
            chunk = file.read(CHUNK)
            try:
                parser.Parse(chunk, not chunk)
            except (expat.ExpatError, UnicodeError) as error:
                raise SourceError(f"{where} is not well-formed XML: {error}.") from None
            handlers.count(len(chunk))
            while handlers.finished:
                yield handlers.finished.popleft()
            if not chunk:
                return


class _StreamHandlers:
    def __init__(self, where: str, tag: str, root: str):
        self.finished: deque[XmlElement] = deque()
        self._where, self._tag, self._root = where, tag, root
        self._depth = 0
        self._open: list[XmlElement] = []
        self._inside = self._bytes = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._depth == 0 and tag != self._root:
            raise SourceError(f"{self._where} begins with <{tag[:40]}>; allowed is <{self._root}>.")
        if self._depth >= MAX_DEPTH:
            raise SourceError(f"{self._where} has elements nested deeper than {MAX_DEPTH}.")
        self._depth += 1
        if not self._open and not (self._depth == 2 and tag == self._tag):
            return
        element = XmlElement(tag, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._inside = self._bytes = 0
        self._inside += 1
        if self._inside > MAX_INSIDE:
            raise SourceError(f"{self._where} has more than {MAX_INSIDE:,} elements in one <{self._tag}>.")
        self._open.append(element)

    def end(self, tag: str) -> None:
        self._depth -= 1
        if self._open:
            element = self._open.pop()
            if not self._open:
                self.finished.append(element)

    def data(self, text: str) -> None:
        if self._open and len(self._open[-1].text) < KEPT_TEXT:
            self._open[-1].text += text[:KEPT_TEXT]

    def count(self, size: int) -> None:
        """Notes that so many bytes were read. expat holds an attribute until it is whole."""
        self._bytes = self._bytes + size if not self.finished else 0
        if self._bytes > MAX_BYTES:
            raise SourceError(f"{self._where} has more than {MAX_BYTES:,} bytes in one <{self._tag}>.")

    def doctype(self, name: str, system_id: str | None, public_id: str | None, internal: int) -> None:
        raise SourceError(f"{self._where} has a DOCTYPE, which is not allowed: it may declare entities.")
