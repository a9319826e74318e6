"""Maps over workers that keep the order and hold little in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
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
    """A worker in another process is gone, and its task is not done; the message says what to do."""


def open_workers(
    engine: str = LOCAL, num_proc: int | None = None, ray_address: str | None = None
) -> AbstractContextManager[OrderedMap]:
    """An ordered map, for as long as the context lasts, over `num_proc` threads of this process (`local`;
    default: the caller's own) or workers of a Ray cluster (`ray`; default: all that it has).

    Raises:
        SourceError: there is no such engine, or it cannot be reached.
        WorkerDied: one of Ray's workers was lost again and again; raised in the context.
    """
    if engine not in ENGINES:
        raise SourceError(f"engine={engine!r}: allowed are {', '.join(ENGINES)}.")
    if engine == RAY:
        from luab_data.ray_workers import ray_workers  # an extra, and seconds to import

        return ray_workers(num_proc, ray_address)
    if ray_address is not None:
        raise SourceError(f"ray_address={ray_address!r} goes with engine={RAY!r}.")
    return _threads(num_proc or 1)


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
def _threads(num_proc: int) -> Iterator[OrderedMap]:
    """Threads are enough: nearly all of a worker's time is Pillow's, which decodes and resizes without the
    interpreter's lock. They start at once, and no image has to be copied to another process and back.
    """
    if num_proc == 1:
        yield map
        return
    pool = ThreadPoolExecutor(num_proc)

    def ordered_map(function, tasks):
        return in_order(lambda task: pool.submit(function, task).result, tasks, TASKS_A_WORKER * num_proc)

    try:
        yield ordered_map
    finally:
        pool.shutdown(cancel_futures=True)
