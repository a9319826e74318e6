"""Reads Parquet files in bounded batches, after a check of how much their pages unpack to.

A column may hold one large value and repeat it a million times in a few bytes, and the sizes in a file's
footer may be wrong. So the headers of a row group's pages are read before it is unpacked: they bound its
values. If the bound is too high, the values are counted, a few at a time.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from luab_data.errors import SourceError
from luab_data.rows.parquet_pages import (
    AS_LONG,
    DATA,
    DATA_V2,
    DICTIONARY,
    DICTIONARY_CODED,
    Page,
    read_pages,
)

ALLOWED = 1 << 30  # bytes that any file may unpack to,
TIMES = 20  # and a large one to so many times its own size
ALLOWED_PAGE = 256 << 20  # the same of a page, which is unpacked whole and then once more as values
BATCH = 64 << 20  # bytes of a column to unpack at once; a page may have more
MOST_ROWS = 1 << 20  # to unpack at once
MOST_PAGES = 100_000  # of a row group
WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
FIXED = "FIXED_LEN_BYTE_ARRAY"
EACH = 8  # bytes of any value besides: where it begins, whether it is there


class ParquetRows:
    """The rows of one Parquet file, each row group checked before it is unpacked.

    Args:
        file: as `open(path, "rb")` gives it, or the same of a remote file. Each byte is read once.
        name: what errors call it.
        whole: whether all rows will be kept, so that they count together; else only each batch is bounded.

    Raises:
        SourceError: here and in `batches`; the file is damaged, or unpacks to far more than its size.
    """

    def __init__(self, file: BinaryIO, name: str, whole: bool = True):
        self._file, self._name, self._whole = _Held(file), name, whole
        self._allowed = max(ALLOWED, TIMES * self._file.size)
        self._total = 0
        with self._explained():
            self._parquet = pq.ParquetFile(self._file, pre_buffer=False)
        self.row_groups = range(self._parquet.metadata.num_row_groups)

    def batches(
        self, row_groups: Sequence[int] | None = None, columns: list[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Rows of about `BATCH` bytes at once. None: all row groups, all columns.

        `image.path` is a part of the column `image`.
        """
        with self._explained():
            for number in self.row_groups if row_groups is None else row_groups:
                bounds = self._bounds(number, columns)
                most = sum(bound.most for bound in bounds.values())
                if self._whole and self._total + most > self._allowed:
                    most = self._counted(number, bounds)
                self._total += most
                rows = min((bound.rows for bound in bounds.values()), default=MOST_ROWS)
                yield from self._parquet.iter_batches(rows, row_groups=[number], columns=columns)
        self._file.hold([])

    def _bounds(self, number: int, columns: list[str] | None) -> dict[str, "_Bound"]:
        """The bound of each column of a row group, by the column's path."""
        group = self._parquet.metadata.row_group(number)
        chunks = {}
        for index in range(group.num_columns):
            chunk = group.column(index)
            if columns is None or any(f"{chunk.path_in_schema}.".startswith(f"{name}.") for name in columns):
                chunks[index] = chunk
        places = {index: _place(chunk) for index, chunk in chunks.items()}
        self._file.hold(list(places.values()))
        bounds: dict[str, _Bound] = {}
        seen = 0
        for index, chunk in chunks.items():
            bound = bounds.setdefault(chunk.path_in_schema, _Bound(self._width(index, chunk.physical_type)))
            for page in read_pages(self._file.held.get(places[index][0], b"")):
                seen += 1
                self._require_moderate(page, seen)
                bound.add(page)
        return bounds

    def _width(self, index: int, kind: str) -> int | None:
        """Bytes of a value, of which Arrow allows 2 ** 28; None: of any length."""
        return self._parquet.schema.column(index).length if kind == FIXED else WIDTHS.get(kind)

    def _require_moderate(self, page: Page, seen: int) -> None:
        if page.unpacked > max(ALLOWED_PAGE, TIMES * page.packed):
            raise SourceError(
                f"{self._name} has a page of {page.packed:,} bytes that unpacks to {page.unpacked:,}, "
                f"allowed are {ALLOWED_PAGE:,}. Write images as JPEG or PNG, and fewer rows in a row group."
            )
        if seen > MOST_PAGES:
            raise SourceError(
                f"{self._name} has more than {MOST_PAGES:,} pages in a row group. Write it again with fewer "
                "rows in one."
            )

    def _counted(self, number: int, bounds: dict[str, "_Bound"]) -> int:
        """Bytes of a row group's values; a column whose bound is high is unpacked, some rows at a time."""
        total = 0
        for column, bound in bounds.items():
            if bound.most <= BATCH:
                total += bound.most
                continue
            for batch in self._parquet.iter_batches(bound.rows, row_groups=[number], columns=[column]):
                total += batch.nbytes
                if self._total + total > self._allowed:
                    raise SourceError(
                        f"{self._name} has {self._file.size:,} bytes and unpacks to more than "
                        f"{self._allowed:,}: it repeats large values. Write each image once, as JPEG or PNG."
                    )
        return total

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SourceError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            if isinstance(error, OSError) and (type(error) is not OSError or error.errno):
                raise  # of the disk or the network; Arrow's own have no number
            raise SourceError(f"{self._name} cannot be read as Parquet: {error}. Make it again.") from error


