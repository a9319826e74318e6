"""Fixtures that every test may use. Test data comes from factories; real data only where it is present."""

import signal

import pytest
from fixtures.hub.served import _served, clients, hub
from fixtures.releases import coco_release, imagenet_release, printed_records

__all__ = ["_served", "clients", "coco_release", "hub", "imagenet_release", "printed_records"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`pytest -n` gives a file to one worker, for its fixtures; all files with `clients` to the same one."""
    forking = {item.path for item in items if "clients" in item.fixturenames}
    for item in items:
        item.add_marker(pytest.mark.xdist_group("forks" if item.path in forking else item.path.stem))


@pytest.fixture(scope="session", autouse=True)
def _heeds_interrupts():
    """A shell has its background jobs ignore SIGINT, and so would the programs that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
