"""`datasets`' builder for CSV and TSV, with bounds on rows, fields, and the rows that are read at once."""

import io
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from datasets import DownloadConfig
from datasets.builder import Key
from datasets.packaged_modules.csv import csv

from luab_data.adapters.hf_builders import with_names
from luab_data.rows.formats.bounded import LINE, Counted, TooMuch, download_config, refusals

FRAME = 192 << 20  # bytes of the rows that pandas reads at once, 10,000
FIELDS = 24_000_000  # of these rows
COLUMNS = 4_000


class Csv(csv.Csv):
    """The library's builder for CSV, which reads files through `Counted`."""

    def _generate_tables(self, *args: Any, **options: Any) -> Iterator[tuple[Key, pa.Table]]:
        ours = SimpleNamespace(read_csv=partial(read_csv, download_config(self)))
        with refusals():
            yield from with_names(csv.Csv._generate_tables, pd=ours)(self, *args, **options)


def read_csv(config: DownloadConfig, path: str, **options: Any) -> Iterator[pd.DataFrame]:
    """As `pandas.read_csv` with a `chunksize`."""
    separator = options.get("sep") or ","
    if len(separator) > 1 or options.get("engine") not in (None, "c"):
        raise TooMuch(
            f"{path}: the separator {separator!r} is a pattern. Write the file with commas or tabs."
        )
    options.pop("memory_map", None)
    rows = _Rows(path.rpartition("::")[2], separator.encode())
    with io.BufferedReader(Counted(path, config, rows.add), 1 << 20) as file:
        frames = pd.read_csv(file, **options)
        for frame in frames:
            rows.start()
            yield frame


class _Rows:
    """Counts the rows of a CSV."""

    def __init__(self, name: str, separator: bytes):
        self._name, self._separator = name, separator
        self._line = self._line_fields = 0
        self.start()

    def start(self) -> None:
        """The rows of before are in a frame."""
        self._bytes = self._fields = 0

    def add(self, content: bytes) -> None:
        """The next bytes, of any number of rows."""
        fields = content.count(self._separator)
        self._bytes += len(content)
        self._fields += fields
        if self._bytes > FRAME or self._fields > FIELDS:
            raise TooMuch(
                f"{self._name} has more than {FRAME:,} bytes or {FIELDS:,} fields in 10,000 rows. Write it "
                "as Parquet."
            )
        last = max(content.rfind(b"\n"), content.rfind(b"\r"))
        if self._line_fields + fields > COLUMNS:
            self._require_few(content)
        self._line_fields = content.count(self._separator, last + 1) + (self._line_fields if last < 0 else 0)
        self._line = len(content) - last - 1 + (self._line if last < 0 else 0)
        if self._line > LINE:
            raise TooMuch(f"{self._name} has a line of more than {LINE:,} bytes. Write one row a line.")

    def _require_few(self, content: bytes) -> None:
        text = np.frombuffer(content, np.uint8)
        ends = np.flatnonzero((text == ord("\n")) | (text == ord("\r")))
        lines = np.searchsorted(ends, np.flatnonzero(text == self._separator[0]))
        first = np.searchsorted(lines, 1) + self._line_fields
        if first > COLUMNS or (lines[COLUMNS:] == lines[:-COLUMNS]).any():
            raise TooMuch(
                f"{self._name} has more than {COLUMNS:,} columns. Write them as a list, in Parquet."
            )
