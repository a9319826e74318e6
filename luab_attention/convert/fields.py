"""Checked values out of strangers' JSON and tables. All raise RejectedRecord, with the field's name."""

import math
from collections.abc import Mapping
from typing import Any

from luab_data.errors import RejectedRecord

MAX_NUMBER = 1e13  # epoch times in ms have 1.7e12
MAX_TEXT = 1000  # characters of a name


def number(value: Any, name: str, low: float = -MAX_NUMBER, high: float = MAX_NUMBER) -> float:
    """A finite number from `low` to `high`, or a text of one."""
    found: Any = value
    if isinstance(value, str):
        try:
            found = None if "_" in value else float(value)  # Python's own numbers may have underscores
        except ValueError:
            found = None
    if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
        raise RejectedRecord(f"{name} is {_short(value)}; allowed is a number from {low:g} to {high:g}")
    return float(found)


def whole(value: Any, name: str, low: int = 0, high: int = 10**15) -> int:
    """A whole number from `low` to `high`, or a text of one."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        value = int(value)
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise RejectedRecord(f"{name} is {_short(value)}; allowed is a whole number from {low} to {high}")
    return value


def numbers(
    value: Any,
    name: str,
    length: int | None = None,
    low: float = -MAX_NUMBER,
    high: float = MAX_NUMBER,
) -> list[float]:
    """A list of finite numbers from `low` to `high`, of this length."""
    found = items(value, name)
    if length is not None and len(found) != length:
        raise RejectedRecord(f"{name} has {len(found)} numbers, allowed are {length}")
    return [number(each, f"{name}[{place}]", low, high) for place, each in enumerate(found)]


def items(value: Any, name: str) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise RejectedRecord(f"{name} is {_short(value)}; allowed is a list")
    return value


def text(value: Any, name: str) -> str:
    """A text that is not empty, at most `MAX_TEXT` characters."""
    found = value.strip() if isinstance(value, str) else ""
    if not 0 < len(found) <= MAX_TEXT:
        raise RejectedRecord(f"{name} is {_short(value)}; allowed is a text of 1 to {MAX_TEXT} characters")
    if not found.isascii():
        try:
            found.encode()
        except UnicodeEncodeError as error:  # half of a UTF-16 pair, which JSON can hold and no column can
            raise RejectedRecord(f"{name} is {_short(value)}, which is not Unicode text") from error
    return found


def label(value: Any, name: str) -> str:
    """The name of a class: a text, or a number in its place."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text(value, name)


def optional_text(value: Any, name: str) -> str | None:
    """A text or a number in its place; None for null and an empty text."""
    return None if value is None or value == "" else label(value, name)


def member(value: Any, name: str) -> Any:
    """A member of an object."""
    if not isinstance(value, Mapping):
        raise RejectedRecord(f"{_short(value)} where an object with {name!r} is expected")
    if name not in value:
        raise RejectedRecord(f"there is no {name!r}; it has {', '.join(map(str, value))[:100]}")
    return value[name]


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
