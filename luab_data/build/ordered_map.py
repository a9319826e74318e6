"""A map over workers that keeps the order and needs little memory; the interface of all workers."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

RAY = "ray"
TASKS_A_WORKER = 2  # pending: one in progress, one waiting

T = TypeVar("T")
R = TypeVar("R")

# (function, tasks) -> the results in the order of the tasks, as in `map`.
OrderedMap = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


class WorkerDied(RuntimeError):
    """A worker in another process died before its task was done; the message says what to do."""


def in_order(submit: Callable[[T], Callable[[], R]], tasks: Iterable[T], at_once: int) -> Iterator[R]:
    """Yields the results of `tasks` in their order.

    Args:
        submit: starts a task, and returns a function that waits for its result.
        tasks: the tasks, consumed no faster than the results.
        at_once: the maximum number of pending tasks.
    """
    waiting: deque[Callable[[], R]] = deque()
    for task in tasks:
        waiting.append(submit(task))
        if len(waiting) >= at_once:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()
