"""The raw files of a dataset, opened: what the build and the builder of both datasets ask of them."""

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from datasets import Features

from luab_data.build.batches import ROWS_PER_BATCH, MakeBatch
from luab_data.build.join import Found, Pair
from luab_data.files.fingerprint import fingerprint, is_local
from luab_data.sources.entries import Reject

# The configurations of both datasets.
FULL = "full"  # images and byproducts
BYPRODUCTS_ONLY = "byproducts"  # without images, for anyone to have
SAMPLE = "sample"  # generated rows that ship with the package

# Rows without an image have some kB, and are made the faster the more of them are made at once.
ROWS_PER_GROUP = {FULL: ROWS_PER_BATCH, BYPRODUCTS_ONLY: 20 * ROWS_PER_BATCH}


class Source(Protocol):
    """One of the files or folders that a user named."""

    role: str
    place: str | Path  # a path, or a Hub id
    ignored: int  # files of another kind that the last pass came by


class RawDataset(Protocol):
    """All of them, opened. Opening raises `SourceError` where something is missing."""

    @property
    def sources(self) -> Sequence[Source]:
        """The sources of the images and the byproducts."""

    def features(self) -> Features:
        """The columns' types of the rows that come of them."""
        ...

    def pairs(self, found: Found | None = None) -> Iterator[Pair | Reject]:
        """What belongs together, and what cannot be used; `found` as for `join`."""
        ...

    def to_batch(self, max_side: int | None = None) -> MakeBatch:
        """The rule that makes rows of pairs. Images whose longer side exceeds `max_side` are shrunk."""
        ...


def states(raw: RawDataset) -> dict[str, str]:
    """By role, what tells a source and its state from another; without the folders that it lies in."""
    places = {source.role: source.place for source in raw.sources}
    return {role: fingerprint(at) if is_local(at) else str(at) for role, at in places.items()}


def ignored(raw: RawDataset) -> dict[str, int]:
    """By role, the files of other kinds or classes that the last pass came by."""
    return {source.role: source.ignored for source in raw.sources}


def sample_files(package: str) -> list[Path]:
    """The Parquet files of the generated sample that ships with a dataset's package."""
    return sorted(Path(str(files(package) / "sample")).glob("*.parquet"))
