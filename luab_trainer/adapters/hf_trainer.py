"""The private methods of transformers' `Trainer` that training needs, behind public ones.

`Trainer` has no public place between a step's gradients and its update, none for the layout of a checkpoint,
and none for what is uploaded while it trains. `OpenTrainer` overrides its private methods, and calls the
methods below instead. `tests/luab_trainer/test_hf_trainer.py` says which of them a new transformers changed.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler
from transformers import PreTrainedModel, Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, HubStrategy
from transformers.utils import PushInProgress

from luab_trainer.config import LUABConfig

# Private method -> its parameters, in the transformers versions that setup.cfg allows.
OVERRIDDEN = {
    "_get_grad_norm": ("model", "grad_norm"),
    "_get_train_sampler": ("train_dataset",),
    "_run_epoch": (
        "model", "epoch", "train_dataloader", "steps_in_epoch", "num_update_steps_per_epoch", "trial",
        "ignore_keys_for_eval", "start_time", "resume_from_checkpoint", "epochs_trained",
        "steps_trained_in_current_epoch",
    ),
    "_save": ("output_dir", "state_dict"),
    "_save_checkpoint": ("model", "trial"),
    "_save_rng_state": ("output_dir",),
    "_load_from_checkpoint": ("resume_from_checkpoint", "model"),
    "_load_best_model": (),
    "_push_from_checkpoint": ("checkpoint_folder",),
}  # fmt: skip
CALLED = {"_finish_current_push": (), "_get_output_dir": ("trial",), "_hp_search_setup": ("trial",)}


class OpenTrainer(Trainer):
    """`Trainer`, with a public method for each private one that training changes."""

    args: LUABConfig
    model: nn.Module
    push_in_progress: PushInProgress | None  # type: ignore[assignment]  # `Trainer` starts with None

    # ---- For subclasses to fill in

    def gradient_is_known(self, norm: Tensor | float) -> None:
        """Called with the norm of each step's gradients, before they are applied."""

    def train_sampler(self) -> Sampler[Any] | None:
        """The order of the training rows. None: that of `train_sampling_strategy`."""
        return None

    def write_model(self, folder: Path, state_dict: dict[str, Tensor] | None) -> None:
        """Write the model. Called by all processes.

        Args:
            folder: Where to.
            state_dict: Of the model, where several processes hold a part each. None: take the model's own.
        """
        raise NotImplementedError

    def saving_checkpoint(self, folder: Path) -> AbstractContextManager[None]:
        """Around the making of a checkpoint, in all processes."""
        raise NotImplementedError

    def checkpoint_is_written(self, folder: Path) -> None:
        """Called in the process that writes, after all files, before older checkpoints are removed."""

    def read_model(self, folder: str) -> None:
        """Read the weights of a checkpoint that training goes on from. Not called where they are sharded."""
        raise NotImplementedError

    def read_best_model(self, folder: Path) -> None:
        """Read the weights of the best checkpoint. Not called where they are sharded."""
        raise NotImplementedError

    def best_model_is_read(self, folder: Path) -> None:
        """Called when the model has the weights of the best checkpoint, also where they are sharded."""

    def upload_checkpoint(self, folder: Path) -> None:
        """Upload a checkpoint while training goes on. Called in the first process only."""
        raise NotImplementedError

    # ---- For subclasses to call

    def save_final_model(self) -> None:
        """As `save_model`, which would also upload."""
        self.save_model(_internal_call=True)

    def wait_for_uploads(self) -> None:
        """Wait for uploads of checkpoints that are still on their way."""
        self._finish_current_push()

    def call_model_init(self, trial: Any = None) -> nn.Module:
        """Makes a trial's model with the trial's values, which `Trainer` would set only afterwards."""
        if trial is not None:
            self._hp_search_setup(trial)
        return super().call_model_init(trial)

    # ---- Trainer's own

    def _get_grad_norm(self, model: nn.Module, grad_norm: Tensor | None = None) -> Tensor | float:
        norm: Tensor | float = super()._get_grad_norm(model, grad_norm)  # type: ignore[no-untyped-call]
        self.gradient_is_known(norm)
        return norm

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[Any] | None:
        own = self.train_sampler()
        return super()._get_train_sampler(train_dataset) if own is None else own

    def _run_epoch(self, **kwargs: Any) -> None:  # type: ignore[override]  # `Trainer` names them all
        """Resumed at its last step, in the middle of an epoch, a run would take one step more."""
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(**kwargs)  # type: ignore[no-untyped-call]
        else:
            self.control.should_training_stop = True

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        self.write_model(Path(output_dir or self.args.output_dir), state_dict)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        folder = Path(self._get_output_dir(trial), f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}")
        with self.saving_checkpoint(folder), _after(self.state, lambda: self.checkpoint_is_written(folder)):
            super()._save_checkpoint(model, trial)

    def _save_rng_state(self, output_dir: str) -> None:
        """Each process writes its own: here all wait, so that the first one then finds all files."""
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if self.is_fsdp_enabled:  # sharded, in its own format
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            self.read_model(resume_from_checkpoint)

    def _load_best_model(self) -> None:
        best = self.state.best_model_checkpoint
        if best is None:  # which `Trainer` has excluded
            return
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_best_model()
        else:
            self.read_best_model(Path(best))
        self.best_model_is_read(Path(best))

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """The trainer's own copies a fixed list of files, pickles its arguments, and hides a failure."""
        if self.is_world_process_zero() and self.args.hub_strategy != HubStrategy.END:
            self.upload_checkpoint(Path(checkpoint_folder))


@contextmanager
def _after(state: Any, then: Callable[[], None]) -> Iterator[None]:
    """Call `then` whenever the trainer's state was written, which it is after all other files."""
    write_state = state.save_to_json

    def save_to_json(path: str) -> None:
        write_state(path)
        then()

    state.save_to_json = save_to_json
    try:
        yield
    finally:
        del state.save_to_json


def whole_modules(model: PreTrainedModel) -> set[str] | list[str] | None:
    """The classes of modules that FSDP keeps together; its policy looks for `_no_split_modules`."""
    return model._no_split_modules


def has_adapter(model: PreTrainedModel) -> bool:
    """Whether the model got an adapter by `add_adapter` or `load_adapter`."""
    return model._hf_peft_config_loaded
