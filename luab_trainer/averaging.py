"""An exponential moving average (EMA) of the weights, by torch: it is what is evaluated and saved.

    average = decay * average + (1 - decay) * weights, after each step of the optimizer

It starts at the initial weights. Buffers that are floats, such as running statistics, are averaged as weights
are; others are copied. Training goes on with the weights themselves. A checkpoint has both: the average as
the plain model, and the weights in a file of their own, from which a run resumes exactly.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from luab_data.errors import SourceError
from luab_trainer.said import say

TRAINED_FILE = "luab_trained_weights.safetensors"  # of checkpoints of a run with an average
MOST_INITIAL = 0.1  # share of the initial weights in the average at the end, above which a message says so


class WeightAverage(TrainerCallback):
    """Keeps the average of a trainer's weights, if its arguments have an `ema_decay`.

    Attributes:
        average: The average, during training; None without one.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.average: AveragedModel | None = None
        self._in_use = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer."""
        decay = self.trainer.args.ema_decay
        if decay is None:
            return
        if self.average is None:
            self._start()
        if (left := decay**state.max_steps) > MOST_INITIAL:
            say(
                f"--ema_decay {decay:g}: after {state.max_steps:,} steps the average still has {left:.0%} of "
                "the initial weights. For a run of this length take "
                f"{0.01 ** (1 / state.max_steps):.3g} or less."
            )

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer after each step of the optimizer, before anything is evaluated or saved."""
        if self.average is not None:
            self.average.update_parameters(self.trainer.luab)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """With the average in the place of the model's weights. Without an average, nothing happens."""
        if self.average is None or self._in_use:
            yield
            return
        self._in_use = True
        self._swap()
        try:
            yield
        finally:
            self._swap()
            self._in_use = False

    def settle(self) -> None:
        """Ends the training: the model has the average from now on."""
        if self.average is not None:
            self._swap()
            self.average = None

    def drop(self) -> None:
        """Forgets the average; the model keeps the weights that it has."""
        self.average = None

    def write(self, folder: Path) -> None:
        """Writes the weights that training goes on with. Not called while the average is in use."""
        if self.average is not None:
            save_file(_trained(self.trainer.luab), folder / TRAINED_FILE, metadata={"format": "pt"})

    def read(self, folder: Path) -> None:
        """Takes the model, which has just been read, as the average, and reads the weights.

        Raises:
            SourceError: the checkpoint is of a run without an average.
        """
        if self.trainer.args.ema_decay is None:
            return
        file = folder / TRAINED_FILE
        weights = load_file(file) if file.is_file() else {}
        found, expected = (
            {name: value.shape for name, value in state.items()}
            for state in (weights, _trained(self.trainer.luab))
        )
        if found != expected:
            raise SourceError(
                f"{folder} is of a run without --ema_decay, or of another model: {TRAINED_FILE} is missing, "
                "or has other weights. Resume with the options of that run."
            )
        self._start()
        self.trainer.luab.load_state_dict(weights, strict=False)

    def _start(self) -> None:
        luab = self.trainer.luab
        self.average = AveragedModel(
            luab, multi_avg_fn=_update(self.trainer.args.ema_decay), use_buffers=True
        )
        self.average.requires_grad_(False)
        self.average.update_parameters(luab)  # the first one copies

    @torch.no_grad()
    def _swap(self) -> None:
        if self.average is None:
            return
        luab, average = self.trainer.luab, self.average.module
        parameters = zip(luab.parameters(), average.parameters(), strict=True)
        pairs: list[tuple[Tensor, Tensor]] = [(one, other) for one, other in parameters if one.requires_grad]
        for here, there in [*pairs, *zip(luab.buffers(), average.buffers(), strict=True)]:
            kept = here.clone()
            here.copy_(there)  # in place: the optimizer and compiled code keep their tensors
            there.copy_(kept)


def _update(decay: float) -> Any:
    """The update of a list of averaged tensors of one type."""
    average = get_ema_multi_avg_fn(decay)

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        if averaged[0].is_floating_point():
            average(averaged, current, count)
        else:  # torch would truncate 7 * decay + 7 * (1 - decay) to 6
            for one, other in zip(averaged, current, strict=True):
                one.copy_(other)

    return update


def _trained(model: nn.Module) -> dict[str, Tensor]:
    """The weights that change in training, and the buffers, each with memory of its own."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    state = model.state_dict()
    return {name: value.detach().clone().contiguous() for name, value in state.items() if name not in frozen}
