"""The base of the builders behind `datasets.load_dataset(NAME, ...)`: rows directly from the raw files.

For streaming, `datasets` replaces names such as `Path` and `open` in the modules of builder classes. So code
that handles paths is in other modules.
"""

import os
import threading
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from luab_data.build.batches import groups
from luab_data.build.failed import PartsRead, Reasons, failure
from luab_data.build.join import Found
from luab_data.build.raw import (
    BYPRODUCTS_ONLY,
    FULL,
    ROWS_PER_GROUP,
    SAMPLE,
    RawDataset,
    configuration,
    ignored,
    sample_files,
)
from luab_data.constants import TRAIN
from luab_data.errors import SourceError
from luab_data.files.fingerprint import fingerprint, is_local

VERSION = datasets.Version("1.0.0")
SHARDS = 16  # each reads the archive of the byproducts once: see `benchmarks/stream.py`

_LOCKS: dict[int, threading.Lock] = {}  # by process: a fork may inherit a lock that is held

logger = datasets.logging.get_logger(__name__)


@dataclass
class RawFilesConfig(datasets.BuilderConfig):
    """Where the raw files are. A dataset adds its own arguments; all of them default to None.

    `shards`: see `RawFilesBuilder`; it does not change the rows.
    """

    images: str | Path | None = None
    byproducts: str | Path | None = None
    shards: int | None = None

    @classmethod
    def own_names(cls) -> list[str]:
        """The dataset's own arguments, without those of all builders."""
        of_all = {field.name for field in fields(datasets.BuilderConfig)}
        return [field.name for field in fields(cls) if field.name not in of_all | {"shards"}]

    def own(self) -> dict[str, Any]:
        """The given ones among them."""
        values = {name: getattr(self, name) for name in self.own_names()}
        return {name: value for name, value in values.items() if value is not None}

    def create_config_id(
        self, config_kwargs: dict[str, Any], custom_features: datasets.Features | None = None
    ) -> str:
        """The cache's name. It includes the state of local files, so no cache is older than they are."""
        given = {key: value for key, value in config_kwargs.items() if value is not None}
        if len(given) > 1:
            given.pop("shards", None)  # the rows are the same
        states = {key: fingerprint(value) if is_local(value) else value for key, value in given.items()}
        return super().create_config_id(states, custom_features)


def configurations(config_class: type[RawFilesConfig]) -> list[RawFilesConfig]:
    """The configurations of both datasets."""
    return [
        config_class(FULL, VERSION, description="images and byproducts"),
        config_class(BYPRODUCTS_ONLY, VERSION, description="byproducts without images"),
        config_class(SAMPLE, VERSION, description="generated images with simulated annotators"),
    ]


