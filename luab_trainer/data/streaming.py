"""A dataset that is read during training, a batch at a time.

    shards -> rows as stored -> StreamReader: image, class number, point -> buffer that shuffles -> samples

A batch of a stream goes through the same reader as a whole dataset, `luab_attention.reading`. The classes,
which need all rows, are found in advance: see `luab_trainer.data.stream_inputs`.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import datasets
import numpy as np
import torch
from accelerate.data_loader import prepare_data_loader
from datasets.distributed import split_dataset_by_node
from datasets.utils.logging import get_logger
from torch.utils.data import DataLoader
from transformers import TrainingArguments

from luab_attention.area_columns import far_in_words, gaze_counts
from luab_attention.facts import no_target
from luab_attention.points import GazeCounts
from luab_attention.reading import Reading, ReadRows, read_rows
from luab_data.constants import IMAGE_ID
from luab_data.errors import SourceError
from luab_data.rows.arrow import OddRows
from luab_data.rows.columns import ByproductKind
from luab_data.rows.image_paths import check_image_paths
from luab_data.rows.splits import root_of
from luab_trainer.data.dataset import ViewIterableDataset
from luab_trainer.data.samples import Sample
from luab_vision.transforms import EvalTransform

logger = get_logger(__name__)

AT_ONCE = 64  # rows per batch of the reader
FIRST_ROWS = 1000  # one of them must have a usable byproduct, in each process that reads
READ, LEFT_OUT = "rows", "rows whose points are left out"
KEY = "__key__"  # a row's name in a WebDataset


@dataclass
class GazeRead:
    """The samples of gaze that a process has read.

    Attributes:
        so_far: All.
        newest: Those since their unit was judged.
        rows: The rows of `newest`.
    """

    so_far: GazeCounts = field(default_factory=GazeCounts)
    newest: GazeCounts = field(default_factory=GazeCounts)
    rows: int = 0


@dataclass(frozen=True)
class StreamReader:
    """Rows as stored -> rows as training reads them.

    Args:
        features: features of the stored rows, images not decoded.
        reading: how to read the rows, with the names of all classes.
        byproduct: byproduct to learn from.
        source: the dataset's folder, file, or Hub id.
    """

    features: datasets.Features
    reading: Reading
    byproduct: ByproductKind | None
    source: str
    counts: Counter[str] = field(default_factory=Counter, compare=False)  # of this process
    gaze: GazeRead = field(default_factory=GazeRead, compare=False)

    def read(self, batch: Mapping[str, Sequence[Any]] | datasets.Dataset) -> ReadRows:
        """A batch of columns.

        Raises:
            SourceError: as `read_rows`; the row's number counts within the batch.
        """
        rows = batch
        if not isinstance(batch, datasets.Dataset):
            rows = datasets.Dataset.from_dict(dict(batch), features=self.features)
        root = root_of(self.source)
        if root is None:
            _require_bytes(rows, self.source)
        check_image_paths(rows, self.source if root is None else str(root))
        return read_rows(rows, self.reading, self.byproduct, root)

    def __call__(self, batch: Mapping[str, Sequence[Any]], numbers: Sequence[int]) -> dict[str, list[Any]]:
        """The needed columns, images as stored. `numbers`: the rows' positions in the stream."""
        try:
            read = self.read(batch)
        except (SourceError, TypeError, ValueError) as error:  # the last two come from Arrow and `datasets`
            raise self._named(error, batch, numbers) from error
        self._count(len(read.rows), read.left_out)
        if self.byproduct == "scanpath":
            self._judge(gaze_counts(read.rows, *read.columns.of_byproduct("scanpath")), numbers)
        byproduct = read.columns.with_byproduct(self.byproduct, read.rows.column_names)
        columns = [read.columns.image, read.columns.label, *byproduct]
        columns += [IMAGE_ID] if IMAGE_ID in read.rows.column_names else []
        # As stored: decoded, masks would fill the buffer that shuffles, 1,000 rows of three of 640 x 480 with
        # 0.9 GB. Casting their features instead would have `datasets` hash every batch.
        found: dict[str, list[Any]] = read.rows.select_columns(columns).with_format("arrow")[:].to_pydict()
        return found

    def _count(self, rows: int, left_out: int) -> None:
        """Counts the rows whose points are left out; says it for the first, and when they have doubled."""
        before = self.counts[LEFT_OUT]
        self.counts[READ] += rows
        self.counts[LEFT_OUT] += left_out
        if self.counts[LEFT_OUT].bit_length() > before.bit_length():
            _warn(
                f"the points of {self.counts[LEFT_OUT]:,} of the {self.counts[READ]:,} rows that were "
                "read so far are left out: columns width and height are of another orientation than the "
                "image. They are trained on without a byproduct."
            )

    def _judge(self, counts: GazeCounts, numbers: Sequence[int]) -> None:
        """Counts samples of gaze far outside the image, and says it as `_count`.

        Raises:
            SourceError: of about 1,000 rows, more are than are in the image: they are in another unit.
        """
        gaze = self.gaze
        before = gaze.so_far.far_rows
        gaze.so_far = gaze.so_far.plus(counts)
        gaze.newest = gaze.newest.plus(counts)
        gaze.rows += len(numbers)
        if gaze.so_far.far_rows.bit_length() > before.bit_length():
            _warn(
                f"gaze of the {self.counts[READ]:,} rows that were read so far: {far_in_words(gaze.so_far)}"
            )
        if gaze.rows >= FIRST_ROWS:
            if not gaze.newest.are_ratios:
                raise SourceError(
                    f"the {gaze.rows:,} rows of the stream up to row {numbers[-1]} have gaze that is no "
                    f"ratios of the image, 0 to 1, x first. Of its samples {gaze.newest}"
                )
            gaze.newest, gaze.rows = GazeCounts(), 0

    def _named(
        self, error: Exception, batch: Mapping[str, Sequence[Any]], numbers: Sequence[int]
    ) -> SourceError:
        """The error of the first bad row, with its position and name."""
        for at, number in enumerate(numbers):
            row = {name: values[at] for name, values in batch.items()}
            try:
                self.read({name: [value] for name, value in row.items()})
            except (SourceError, TypeError, ValueError) as own:
                text = own.plain if isinstance(own, OddRows) else str(own)
                return SourceError(f"row {number} of the stream{_name(row, self.reading.image)}: {text}")
        return SourceError(f"rows {numbers[0]} to {numbers[-1]} of the stream: {error}")


