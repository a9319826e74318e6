"""The bytes of one ImageNet-AB XML -> a `Record`, or a `RejectedRecord` with the reason.

The layout is that of the released archive (Han et al., ICCV 2023): below a root of any name, one `metadata`
element for each time the image was annotated. What is in it: `imagenet_ab.fields`.
"""

import re
from collections.abc import Callable
from typing import Any

from imagenet_ab.fields import (
    ID_FIELD,
    MAX_TEXT,
    MAX_TIME,
    METADATA_FIELD,
    SECONDS_BELOW,
    Annotation,
    Flag,
    One,
    Real,
    Record,
    Repeated,
    Text,
    Time,
    Whole,
    xml_fields,
)
from luab_data.errors import RejectedRecord
from luab_data.sources.entries import same_form
from luab_data.xml import Element, read_elements, shortened

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def parse_record(xml: bytes) -> Record:
    """Parse one untrusted XML in bounded time and memory; raises only RejectedRecord.

    The reason names the metadata's number, the element and the value. One bad `metadata` rejects the XML.
    """
    metadata = read_elements(xml, METADATA_FIELD.tag)
    if not metadata:
        raise RejectedRecord(f"no {METADATA_FIELD.tag} element below the root")
    image_ids, annotations = [], []
    for number, element in enumerate(metadata, start=1):
        children = _Children(element, where=f"{METADATA_FIELD.tag} {number}")
        image_ids.append(_image_id(children))
        annotations.append(_parsed(Annotation, children))
        if image_ids[-1] != image_ids[0]:
            first = f"that of {METADATA_FIELD.tag} 1, {shortened(image_ids[0])}"
            raise children.rejected(ID_FIELD.tag, image_ids[-1], first)
    return Record(image_ids[0], tuple(annotations))


def _parsed(of: type, children: "_Children") -> Any:
    """The parent element of these children, as one of the classes of `imagenet_ab.fields`."""
    fields = xml_fields(of)
    for field in fields:
        if isinstance(field.kind, One):
            children.require_once(field.tag)
    values = []
    for field in fields:
        value = _READ[type(field.kind)](children, field.tag, field.kind)
        values.append(children.required(field.tag, value) if field.required else value)
    return of(*values)


def _real(children: "_Children", tag: str, kind: Real) -> float | None:
    return children.number(tag, kind.low, kind.high)


def _whole(children: "_Children", tag: str, kind: Whole) -> int | None:
    high = kind.high
    value = children.number(tag, 0, high)
    if value is None:
        return None
    if not value.is_integer():
        raise children.rejected(tag, str(value), f"a whole number from 0 to {high}")
    return None if value == 0 and kind.zero_unknown else int(value)


def _time(children: "_Children", tag: str, kind: Time) -> int | None:
    time = children.number(tag, 0, MAX_TIME)
    if time is None:
        return None
    return round(time * 1000) if time < SECONDS_BELOW else round(time)


def _flag(children: "_Children", tag: str, kind: Flag) -> bool | None:
    text = children.text(tag)
    if text is None:
        return None
    if text.lower() not in ("true", "false"):
        raise children.rejected(tag, text, "True or False")
    return text.lower() == "true"


def _text(children: "_Children", tag: str, kind: Text) -> str | None:
    text, choices = children.text(tag), kind.choices
    if text is not None and choices and text not in choices:
        raise children.rejected(tag, text, " or ".join(choices))
    return text


def _one(children: "_Children", tag: str, kind: One) -> Any:
    found = children.below(tag)
    return _parsed(kind.of, found[0]) if found else None


def _repeated(children: "_Children", tag: str, kind: Repeated) -> tuple[Any, ...]:
    return tuple(_parsed(kind.of, each) for each in children.below(tag, numbered=True))


_READ: dict[type, Callable[["_Children", str, Any], Any]] = {
    Real: _real,
    Whole: _whole,
    Time: _time,
    Flag: _flag,
    Text: _text,
    One: _one,
    Repeated: _repeated,
}


def _image_id(children: "_Children") -> str:
    tag = ID_FIELD.tag
    image_id = same_form(children.required(tag, children.text(tag)))
    parts = image_id.split("/")
    # Ids become paths when images are looked up, so they must not lead out of their folder.
    if len(parts) != 2 or any(not part.strip(". ") or set(part) & set("\\:") for part in parts):
        raise children.rejected(tag, image_id, "<class>/<name>, as n01440764/n01440764_105")
    return image_id


class _Children:
    """The children of one element, by tag. Invalid children are rejected.

    A value that is absent or empty is None.
    """

    def __init__(self, element: Element, where: str):
        self._element = element
        self._where = where

    def rejected(self, tag: str, got: str, allowed: str) -> RejectedRecord:
        return RejectedRecord(f"{self._where}: {tag} is {shortened(got)}, allowed is {allowed}")

    def required(self, tag: str, value: Any) -> Any:
        if value is None:
            raise RejectedRecord(f"{self._where}: {tag} is missing or empty")
        return value

    def require_once(self, tag: str) -> None:
        """Raises RejectedRecord if the tag occurs more than once."""
        count = len(self._element.children.get(tag, ()))
        if count > 1:
            raise RejectedRecord(f"{self._where}: {tag} occurs {count} times, allowed is once")

    def below(self, tag: str, numbered: bool = False) -> list["_Children"]:
        """The elements of this tag, without empty ones, which are the release's empty list."""
        entries = enumerate(self._element.children.get(tag, ()), start=1)
        return [
            _Children(entry, f"{self._where}: {tag} {number}" if numbered else f"{self._where}: {tag}")
            for number, entry in entries
            if entry.children or entry.text.strip()
        ]

    def text(self, tag: str) -> str | None:
        self.require_once(tag)
        for element in self._element.children.get(tag, ()):
            text = element.text.strip()
            if element.children or len(element.text) > MAX_TEXT or not text.isprintable():
                raise self.rejected(tag, text or "an element", f"plain text of at most {MAX_TEXT} characters")
            return text or None
        return None

    def number(self, tag: str, low: float, high: float) -> float | None:
        text = self.text(tag)
        value = None if text is None else _number(text, low, high)
        if value is None and text is not None:
            raise self.rejected(tag, text, f"a number from {low} to {high}")
        return value


def _number(text: str, low: float, high: float) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)  # "1e999" is infinite, and out of any range
    return value if low <= value <= high else None
