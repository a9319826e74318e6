"""Reads untrusted XML in bounded time and memory.

Nothing is expanded or opened: a DOCTYPE, the only place that can declare an entity, is rejected. Bytes,
elements and depth are limited. Raises only RejectedRecord.
"""

from typing import Any
from xml.parsers import expat

from luab_data.errors import RejectedRecord
from luab_data.sources.entries import MAX_RECORD_BYTES

MAX_ELEMENTS = 250_000
MAX_DEPTH = 16  # the released layout has 4
KEPT_TEXT = 256  # characters: more than any valid value, so that a reader can detect one that is too long


class Element:
    """An XML element: its children by tag, and the first `KEPT_TEXT` characters or so of its own text."""

    __slots__ = ("children", "text")

    def __init__(self) -> None:
        self.text = ""
        self.children: dict[str, list[Element]] = {}


def read_elements(xml: bytes, tag: str) -> list[Element]:
    """The elements called `tag` below the root, in order, at any depth and with any root.

    Raises RejectedRecord for XML that is not well-formed or exceeds the limits. Comments, attributes and
    other elements are skipped.
    """
    if len(xml) > MAX_RECORD_BYTES:
        raise RejectedRecord(f"{len(xml):,} bytes, allowed are {MAX_RECORD_BYTES:,}")
    handlers = _Handlers(tag)
    # Always UTF-8: the release is ASCII, and the input may not choose a decoder.
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = handlers.start
    parser.EndElementHandler = handlers.end
    parser.CharacterDataHandler = handlers.data
    parser.StartDoctypeDeclHandler = handlers.doctype
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, UnicodeError) as error:
        raise RejectedRecord(f"not well-formed XML: {error}; it begins with {bytes(xml[:20])!r}") from None
    return handlers.found


def shortened(value: str, limit: int = 40) -> str:
    """`value` quoted for a message, cut to `limit` characters."""
    return repr(value if len(value) <= limit else value[: limit - 3] + "...")


class _Handlers:
    def __init__(self, tag: str):
        self.found: list[Element] = []
        self._tag = tag
        self._open: list[Element | None] = []  # the element at each depth; None outside those asked for
        self._count = 0

    def start(self, tag: str, attributes: dict[str, Any]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise RejectedRecord(f"more than {MAX_ELEMENTS} elements")
        if len(self._open) >= MAX_DEPTH:
            raise RejectedRecord(f"elements nested deeper than {MAX_DEPTH}")
        parent = self._open[-1] if self._open else None
        element = None
        if parent is not None:
            element = Element()
            parent.children.setdefault(tag, []).append(element)
        elif tag == self._tag and self._open:
            element = Element()
            self.found.append(element)
        self._open.append(element)

    def end(self, tag: str) -> None:
        self._open.pop()

    def data(self, text: str) -> None:
        element = self._open[-1]
        if element is None or len(element.text) >= KEPT_TEXT:
            return
        element.text += (text if element.text else text.lstrip())[:KEPT_TEXT]

    def doctype(self, name: str, system_id: str | None, public_id: str | None, internal_subset: int) -> None:
        raise RejectedRecord(f"a DOCTYPE ({shortened(name)}) is not allowed: a record declares no entities")
