"""Image columns that `datasets` does not recognize, and classes from the folders of the image files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from luab_data.console.names import few
from luab_data.errors import SourceError
from luab_data.images.pillow import SUFFIXES
from luab_data.rows.arrow import OddRows, is_text_type, read_column
from luab_data.rows.labels import Labels

HIDDEN = (".", "__")  # prefixes that `datasets` skips


def readable_images(rows: datasets.Dataset, feature: Any, column: str, root: Path | None) -> pa.ChunkedArray:
    """Paths, bytes, or {bytes, path} -> {bytes, path}, the storage of `datasets.Image`.

    Raises:
        SourceError: another type, or a path out of the dataset's folder.
    """
    values = read_column(rows, column)
    if isinstance(feature, datasets.Image):
        return values
    kind = values.type
    if is_text_type(kind):
        paths = pa.array(_inside(values.to_pylist(), column, root), pa.string())
        return pa.chunked_array([datasets.Image().cast_storage(paths)])
    is_file = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    if is_file or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.chunked_array([datasets.Image().cast_storage(chunk) for chunk in values.chunks])
    what = "pixels" if pa.types.is_list(kind) or pa.types.is_large_list(kind) else str(kind)
    raise SourceError(
        f"column {column!r} holds {what}, not images: it needs image files (their bytes or paths). "
        "Store each image with datasets.Image."
    )


def _inside(paths: list[str | None], column: str, root: Path | None) -> list[str | None]:
    """Absolute paths of the dataset's files.

    No path may leave the dataset's folder: a dataset must not make the run open other local files.
    """
    if root is None:
        raise SourceError(
            f"column {column!r} holds paths, but a dataset of the Hub has no folder here. Download it "
            "(hf download --repo-type dataset) and give the folder."
        )
    base = f"{root}{os.sep}"
    whole: list[str | None] = []
    for number, path in enumerate(paths):
        if path is None:
            whole.append(None)
            continue
        found = os.path.normpath(root / path)
        if "://" in path or not found.startswith(base):
            raise OddRows(
                f"column {column!r} has a path that lies outside the dataset's folder {root}",
                f"row {number}",
                repr(path),
                "Paths must lead to files below it; give a --dataset that lies above its images.",
            )
        whole.append(found)
    for number in np.linspace(0, len(whole) - 1, min(len(whole), 100)).astype(int).tolist():
        if whole[number] is not None and not Path(whole[number]).is_file():
            raise OddRows(
                f"column {column!r} names a file that is not there",
                f"row {number}",
                str(whole[number]),
                "Paths start from the dataset's folder.",
            )
    return whole


def image_paths(rows: datasets.Dataset, column: str) -> list[str | None]:
    """The path of each row's image, or None."""
    values = read_column(rows, column)
    return (
        pc.struct_field(values, "path").to_pylist()
        if pa.types.is_struct(values.type)
        else [None] * len(values)
    )


def unlisted_images(splits: Mapping[str, datasets.Dataset], column: str, root: Path | None) -> list[str]:
    """A note on image files in a dataset's folder that no row names.

    `datasets` silently skips files that are not in the metadata file. Empty for rows with image bytes, and
    without a metadata file.
    """
    rows = next(iter(splits.values()), None)
    if root is None or rows is None or not isinstance(rows.features.get(column), datasets.Image):
        return []
    labels = [rows.features[name] for name in rows.column_names if name != column]
    if all(isinstance(each, datasets.ClassLabel) for each in labels):  # images in class folders: all are rows
        return []
    named = {path for each in splits.values() for path in image_paths(each, column) if path is not None}
    if not any(path.startswith(f"{root}{os.sep}") for path in named):
        return []
    absent = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(HIDDEN)]
        images = (name for name in files if name.lower().endswith(SUFFIXES) and not name.startswith(HIDDEN))
        absent += [file for name in images if (file := f"{folder}{os.sep}{name}") not in named]
    if not absent:
        return []
    return [
        f"{len(absent):,} image files below {root} are in no row and are left out, for the metadata file "
        f"does not list them: {few([os.path.relpath(file, root) for file in sorted(absent)], 3)}"
    ]


def folder_labels(rows: datasets.Dataset, column: str, known: Sequence[str] | None = None) -> Labels | None:
    """Classes from each image's folder, for class folders with a metadata file.

    For these `datasets` only reads the columns. None unless there are two or more folders, all at one depth.

    Args:
        rows: The dataset.
        column: The image column.
        known: All class folders, if these rows are a part that may lack some.
    """
    values = read_column(rows, column)
    if not pa.types.is_struct(values.type) or pc.struct_field(values, "bytes").null_count < len(values):
        return None
    paths = [PurePosixPath(path) for path in image_paths(rows, column) if path is not None]
    folders = [path.parent.name for path in paths]
    names = sorted(set(folders))
    if known is not None and len(paths) == len(rows) and set(names) <= set(known):
        names = list(known)
    elif len(paths) < len(rows) or len(names) < 2 or len({len(path.parts) for path in paths}) > 1:
        return None
    numbers = {name: number for number, name in enumerate(names)}
    return Labels(
        pa.chunked_array([pa.array([numbers[folder] for folder in folders], pa.int64())]),
        datasets.ClassLabel(names=names),
        notes=("classes are the folders of the images, for there is no column of labels",),
    )
