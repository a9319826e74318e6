"""One Parquet shard: row groups small enough to stream; zstd for all but images, which are compressed."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from luab_data.constants import IMAGE

IMAGE_BYTES = f"{IMAGE}.bytes"


class ShardWriter:
    """Writes tables as row groups of one file, which is complete after `with`.

    Counts `rows` and `table_bytes`.
    """

    def __init__(self, path: Path, features: Features):
        self.rows = 0
        self.table_bytes = 0
        # It carries the features, so that readers get ClassLabel and Image back.
        self._schema = features.arrow_schema
        columns = _leaf_columns(self._schema)
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression={name: "none" if name == IMAGE_BYTES else "zstd" for name in columns},
            use_dictionary=[name for name in columns if name != IMAGE_BYTES],
            write_page_index=True,
        )

    def write(self, table: pa.Table) -> None:
        """Writes a table as one row group; an empty one is skipped."""
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)
            self.rows += table.num_rows
            # As serialised: `nbytes` depends on how the arrays came about.
            self.table_bytes += sum(map(pa.ipc.get_record_batch_size, table.to_batches()))

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.close()


def _leaf_columns(schema: pa.Schema) -> list[str]:
    """Parquet's own names of the columns, `annotations.list.element.worker_id`, for its options."""
    empty = io.BytesIO()
    pq.write_table(schema.empty_table(), empty)
    parquet_schema = pq.ParquetFile(empty).schema
    return [parquet_schema.column(index).path for index in range(len(parquet_schema))]
