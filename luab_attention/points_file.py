"""A separate table of points, joined to a dataset's images by file name."""

from pathlib import Path, PurePosixPath
from typing import NamedTuple

import datasets
import numpy as np

from luab_attention.points import FlatPoints
from luab_data.console.names import few
from luab_data.errors import SourceError
from luab_data.files.table_text import named_columns, separator_hint
from luab_data.rows.arrow import is_text_type, read_column
from luab_data.rows.image_columns import image_paths
from luab_data.rows.splits import TABLES, load_splits

FILE_COLUMNS = ("file", "file_name", "filename", "path", "image")


class Join(NamedTuple):
    """A table of points and the rows of a dataset that its lines belong to.

    Attributes:
        table: the lines.
        row: [L] the row of each line, -1 without an image.
        count: number of rows of the dataset.
        note: message on how many lines and rows matched.
    """

    table: datasets.Dataset
    row: np.ndarray
    count: int  # type: ignore[assignment]  # in place of a method of tuples that nobody calls
    note: str

    def of_rows(self, points: FlatPoints) -> tuple[FlatPoints, np.ndarray]:
        """The lines' points in the order of the rows, and the points' positions in the table."""
        row = self.row[points.row]
        order = np.argsort(row, kind="stable")
        order = order[row[order] >= 0]
        row = row[order]
        several = points.several or len(np.unique(row)) < len(row)
        return FlatPoints(
            row=row,
            xy=points.xy[order],
            weight=None if points.weight is None else points.weight[order],
            label=None if points.label is None else points.label.take(order),
            count=self.count,
            several=several,
            negative=points.negative,
            here=None if points.here is None else points.here[order],
        ), order


def join_points(
    rows: datasets.Dataset, image: str, file: str, root: Path | None, required: bool = True
) -> Join:
    """Match each line of a table with the image that it names.

    A name is a path in the dataset's folder, or its end: "cat/1.jpg" matches train/cat/1.jpg if no other
    image ends the same way. Several lines for an image are several points.

    Raises:
        SourceError: no such file, no column of names, no match, or a name that matches several images.
    """
    if Path(file).suffix.lower() not in TABLES or not Path(file).is_file():
        raise SourceError(f"--points_file {file}: there is no such file of rows ({', '.join(TABLES)}).")
    table = load_splits(file)["train"]
    column = next((name for name in FILE_COLUMNS if name in table.column_names), None)
    if column is None or not is_text_type(read_column(table, column).type):
        hint = separator_hint(table.column_names) if Path(file).suffix.lower() == ".csv" else ""
        raise SourceError(
            f"--points_file {file} names no image files: it needs a column {', '.join(FILE_COLUMNS)}; it has "
            f"{', '.join(named_columns(table.column_names))}.{hint}"
        )
    names = [str(PurePosixPath(name)) if name else "" for name in read_column(table, column).to_pylist()]
    paths = [_relative(path, root) for path in image_paths(rows, image)]
    found = _match(set(names), paths, file)
    row = np.array([found.get(name, -1) for name in names], np.int64)
    if not found and required:
        raise SourceError(
            f"--points_file {file}: none of its names is an image of the dataset. It has {few(names, 3)}; "
            f"the images are {few([str(path) for path in paths if path is not None], 3)}."
        )
    strangers = [name for name, at in zip(names, row, strict=True) if at < 0]
    note = f"{file}: {len(names) - len(strangers):,} lines for {len(found):,} of {len(rows):,} images"
    if strangers:
        note += f"; {len(strangers):,} lines name no image: {few(strangers, 3)}"
    return Join(table, row, len(rows), note)


def _relative(path: str | None, root: Path | None) -> PurePosixPath | None:
    if path is None:
        return None
    pure = PurePosixPath(Path(path).as_posix())
    for base in () if root is None else (root, root.resolve()):
        if pure.is_relative_to(base.as_posix()):
            return pure.relative_to(base.as_posix())
    return pure


def _match(names: set[str], paths: list[PurePosixPath | None], file: str) -> dict[str, int]:
    """Name -> the row of the image whose path equals it or ends with it."""
    found: dict[str, int] = {}
    for number, path in enumerate(paths):
        if path is None:
            continue
        parts = path.parts
        name = next((end for end in ("/".join(parts[at:]) for at in range(len(parts))) if end in names), None)
        if name is not None and found.setdefault(name, number) != number:
            raise SourceError(
                f"--points_file {file}: the name {name} fits {paths[found[name]]} and {path}. Give "
                "the path from the dataset's folder."
            )
    return found
