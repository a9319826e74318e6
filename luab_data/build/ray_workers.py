"""The workers of a Ray cluster: the same ordered map on several machines.

It uses Ray's tasks and not Ray Data, which does not support a source that a single process reads in order:
see docs/build.md.
"""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from luab_data.build.ordered_map import RAY, TASKS_A_WORKER, OrderedMap, WorkerDied, in_order
from luab_data.console.missing import require_extra
from luab_data.errors import SourceError

ADDRESS_VARIABLE = "RAY_ADDRESS"  # Ray's own
# Sent to the nodes, so that all run the same code: all that makes the rows of builds and conversions.
PACKAGES = ("luab_data", "imagenet_ab", "coco_ab", "luab_attention", "luab_vision")


@contextmanager
def ray_workers(num_proc: int | None, address: str | None) -> Iterator[OrderedMap]:
    """Runs the map on a Ray cluster: the one at `address` or `$RAY_ADDRESS`, or a new one.

    Without an address it starts a cluster of `num_proc` workers on this machine, and stops it afterwards. The
    map sends enough tasks to keep `num_proc` workers busy, by default all CPUs that the cluster has now. An
    existing connection of the program is used and kept; its nodes must have this code.

    Raises:
        SourceError: Ray is not installed, or there is no cluster at the address. Errors of the mapped
            function are raised unchanged.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reads it when it is imported
    require_extra("ray", f"engine={RAY!r}")
    import ray

    connection = nullcontext() if ray.is_initialized() else _connect(ray, num_proc, address)

    def ordered_map(function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        remote = ray.remote(
            function
        )  # Ray repeats a task if its worker, or the node with its result, is lost
        workers = num_proc or int(ray.cluster_resources().get("CPU", 1))
        return in_order(lambda task: partial(ray.get, remote.remote(task)), tasks, TASKS_A_WORKER * workers)

    try:
        with connection:
            yield ordered_map
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error  # the function's own error: Ray's message is a whole traceback
    except ray.exceptions.RayError as error:
        raise WorkerDied(
            f"Ray gave up on a task: {error}\nRun the same command again to go on. Workers die most often "
            "for lack of memory: fewer at a time (num_proc) take less."
        ) from error


def _connect(ray: ModuleType, num_proc: int | None, address: str | None) -> AbstractContextManager[Any]:
    address = address or os.environ.get(ADDRESS_VARIABLE) or "local"
    code = [str(Path(__file__).parents[2] / package) for package in PACKAGES]
    starts = {"num_cpus": num_proc, "include_dashboard": False} if address == "local" else {}
    try:
        host, _, port = address.rpartition(":")
        if port.isdecimal() and "/" not in host:
            # Ray retries an address without an answer for many minutes.
            socket.create_connection((host, int(port)), timeout=10).close()
        return ray.init(address, runtime_env={"py_modules": code}, logging_level="WARNING", **starts)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        # A wrong token is only named in the cause, at the end of a traceback.
        reason = str(error.__cause__ or error).rpartition("\nray.exceptions.")[2].strip()
        raise SourceError(
            f"ray_address={address!r}: no Ray cluster can be reached ({reason}). Pass the host:port that "
            f"`ray start --head` printed, or leave it and ${ADDRESS_VARIABLE} out to use this machine alone. "
            "A cluster that asks for a token wants RAY_AUTH_MODE=token and that token, here and on each node."
        ) from error
