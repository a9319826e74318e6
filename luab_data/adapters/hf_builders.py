"""Where the builders of `datasets` open files, which has no public name.

`tests/luab_data/test_hf_builders.py` says what a new version of `datasets` changed.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
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
    """The library's builder for folders of images, with `read_metadata` and `split_rows` to fill in."""

    def _split_generators(self, dl_manager: Any) -> list[Any]:
        splits: list[Any] = super()._split_generators(dl_manager)
        for split in splits:
            given = split.gen_kwargs
            # A set of the library's, whose order would differ between processes.
            given["metadata_files"] = tuple(sorted(given["metadata_files"], key=str))
            plain = all(isinstance(names[-1], str) for names in given["files"])  # no archive
            if dl_manager.is_streaming and (given["add_metadata"] or plain):
                files = given["metadata_files"] if given["add_metadata"] else ()
                given["parts"] = self.split_rows(given["files"], files)  # a list: the library's shards
        return splits

    def _generate_examples(self, parts: list[tuple[int, int]] | None = None, **given: Any) -> Iterator[Any]:
        if parts is None:
            yield from super()._generate_examples(**given)
        for start, stop in parts or ():
            yield from islice(super()._generate_examples(**given), start, stop)

    def split_rows(self, files: Sequence[Any], metadata: Sequence[Any]) -> list[tuple[int, int]]:
        """Rows from and to, of each shard of a stream."""
        raise NotImplementedError

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
