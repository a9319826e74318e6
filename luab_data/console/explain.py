"""Explains any exception in one line."""

import dis
import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from luab_data.console.disk import says_full
from luab_data.console.text import printable, printable_lines, redact, text_of

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "luab", "luab_trainer", "luab_collect", "luab_eval", "luab_vision", "luab_attention", "imagenet_ab",
    "coco_ab", "luab_data", "loading_scripts",
)  # fmt: skip
LONGEST_MESSAGE, LONGEST_LINE, LONGEST_OF_OTHERS = 6000, 1000, 500  # characters

NO_SPACE = "no space left on a disk. Free some, or put the output (and HF_HOME, TMPDIR) on another"
NO_MEMORY = "not enough memory. A smaller batch and fewer worker processes take less"
WORKER_DIED = (
    "a worker process died, most often for lack of memory. Fewer of them or a smaller batch take less"
)
OTHER_TORCHVISION = (
    "torchvision is of another build than torch, so transformers cannot be imported. Install both from the "
    "same index, or remove torchvision and timm"
)
MORE = "run again with --debug (run.py: LUAB_DEBUG=1) for the traceback"


@dataclass(frozen=True)
class _Raised:
    """An exception of this process or of a worker.

    Attributes:
        kind: Name of its class.
        text: Its message.
        place: "file:line" of the last of our lines in the traceback, or "".
        ours: Whether our code raised it.
    """

    kind: str
    text: str
    place: str
    ours: bool


def explain(error: BaseException) -> str:
    """The error in one line (our own messages may have more lines, indented).

    Control characters, passwords and tokens are removed.
    """
    raised = _raised(error)
    if raised.ours:
        lines = printable_lines(redact(raised.text)).split("\n")
        return _cut("\n  ".join(_cut(line, LONGEST_LINE) for line in lines), LONGEST_MESSAGE)
    if known := _known(error, raised):
        detail = _short(raised.text)
        return f"{known}{f' ({detail})' if detail else ''}."
    if isinstance(error, OSError) and raised.text:
        return _short(_all_texts(error))
    where = f" at {raised.place}" if raised.place else ""
    detail = _short(_all_texts(error, raised))
    return f"unexpected {raised.kind}{where}{f': {detail}' if detail else ''} ({MORE})"


def _known(error: BaseException, raised: _Raised) -> str | None:
    """The fix for an error of the machine, not of the input."""
    if says_full(error):
        return NO_SPACE
    if raised.kind in ("MemoryError", "OutOfMemoryError") or re.search(
        r"out of memory|can't allocate memory|Cannot allocate memory", raised.text
    ):
        return NO_MEMORY
    if raised.kind in ("BrokenProcessPool", "BrokenExecutor") or re.match(
        r"DataLoader worker \(pid", raised.text
    ):
        return WORKER_DIED
    if "operator torchvision::" in _all_texts(error, raised):
        return OTHER_TORCHVISION
    return None


def _raised(error: BaseException) -> _Raised:
    """The exception, or a worker's exception that torch or a process pool wrapped, with its traceback."""
    kind, text = type(error).__name__, text_of(error)
    if wrapped := re.match(r"Caught (\S+) in .*\.\nOriginal (Traceback .*)", text, re.DOTALL):
        kind, trace = wrapped.groups()
        message = re.split(rf"^(?:[\w.]*\.)?{re.escape(kind)}: ", trace, flags=re.MULTILINE)
        return _of_worker(kind, message[-1].strip() if len(message) > 1 else "", trace)
    for cause in _causes(error):
        if _is_remote(cause):
            return _of_worker(kind, text, str(cause))
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    raised_by_us = isinstance(error, ValueError | RuntimeError) and _raised_by_us(error.__traceback__)
    ours = raised_by_us or type(error).__module__.partition(".")[0] in PACKAGES
    return _Raised(kind, text, _last_of_ours(places), ours)


def _of_worker(kind: str, text: str, trace: str) -> _Raised:
    places = re.findall(r'^\s*File "([^"\n]+)", line (\d+)', trace, re.MULTILINE)
    ours = kind in ("ValueError", "SourceError") and bool(places) and bool(_package_path(places[-1][0]))
    return _Raised(kind, text, _last_of_ours(places), ours)


def _is_remote(error: BaseException) -> bool:
    """Whether it only holds a worker's traceback.

    `multiprocessing` and `concurrent.futures` each have such a private class.
    """
    return type(error).__name__.endswith("RemoteTraceback")


def _raised_by_us(trace: TracebackType | None) -> bool:
    """Whether the last line of the traceback is a `raise` in our packages.

    Otherwise a function of Python or another library failed there.
    """
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    is_raise = code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return is_raise and bool(_package_path(code.co_filename))


def _last_of_ours(places: Sequence[tuple[str, int | str]]) -> str:
    own = [(path, line) for file, line in places if (path := _package_path(file))]
    return "{}:{}".format(*own[-1]) if own else ""


def _package_path(file: str) -> str:
    """The path below our packages' folder; "" for another library's file."""
    path = Path(file)
    if not path.is_absolute() or not path.is_relative_to(ROOT):
        return ""
    relative = path.relative_to(ROOT)
    return relative.as_posix() if relative.parts[0] in PACKAGES else ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _all_texts(error: BaseException, raised: _Raised | None = None) -> str:
    """The message and that of its cause, where libraries often give the reason."""
    first = raised.text if raised else text_of(error)
    chain = error
    while chain.__cause__ is not None and not _is_remote(chain.__cause__):
        chain = chain.__cause__
    last = text_of(chain)
    if chain is error or last in first:
        return first
    return f"{first.rstrip('. ')}: {last}" if first else last


def _short(text: str) -> str:
    """The text in one line, without the query of URLs, which may hold a signature."""
    line = " ".join(printable_lines(redact(text)).split())
    line = re.sub(r"(https?://[^\s?'\"<>)]*)\?[^\s'\"<>)]+", r"\1", line)
    return _cut(printable(line), LONGEST_OF_OTHERS).rstrip(". ")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most].rstrip()} ... ({len(text) - most:,} more characters)"
