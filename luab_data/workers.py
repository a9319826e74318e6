"""Maps over processes that keep the order, hold little in memory, and leave no process behind."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import wait
from typing import Any, TypeVar

from luab_data.errors import SourceError

LOCAL = "local"
RAY = "ray"
ENGINES = (LOCAL, RAY)

TASKS_A_WORKER = 2  # under way: one that it works on, one that waits for it

T = TypeVar("T")
R = TypeVar("R")

# (function, tasks) -> the results in the order of the tasks, as `map` gives them.
OrderedMap = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


class WorkerDied(RuntimeError):
    """A worker process is gone, and its task is not done; the message says what to do."""


def open_workers(
    engine: str = LOCAL, num_proc: int | None = None, ray_address: str | None = None
) -> AbstractContextManager[OrderedMap]:
    """An ordered map, for as long as the context lasts, over `num_proc` processes of this machine (`local`;
    default: this process alone) or workers of a Ray cluster (`ray`; default: all that it has).

    Raises:
        SourceError: there is no such engine, or it cannot be reached.
        WorkerDied: one of the processes ended by itself (with Ray: again and again); raised in the context.
    """
    if engine not in ENGINES:
        raise SourceError(f"engine={engine!r}: allowed are {', '.join(ENGINES)}.")
    if engine == RAY:
        from luab_data.ray_workers import ray_workers  # an extra, and seconds to import

        return ray_workers(num_proc, ray_address)
    if ray_address is not None:
        raise SourceError(f"ray_address={ray_address!r} goes with engine={RAY!r}.")
    return _processes(num_proc or 1)


def in_order(submit: Callable[[T], Callable[[], R]], tasks: Iterable[T], at_once: int) -> Iterator[R]:
    """The results of `tasks`, in their order. `submit` begins a task and returns what waits for its result;
    at most `at_once` tasks are under way, so that tasks are taken no faster than results are.
    """
    waiting = deque()
    for task in tasks:
        waiting.append(submit(task))
        if len(waiting) >= at_once:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


@contextmanager
def _processes(num_proc: int) -> Iterator[OrderedMap]:
    """Processes are spawned: a forked one may hang on the locks of threads that the parent has and it has
    not.
    """
    if num_proc == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_proc, mp_context=context, initializer=_die_with_parent)

    def ordered_map(function, tasks):
        return in_order(lambda task: pool.submit(function, task).result, tasks, TASKS_A_WORKER * num_proc)

    try:
        yield ordered_map
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
