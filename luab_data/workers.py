"""A map over processes that keeps the order, holds little in memory, and leaves no process behind."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class WorkerDied(RuntimeError):
    """A process of the pool is gone; the message says what to do."""


def ordered_map(function: Callable[[T], R], tasks: Iterable[T], num_proc: int) -> Iterator[R]:
    """`map(function, tasks)` in `num_proc` processes; at most two tasks a process are under way.

    Processes are spawned: a forked one may hang on the locks of threads that the parent has and it has not.

    Raises:
        WorkerDied: one of the processes ended by itself.
    """
    if num_proc <= 1:
        yield from map(function, tasks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_proc, mp_context=context, initializer=_die_with_parent)
    try:
        pending = deque()
        for task in tasks:
            pending.append(pool.submit(function, task))
            if len(pending) >= 2 * num_proc:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise WorkerDied(
            "A worker process died, most often for lack of memory. Run the same command again to go on; "
            "fewer processes (num_proc) take less memory."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _die_with_parent() -> None:
    """Ends this process when its parent is gone, even when that was killed: the pool's queue would wait
    forever.
    """
    parent = multiprocessing.parent_process()

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
