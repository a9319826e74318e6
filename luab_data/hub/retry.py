"""Retries calls to the Hub after temporary errors: a lost connection, a busy server, a rate limit."""

import re
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from datasets.utils.logging import get_logger
from huggingface_hub.errors import HfHubHTTPError, HTTPError

from luab_data.console.text import printable, redact

T = TypeVar("T")

WAITS = (2, 10, 60, 300)  # seconds before each retry, after the clients' own, quicker retries
PASSING = (408, 412, 429, 500, 502, 503, 504)  # 412: another commit came in between

logger = get_logger(__name__)


def patiently(call: Callable[[], T], what: str) -> T:
    """`call()` with retries after temporary errors; raises the last error.

    `call` must be safe to repeat: the answer may be lost although the server did its work.
    """
    for wait in WAITS:
        try:
            return call()
        except (HTTPError, OSError, RuntimeError) as error:
            if not _passes(error):
                raise
            pause = _retry_after(error) or wait
            logger.warning(f"{what}: {reason(error)} Trying again in {pause:g} s.")
            time.sleep(pause)
    return call()


def reason(error: BaseException) -> str:
    """The error as one sentence, without secrets: the query of a URL may hold a signature."""
    lines = [_one_line(str(cause)) or type(cause).__name__ for cause in _causes(error)]
    text = ": ".join(dict.fromkeys([lines[0], lines[-1]])).rstrip(". ")
    return printable(redact(re.sub(r"\?[^\s'\"<>)]+", "", text))) + "."


def _one_line(message: str) -> str:
    """Without the HTTP library's hint, a page on status codes."""
    return " ".join(" ".join(line for line in message.splitlines() if "For more info" not in line).split())


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, up to the Hub's: the HTTP library's errors add nothing."""
    while error is not None:
        yield error
        error = None if isinstance(error, HfHubHTTPError) else error.__cause__


def _passes(error: BaseException) -> bool:
    for cause in _causes(error):
        if isinstance(cause, HfHubHTTPError):
            return cause.response.status_code in PASSING
        if isinstance(cause, HTTPError | ConnectionError | TimeoutError):
            return True
    return False


def _retry_after(error: BaseException) -> float | None:
    """Seconds that the server asks to wait for."""
    for cause in _causes(error):
        if isinstance(cause, HfHubHTTPError):
            value = cause.response.headers.get("Retry-After", "")
            return float(value) if value.isdigit() else None
    return None
