"""Makes `datasets.load_dataset("imagenet_ab", ...)` find our builder once its package is imported.

`datasets` loads builders by name from its table of packaged modules. For a packaged module without
`data_files` it lists the working folder, which fails in an empty folder and is slow in a large one. Our
builders get their sources as arguments instead. So we add the name to that table, and make the factory skip
the search for files for our names.
"""

import hashlib
from pathlib import Path
from typing import Any

import datasets.load
from datasets.data_files import DataFilesDict
from datasets.load import DatasetModule, PackagedDatasetModuleFactory
from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES

_SOURCE_FOLDERS: dict[str, list[Path]] = {}  # name -> folders of the code that makes its rows


class _ModuleFactory(PackagedDatasetModuleFactory):
    """The library's factory for packaged modules, for our names.

    It does not search for files, and does not contact the Hub.
    """

    def __init__(
        self,
        name: str,
        data_dir: str | None = None,
        data_files: Any = None,
        download_config: datasets.DownloadConfig | None = None,
        download_mode: datasets.DownloadMode | str | None = None,
    ):
        if name not in _SOURCE_FOLDERS:
            super().__init__(name, data_dir, data_files, download_config, download_mode)
            return
        self.name = name
        self.data_dir = data_dir
        self.data_files = data_files
        self.download_config = download_config
        self.download_mode = download_mode

    def get_module(self) -> DatasetModule:
        if self.name not in _SOURCE_FOLDERS or self.data_files is not None:
            return super().get_module()
        module_path, code_hash = _PACKAGED_DATASETS_MODULES[self.name]
        return DatasetModule(
            module_path, code_hash, {"data_files": DataFilesDict(), "dataset_name": self.name}
        )


def register(name: str, module_path: str, source_folders: list[Path]) -> None:
    """Makes `load_dataset(name)` use the builder of `module_path`.

    Caches are renewed when the code in `source_folders` changes.
    """
    _SOURCE_FOLDERS[name] = source_folders
    _PACKAGED_DATASETS_MODULES[name] = (module_path, _code_hash(source_folders))
    datasets.load.PackagedDatasetModuleFactory = _ModuleFactory


def _code_hash(folders: list[Path]) -> str:
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
