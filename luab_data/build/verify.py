"""Checks a built dataset folder with its `SHA256SUMS`, which `sha256sum --check` reads too."""

import json
from collections.abc import Iterator
from pathlib import Path

from luab_data.build.manifest import DESCRIPTIONS, SHARDS, SUMMARY
from luab_data.errors import SourceError
from luab_data.files.durable import file_sha256, replacing
from luab_data.files.sums import CARD, SUMS, format_sums, parse_sums


def verify_dataset(folder: str | Path) -> list[str]:
    """The problems of a folder that `luab build` made, one line each.

    Reads every byte. Raises SourceError for a folder that is not a finished build.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SourceError(f"{str(folder)!r} is no folder.")
    if (folder / ".build").is_dir():
        return ["the build is not finished: run the same `luab build` command again to resume it."]
    if not (folder / SUMS).is_file():
        if not (folder / SUMMARY).is_file():
            raise SourceError(f"{str(folder)!r} holds no {SUMS}: it is not a folder that `luab build` made.")
        return [f"{SUMS} is missing: the folder is incomplete, or an earlier version built it."]
    try:
        sums = parse_sums((folder / SUMS).read_text(encoding="utf-8"))
    except ValueError as error:  # UnicodeDecodeError too
        return [f"{SUMS} is damaged: {error}"]
    sums.pop(CARD, None)  # people edit it; earlier versions listed it
    return [*_differences(folder, sums), *_disagreements(folder, sums), *_foreign(folder, sums)]


def write_dataset_sums(folder: Path, shards: dict[str, str], others: tuple[str, ...]) -> None:
    """Writes `SHA256SUMS` for `shards` (SHA-256 by name) and the `others`, which are read."""
    with replacing(folder / SUMS) as file:
        file.write(format_sums(shards | {name: file_sha256(folder / name) for name in others}))


def _differences(folder: Path, sums: dict[str, str]) -> Iterator[str]:
    for name, sha256 in sums.items():
        path = folder / name
        if not path.is_file():
            why = " (it was removed, or uploaded with --push-to-hub)" if SHARDS.fullmatch(name) else ""
            yield f"{name} is missing{why}."
        elif file_sha256(path) != sha256:
            yield f"{name} is damaged: its SHA-256 is not the one in {SUMS}."


def _disagreements(folder: Path, sums: dict[str, str]) -> Iterator[str]:
    """Problems of the two lists, which a later build relies on: they must have the same shards."""
    try:
        shards = json.loads((folder / SUMMARY).read_bytes())["shards"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        yield f"{SUMMARY} cannot be read."
        return
    yield from (f"{SUMS} does not list {name}." for name in DESCRIPTIONS if name not in sums)
    if shards != {name: sha256 for name, sha256 in sums.items() if SHARDS.fullmatch(name)}:
        yield f"{SUMMARY} lists other shards than {SUMS}."


def _foreign(folder: Path, sums: dict[str, str]) -> Iterator[str]:
    """Files that `load_dataset` would read as part of the dataset."""
    for path in sorted((folder / "data").glob("train-*.parquet")):
        name = path.relative_to(folder).as_posix()
        if name not in sums:
            yield f"{name} is no part of this build: remove it."
