"""A map over workers that keeps the order and holds little in memory: what every kind of workers gives."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

RAY = "ray"
TASKS_A_WORKER = 2  # under way: one that it works on, one that waits for it

T = TypeVar("T")
R = TypeVar("R")

# (function, tasks) -> the results in the order of the tasks, as `map` gives them.
OrderedMap = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


class WorkerDied(RuntimeError):
    """A worker in another process is gone, and its task is not done; the message says what to do."""


def in_order(submit: Callable[[T], Callable[[], R]], tasks: Iterable[T], at_once: int) -> Iterator[R]:
    """Yields the results of `tasks` in their order.

    Args:
        submit: begins a task, and returns what waits for its result.
        tasks: are taken no faster than results are.
        at_once: the most tasks under way.
    """
    waiting: deque[Callable[[], R]] = deque()
    for task in tasks:
        waiting.append(submit(task))
        if len(waiting) >= at_once:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()
