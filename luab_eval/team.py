"""Several processes that share a pass over images: `accelerate launch` or torchrun starts them.

    the first process, the leader   does everything that one process does, and says what to predict (`send`)
    the others                      predict their share of it (`receive`, until None), and write nothing

They talk through torch.distributed's gloo, which needs no GPU. An error of one process becomes an error of
the leader, which prints it. So the user sees one line.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from luab_data.console.explain import explain

T = TypeVar("T")

LONGEST_WAIT = timedelta(days=2)  # for another process: the leader may score millions of images meanwhile


class Failed(Exception):
    """Another process failed, or this one and the leader knows why."""


@dataclass(frozen=True)
class Team:
    """The processes of one evaluation, as each of them sees it.

    Attributes:
        rank: Number of this process; the leader is 0.
        size: How many processes there are.
        local_rank: Number of this process on its machine.
        local_size: How many processes are on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the first."""
        return self.rank == 0

    def device(self, asked: str | None) -> str:
        """The device of this process: with several processes, each has its own GPU, or all have the CPU.

        Raises:
            ValueError: `asked` names one device for all, or there are fewer GPUs than processes.
        """
        import torch

        kind = asked or ("cuda" if torch.cuda.is_available() else "cpu")
        if self.size == 1 or kind == "cpu":
            return kind
        if kind != "cuda":
            raise ValueError(
                f"--device {asked}: each of the {self.size} processes has its own device. Give cuda or cpu, "
                "or leave it out"
            )
        if self.local_size > torch.cuda.device_count():
            raise ValueError(
                f"{self.local_size} processes on a machine with {torch.cuda.device_count()} GPUs: each "
                "process needs its own. Give --num_processes of accelerate launch as many, or --device cpu"
            )
        torch.cuda.set_device(self.local_rank)
        return f"cuda:{self.local_rank}"

    def send(self, order: Any) -> None:
        """Give the others something to do; None: nothing more. Only the leader calls it."""
        if self.size > 1:
            self._broadcast([order])

    def receive(self) -> Any:
        """The next thing to do, or None. All but the leader call it."""
        orders: list[Any] = [None]
        self._broadcast(orders)
        return orders[0]

    def agree(self, function: Callable[[], T]) -> list[T]:
        """Calls the function in each process -> all results, in all processes.

        Raises:
            Exception: in the leader, what the function raised in it, or a ValueError with the message of
                another process. In the others it is `Failed`.
        """
        if self.size == 1:
            return [function()]
        problem: Exception | None = None
        own: list[T] = []
        try:
            own.append(function())
        except Exception as error:
            problem = error
        everyone = self._gather((None if problem is None else explain(problem), own))
        if not self.leads and any(message is not None for message, _ in everyone):
            raise Failed
        if problem is not None:
            raise problem
        for message, _ in everyone:
            if message is not None:
                raise ValueError(message)
        return [value for _, values in everyone for value in values]

    def steps(self, own: Iterator[T], count: int) -> Generator[list[T], None, None]:
        """`count` times the next of `own` of all processes; raises as `agree`.

        Close it if its values are not all taken, so that the others do not wait.
        """
        for left in reversed(range(count)):
            values = self.agree(partial(next, own))
            try:
                yield values
            except GeneratorExit:
                if left:
                    with suppress(Failed):
                        self.agree(_give_up)
                raise

    def _broadcast(self, orders: list[Any]) -> None:
        from torch import distributed

        distributed.broadcast_object_list(orders, src=0)

    def _gather(self, value: T) -> list[T]:
        from torch import distributed

        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values


ALONE = Team()


def follows() -> bool:
    """Whether this process is one that a launcher started besides the first."""
    return int(os.environ.get("RANK", "0")) > 0


@contextmanager
def joined() -> Iterator[Team]:
    """The team of the processes that a launcher started, or `ALONE`.

    When the leader leaves it, the others are dismissed. After an interrupt the launcher ends them instead.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    from torch import distributed

    if follows():  # at the launcher's SIGTERM only the leader speaks
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    distributed.init_process_group("gloo", timeout=LONGEST_WAIT)
    here = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    team = Team(distributed.get_rank(), distributed.get_world_size(), *here)
    try:
        yield team
    except (Exception, SystemExit):
        _dismiss(team)
        raise
    else:
        _dismiss(team)
    distributed.destroy_process_group()


def _dismiss(team: Team) -> None:
    if team.leads:
        with suppress(RuntimeError):  # the others have ended
            team.send(None)


def _give_up() -> None:
    raise Failed