def _warn(message: str) -> None:
    worker = torch.utils.data.get_worker_info()
    logger.warning(message if worker is None else f"loader process {worker.id}: {message}")


def _name(row: Mapping[str, Any], image: str) -> str:
    """The row's name in the files: " (cat/1.png)"."""
    value = row.get(image)
    path = value.get("path") if isinstance(value, Mapping) else value if isinstance(value, str) else None
    name = row.get(IMAGE_ID) or path or row.get(KEY)
    return f" ({name})" if name else ""


def _require_bytes(rows: datasets.Dataset, source: str) -> None:
    """Raises SourceError if rows from the Hub do not contain their images."""
    for name, feature in rows.features.items():
        if isinstance(feature, datasets.Image):
            for value in rows[name]:
                if value is not None and value["bytes"] is None:
                    raise SourceError(
                        f"--streaming: column {name!r} of {source} names image files ({value['path']}), "
                        "which are not in its rows. Leave --streaming out, or take a dataset of Parquet or "
                        "WebDataset files."
                    )


class StreamedSamples(ViewIterableDataset):
    """Samples of an endless stream: after the last row it starts over, in another order.

    The order depends on the seed, the pass, and the number of processes and of their workers. So a resumed
    run gets the same batches, after it has read the earlier ones again. The rows of a pass are always all
    rows, each once: see `of_process`.

    Args:
        rows: see `read_stream`.
        shuffle_buffer: size of the shuffle buffer, in rows. 0: the rows' own order.
        options: as `ViewIterableDataset`.
    """

    def __init__(
        self,
        rows: datasets.IterableDataset,
        transform: EvalTransform,
        seed: int = 0,
        shuffle_buffer: int = 0,
        **options: Any,
    ):
        super().__init__(rows, transform, seed, **options)
        self.to_sample.reader.gaze_in_ratios = True  # by the stream's first rows, and while it is read
        self.shuffle_buffer = shuffle_buffer
        self._process, self._processes = 0, 1

    def of_process(self, process: int, processes: int) -> "StreamedSamples":
        """The samples of one of several processes.

        If there are enough shards, each process reads its own, others in each pass. Otherwise each reads all
        rows, and keeps every n-th of them.
        """
        own = copy.copy(self)
        own._process, own._processes = process, processes
        return own

    def set_epoch(self, epoch: int) -> None:
        """Does nothing: the stream counts its passes itself, because the trainer sees one epoch."""

    def __iter__(self) -> Iterator[Sample]:
        read, with_target = 0, 0
        for number in count():
            before = read
            for sample in self._pass(number):
                read += 1
                with_target += bool(sample.get("target_labels"))
                if read == FIRST_ROWS:
                    self._require_targets(read, with_target)
                yield sample
            if read == before:  # a worker without a shard of its own
                self._require_rows()
                return
            self._require_targets(read, with_target)

    def _pass(self, number: int) -> Iterator[Sample]:
        rows = self.rows
        if self.shuffle_buffer > 0:
            generator = np.random.default_rng((self.seed, number))
            rows = rows.shuffle(generator=generator, buffer_size=self.shuffle_buffer)
        if self._processes > 1:
            split = split_dataset_by_node if rows.num_shards < self._processes else _shards_of_process
            rows = split(rows, self._process, self._processes)
        yield from self.samples_of(rows, number)

    def _require_rows(self) -> None:
        """Raises SourceError if this process would wait for rows forever."""
        worker = torch.utils.data.get_worker_info()
        alone = worker is None or worker.num_workers == 1 or self.rows.num_shards <= self._processes
        if alone and (worker is None or worker.id == 0):
            raise SourceError(
                f"--streaming: process {self._process + 1} of {self._processes} gets no row: the dataset has "
                "fewer rows than the run has processes. Take fewer, or leave --streaming out."
            )

    def _require_targets(self, read: int, with_target: int) -> None:
        byproduct = self.to_sample.byproduct
        if byproduct is not None and not with_target:
            raise no_target(f"none of the first {read:,}", self.to_sample.reader.columns, byproduct)