class _Bound:
    """The most bytes of a column in a row group, and how many of its rows to unpack at once.

    Args:
        width: bytes of each value; None: of any length.
    """

    def __init__(self, width: int | None):
        self.most, self.rows = 0, MOST_ROWS
        self._width, self._dictionary = width, 0

    def add(self, page: Page) -> None:
        """The next page."""
        if page.kind == DICTIONARY:
            self._dictionary = page.size
        elif page.kind in (DATA, DATA_V2) and page.values:
            if self._width is not None:
                self._repeats(page.values, self._width)
            elif page.encoding in DICTIONARY_CODED:
                self._repeats(page.values, self._dictionary)
            elif page.encoding in AS_LONG:
                most = page.size + EACH * page.values
                self._add(most, page.values * max(1, BATCH // most))
            else:
                self._repeats(page.values, page.size)

    def _repeats(self, values: int, longest: int) -> None:
        """Each value may be the longest."""
        self._add(values * (longest + EACH), max(1, BATCH // (longest + EACH)))

    def _add(self, most: int, rows: int) -> None:
        self.most += most
        self.rows = min(self.rows, rows)


def _place(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """The start in the file and the bytes of a column's part of a row group."""
    start = chunk.data_page_offset
    if chunk.dictionary_page_offset:  # Arrow begins there, too
        start = min(start, chunk.dictionary_page_offset)
    return start, chunk.total_compressed_size


class _Held(io.RawIOBase):
    """A file of which some parts are held in memory, so that two may read them and the file is read once."""

    def __init__(self, file: BinaryIO):
        super().__init__()
        self._file, self._at = file, 0
        self.held: dict[int, bytes] = {}
        self.size = file.seek(0, io.SEEK_END)

    def hold(self, places: list[tuple[int, int]]) -> None:
        """Holds these parts (start, bytes), and no others.

        Raises:
            ValueError: they are not in the file, or lie over one another.
        """
        self.held.clear()
        end = 0
        places = sorted(place for place in places if place[1])
        for start, size in places:
            if start < end or size < 0 or start + size > self.size:
                raise ValueError("the footer names parts that are not in the file")
            end = start + size
        for start, size in places:
            self._file.seek(start)
            self.held[start] = self._file.read(size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def read(self, size: int = -1) -> memoryview | bytes:
        size = max(0, self.size - self._at) if size < 0 else size
        for start, content in self.held.items():
            if start <= self._at and self._at + size <= start + len(content):
                found: memoryview | bytes = memoryview(content)[self._at - start : self._at - start + size]
                break
        else:
            self._file.seek(self._at)
            found = self._file.read(size)
        self._at += len(found)
        return found