class RawFilesBuilder(datasets.ArrowBasedBuilder):
    """Configurations `full` (images and byproducts), `byproducts` (no images), `sample` (generated).

    A release is divided into `shards` parts (default: `SHARDS`), so that the workers and processes of a
    stream read it together, each its own parts. Rows and rejects are those of the whole release. A worker
    reads the archive of the byproducts once for each of its parts, because a tar.gz can only be read in
    order. Images of the Hub can only be streamed too: then there is one part.
    """

    VERSION = VERSION
    OF_IMAGES: ClassVar[tuple[str, ...]] = ("images",)  # arguments of the configuration `full` alone
    BUILD_COMMAND: ClassVar[str]

    def __init__(self, *args: Any, config_name: str | None = None, data_files: Any = None, **kwargs: Any):
        own = self.BUILDER_CONFIG_CLASS.own_names()
        given = data_files or any(kwargs.get(name) is not None for name in own)
        super().__init__(
            *args,
            config_name=configuration(config_name) if config_name else FULL if given else SAMPLE,
            data_files=data_files or None,
            **kwargs,
        )

    @abstractmethod
    def open_raw(self) -> RawDataset:
        """Opens the files of `self.config`. Cheap: called for the features, the splits and the rows."""

    def byproducts(self) -> str | Path | None:
        """The location of the byproducts, given as `byproducts=` or as `data_files=`."""
        files = [file for split in (self.config.data_files or {}).values() for file in split]
        return files[0] if files else self.config.byproducts

    def _info(self) -> datasets.DatasetInfo:
        self._require_known_arguments()
        if self.config.name == SAMPLE:
            columns = datasets.Features.from_arrow_schema(pq.read_schema(self._sample_files()[0]))
        else:
            columns = self.open_raw().features()
        return datasets.DatasetInfo(features=columns)

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        if self.config.name == SAMPLE:
            shards = len(self._sample_files())
        else:
            # Here an error reaches the user unchanged; the generator would wrap it.
            shards = min(self.config.shards or SHARDS, self.open_raw().most_parts)
        return [datasets.SplitGenerator(TRAIN, {"parts": list(range(shards)), "of": shards})]

    def __getstate__(self) -> dict[str, Any]:
        own = ("_opened", "_read")  # open files, locks and what was read stay in their process
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def _parts_read(self) -> PartsRead:
        """What this process has read of the release."""
        read: tuple[int, PartsRead] | None = getattr(self, "_read", None)
        if read is None or read[0] != os.getpid():
            self._read = read = (os.getpid(), PartsRead())
        return read[1]

    def _raw(self) -> RawDataset:
        """The raw files, opened once in each process, of whose threads each reads a part of its own."""
        with _LOCKS.setdefault(os.getpid(), threading.Lock()):
            opened: tuple[int, RawDataset] | None = getattr(self, "_opened", None)
            if opened is None or opened[0] != os.getpid():
                self._opened = opened = (os.getpid(), self.open_raw())
            return opened[1]

    def _generate_tables(self, parts: list[int], of: int) -> Iterator[tuple[int, pa.Table]]:
        if self.config.name == SAMPLE:
            files = self._sample_files()
            for number in parts:
                yield number, pq.read_table(files[number])
            return
        whole = len(parts) == of
        raw = self.open_raw() if whole else self._raw().part(parts, of)
        make_batch, schema = raw.to_batch(), self.info.features.arrow_schema
        found, reasons = Found(), Reasons()
        rejected: Counter[str] = Counter()
        used: Counter[str] = Counter()
        for number, group in enumerate(groups(raw.pairs(found), ROWS_PER_GROUP[self.config.name])):
            batch = make_batch(group, schema)
            rejected.update(reject.source for reject in batch.rejects)
            reasons.add(batch.rejects)
            used.update(batch.used)
            if batch.table.num_rows:
                yield number, batch.table
        left_out = ignored(raw)
        failed = failure(sorted(found.keys() | left_out.keys()), found, used, left_out, reasons)
        in_all = failed if whole else self._parts_read().failure(parts, of, found, used, left_out, reasons)
        if in_all is not None:
            raise SourceError(
                f"{self.config.own()}: {in_all} {self.BUILD_COMMAND} lists each one with its reason."
            )
        # A small part may have images only; ids of both sides that never meet are worth a warning. Processes
        # that share the parts never know of all of them.
        strangers = failed if failed is not None and len(found.first) > 1 and not found.met else None
        if rejected or strangers:
            where = "" if whole else f"Part {', '.join(str(part + 1) for part in sorted(parts))} of {of}: "
            logger.warning(
                f"{where}{strangers or f'Left out: {dict(rejected)}.'} {self.BUILD_COMMAND} lists each one "
                "with its reason."
            )

    def _require_known_arguments(self) -> None:
        name, config = self.config.name, self.config
        if config.shards is not None and not (
            type(config.shards) is int and config.shards > 0 and name != SAMPLE
        ):
            raise SourceError(
                f"shards={config.shards!r}: how many parts the raw files are read in, 1 or more; the sample "
                "has its own."
            )
        if config.data_dir is not None:
            raise SourceError(f"data_dir={config.data_dir!r}: pass images=... and byproducts=... instead.")
        for key, value in config.own().items():
            if name != FULL and key in self.OF_IMAGES:
                raise SourceError(f"the configuration {name!r} has no {key}: leave {key}={value!r} out.")
        if name == SAMPLE and (config.own() or config.data_files):
            raise SourceError(
                f"the configuration 'sample' ships with the package and takes no arguments: leave "
                f"{', '.join(config.own()) or 'data_files'} out."
            )
        files = sum(len(split) for split in (config.data_files or {}).values())
        if files > 1 or (files and config.byproducts is not None):
            raise SourceError("pass one byproduct file, as data_files=... or as byproducts=..., not several.")

    def _sample_files(self) -> list[Path]:
        """The Parquet files of the generated sample, package data of the dataset."""
        return sample_files(type(self).__module__.rpartition(".")[0])
