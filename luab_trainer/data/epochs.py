"""Which rows an epoch has: all of them where it evaluates, newly augmented where it trains."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset


def check_drop_last(args: LUABConfig, dataset: Any) -> None:
    """Checks what `dataloader_drop_last` leaves of a training dataset.

    Raises:
        ValueError: nothing is left, so that the run would take no step; or the dataset is a stream, where
            transformers ignores the argument.
    """
    if not args.dataloader_drop_last or dataset is None:
        return
    if isinstance(dataset, torch.utils.data.IterableDataset):
        raise ValueError("--dataloader_drop_last does nothing with a stream; leave it out.")
    batch, rows = args.train_batch_size * args.world_size, len(dataset)
    if rows < batch:
        raise ValueError(
            f"--dataloader_drop_last leaves nothing to train on: there are {rows:,} rows, and a batch has "
            f"{batch:,}. Leave it out, or take a smaller --per_device_train_batch_size."
        )


class RepeatedSampler(torch.utils.data.Sampler[tuple[int, int]]):
    """Repeated augmentation: each image several times in a row, with another view each time.

    An epoch has as many samples as rows, so with 3 repetitions it has a third of the images. Sources: Hoffer
    et al., "Augment Your Batch", CVPR 2020; the epoch's length is that of DeiT's RASampler. There the
    repetitions are on different processes, here they follow each other in the global batch.

    The order depends only on the seed and the dataset's epoch, so that all processes and a resumed run have
    the same.

    Args:
        dataset: The training rows.
        repeats: How often an image is repeated.
        seed: Seed of the order.
    """

    def __init__(self, dataset: ViewDataset, repeats: int, seed: int):
        self.dataset, self.repeats, self.seed = dataset, repeats, seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self.seed, self.dataset.epoch)).permutation(len(self.dataset))
        return islice(((row, again) for row in order.tolist() for again in range(self.repeats)), len(self))


def repeated(args: LUABConfig, dataset: Any) -> RepeatedSampler | None:
    """The order of the training rows with repeated augmentation; None without."""
    if args.repeated_augmentation == 1 or not isinstance(dataset, ViewDataset):
        return None
    seed = args.seed if args.data_seed is None else args.data_seed
    return RepeatedSampler(dataset, args.repeated_augmentation, seed)


def check_repeats(args: LUABConfig, dataset: Any) -> None:
    """Raises ValueError if the training dataset cannot show a row several times in an epoch."""
    if args.repeated_augmentation > 1 and dataset is not None and not isinstance(dataset, ViewDataset):
        raise ValueError(
            f"--repeated_augmentation {args.repeated_augmentation} needs rows by number, a ViewDataset, and "
            f"the training dataset is a {type(dataset).__name__}; leave it out."
        )


@contextmanager
def every_row(args: LUABConfig) -> Iterator[None]:
    """Loaders made inside leave out no row, whatever `dataloader_drop_last` says."""
    dropped, args.dataloader_drop_last = args.dataloader_drop_last, False
    try:
        yield
    finally:
        args.dataloader_drop_last = dropped


class SetEpoch(TrainerCallback):
    """Tells the training dataset the epoch, which decides its augmentation.

    Accelerate does it only in a plain run: neither in one of several processes, nor after resuming in the
    middle of an epoch.
    """

    def __init__(self, trainer: Trainer):
        self.trainer = trainer

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer."""
        set_epoch = getattr(self.trainer.train_dataset, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(int(state.epoch or 0))
