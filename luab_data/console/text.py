"""Makes untrusted text safe for a terminal or a log: no control characters, no secrets."""

import codecs
import difflib
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any

# C0 and C1 controls (including ESC), line separators, characters that change the text direction, and what no
# file in UTF-8 can hold: Python's stand-ins for the bytes of names that are not UTF-8.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")

_SECRETS = (
    (
        re.compile(r"\b([a-z][a-z0-9+.-]+:/{1,2})[^/\s'\"<>]*@", re.IGNORECASE),
        r"\1***@",
    ),  # user:pass@host
    (re.compile(r"\bhf_[A-Za-z0-9]{8,}"), "hf_***"),
    (re.compile(r"\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), r"\1\2***"),
)
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")  # environment variables that hold one

# Replacements for characters that the terminal lacks; others become \x.., \u....
_PLAIN = {"↑": "^", "↓": "v", "→": "->", "±": "+-", "×": "x", "–": "-", "—": "-", "…": "...", "°": "deg"}  # noqa: RUF001
_ERRORS = "luab.plain"


def printable(text: str) -> str:
    """`text` without characters that move the cursor, break a line, or change the text direction.

    Nor those that stand for bytes of a name that is not UTF-8.
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def printable_lines(text: str) -> str:
    """`printable` for each line."""
    return "\n".join(map(printable, text.split("\n")))


def redact(text: str) -> str:
    """`text` without passwords in URLs and without access tokens."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    for name in _TOKENS:
        value = os.environ.get(name, "").strip()
        if len(value) >= 4:  # shorter ones are parts of ordinary words
            text = text.replace(value, "***")
    return text


def text_of(error: BaseException) -> str:
    """An exception's message; for system errors without the number."""
    if isinstance(error, OSError) and error.strerror and error.errno is not None:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return f"{error.strerror}: {' -> '.join(names)}" if names else error.strerror
    try:
        return str(error)
    except Exception:  # any class may fail to describe itself
        return ""


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """1, "image" -> "1 image"; 1200, "image" -> "1,200 images"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def percent(share: float) -> str:
    """A setting in percent, however small: 0.9 -> "90%", 0.005 -> "0.5%"."""
    return f"{100 * share:g}%"


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A suggestion for an unknown name: " (did you mean X?)", or "" if none of `known` is similar."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(given.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[close[0]]}?)" if close else ""


def never_fail_to_print() -> None:
    """Makes stdout and stderr replace characters that their encoding lacks.

    If they are closed, they print nothing. By default Python would raise an error, and the result of all work
    would be lost.
    """
    codecs.register_error(_ERRORS, _plain)
    if sys.stdout is None:  # `>&-`
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (for the life of the process)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


@contextmanager
def safe_logs() -> Iterator[None]:
    """Removes control characters and secrets from the logs of all libraries.

    The Hub's client logs the URLs of failed requests.
    """
    before = logging.getLogRecordFactory()

    def record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made = before(*args, **kwargs)
        with suppress(TypeError, ValueError):  # wrong arguments: logging reports these
            made.msg, made.args = printable_lines(redact(made.getMessage())), ()
        return made

    logging.setLogRecordFactory(record)
    try:
        yield
    finally:
        logging.setLogRecordFactory(before)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(char) or _escaped(char) for char in text), error.end


def _escaped(char: str) -> str:
    return char.encode("ascii", "backslashreplace").decode("ascii")
