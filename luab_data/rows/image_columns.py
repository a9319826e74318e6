"""Image columns that `datasets` does not recognize, and classes from the folders of the image files."""

import os
from collections.abc import Container, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from luab_data.console.names import few
from luab_data.console.text import counted
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

    `datasets` silently skips files that are not in the metadata file, and folders beside `train` whose names
    are no split's. Empty for rows with image bytes.
    """
    rows = next(iter(splits.values()), None)
    if root is None or rows is None or not isinstance(rows.features.get(column), datasets.Image):
        return []
    labels = [rows.features[name] for name in rows.column_names if name != column]
    listed = not all(isinstance(each, datasets.ClassLabel) for each in labels)
    base = f"{root}{os.sep}"
    named = {path for each in splits.values() for path in image_paths(each, column) if path is not None}
    named = {path for path in named if path.startswith(base)}
    if not named:
        return []
    if listed:
        absent, why = _images_below(root) - named, "the metadata file does not list them"
    else:  # in class folders: `datasets` reads all images of the folders that it takes for splits
        read = {path[len(base) :].partition(os.sep)[0] for path in named}
        absent, why = _images_below(root, read), "nothing there is called train, validation or test"
    if not absent:
        return []
    are = "is" if len(absent) == 1 else "are"
    return [
        f"{counted(len(absent), 'image file')} below {root} {are} in no row and {are} left out, for {why}: "
        f"{few([os.path.relpath(file, root) for file in sorted(absent)], 3)}"
    ]


def _images_below(root: Path, without: Container[str] = ()) -> set[str]:
    """The image files below a folder, except below some of its entries."""
    found = set()
    for folder, folders, files in os.walk(root):
        skipped = without if folder == str(root) else ()
        folders[:] = [name for name in folders if not name.startswith(HIDDEN) and name not in skipped]
        images = (name for name in files if name.lower().endswith(SUFFIXES) and not name.startswith(HIDDEN))
        found |= {f"{folder}{os.sep}{name}" for name in images if name not in skipped}
    return found


def folder_labels(rows: datasets.Dataset, column: str, known: Sequence[str] | None = None) -> Labels | None:
    """Classes from each image's folder, for class folders with a metadata file.

    For these `datasets` only reads the columns. None unless there are two or more folders, all at one depth.

    Args:
        rows: The dataset.
        column: The image column.
        known: All class folders, if these rows are a part that may lack some.
    """
    paths = _file_paths(rows, column)
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
        notes=("labels: the classes are the folders of the images, for there is no column of labels",),
    )


def require_class_folders(rows: datasets.Dataset, column: str) -> None:
    """Raises SourceError if the rows are image files whose folders are no classes; says why."""
    paths = _file_paths(rows, column)
    by_depth = {len(path.parts): path for path in paths}
    folders = {path.parent.name for path in paths}
    without = f"the dataset has no column of labels (it has {few(rows.column_names)}), and"
    if len(by_depth) > 1:
        ends = by_depth[min(by_depth)], by_depth[max(by_depth)]
        above = os.path.commonpath([path.parent for path in ends])
        high, low = (path.relative_to(above) for path in ends)
        raise SourceError(
            f"{without} its images lie at different depths below {above}, as {high} and {low} do, so that "
            "their folders are no classes. Put each image directly into the folder of its class, or set "
            "--label_column."
        )
    if len(folders) == 1:
        raise SourceError(
            f"{without} all its images lie in one folder, {next(iter(folders))!r}, so that there is one "
            "class: a classifier needs two. Give a folder for each class, or set --label_column."
        )


def _file_paths(rows: datasets.Dataset, column: str) -> list[PurePosixPath]:
    """The paths of images that are files; none if a row holds its image's bytes."""
    values = read_column(rows, column)
    if not pa.types.is_struct(values.type) or pc.struct_field(values, "bytes").null_count < len(values):
        return []
    return [PurePosixPath(path) for path in image_paths(rows, column) if path is not None]
