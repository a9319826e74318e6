"""What `datasets` keeps private and this project needs: its table of builders, and how rows are stored.

`load_dataset(name)` takes a builder of an installed package only from the library's own table. A dataset's
fingerprint and the order of its stored rows have no public name either. `tests/luab_data/test_hf_datasets.py`
says what a new version of `datasets` changed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import datasets
import datasets.load
import numpy as np
import pyarrow as pa
from datasets.data_files import DataFilesDict
from datasets.load import DatasetModule, PackagedDatasetModuleFactory
from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES
from datasets.packaged_modules.arrow.arrow import Arrow
from datasets.packaged_modules.parquet.parquet import Parquet

_OURS: set[str] = set()


class _ModuleFactory(PackagedDatasetModuleFactory):
    """The library's factory for packaged modules, for ours.

    It looks for no files, and does not tell the Hub. For a packaged module without `data_files` the library
    lists the working folder, which fails in an empty folder and crawls through a large one; our builders
    take their sources as arguments instead.
    """

    def __init__(
        self,
        name: str,
        data_dir: str | None = None,
        data_files: Any = None,
        download_config: datasets.DownloadConfig | None = None,
        download_mode: datasets.DownloadMode | str | None = None,
    ):
        if name not in _OURS:
            super().__init__(name, data_dir, data_files, download_config, download_mode)
            return
        self.name = name
        self.data_dir = data_dir
        self.data_files = data_files
        self.download_config = download_config
        self.download_mode = download_mode

    def get_module(self) -> DatasetModule:
        if self.name not in _OURS or self.data_files is not None:
            return super().get_module()
        module_path, code_hash = _PACKAGED_DATASETS_MODULES[self.name]
        return DatasetModule(
            module_path, code_hash, {"data_files": DataFilesDict(), "dataset_name": self.name}
        )


def register_builder(name: str, module_path: str, code_hash: str) -> None:
    """Makes `load_dataset(name)` use the builder of `module_path`; caches are renewed with `code_hash`."""
    _OURS.add(name)
    _PACKAGED_DATASETS_MODULES[name] = (module_path, code_hash)
    datasets.load.PackagedDatasetModuleFactory = _ModuleFactory


@contextmanager
def builders_from(module_of: Callable[[str], str]) -> Iterator[None]:
    """For this time, the library's builders are those of other modules, with the same caches.

    Other code in this process keeps the library's.
    """
    theirs = {name: found for name, found in _PACKAGED_DATASETS_MODULES.items() if name not in _OURS}
    for name, (_, code_hash) in theirs.items():
        _PACKAGED_DATASETS_MODULES[name] = (module_of(name), code_hash)
    try:
        yield
    finally:
        _PACKAGED_DATASETS_MODULES.update(theirs)


def cast_table(builder: Parquet | Arrow, table: pa.Table) -> pa.Table:
    """A table of a file with the columns and types that the builder's configuration asks for."""
    return builder._cast_table(table)


def fingerprint_of(rows: datasets.Dataset) -> str:
    """What the library knows the content of a dataset by."""
    return rows._fingerprint


def stored_order(rows: datasets.Dataset) -> np.ndarray | None:
    """Which stored row each row is, `[len(rows)]` int64; None: they are the stored rows in their order."""
    return None if rows._indices is None else rows._indices.column(0).to_numpy()
