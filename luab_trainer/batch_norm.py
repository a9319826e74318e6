"""Batch normalization under a background mix: the running statistics are those of whole crops.

A network normalizes with the statistics of the batch while it trains, and with running ones afterwards. Those
of mixed crops do not fit the images that it is used on. They are therefore measured anew, on crops without a
mix, before each evaluation and each checkpoint. Training does not read them, and so takes the same course.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from luab_trainer.data.collator import collate
from luab_trainer.data.dataset import ViewDataset, ViewIterableDataset

ROWS = 1024  # that are measured


class WholeCropStatistics(TrainerCallback):
    """Measures the running statistics of a trainer's model on whole crops, when they are about to be used."""

    def __init__(self, trainer: Trainer):
        self.trainer = trainer
        self._measured_at = -1  # step

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer."""
        used = control.should_evaluate or control.should_save or control.should_training_stop
        if used and state.global_step != self._measured_at:
            self._measured_at = state.global_step
            self._measure(args)

    on_epoch_end = on_step_end

    def _measure(self, args: TrainingArguments) -> None:
        dataset, model = self.trainer.train_dataset, self.trainer.model_wrapped
        if not isinstance(dataset, ViewDataset | ViewIterableDataset) or dataset.to_sample.mixer is None:
            return
        if not any(isinstance(module, _BatchNorm) for module in model.modules()):
            return
        devices = [args.device] if args.device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices),
            self.trainer.accelerator.autocast(),
        ):  # dropout draws random numbers
            update_bn(_batches(dataset, args.train_batch_size), model, args.device)


def _batches(dataset: ViewDataset | ViewIterableDataset, size: int) -> Iterator[Tensor]:
    """The pixel values of at most `ROWS` rows, the same ones each time: uint8 `[size, h, w, 3]`."""
    whole = dataset.without_mixing()
    if isinstance(whole, ViewDataset):
        order = np.random.default_rng(whole.seed).permutation(len(whole))[:ROWS]
        samples = (whole[row] for row in order)
    else:
        samples = (sample for sample, _ in zip(whole, range(ROWS), strict=False))
    batch, full = [], False
    for sample in samples:
        batch.append(sample)
        if len(batch) == size:
            yield collate(batch)["pixel_values"]
            batch, full = [], True
    if not full or len(batch) > size // 2:  # statistics of few rows are poor
        yield collate(batch)["pixel_values"]
