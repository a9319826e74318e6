"""`datasets`' builder for folders of images, with bounds on their metadata files."""

from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.json as paj
from datasets.utils.file_utils import xopen

from luab_data.adapters import hf_builders
from luab_data.rows.formats.bounded import download_config, refusals
from luab_data.rows.formats.csv import read_csv
from luab_data.rows.formats.json import open_json, read_json
from luab_data.rows.parquet_sizes import ParquetRows


class ImageFolder(hf_builders.OpenImageFolder):
    """The library's builder for folders of images. Nothing of an image is read here."""

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
