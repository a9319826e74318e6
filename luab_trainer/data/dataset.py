"""Datasets of samples, for torch's DataLoader: over rows by number, or over a stream.

How an image looks in an epoch depends on the seed, the epoch and the row only: not on the number of workers
or processes, nor on whether the run was resumed. `set_epoch` must be called before each epoch. Accelerate
does so in a plain run, but neither in one of several processes nor after resuming within an epoch, so the
trainer calls it.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import datasets
import numpy as np
import torch

from luab_trainer.data.samples import Row, RowToSample, Sample
from luab_vision.transforms import EvalTransform


class ViewDataset(torch.utils.data.Dataset):
    """A map-style dataset of samples over a `datasets.Dataset` or any sequence of row dicts.

    Args:
        rows: The rows.
        transform: Makes the crop that the model sees.
        seed: Of the augmentation.
        options: `RowToSample`'s, by name.
    """

    def __init__(
        self,
        rows: datasets.Dataset | Sequence[Row],
        transform: EvalTransform,
        seed: int = 0,
        **options: Any,
    ):
        if isinstance(rows, datasets.IterableDataset):
            raise TypeError(
                "ViewDataset needs rows by number; a streaming dataset goes into ViewIterableDataset."
            )
        self.to_sample = RowToSample(transform, **options)
        if isinstance(rows, datasets.Dataset) and rows.format["type"] != "custom":
            rows = self.to_sample.prepare(rows)
        elif len(rows):  # rows made on the fly, by the user's own class or `with_transform`: look at one
            self.to_sample.check_columns(list(rows[0]))
        self.rows = rows
        self.seed = seed
        self._epoch = _shared_epoch()

    def set_epoch(self, epoch: int) -> None:
        """Draw other views from now on, in running workers too (from the next image that they load)."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[Sample]:
        """The samples of a batch; torch's DataLoader asks for them by this name."""
        indices = [range(len(self))[index] for index in indices]  # whatever kind of integer they are
        if isinstance(self.rows, datasets.Dataset):
            rows = self.rows.__getitems__(indices)  # all at once takes half as long
        else:
            rows = [self.rows[index] for index in indices]
        epoch = int(self._epoch)
        rngs = [np.random.default_rng((self.seed, epoch, index)) for index in indices]
        return self.to_sample(rows, rngs, indices)


class ViewIterableDataset(torch.utils.data.IterableDataset):
    """A stream of samples over a streaming dataset, whose shards are spread over the workers.

    The view is drawn from the seed, the epoch and a checksum of the image's bytes: a position in the stream
    would depend on the number of workers and on the shuffle buffer. Arguments as for `ViewDataset`.
    """

    def __init__(
        self, rows: datasets.IterableDataset, transform: EvalTransform, seed: int = 0, **options: Any
    ):
        if not isinstance(rows, datasets.IterableDataset):
            raise TypeError("ViewIterableDataset needs a streaming dataset; others go into ViewDataset.")
        self.to_sample = RowToSample(transform, **options)
        self.rows = self.to_sample.prepare(rows)
        self.seed = seed
        self._epoch = _shared_epoch()

    def set_epoch(self, epoch: int) -> None:
        """Draw other views, and shuffle otherwise, from the next iteration on; in running workers too."""
        self._epoch.fill_(epoch)
        self.rows.set_epoch(epoch)

    def __iter__(self) -> Iterator[Sample]:
        yield from self.samples_of(self.rows, int(self._epoch))

    def samples_of(self, rows: datasets.IterableDataset, epoch: int) -> Iterator[Sample]:
        """The samples of an epoch, in the order of the rows."""
        for position, row in enumerate(rows):
            if position == 0:
                self.to_sample.check_columns(list(row))
            key = _checksum(row[self.to_sample.columns.image], position)
            yield from self.to_sample([row], [np.random.default_rng((self.seed, epoch, key))], [position])


def _shared_epoch() -> torch.Tensor:
    """An int in shared memory.

    Persistent workers have a copy of the dataset, and see the new epoch all the same.
    """
    return torch.zeros((), dtype=torch.int64).share_memory_()


def _checksum(image: Any, position: int) -> int:
    """Of the image's bytes, or of its path; the position for an image that is already decoded."""
    if isinstance(image, Mapping):
        image = image.get("bytes") or image.get("path")
    if isinstance(image, str):
        image = image.encode()
    return zlib.crc32(image) if isinstance(image, bytes) else position
