"""Which rows an epoch has: all of them where it evaluates, newly augmented where it trains."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from luab_trainer.config import LUABConfig


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
