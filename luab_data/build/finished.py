"""Checks a folder of an earlier run: whether it is this build, and complete."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from luab_data.build.manifest import DESCRIPTIONS, SUMMARY, Manifest, ShardStore
from luab_data.build.state import STATE, require_same
from luab_data.errors import SourceError
from luab_data.files.durable import file_sha256
from luab_data.files.sums import CARD, SUMS, parse_sums

FINISHED = ".build-finished"  # what a killed run may leave behind
REMADE = ".build-remade"
_OF_HUB = re.compile(r"(?P<dataset>[^@]+)@[0-9a-f]{40}")  # a dataset of the Hub, with its commit


def finished_build(out: Path, arguments: dict[str, Any], store: ShardStore | None) -> Manifest | None:
    """The manifest of a finished build with these arguments, or None. Opens the store if there is one."""
    if out.exists() and not out.is_dir():
        raise SourceError(f"out={str(out)!r} is a file. Pass a folder that does not exist yet.")
    for leftover in (FINISHED, REMADE):
        shutil.rmtree(out / leftover, ignore_errors=True)
    if not out.exists() or (out / STATE).exists():
        return None
    if not (out / SUMMARY).exists():
        if any(out.iterdir()):
            raise SourceError(
                f"out={str(out)!r} holds other files. Pass a folder that is empty or does not exist."
            )
        return None
    _require_descriptions(out)
    manifest = Manifest(**json.loads((out / SUMMARY).read_text(encoding="utf-8")))
    require_same(out, manifest.arguments, as_then(manifest.arguments, arguments))
    if store is not None:
        store.open()
    for name, sha256 in manifest.shards.items():
        if not (out / name).exists() and (store is None or not store.holds(name, sha256)):
            raise SourceError(
                f"out={str(out)!r} is built, but {name} is not there: it was removed, or uploaded. Pass the "
                "repository that has it (--push-to-hub), or remove the folder and build it again."
            )
    return manifest


def as_then(then: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with datasets of the Hub as earlier versions wrote them: without the commit."""
    return {name: _as_then(then.get(name), value) for name, value in now.items()}


def _as_then(then: Any, now: Any) -> Any:
    if not isinstance(then, str) or not isinstance(now, str) or _OF_HUB.fullmatch(then):
        return now
    found = _OF_HUB.fullmatch(now)
    return then if found and found["dataset"] == then.partition("@")[0] else now


def _require_descriptions(out: Path) -> None:
    """Raises SourceError unless the files that describe the build are unchanged."""
    try:
        sums = parse_sums((out / SUMS).read_text(encoding="utf-8"))
        sums.pop(CARD, None)  # people edit it; earlier versions listed it
        damaged = [name for name in DESCRIPTIONS if file_sha256(out / name) != sums.pop(name)]
        if not damaged and sums != json.loads((out / SUMMARY).read_bytes())["shards"]:
            damaged = [SUMS]
    except (OSError, ValueError, KeyError):
        damaged = [SUMS]
    if damaged:
        raise SourceError(
            f"out={str(out)!r}: {damaged[0]} is missing, or not what the build wrote. Remove the folder and "
            "build it again, or pass another one."
        )