def _shards_of_process(
    rows: datasets.IterableDataset, process: int, processes: int
) -> datasets.IterableDataset:
    return rows.shard(processes, process, contiguous=False)


def loader_of_process(
    samples: StreamedSamples, args: TrainingArguments, collate: Callable[[Any], Any], device: torch.device
) -> DataLoader[Any]:
    """A loader that reads only the rows of this process, where accelerate's would read all rows in the first.

    The stream is endless, so that no process runs out of rows before the others.
    """
    loader = DataLoader(
        samples.of_process(args.process_index, args.world_size),
        batch_size=args.train_batch_size,
        collate_fn=collate,
        num_workers=args.dataloader_num_workers,
        pin_memory=args.dataloader_pin_memory,
        persistent_workers=args.dataloader_persistent_workers,
        multiprocessing_context=args.dataloader_multiprocessing_context,
        prefetch_factor=args.dataloader_prefetch_factor,
        in_order=args.dataloader_in_order,
    )
    alone = {"num_processes": 1, "process_index": 0, "dispatch_batches": False}
    return prepare_data_loader(loader, device, put_on_device=True, **alone)


def read_stream(
    stored: datasets.IterableDataset, reader: StreamReader, features: datasets.Features
) -> datasets.IterableDataset:
    """The rows of a stream as training reads them. `features`: features of the reader's output."""
    return stored.map(
        reader,
        with_indices=True,
        batched=True,
        batch_size=AT_ONCE,
        remove_columns=list(reader.features),
        features=features,
    )
