"""Batch normalization under a background mix: the running statistics are those of whole crops.

A network normalizes with the statistics of the batch while it trains, and with running ones afterwards. Those
of mixed crops do not fit the images that it is used on. They are therefore measured anew, on crops without a
mix, before each evaluation and whenever the model is saved. Training does not read them, so its course is the
same.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from luab_trainer.data.collator import collate
from luab_trainer.data.dataset import ViewDataset, ViewIterableDataset, without_mixing
from luab_trainer.data.samples import Sample

ROWS = 1024  # that are measured
LAYERS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class WholeCropStatistics(TrainerCallback):
    """Measures the running statistics of a trainer's model on whole crops, when they are about to be used.

    Attributes:
        stale: Whether the model has trained since they were measured.
    """

    def __init__(self, trainer: Trainer):
        self.trainer = trainer
        self.stale = False

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer."""
        self.stale = True

    def settle(self) -> None:
        """Measures them if they are stale. Each process measures the same rows."""
        if not self.stale:
            return
        self.stale = False
        trainer, dataset = self.trainer, self.trainer.train_dataset
        if not isinstance(dataset, ViewDataset | ViewIterableDataset) or dataset.to_sample.mixer is None:
            return
        model = trainer.accelerator.unwrap_model(trainer.model, keep_torch_compile=False)
        size = trainer.state.train_batch_size or trainer.args.train_batch_size  # which may have been found
        with trainer.accelerator.autocast():
            measure(model, _batches(dataset, size), trainer.args.device)


def measure(model: nn.Module, batches: Iterable[Tensor], device: torch.device) -> None:
    """Sets the running statistics of a model to the means of those of the batches.

    Everything else is as in an evaluation: nothing is dropped, and no random number is drawn. A layer that
    does not train keeps its own.

    Args:
        model: Is called with each batch.
        batches: Pixel values.
        device: The model's.
    """
    training = model.training
    model.train()
    layers = {
        layer: layer.momentum
        for layer in model.modules()
        if isinstance(layer, LAYERS) and layer.training and layer.track_running_stats
    }
    model.eval()
    for layer in layers:
        layer.train()
        layer.momentum = None  # the mean of all batches since the count was 0
        if layer.num_batches_tracked is not None:
            layer.num_batches_tracked.zero_()
    with torch.no_grad():
        for batch in batches if layers else ():
            model(batch.to(device))
    for layer, momentum in layers.items():
        layer.momentum = momentum
    model.train(training)


def _batches(dataset: ViewDataset | ViewIterableDataset, size: int) -> Iterator[Tensor]:
    """The pixel values of at most `ROWS` rows, the same ones each time: uint8 `[size, h, w, 3]`."""
    whole = without_mixing(dataset)
    batches: Iterator[list[Sample]]
    if isinstance(whole, ViewDataset):
        order = np.random.default_rng(whole.seed).permutation(len(whole))[:ROWS].tolist()
        batches = (whole.__getitems__(order[start : start + size]) for start in range(0, len(order), size))
    else:
        samples = islice(whole, ROWS)
        batches = iter(lambda: list(islice(samples, size)), [])
    for number, batch in enumerate(batches):
        if number == 0 or len(batch) > size // 2:  # statistics of few rows are poor
            yield collate(batch)["pixel_values"]
