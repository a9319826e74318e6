"""The lock files hold every package that setup.cfg asks for, in a version that it allows, with hashes."""

import functools
import re
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


@functools.cache
def entries(lock: Path) -> list[Requirement]:
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [Requirement(line.rstrip(" \\")) for line in lines if re.match(r"[a-z0-9]", line)]


def asked_for() -> list[Requirement]:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    texts = [
        config["options"]["install_requires"],
        *(extras[name] for name in extras if name != "app"),  # see setup.cfg
    ]
    lines = "\n".join(texts).splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("%")]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_entry_is_one_version_with_hashes_and_no_address(lock):
    text = lock.read_text(encoding="utf-8")
    assert not re.search(r"://|--index|--find-links|file:| @ |/[a-z]+/", text)
    for block in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        assert re.match(r"[a-z0-9.-]+==\S+", block), block
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("wanted", asked_for(), ids=lambda wanted: wanted.name)
def test_what_setup_cfg_asks_for_is_locked_in_a_version_that_it_allows(wanted, python):
    environment = {
        "python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux",
        "platform_machine": "x86_64",
    }  # fmt: skip
    found = [
        entry
        for lock in LOCKS
        for entry in entries(lock)
        if canonicalize_name(entry.name) == canonicalize_name(wanted.name)
        and (entry.marker is None or entry.marker.evaluate(environment))
    ]
    assert found, f"{wanted.name} is not locked: make lock"
    for entry in found:
        version = str(entry.specifier).removeprefix("==")
        assert wanted.specifier.contains(version), f"{wanted} is not {entry}: make lock"
