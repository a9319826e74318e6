"""Datasets of samples, for torch's DataLoader: over rows by number, or over a stream.

The augmentation of an image depends only on the seed, the epoch and the row. The number of workers or
processes and resuming do not change it. `set_epoch` must be called before each epoch. Accelerate does not do
so with several processes or after resuming within an epoch, so the trainer calls it.
"""

import copy
import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import datasets
import numpy as np
import torch

from luab_trainer.config import LUABConfig
from luab_trainer.data.reader import Row
from luab_trainer.data.samples import RowToSample, Sample
from luab_vision.transforms import EvalTransform

RECENT = 256  # rows of a stream that may be mixed into the next one


class ViewDataset(torch.utils.data.Dataset[Sample]):
    """A map-style dataset of samples over a `datasets.Dataset` or any sequence of row dicts.

    Args:
        rows: The rows.
        transform: Makes the crop that the model sees.
        seed: Seed of the augmentation.
        options: Keyword arguments of `RowToSample`.
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
            rows = self.to_sample.reader.prepare(rows)
        elif len(rows):  # rows made on the fly, by a user's class or `with_transform`: look at one
            self.to_sample.reader.check_columns(list(rows[0]))
        self.rows = rows
        self.seed = seed
        self._epoch = _shared_epoch()

    def set_epoch(self, epoch: int) -> None:
        """Draw new views from the next image on, also in running workers."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def epoch(self) -> int:
        """The epoch of the views."""
        return int(self._epoch)

    def __getitem__(self, index: int | tuple[int, int]) -> Sample:
        return self.__getitems__([index])[0]

    def __getitems__(self, numbers: Sequence[int | tuple[int, int]]) -> list[Sample]:
        """The samples of a batch; torch's DataLoader calls this method.

        Args:
            numbers: Of each row, or of a row and of one of its repetitions in the epoch, 0 by default. Each
                repetition has another view.
        """
        pairs = [number if isinstance(number, tuple) else (number, 0) for number in numbers]
        indices = [range(len(self))[index] for index, _ in pairs]  # accepts any integer type
        if isinstance(self.rows, datasets.Dataset):
            rows = self.rows.__getitems__(indices)  # all at once takes half as long
        else:
            rows = [self.rows[index] for index in indices]
        keys = [
            (index, *((again,) if again else ())) for index, (_, again) in zip(indices, pairs, strict=True)
        ]
        rngs = [np.random.default_rng((self.seed, self.epoch, *key)) for key in keys]
        return self.to_sample(rows, rngs, indices, self._any_row)

    def _any_row(self, rng: np.random.Generator) -> tuple[Row, int]:
        index = int(rng.integers(len(self.rows)))
        return self.rows[index], index


class ViewIterableDataset(torch.utils.data.IterableDataset[Sample]):
    """A stream of samples over a streaming dataset, whose shards are spread over the workers.

    The view depends on the seed, the epoch and a checksum of the image's bytes. The position in the stream
    would depend on the number of workers and on the shuffle buffer. The row that a background mix, CutMix or
    MixUp takes does: it is one of the `RECENT` rows before, of which each worker keeps the files in memory.
    Arguments as for `ViewDataset`.
    """

    def __init__(
        self, rows: datasets.IterableDataset, transform: EvalTransform, seed: int = 0, **options: Any
    ):
        if not isinstance(rows, datasets.IterableDataset):
            raise TypeError("ViewIterableDataset needs a streaming dataset; others go into ViewDataset.")
        self.to_sample = RowToSample(transform, **options)
        self.rows = self.to_sample.reader.prepare(rows)
        self.seed = seed
        self._epoch = _shared_epoch()

    def set_epoch(self, epoch: int) -> None:
        """Draw new views and a new order from the next iteration on, also in running workers."""
        self._epoch.fill_(epoch)
        self.rows.set_epoch(epoch)

    def __iter__(self) -> Iterator[Sample]:
        yield from self.samples_of(self.rows, int(self._epoch))

    def samples_of(self, rows: datasets.IterableDataset, epoch: int) -> Iterator[Sample]:
        """The samples of an epoch, in the order of the rows."""
        recent: deque[tuple[Row, int]] = deque(maxlen=RECENT)

        def any_recent(rng: np.random.Generator) -> tuple[Row, int]:
            return recent[rng.integers(len(recent))]

        for position, row in enumerate(rows):
            if position == 0:
                self.to_sample.reader.check_columns(list(row))
            key = _checksum(row[self.to_sample.reader.columns.image], position)
            rng = np.random.default_rng((self.seed, epoch, key))
            yield from self.to_sample([row], [rng], [position], any_recent if recent else None)
            if self.to_sample.mixer is not None or self.to_sample.pairer is not None:
                recent.append((row, position))


def check_dataset(args: LUABConfig, dataset: Any) -> None:
    """Brings what `args` say of the samples in line with a training dataset: byproduct, labels, and mixes.

    Where `args` have the defaults, they become what the dataset does; otherwise they must say what it does. A
    dataset of another class does none of it here.

    Raises:
        ValueError: the dataset does something else than they say, or it wraps a `ViewDataset`.
    """
    if isinstance(dataset, ViewDataset | ViewIterableDataset):
        _check_mixes(args, dataset)
        _check_byproduct(args, dataset.to_sample)
    elif dataset is not None:
        _check_own_dataset(args, dataset)


