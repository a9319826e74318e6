"""`datasets`' builder for folders of images, with bounds on their metadata files."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.json as paj
from datasets.utils.file_utils import xopen

from luab_data.adapters import hf_builders
from luab_data.rows.formats.bounded import download_config, refusals
from luab_data.rows.formats.csv import read_csv
from luab_data.rows.formats.json import open_json, read_json
from luab_data.rows.parquet_sizes import ParquetRows

SHARDS = 16  # of a stream


class ImageFolder(hf_builders.OpenImageFolder):
    """The library's builder for folders of images. Nothing of an image is read here.

    A stream has up to `SHARDS` shards of consecutive rows. Each reads the list of all rows, and only its own
    images.
    """

    def split_rows(self, files: Sequence[Any], metadata: Sequence[Any]) -> list[tuple[int, int]]:
        """The first row of each shard and the one after its last, of the rows that the library makes."""
        if metadata:
            paths = [str(names[-1]) for names in metadata]
            suffix = Path(str(metadata[0][0] or paths[0])).suffix
            count = sum(len(table) for path in paths for table in self.read_metadata(path, suffix))
        else:
            count = len(files)
        shards = max(1, min(SHARDS, count))
        borders = [count * number // shards for number in range(shards + 1)]
        return list(pairwise(borders))

    def read_metadata(self, file: str, suffix: str) -> Iterator[pa.Table]:
        """The rows of a metadata file."""
        config = download_config(self)
        if suffix == ".parquet":
            with xopen(file, "rb", download_config=config) as opened:
                for batch in ParquetRows(opened, file).batches():
                    yield pa.Table.from_batches([batch])
            return
        names = {
            "open": partial(open_json, config),
            "pd": SimpleNamespace(read_csv=partial(read_csv, config)),
            "paj": SimpleNamespace(read_json=read_json, ReadOptions=paj.ReadOptions),
        }
        with refusals():
            yield from self.read_text(file, suffix, **names)
