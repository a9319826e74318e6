"""`datasets.load_dataset` that bounds what a file (local, downloaded, streamed) may unpack to."""

from typing import Any

import datasets
from datasets.exceptions import DatasetGenerationError

from luab_data.adapters.hf_datasets import builders_from
from luab_data.errors import SourceError
from luab_data.rows import formats

BOUNDED = ("arrow", "csv", "imagefolder", "json", "parquet", "webdataset")


def load_dataset(path: str, name: str | None = None, **options: Any) -> Any:
    """As `datasets.load_dataset`; of Parquet's options, neither `filters` nor what tunes the reading.

    Raises:
        SourceError: a file is damaged, unpacks to far more than its size, or is of a format that is not read.
            A stream raises it when the file's turn comes.
    """
    with builders_from(_module_of):
        try:
            return datasets.load_dataset(path, name, **options)
        except DatasetGenerationError as error:
            if isinstance(error.__cause__, SourceError):
                raise error.__cause__ from None
            raise


def load_dataset_builder(path: str, **options: Any) -> datasets.DatasetBuilder:
    """As `datasets.load_dataset_builder`; its files are checked as those of `load_dataset`."""
    with builders_from(_module_of):
        return datasets.load_dataset_builder(path, **options)


def _module_of(name: str) -> str:
    return f"{formats.__name__}.{name if name in BOUNDED else 'refused'}"
