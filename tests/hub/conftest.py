"""The Hub and its clients, one of each for all tests."""

import threading

import pytest

from hub.clients import Clients
from hub.server import Hub

TOKEN = "hf_YouShouldNotSeeThisTokenAnywhere"


@pytest.fixture(scope="session")
def _served():
    hub = Hub()
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    yield hub
    hub.shutdown()
    hub.server_close()


@pytest.fixture
def hub(_served):
    """The Hub: empty, with the users `you` and `reader`."""
    _served.repositories.clear()
    _served.objects.clear()
    _served.seen.clear()
    _served.sent.clear()
    _served.rules.clear()
    _served.page_size = 1000
    _served.users = {"you": TOKEN, "reader": "hf_reader"}
    return _served


@pytest.fixture(scope="session")
def clients(_served, tmp_path_factory):
    started = Clients(_served.url, tmp_path_factory.mktemp("home"))
    yield started
    started.close()


@pytest.fixture(autouse=True)
def _no_token_anywhere(hub, clients, tmp_path):
    """After each test: the token is in no output, no file, no repository, no address."""
    before = len(clients.outputs)
    yield
    assert TOKEN not in "".join(clients.outputs[before:])
    assert not any(TOKEN in line for line in hub.seen)
    secret = TOKEN.encode()
    for repository in hub.repositories.values():
        assert not any(secret in file.content for file in repository.files.values())
    for path in (*tmp_path.rglob("*"), *clients.home.rglob("*")):
        assert path.is_dir() or not path.is_file() or secret not in path.read_bytes(), path
