"""What `run.py` starts from: rows, their columns and classes."""

import importlib
from collections import Counter
from pathlib import Path

import datasets
import pyarrow.compute as pc
from datasets.exceptions import DatasetsError

from luab_data import constants
from luab_data.disk import full_disk_explained
from luab_data.errors import SourceError
from luab_trainer.class_names import WNID
from luab_trainer.image_paths import check_image_paths
from luab_trainer.targets import ByproductKind, Columns, LabelPolicy

OURS = ("imagenet_ab", "coco_ab")  # packages that register a dataset of their name
EVAL_SPLITS = ("validation", "val", "test")
CACHE_FULL = "Free some, or set HF_HOME to a folder on another disk, and run the same command again."


def load_splits(source: str, config: str | None = None) -> datasets.DatasetDict:
    """A dataset's splits: a folder of Parquet or images, one that `save_to_disk` wrote, a Hub id, or our
    sample.

    Raises:
        SourceError: not found, not accessible, or an unknown configuration.
    """
    if source in OURS:
        importlib.import_module(source)
    try:
        with full_disk_explained(datasets.config.HF_DATASETS_CACHE, CACHE_FULL):
            splits = _load(source, config)
            for rows in splits.values():
                check_image_paths(rows, source)
            return splits
    except SourceError:
        raise
    except (OSError, ValueError, DatasetsError) as error:
        raise SourceError(
            f"cannot load the dataset {source!r}{f', configuration {config!r}' if config else ''}: {error}\n"
            "Give a folder that one of the loading_scripts wrote, another dataset folder, or a Hub id "
            "(owner/name; log in with `hf auth login` for a private or gated one)."
        ) from error


def _load(source: str, config: str | None) -> datasets.DatasetDict:
    if any(Path(source, name).is_file() for name in ("dataset_dict.json", "state.json")):
        loaded = datasets.load_from_disk(source)
        return loaded if isinstance(loaded, dict) else datasets.DatasetDict(train=loaded)
    return datasets.load_dataset(source, config)


def pick_split(splits: datasets.DatasetDict, split: str, source: str, option: str) -> datasets.Dataset:
    """A split, or a part of one as `datasets` writes it: "train[:80%]", "train[100:]".

    Raises SourceError with the splits that there are.
    """
    name, part, _ = split.partition("[")
    if name not in splits:
        raise SourceError(f"{source} has no split {name!r}; it has {', '.join(splits)}. Set --{option}.")
    if not part:
        return splits[name]
    try:
        (rows,) = datasets.ReadInstruction.from_spec(split).to_absolute({name: len(splits[name])})
    except (AssertionError, ValueError) as error:
        raise SourceError(f"--{option} {split!r}: {error}; write it like 'train[:80%]'.") from error
    return splits[name].select(range(rows.from_, rows.to))


def find_columns(
    rows: datasets.Dataset, image: str, label: str | None, point: str | None, annotations: str | None
) -> Columns:
    """The columns to read; unset ones take the names of a single-label dataset, or else of a multi-label one.

    Raises:
        SourceError: an image or label column that is not there.
    """
    names = rows.column_names
    label = label or next((n for n in (constants.LABEL, constants.LABELS) if n in names), constants.LABEL)
    point = point or next((n for n in (constants.CLICK, constants.POINTS) if n in names), constants.CLICK)
    for option, column in (("image_column", image), ("label_column", label)):
        if column not in names:
            raise SourceError(
                f"the dataset has no column {column!r}; it has {', '.join(names)}. Set --{option}."
            )
    return Columns(image=image, label=label, point=point, annotations=annotations)


def is_multi_label(rows: datasets.Dataset, columns: Columns) -> bool:
    """Whether the label column holds a list of classes."""
    return isinstance(rows.features[columns.label], datasets.List)


def check_task(
    columns: Columns, multi_label: bool, loss: str, byproduct: ByproductKind, label_policy: LabelPolicy
) -> None:
    """Raises SourceError for options that do not go with the number of labels of an image."""
    if multi_label and loss != "none" and byproduct != "click":
        raise SourceError(
            f"--byproduct {byproduct}: a trace does not say which of an image's labels (column "
            f"{columns.label!r}) it belongs to; take --byproduct click."
        )
    if not multi_label and label_policy != "keep":
        raise SourceError(
            f"--label_policy {label_policy} is for several labels an image, but column {columns.label!r} has "
            "one; leave the option out."
        )


def class_names(rows: datasets.Dataset, columns: Columns) -> list[str]:
    """The classes' names in the order of their numbers, as their ClassLabel has them.

    Of our own ImageNet rows, whose ClassLabel has wnids, the readable ones of the column `class_name`. In
    other datasets a column of that name can mean anything.

    Raises:
        SourceError: labels that are no class numbers.
    """
    feature = rows.features[columns.label]
    if is_multi_label(rows, columns):
        feature = feature.feature
    if not isinstance(feature, datasets.ClassLabel):
        if not (isinstance(feature, datasets.Value) and feature.dtype.startswith("int")):
            raise SourceError(
                f"column {columns.label!r} holds {feature}, but class numbers are needed: "
                f"encode them once with dataset.class_encode_column({columns.label!r})."
            )
        labels = rows.select_columns(columns.label).with_format("arrow")[:][columns.label]
        largest = pc.max(pc.list_flatten(labels) if is_multi_label(rows, columns) else labels).as_py()
        if largest is None:
            raise SourceError(f"column {columns.label!r} holds no label at all.")
        return [str(i) for i in range(largest + 1)]
    ours = constants.CLASS_NAME in rows.column_names and all(map(WNID.fullmatch, feature.names))
    if not ours or is_multi_label(rows, columns):
        return list(feature.names)
    table = rows.select_columns([columns.label, constants.CLASS_NAME]).with_format("arrow")[:]
    pairs = table.group_by([columns.label, constants.CLASS_NAME]).aggregate([]).to_pydict()
    readable = dict(zip(pairs[columns.label], pairs[constants.CLASS_NAME], strict=True))
    names = [readable.get(i) or name for i, name in enumerate(feature.names)]
    # ImageNet has two cranes and two maillots: label2id needs them apart.
    count = Counter(names)
    return [f"{n} ({own})" if count[n] > 1 else n for n, own in zip(names, feature.names, strict=True)]
