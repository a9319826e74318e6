"""The workers of a build: threads of this process, or a Ray cluster."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from luab_data.build.ordered_map import RAY, TASKS_A_WORKER, OrderedMap, in_order
from luab_data.errors import SourceError

LOCAL = "local"
ENGINES = (LOCAL, RAY)


def open_workers(
    engine: str = LOCAL, num_proc: int | None = None, ray_address: str | None = None
) -> AbstractContextManager[OrderedMap]:
    """Opens an ordered map over workers, for as long as the context lasts.

    Args:
        engine: `local` (threads of this process) or `ray` (workers of a Ray cluster).
        num_proc: number of workers. Default: the caller's thread, or all CPUs of the cluster.
        ray_address: address of the cluster.

    Raises:
        SourceError: an unknown engine, or the cluster cannot be reached.
        WorkerDied: Ray's workers were lost repeatedly; raised in the context.
    """
    if engine not in ENGINES:
        raise SourceError(f"engine={engine!r}: allowed are {', '.join(ENGINES)}.")
    if engine == RAY:
        from luab_data.build.ray_workers import ray_workers  # an extra, and seconds to import

        return ray_workers(num_proc, ray_address)
    if ray_address is not None:
        raise SourceError(f"ray_address={ray_address!r} goes with engine={RAY!r}.")
    return _threads(num_proc or 1)


@contextmanager
def _threads(num_proc: int) -> Iterator[OrderedMap]:
    """Runs the map on threads of this process.

    Threads are enough: Pillow takes nearly all of a worker's time, and decodes and resizes without the
    interpreter's lock. Threads start at once, and no image has to be copied between processes.
    """
    if num_proc == 1:
        yield map
        return
    pool = ThreadPoolExecutor(num_proc)

    def ordered_map(function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        return in_order(lambda task: pool.submit(function, task).result, tasks, TASKS_A_WORKER * num_proc)

    try:
        yield ordered_map
    finally:
        pool.shutdown(cancel_futures=True)
