"""The interface of a dataset's opened raw files, for the build and the builder of both datasets."""

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import PIL
from datasets import Features

from luab_data.build.batches import ROWS_PER_BATCH, MakeBatch
from luab_data.build.join import Found, Pair
from luab_data.build.registration import code_hash
from luab_data.errors import SourceError
from luab_data.files.fingerprint import fingerprint, is_local
from luab_data.sources.entries import Reject
from luab_data.sources.folders import FolderSource
from luab_data.sources.parts import ClassFilter

# The configurations of both datasets.
FULL = "full"  # images and byproducts
BYPRODUCTS_ONLY = "byproducts"  # without images, free to redistribute
SAMPLE = "sample"  # generated rows that ship with the package

_FORMER_NAMES = {"default": FULL}  # scripts written for the first version still say it


def configuration(name: str) -> str:
    """The configuration that a name stands for, today's or a former one."""
    return _FORMER_NAMES.get(name, name)


# Rows without an image have a few kB; larger batches of them are faster.
ROWS_PER_GROUP = {FULL: ROWS_PER_BATCH, BYPRODUCTS_ONLY: 20 * ROWS_PER_BATCH}


class Source(Protocol):
    """One of the files or folders that a user named."""

    @property
    def role(self) -> str:
        """What the source is for."""

    @property
    def place(self) -> str | Path:
        """The location: a path, or a Hub id."""

    @property
    def ignored(self) -> int:
        """The number of files of another kind in the last pass."""


class BuildableDataset(Protocol):
    """All sources, opened. Opening raises `SourceError` if something is missing."""

    @property
    def sources(self) -> Sequence[Source]:
        """The sources of the images and the byproducts."""

    def features(self) -> Features:
        """The types of the rows' columns."""
        ...

    def pairs(self, found: Found | None = None) -> Iterator[Pair | Reject]:
        """The pairs and the rejects; `found` as for `join`."""
        ...

    def to_batch(self, max_side: int | None = None) -> MakeBatch:
        """The function that makes rows from pairs. Shrinks images whose longer side exceeds `max_side`."""
        ...


class RawDataset(BuildableDataset, Protocol):
    """A release that `load_dataset` also streams, in parts."""

    @property
    def most_parts(self) -> int:
        """Into how many parts the release can be divided."""
        ...

    def part(self, parts: Iterable[int], of: int) -> "RawDataset":
        """Some of `of` parts of the release, which together have each entry once."""
        ...


def states(raw: BuildableDataset) -> dict[str, str]:
    """By role, a fingerprint of a source and its state, without the path of its folder."""
    return {source.role: _state(source) for source in raw.sources}


def _state(source: Source) -> str:
    """Of a folder of files, only those count that the source reads."""
    if not is_local(source.place):
        return str(source.place)
    files = source.source if isinstance(source, ClassFilter) else source
    suffixes = files.suffixes if isinstance(files, FolderSource) else ("",)
    return fingerprint(source.place, suffixes)


def require_outside(raw: BuildableDataset, out: str | Path) -> None:
    """Raises SourceError if the folder to write lies in a source's folder, whose files it would change."""
    for source in raw.sources:
        place = Path(source.place)
        if place.is_dir() and Path(out).resolve().is_relative_to(place.resolve()):
            raise SourceError(
                f"out={str(out)!r} lies in the folder {source.role}={str(place)!r}, which is read. Pass a "
                "folder elsewhere."
            )


def made_by(raw: BuildableDataset, max_side: int | None) -> dict[str, str]:
    """What makes the rows besides the files and the arguments: our code, and what shrinks images."""
    packages = (type(raw).__module__.partition(".")[0], "luab_data")
    code = code_hash(Path(str(files(package))) for package in packages)
    return {"code": code[:16]} | ({} if max_side is None else {"pillow": PIL.__version__})


def ignored(raw: BuildableDataset) -> dict[str, int]:
    """By role, the number of files of other kinds or classes in the last pass."""
    return {source.role: source.ignored for source in raw.sources}


def sample_files(package: str) -> list[Path]:
    """The Parquet files of the generated sample that ships with a dataset's package."""
    return sorted(Path(str(files(package) / "sample")).glob("*.parquet"))
