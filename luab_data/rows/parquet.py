"""`datasets.load_dataset` that checks Parquet files (local, downloaded, streamed) before it unpacks them."""

from collections.abc import Iterator
from typing import Any

import datasets
import pyarrow as pa
from datasets.builder import Key
from datasets.exceptions import DatasetGenerationError
from datasets.packaged_modules.parquet import parquet

from luab_data.adapters.hf_datasets import builder_from, cast_table
from luab_data.errors import SourceError
from luab_data.rows.parquet_sizes import ParquetRows


class Parquet(parquet.Parquet):
    """The library's builder for Parquet files, which reads them through `ParquetRows`.

    This module's name is the library's, and so is the builder's hash: both use the same cache.
    """

    def _generate_tables(
        self, files: list[str], row_groups_list: list[tuple[int, ...] | None]
    ) -> Iterator[tuple[Key, pa.Table]]:
        # `datasets` replaces `open` in this module by one that also opens addresses.
        for number, (path, row_groups) in enumerate(zip(files, row_groups_list, strict=True)):
            with open(path, "rb") as file:  # noqa: PTH123
                batches = ParquetRows(file, path).batches(row_groups, self.config.columns)
                for at, batch in enumerate(batches):
                    yield Key(number, at), cast_table(self, pa.Table.from_batches([batch]))


def load_dataset(path: str, name: str | None = None, **options: Any) -> Any:
    """As `datasets.load_dataset`; of Parquet's options, neither `filters` nor what tunes the reading.

    Raises:
        SourceError: a Parquet file is damaged, or unpacks to far more than its size. A stream raises it
            when the file's turn comes.
    """
    with builder_from("parquet", __name__):
        try:
            return datasets.load_dataset(path, name, **options)
        except DatasetGenerationError as error:
            if isinstance(error.__cause__, SourceError):
                raise error.__cause__ from None
            raise


def load_dataset_builder(path: str, **options: Any) -> datasets.DatasetBuilder:
    """As `datasets.load_dataset_builder`; its Parquet files are checked as those of `load_dataset`."""
    with builder_from("parquet", __name__):
        return datasets.load_dataset_builder(path, **options)
