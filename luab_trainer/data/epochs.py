"""Which rows an epoch has: all of them where it evaluates, newly augmented where it trains."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from luab_trainer.config import LUABConfig


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
