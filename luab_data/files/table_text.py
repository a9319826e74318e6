"""What is wrong with a CSV that a spreadsheet or another program wrote, and how to repair it."""

import codecs
import re
from collections.abc import Sequence

from luab_data.errors import SourceError

SEPARATORS = ";\t|"  # instead of a comma
ESCAPE = "surrogateescape"  # bytes that are not UTF-8 become characters that no UTF-8 has
_ESCAPED = re.compile("[\udc80-\udcff]")
INDEX = "__index_level_"  # begins the name that Arrow gives to a column of pandas without a name


def utf8(data: bytes, name: object) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        SourceError: another encoding; says which, where that is known, and how to convert it.
    """
    try:
        return data.decode("utf-8-sig")  # some programs write a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"{name}, line {line}: {_in_words(data[error.start], data[:2])}") from error


def not_utf8(text: str) -> tuple[int, str] | None:
    """The place of the first byte that is not UTF-8, and what to do about it; None if all are.

    Args:
        text: read with `errors=ESCAPE`.
    """
    found = None if text.isascii() else _ESCAPED.search(text)
    if found is None:
        return None
    return found.start(), _in_words(ord(found[0]) - 0xDC00, text[:2].encode(errors=ESCAPE))


def _in_words(byte: int, begin: bytes) -> str:
    fix = "most others are Latin-1 or Windows-1252: iconv -f WINDOWS-1252 -t UTF-8."
    if begin in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        fix = "this is UTF-16: iconv -f UTF-16 -t UTF-8."
    return f"byte {byte:#04x} is not UTF-8. Save the file as UTF-8; {fix}"


def named_columns(names: Sequence[str]) -> list[str]:
    """The columns that the file itself names."""
    return [name for name in names if not name.startswith(INDEX)]


def separator_hint(names: Sequence[str]) -> str:
    """A sentence on a separator that is no comma, from the names of the columns; else ""."""
    names = named_columns(names)
    if len(names) == 1 and (separator := next((mark for mark in SEPARATORS if mark in names[0]), None)):
        return f" It is separated by {separator!r}: use commas, and a point in numbers."
    return ""
