"""In place of `datasets`' builders whose files nothing bounds: text, XML, HDF5, audio, and others."""

from pathlib import PurePosixPath
from typing import Any

import datasets

from luab_data.errors import SourceError


class Refused(datasets.GeneratorBasedBuilder):
    """Reads nothing, and says what can be read."""

    def __init__(self, *_: Any, data_files: Any = None, **__: Any):
        files = [str(file) for files in (data_files or {}).values() for file in files]
        example = PurePosixPath(files[0].partition("::")[0]).name if files else "this format"
        raise SourceError(
            f"{example} is not read: allowed are Parquet, JSON, JSON Lines, CSV, TSV, Arrow, a tar of "
            "WebDataset, and folders of images. Write the rows as Parquet (Dataset.to_parquet)."
        )

    def _info(self) -> datasets.DatasetInfo:
        raise NotImplementedError

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        raise NotImplementedError

    def _generate_examples(self, **_: Any) -> Any:
        raise NotImplementedError
