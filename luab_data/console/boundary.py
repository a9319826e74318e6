"""The error boundary of every command: any exception becomes one line on stderr and an exit status.

1: an error, 130: Ctrl-C, 143: SIGTERM. `--debug` or LUAB_DEBUG=1 shows the traceback as well.
"""

import functools
import multiprocessing
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import NoReturn

from luab_data.console.bars import quiet_bars
from luab_data.console.explain import explain
from luab_data.console.text import never_fail_to_print, printable_lines, redact, safe_logs

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM

Command = Callable[[list[str]], int | None]


@contextmanager
def boundary(name: str, debug: bool = False) -> Iterator[None]:
    """Around a command: every exception becomes a SystemExit with the line for stderr.

    Running processes that the command started are ended, also on SIGTERM.

    Args:
        name: The beginning of the line, such as "luab evaluate".
        debug: Whether to print the traceback.
    """
    never_fail_to_print()
    quiet_bars()
    earlier = set(multiprocessing.active_children())
    with safe_logs(), _ends_on_sigterm(name, earlier):
        try:
            yield
            sys.stdout.flush()
        except SystemExit:
            _end_workers(earlier)
            raise
        except BaseException as error:
            _end_workers(earlier)
            if isinstance(error, BrokenPipeError) and _nobody_reads():
                raise SystemExit(1) from None
            if debug or os.environ.get("LUAB_DEBUG", "0") not in ("", "0"):
                text = "".join(traceback.format_exception(error))
                print(printable_lines(redact(text)), file=sys.stderr, end="")
            if isinstance(error, KeyboardInterrupt):
                print(f"{name}: interrupted", file=sys.stderr)
                raise SystemExit(INTERRUPTED) from None
            raise SystemExit(f"{name}: {explain(error)}") from None


def guarded(name: str) -> Callable[[Command], Callable[[list[str]], int]]:
    """Decorates a command's `main(argv)`: inside a `boundary`, it prints errors and returns the status."""

    def decorate(main: Command) -> Callable[[list[str]], int]:
        @functools.wraps(main)
        def inside(argv: Sequence[str]) -> int:
            try:
                with boundary(name, debug="--debug" in argv):
                    return main(list(argv)) or 0
            except SystemExit as end:
                if not isinstance(end.code, str):
                    raise
                print(end.code, file=sys.stderr)
                return 1

        return inside

    return decorate


@contextmanager
def _ends_on_sigterm(name: str, earlier: set[BaseProcess]) -> Iterator[None]:
    """Makes SIGTERM end this process and its workers at once, as kill -9 does.

    Nothing is cleaned up, because an exception could occur anywhere, and every command can resume after a
    kill.
    """
    owner = os.getpid()

    def end(signum: int, frame: FrameType | None) -> NoReturn:
        if os.getpid() == owner:
            _end_workers(earlier)
            with suppress(OSError):
                os.write(2, f"\n{name}: ended by SIGTERM\n".encode("ascii", "backslashreplace"))
        os._exit(TERMINATED)

    try:
        taken = signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        if not taken:
            signal.signal(signal.SIGTERM, end)
    except ValueError:  # not the main thread, which decides
        taken = True
    try:
        yield
    finally:
        if not taken:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end_workers(earlier: set[BaseProcess]) -> None:
    for process in set(multiprocessing.active_children()) - earlier:
        process.terminate()


def _nobody_reads() -> bool:
    """Whether stdout broke, as in `luab compare ... | head`, and not the pipe to a worker."""
    try:
        stdout = sys.stdout.fileno()
    except (OSError, ValueError):  # no file
        return False
    poll = select.poll()
    poll.register(stdout, 0)  # errors only
    if not poll.poll(0):
        return False
    # Discard what Python flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout)
    return True
