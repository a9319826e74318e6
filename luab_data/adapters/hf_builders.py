"""Where the builders of `datasets` open files, which has no public name.

`tests/luab_data/test_hf_builders.py` says what a new version of `datasets` changed.
"""

from collections.abc import Iterable, Iterator
from types import FunctionType
from typing import Any

import pyarrow as pa
from datasets import DownloadConfig
from datasets.packaged_modules.folder_based_builder.folder_based_builder import FolderBasedBuilder
from datasets.packaged_modules.imagefolder import imagefolder
from datasets.packaged_modules.webdataset import webdataset


def with_names(function: FunctionType, **names: Any) -> FunctionType:
    """A function of the library's that sees other objects behind these global names."""
    if missing := [name for name in names if name not in function.__code__.co_names]:
        raise AttributeError(f"{function.__qualname__} uses no {missing}")
    return FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


class OpenImageFolder(imagefolder.ImageFolder):
    """The library's builder for folders of images, with `read_metadata` to fill in."""

    def _read_metadata(self, metadata_file: str, metadata_ext: str = "") -> Iterator[pa.Table]:
        return self.read_metadata(metadata_file, metadata_ext)

    def read_metadata(self, file: str, suffix: str) -> Iterator[pa.Table]:
        """The rows of a metadata file."""
        raise NotImplementedError

    def read_text(self, file: str, suffix: str, **names: Any) -> Iterator[pa.Table]:
        """As the library reads it, with other objects behind the names `open`, `pd`, `paj`."""
        return with_names(FolderBasedBuilder._read_metadata, **names)(self, file, suffix)


class OpenWebDataset(webdataset.WebDataset):
    """The library's builder for tars of WebDataset, with `members` to fill in."""

    @classmethod
    def _get_pipeline_from_tar(cls, tar_path: str, tar_iterator: Any) -> Iterator[dict[str, Any]]:
        return super()._get_pipeline_from_tar(tar_path, cls.members(str(tar_path), tar_iterator))

    @staticmethod
    def members(path: str, files: Any) -> Iterable[tuple[str, Any]]:
        """The names and open files in a tar, given as the library iterates over them."""
        raise NotImplementedError


def config_of(files: Any) -> DownloadConfig | None:
    """How the library's iterator over a tar reaches it."""
    return files.args[1] if len(files.args) > 1 else None
