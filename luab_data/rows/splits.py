"""Loads a dataset's splits and parts, and holds out a share of the training rows for evaluation."""

import importlib
from pathlib import Path
from typing import NamedTuple, TypeAlias

import datasets
import numpy as np
from datasets.exceptions import DatasetsError

from luab_data.console.disk import full_disk_explained
from luab_data.console.names import few
from luab_data.errors import SourceError
from luab_data.files.table_text import utf8
from luab_data.rows.formats.arrow import require_plain_files
from luab_data.rows.image_paths import check_image_paths
from luab_data.rows.loading import load_dataset

OURS = ("imagenet_ab", "coco_ab")  # packages that register a dataset of their name
EVAL_SPLITS = ("validation", "valid", "val", "dev", "eval", "test")  # the first that there is
CACHE_FULL = "Free some, or set HF_HOME to a folder on another disk, and run the same command again."
# Files of rows by their suffix: who reads them, with which options.
TABLES = {
    ".jsonl": ("json", {}),
    ".json": ("json", {}),
    ".csv": ("csv", {}),
    ".tsv": ("csv", {"sep": "\t"}),
    ".parquet": ("parquet", {}),
    ".arrow": ("arrow", {}),
    ".tar": ("webdataset", {}),
}

Splits: TypeAlias = datasets.DatasetDict | datasets.IterableDatasetDict


def load_splits(source: str, config: str | None = None, streaming: bool = False) -> Splits:
    """Loads a dataset's splits from any source.

    The source is a folder of Parquet or images, output of `save_to_disk`, a file of rows (JSONL, CSV,
    Parquet, a WebDataset tar), a Hub id, or our sample.

    Raises:
        SourceError: not found, not accessible, or an unknown configuration.
    """
    if source in OURS:
        importlib.import_module(source)
    try:
        with full_disk_explained(datasets.config.HF_DATASETS_CACHE, CACHE_FULL):
            splits = _load(source, config, streaming)
            for rows in splits.values():
                if isinstance(rows, datasets.Dataset):
                    check_image_paths(rows, str(root_of(source) or source))
            return splits
    except SourceError:
        raise
    except (OSError, ValueError, DatasetsError) as error:
        cause = error.__cause__ or error
        if isinstance(cause, UnicodeDecodeError) and Path(source).is_file():
            utf8(Path(source).read_bytes(), source)
        reason = str(cause).strip().partition("\n")[0].rstrip(".")
        raise SourceError(
            f"cannot load the dataset {source!r}{f', configuration {config!r}' if config else ''}: {reason}. "
            "Give a folder that one of the loading_scripts wrote, another dataset folder, a file "
            f"({', '.join(TABLES)}), or a Hub id (owner/name; log in with `hf auth login` for a private or "
            "gated one)."
        ) from error


def _load(source: str, config: str | None, streaming: bool) -> Splits:
    path = Path(source)
    if path.is_file():
        if path.suffix.lower() not in TABLES:
            raise SourceError(f"{source} is no file of rows: {', '.join(TABLES)}. Give one, or a folder.")
        kind, options = TABLES[path.suffix.lower()]
        return load_dataset(kind, data_files={"train": source}, streaming=streaming, **options)
    if any((path / name).is_file() for name in ("dataset_dict.json", "state.json")):
        require_plain_files(path)
        loaded = datasets.load_from_disk(source)
        loaded = loaded if isinstance(loaded, dict) else datasets.DatasetDict(train=loaded)
        if streaming:
            return datasets.IterableDatasetDict({k: rows.to_iterable_dataset() for k, rows in loaded.items()})
        return loaded
    return load_dataset(source, config, streaming=streaming)


def root_of(source: str) -> Path | None:
    """The base folder of paths in a dataset; None for a dataset on the Hub."""
    path = Path(source).absolute()
    if path.is_file():
        return path.parent
    return path if path.is_dir() else None


class Part(NamedTuple):
    """Rows `start` to `stop` (excluded) of a split."""

    split: str
    start: int
    stop: int

    def shared(self, other: "Part") -> int:
        """How many rows two parts of one dataset have in common."""
        if self.split != other.split:
            return 0
        return max(0, min(self.stop, other.stop) - max(self.start, other.start))


def find_part(splits: datasets.DatasetDict, split: str, source: str, option: str) -> Part:
    """A split, or a part of one as `datasets` writes it: "train[:80%]", "train[100:]".

    Raises SourceError with the existing splits.
    """
    name, part, _ = split.partition("[")
    if name not in splits:
        raise SourceError(f"{source} has no split {name!r}; it has {', '.join(splits)}. Set --{option}.")
    if not part:
        return Part(name, 0, len(splits[name]))
    try:
        (rows,) = datasets.ReadInstruction.from_spec(split).to_absolute({name: len(splits[name])})
    except (AssertionError, ValueError) as error:
        raise SourceError(f"--{option} {split!r}: {error}; write it like 'train[:80%]'.") from error
    return Part(name, rows.from_, rows.to)


def part_of(rows: datasets.Dataset, part: Part) -> datasets.Dataset:
    """The part's rows, from the rows of the whole split."""
    return rows if (part.start, part.stop) == (0, len(rows)) else rows.select(range(part.start, part.stop))


def rows_at(rows: datasets.Dataset, numbers: np.ndarray) -> datasets.Dataset:
    """The rows with these numbers, which increase. Others are not even stored, and nothing is copied."""
    if not len(numbers):
        return rows.select(range(0))
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return datasets.concatenate_datasets([rows.select(range(run[0], run[-1] + 1)) for run in runs])


def find_eval_split(splits: Splits, train: str) -> tuple[str | None, str | None]:
    """The default evaluation split, and a note if there is doubt about it."""
    found = next((name for name in EVAL_SPLITS if name in splits and name != train), None)
    others = [name for name in splits if name != train]
    if found is None and others:
        return None, (
            f"nothing is evaluated: none of the splits {few(others)} is called {', '.join(EVAL_SPLITS)}. "
            "Name one with --eval_split."
        )
    return found, None


def hold_out(labels: np.ndarray | None, count: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Divides rows into those to train on and those to evaluate on, each in order.

    It depends only on the rows, not on the run's seed, so runs with different seeds are evaluated on the same
    images. `train_test_split(stratify_by_column=...)` of `datasets` is similar, but fails if a class has one
    row, or if there are more classes than evaluation rows.

    Args:
        labels: [count] class of each row; each class gives its share, rounded up or down, but not all its
            rows. None: rows of several labels, which are drawn without regard to them.
        count: How many rows there are.
        share: Of the rows to evaluate on, between 0 and 1.
    """
    rng = np.random.default_rng(0)
    order = rng.permutation(count)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
        _, place, sizes = np.unique(labels[order], return_inverse=True, return_counts=True)
        order, place = order[sizes[place] > 1], place[sizes[place] > 1]
    marks = np.floor(np.arange(len(order) + 1) * share + rng.random())
    chosen = np.diff(marks) > 0
    if labels is not None and len(order):
        first = np.flatnonzero(np.diff(place, prepend=-1))  # of each class
        chosen[first[np.logical_and.reduceat(chosen, first)]] = False
    held = np.zeros(count, bool)
    held[order[chosen]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