def _check_own_dataset(args: LUABConfig, dataset: Any) -> None:
    for held in views_in(dataset):
        raise ValueError(
            f"the training dataset is a {type(dataset).__name__} of a {type(held).__name__}, whose crops "
            "would be the same in every epoch. Select rows first: ViewDataset(rows.select(numbers), ...). "
            "Join several: ViewDataset(datasets.concatenate_datasets([rows, others]), ...)."
        )
    for name in ("background_mix", "cutmix", "mixup", "label_policy", "attention_sigma"):
        value = getattr(args, name)
        if value and value != getattr(LUABConfig, name):
            raise ValueError(
                f"{name}={value!r} is what a ViewDataset does, and the training dataset is a "
                f"{type(dataset).__name__}: leave it out of the arguments, or make a ViewDataset."
            )


def views_in(dataset: Any) -> Iterator[ViewDataset | ViewIterableDataset]:
    """The dataset if it is one of views, or those that a dict or torch's wrappers of datasets hold."""
    if isinstance(dataset, ViewDataset | ViewIterableDataset):
        yield dataset
    elif isinstance(dataset, dict):
        for each in dataset.values():
            yield from views_in(each)
    elif isinstance(dataset, torch.utils.data.Subset):
        yield from views_in(dataset.dataset)
    elif isinstance(dataset, torch.utils.data.ConcatDataset | torch.utils.data.ChainDataset):
        for each in dataset.datasets:
            yield from views_in(each)


def _check_byproduct(args: LUABConfig, to_sample: RowToSample) -> None:
    made_with: dict[str, Any] = {"label_policy": to_sample.label_policy}
    if to_sample.byproduct is not None and args.used is not None:
        made_with["byproduct"] = to_sample.byproduct
        if to_sample.byproduct == "scanpath":
            made_with["attention_sigma"] = to_sample.reader.sigma
    for name, value in made_with.items():
        if getattr(args, name) == getattr(LUABConfig, name):
            setattr(args, name, value)
        elif getattr(args, name) != value:
            raise ValueError(
                f"{name}={getattr(args, name)!r}, but the training dataset is made with "
                f"{name.removeprefix('attention_')}={value!r}: give both the same, or leave it out of the "
                "arguments."
            )
    args.check_own()  # with this byproduct


def _check_mixes(args: LUABConfig, dataset: "ViewDataset | ViewIterableDataset") -> None:
    mixer, pairer = dataset.to_sample.mixer, dataset.to_sample.pairer
    mix = None if mixer is None else (mixer.mix.share, mixer.mix.radius, mixer.mix.shape)
    cutmix, mixup = (None, None) if pairer is None else (pairer.cutmix, pairer.mixup)
    cut = None if cutmix is None else (cutmix.share, cutmix.alpha)
    blend = None if mixup is None else (mixup.share, mixup.alpha)
    names = "background_mix", "background_radius", "background_shape"
    _agree(args, names, mix, "mix=BackgroundMix({:g}, {:g}, shape={!r})")
    _agree(args, ("cutmix", "cutmix_alpha"), cut, "cutmix=CutMix({:g}, {:g}) and num_labels")
    _agree(args, ("mixup", "mixup_alpha"), blend, "mixup=MixUp({:g}, {:g}) and num_labels")


def _agree(args: LUABConfig, names: Sequence[str], done: Sequence[Any] | None, made_with: str) -> None:
    """Sets or checks arguments: a share of the crops, and how they are changed. `done`: None is 0."""
    share, *how = names
    if done is None or done[0] == 0:
        done = (0.0, *(getattr(args, name) for name in how))
    for name, value in zip(names, done, strict=True):
        if getattr(args, name) == getattr(LUABConfig, name):
            setattr(args, name, value)
    said = tuple(getattr(args, name) for name in names)
    if said != tuple(done):
        does = f"is made with {made_with.format(*done)}" if done[0] else "does not mix"
        fix = f"make it with {made_with.format(*said)}" if said[0] else f"make it without {share}"
        *others, last = (f"{name}={value}" for name, value in zip(names, said, strict=True))
        raise ValueError(
            f"{', '.join(others)} and {last}, but the training dataset {does}: {fix}, or leave these "
            "arguments out."
        )


def check_not_paired(dataset: Any) -> None:
    """Raises ValueError if crops to evaluate on, of one dataset or a dict of them, are of two images."""
    for view in views_in(dataset):
        if (pairer := view.to_sample.pairer) is not None:
            name = "mixup" if pairer.cutmix is None else "cutmix"
            raise ValueError(
                f"the dataset to evaluate on has {name}, and a crop of two images has no class to be right "
                f"about: make it without {name}."
            )


def without_mixing(dataset: ViewDataset | ViewIterableDataset) -> ViewDataset | ViewIterableDataset:
    """The same samples, without a background mix, CutMix or MixUp."""
    other = copy.copy(dataset)
    other.to_sample = dataset.to_sample.without_mixing()
    return other


def _shared_epoch() -> torch.Tensor:
    """An int in shared memory.

    Persistent workers have a copy of the dataset, but still see the new epoch.
    """
    return torch.zeros((), dtype=torch.int64).share_memory_()


def _checksum(image: Any, position: int) -> int:
    """Checksum of the image's bytes or of its path; the position for a decoded image."""
    if isinstance(image, Mapping):
        image = image.get("bytes") or image.get("path")
    if isinstance(image, str):
        image = image.encode()
    return zlib.crc32(image) if isinstance(image, bytes) else position
