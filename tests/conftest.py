"""Fixtures that every test may use. Test data comes from factories; real data only where it is present."""

import functools
import gc
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fixtures.hub.served import _served, clients, hub
from fixtures.releases import coco_release, imagenet_release, printed_records

__all__ = ["_served", "clients", "coco_release", "hub", "imagenet_release", "printed_records"]


@pytest.fixture(scope="module")
def timm() -> Iterator[Callable[..., Any]]:
    """Runs a function of the test's module in a process with timm, and raises what it raises."""
    from fixtures.tiny_timm import process_with_timm

    with process_with_timm() as process:
        yield lambda function, *arguments: process.submit(function, *arguments).result()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`pytest -n` gives a file to one worker, for its fixtures; all files with `clients` to the same one.

    Not by `xdist_group`: pytest-xdist 3.8 marks the groups in ids of tests that pytest 9.2 does not read.
    """
    from xdist.scheduler import LoadFileScheduling

    @functools.cache
    def forks(file: str) -> bool:
        return "clients" in re.findall(r"\w+", (config.rootpath / file).read_text(encoding="utf-8"))

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "forks" if forks(file) else file

    return ByFile(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What the test files import stays, so the garbage collector need not look through it.

    Each training run collects garbage twice, which took three quarters of a short run's time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure() -> None:
    """Extension modules report as leaks what is frozen when Python ends."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def _heeds_interrupts():
    """A shell has its background jobs ignore SIGINT, and so would the programs that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
