"""`datasets`' builder for Parquet files, which reads their headers before it unpacks them."""

from collections.abc import Iterator

import pyarrow as pa
from datasets.builder import Key
from datasets.packaged_modules.parquet import parquet

from luab_data.adapters.hf_datasets import cast_table
from luab_data.rows.formats.class_orders import require_same_classes
from luab_data.rows.parquet_sizes import ParquetRows


class Parquet(parquet.Parquet):
    """The library's builder for Parquet files, which reads them through `ParquetRows`."""

    def _generate_tables(
        self, files: list[str], row_groups_list: list[tuple[int, ...] | None]
    ) -> Iterator[tuple[Key, pa.Table]]:
        # `datasets` replaces `open` in this module by one that also opens addresses.
        for number, (path, row_groups) in enumerate(zip(files, row_groups_list, strict=True)):
            with open(path, "rb") as file:  # noqa: PTH123
                batches = ParquetRows(file, path).batches(row_groups, self.config.columns)
                for at, batch in enumerate(batches):
                    if at == 0:
                        require_same_classes(batch.schema, self.info.features, path)
                    yield Key(number, at), cast_table(self, pa.Table.from_batches([batch]))
