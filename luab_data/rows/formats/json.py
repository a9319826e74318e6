"""`datasets`' builder for JSON and JSON Lines, with bounds on lines, nesting and keys."""

import codecs
import io
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.json as paj
from datasets import DownloadConfig
from datasets.builder import Key
from datasets.packaged_modules.json import json
from datasets.utils.json import find_mixed_struct_types_field_paths, insert_json_field_path, ujson_loads

from luab_data.adapters.hf_builders import with_names
from luab_data.rows.formats.bounded import LINE, Counted, TooMuch, download_config, refusals
from luab_data.rows.formats.json_shape import require_few_values, require_lines, require_table

WHOLE = 64 << 20  # bytes of a file that is no JSON Lines, which is parsed at once
MIXED = 4  # columns of mixed types, each of which is another pass,
MIXED_OF_SMALL = 32  # and of rows that have less than 1 MiB


class Json(json.Json):
    """The library's builder for JSON, which reads files through `Counted`."""

    def _info(self) -> datasets.DatasetInfo:
        self.config.parse_agent_traces = False  # these are read by another package
        return super()._info()

    def _generate_tables(self, *args: Any, **options: Any) -> Iterator[tuple[Key, pa.Table]]:
        passes = _Passes()
        theirs = with_names(
            json.Json._generate_tables,
            open=partial(open_json, download_config(self)),
            paj=SimpleNamespace(read_json=passes.read_json, ReadOptions=paj.ReadOptions),
            find_mixed_struct_types_field_paths=_find_mixed,
            insert_json_field_path=passes.insert,
        )
        with refusals():
            yield from theirs(self, *args, **options)


def open_json(
    config: DownloadConfig,
    path: str,
    mode: str = "r",
    encoding: str | None = None,
    errors: str | None = None,
) -> io.BufferedReader | io.StringIO:
    """A file that is read by lines (`rb`), or whole (`r`)."""
    lines = _CheckedLines(Counted(path, config), path.rpartition("::")[2])
    if mode == "rb":
        return lines
    with lines:
        text = lines.read().decode(encoding or "utf-8", errors or "strict")
    require_table(ujson_loads(text), lines.path)
    return io.StringIO(text)


def read_json(source: io.BytesIO, **options: Any) -> pa.Table:
    """As `pyarrow.json.read_json`, of which deep nesting and many keys take all memory."""
    require_lines(source.getbuffer().tobytes().removeprefix(codecs.BOM_UTF8))
    return paj.read_json(source, **options)


def _find_mixed(rows: list[Any]) -> list[list[str]]:
    require_table(rows, "a batch of JSON Lines")  # each key takes a pass over the rows
    return find_mixed_struct_types_field_paths(rows)


class _Passes:
    """Counts the columns of mixed types, for each of which the library reads some rows again."""

    def __init__(self) -> None:
        self._allowed = MIXED

    def read_json(self, source: io.BytesIO, **options: Any) -> pa.Table:
        self._allowed = MIXED_OF_SMALL if source.getbuffer().nbytes < 1 << 20 else MIXED
        return read_json(source, **options)

    def insert(self, paths: list[list[str]], path: list[str]) -> None:
        if len(paths) >= self._allowed:
            raise TooMuch(
                f"more than {self._allowed} JSON columns have values of several types. Write them as text."
            )
        insert_json_field_path(paths, path)


class _CheckedLines(io.BufferedReader):
    """A file of which only so much is read at once."""

    def __init__(self, file: Counted, path: str):
        super().__init__(file, 1 << 20)
        self.path = path

    def read(self, size: int | None = -1) -> bytes:
        """Some bytes, or the rest, which is one JSON value."""
        if size is not None and size >= 0:
            return super().read(size)
        content = super().read(WHOLE + 1)
        if len(content) > WHOLE:
            raise TooMuch(
                f"{self.path} is one JSON value of more than {WHOLE:,} bytes. Write one row a line (.jsonl)."
            )
        require_few_values(content, self.path)
        return content

    def readline(self, size: int | None = -1) -> bytes:
        """The rest of a line."""
        content = super().readline(LINE + 1)
        if len(content) > LINE:
            raise TooMuch(f"{self.path} has a line of more than {LINE:,} bytes. Write one row a line.")
        return content
