"""transformers' Trainer for `LUABModel`: logs each term, saves plain checkpoints."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import CommitInfo, HfApi
from huggingface_hub.errors import HTTPError
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedModel, Trainer, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, EvalLoopOutput, HubStrategy, TrainOutput
from transformers.utils import PushInProgress

from luab_data.errors import SourceError
from luab_data.files.sums import SUMS, require_undamaged, write_sums
from luab_data.files.whole import write_json
from luab_data.hub.retry import reason
from luab_data.hub.source import require_write
from luab_trainer.announcement import powerless
from luab_trainer.config import LUABConfig
from luab_trainer.data.collator import collate
from luab_trainer.finite import FiniteSteps, require_finite_metrics, row_names
from luab_trainer.hub.checkpoint import (
    check_fsdp,
    checkpoint_to_resume,
    load_checkpoint,
    require_whole_checkpoints,
    save_checkpoint,
)
from luab_trainer.hub.model_card import license_of, model_card
from luab_trainer.hub.upload import AFTER_TRAINING, Uploads, is_of_model, public_arguments
from luab_trainer.metrics.accuracy import accuracy, predictions
from luab_trainer.metrics.multi_label import MultiLabelMetrics
from luab_trainer.model import CLASSIFICATION, LUABModel, LUABOutput
from luab_trainer.plan import fingerprint, require_same_run, run_plan, write_plan
from luab_trainer.said import say
from luab_trainer.wrapping import WrappingInit, wrapped

ARGUMENTS_FILE = "training_args.json"
CARD_FILE = "README.md"


class LUABTrainer(Trainer):
    """Trains a classifier with byproduct losses.

    Each term is logged unweighted, as its mean over all rows since the last log (`ce`, `point`, `attention`;
    in evaluation `eval_ce`, ...): `loss = ce + sum(weight * term)`.

    The loss of a batch is a mean over its rows, and the trainer averages it over accumulation steps and
    processes. So every (micro-)batch has the same weight: a batch of 8 rows trains like 8 accumulation steps
    of 1 row. If an epoch's last batch is smaller, its rows weigh more; `--dataloader_drop_last` skips it.

    Args:
        model: any `AutoModelForImageClassification`, wrapped according to `args` and trained in float32 (set
            `bf16` or `fp16` for mixed precision); or a `LUABModel`, which is not changed.
        model_init: instead of `model`, a function that makes one; called again when the training starts.
        dataset_name: for the model card; a Hub id, or a folder, which is shown without its path.
        eval_dataset_name: the same for the evaluation dataset, if it is another one.
        run_arguments: what else the run depends on, JSON-able; saved with the training arguments. The card
            names its `train_split` and `eval_split`.
        kwargs: as `Trainer`. The processing class is the image processor. Its settings normalize batches of
            bytes, and it is saved with the model.

    Raises:
        ValueError: the processing class, a dataset's transform and a `LUABModel` normalize differently.
    """

    def __init__(
        self,
        model: PreTrainedModel | LUABModel | None = None,
        args: LUABConfig | None = None,
        *,
        model_init: Callable[..., PreTrainedModel | LUABModel] | None = None,
        dataset_name: str | None = None,
        eval_dataset_name: str | None = None,
        run_arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        if (model is None) == (model_init is None):
            raise ValueError("LUABTrainer needs either a model or a model_init, a function that makes one.")
        if model_init is not None:
            kwargs["model_init"] = WrappingInit(model_init, args, **kwargs)
            multi_label = kwargs["model_init"].first.multi_label
        else:
            model = wrapped(model, args, **kwargs)
            multi_label = model.multi_label
        defaults = {"data_collator": collate}
        if multi_label:
            defaults |= {"compute_metrics": MultiLabelMetrics()}
        else:
            defaults |= {"compute_metrics": accuracy, "preprocess_logits_for_metrics": predictions}
        self.dataset_name, self.eval_dataset_name = dataset_name, eval_dataset_name
        self.run_arguments = run_arguments or {}
        self._finite = FiniteSteps(row_names(None))
        self._saving_checkpoint = False
        self.facts: list[tuple[str, str]] = []  # of the run, for the card
        self._sums: dict[bool, dict[str, Tensor]] = {True: {}, False: {}}  # by "in training"
        super().__init__(model=model, args=args, **{**defaults, **kwargs})
        if self.is_fsdp_enabled:
            require_whole_checkpoints(self.accelerator.state.fsdp_plugin)
        self.label_smoother = None  # LUABModel smooths: the trainer's own would replace the whole loss
        self.add_callback(_SetEpoch(self))

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> TrainOutput:
        """As `Trainer.train`, with a lock on the output folder.

        Raises:
            SourceError: another run has the lock; the checkpoint is damaged, or of a run with other options;
                a loss or gradient is not finite.
        """
        if (warning := powerless(self.luab)) is not None:
            say(f"{warning}.")
        self._finite = FiniteSteps(row_names(self.train_dataset))
        with self.args.only_run():
            value = None if resume_from_checkpoint is None else str(resume_from_checkpoint)
            checkpoint = checkpoint_to_resume(value, self.args.output_dir)
            if checkpoint is not None:
                require_same_run(Path(checkpoint), self._plan())
            output = super().train(resume_from_checkpoint=checkpoint, **kwargs)
        self._finite.check()
        return output

    # ---- Loss and logs

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False, **kwargs: Any
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, as in `Trainer`; its terms are summed for the next log."""
        inputs = dict(inputs)
        rows = inputs.pop("rows", None)
        outputs: LUABOutput = model(**inputs)
        self._add(outputs.terms, training=self.model.training)
        loss = outputs.loss
        if self.model.training:
            self._finite.add_loss(self.state.global_step + 1, loss, outputs.terms, rows)
        return (loss, {"loss": loss, "logits": outputs.logits}) if return_outputs else loss

    def _get_grad_norm(self, model: nn.Module, grad_norm: Tensor | None = None) -> Tensor | float:
        norm = super()._get_grad_norm(model, grad_norm)
        if self.accelerator.scaler is None:  # float16's scaler handles occasional infinity
            self._finite.add_gradient(norm)
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs as `Trainer` does, with the mean of each term of the loss since the last log."""
        if "loss" in logs:  # a log of training steps; evaluation adds its terms to its metrics
            logs.update(self._means(training=True))
            if not math.isfinite(logs.get("grad_norm") or 0):  # a step that float16's scaler skipped
                del logs["grad_norm"]
        super().log(logs, start_time)

    def get_eval_dataloader(self, eval_dataset: str | Dataset | None = None) -> DataLoader:
        """A loader over all rows: `dataloader_drop_last` only affects training."""
        with _every_row(self.args):
            return super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset: Dataset) -> DataLoader:
        """A loader over all rows, as in an evaluation."""
        with _every_row(self.args):
            return super().get_test_dataloader(test_dataset)

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> EvalLoopOutput:
        """Evaluates as `Trainer` does, and adds the mean of each term of the loss."""
        self._sums[False] = {}
        output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
        means = self._means(training=False)
        if means:
            weights = {CLASSIFICATION: 1.0, **self.luab.weights}
            # Exact; the trainer's own loss weighs a smaller last batch like a full one.
            means["loss"] = sum(weights[name] * mean for name, mean in means.items())
            require_finite_metrics(means, self.state.global_step)
            output.metrics.update({f"{metric_key_prefix}_{name}": mean for name, mean in means.items()})
        return output

    def _add(self, terms: dict[str, Tensor], training: bool) -> None:
        """Add a batch's terms {name: [B]}: sums and counts stay on the device until they are logged."""
        rows = next(iter(terms.values())).shape[0]
        real = rows if training else self._real_rows(rows)
        sums = self._sums[training]
        for name, term in terms.items():
            added = torch.stack(
                [term[:real].detach().float().sum(), term.new_tensor(real, dtype=torch.float32)]
            )
            sums[name] = sums[name] + added if name in sums else added

    def _real_rows(self, rows: int) -> int:
        """How many of this process's rows are not repetitions.

        With several processes, rows are repeated to fill the last batch.
        """
        state = self.accelerator.gradient_state
        if self.accelerator.num_processes == 1 or not state.end_of_dataloader or state.remainder <= 0:
            return rows
        return min(max(state.remainder - self.accelerator.process_index * rows, 0), rows)

    def _means(self, training: bool) -> dict[str, float]:
        """Mean of each term over the rows of all processes since the last call. Called by all processes."""
        sums, self._sums[training] = self._sums[training], {}
        if not sums:
            return {}
        total = self.accelerator.reduce(torch.stack(list(sums.values())), reduction="sum").tolist()
        return {name: value / max(count, 1) for name, (value, count) in zip(sums, total, strict=True)}

    # ---- Checkpoints

    @property
    def luab(self) -> LUABModel:
        """The model without wrappers (DDP, compilation)."""
        return self.accelerator.unwrap_model(self.model, keep_torch_compile=False)

    def whole_classifier(self) -> PreTrainedModel:
        """The classifier, which this process may call any number of times. Called by all processes.

        Under FSDP each layer gathers its weights from all processes at each forward pass. A process with
        fewer batches would then block the others, so all weights are gathered once here.
        """
        if self.is_fsdp_enabled:
            for module in self.model.modules():
                if isinstance(module, FSDPModule):
                    module.set_reshard_after_forward(False, recurse=False)
                    module.unshard()
        return self.luab.model

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """A plain transformers checkpoint, the head, the image processor, the arguments as JSON, the card."""
        self._finite.check()  # no checkpoint after a loss that is not finite
        if not self.args.should_save:
            return
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(self.luab, folder, state_dict)
        if self.processing_class is not None:
            self.processing_class.save_pretrained(folder)
        write_json(folder / ARGUMENTS_FILE, public_arguments(self.args, self.run_arguments), indent=2)
        self._write_card(folder)
        if not self._saving_checkpoint:
            names = (path.name for path in folder.iterdir() if is_of_model(path.name))
            write_sums(folder, (name for name in names if name not in AFTER_TRAINING))

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Adds the run's plan, and the checksums last: a checkpoint without them is incomplete."""
        folder = Path(self.args.output_dir, f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}")
        plan = self._plan()
        if self.args.should_save:
            for name in (SUMS, TRAINER_STATE_NAME):  # of an earlier run into the same folder
                (folder / name).unlink(missing_ok=True)
            folder.mkdir(parents=True, exist_ok=True)
            write_plan(folder, plan)
        # The trainer writes its state after all other files, and before it deletes older checkpoints. So this
        # is the place for the checksums.
        write_state = self.state.save_to_json
        self.state.save_to_json = lambda path: (write_state(path), write_sums(folder))
        self._saving_checkpoint = True
        try:
            super()._save_checkpoint(*args, **kwargs)
        finally:
            self._saving_checkpoint = False
            del self.state.save_to_json

    def _save_rng_state(self, output_dir: str) -> None:
        """Saves the state of each process; the first writes the checksums when all files are there."""
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()

    def _plan(self) -> dict[str, Any]:
        options = public_arguments(self.args, self.run_arguments)
        return run_plan(self.luab, self.args, options, self._train_fingerprint)

    @cached_property
    def _train_fingerprint(self) -> dict[str, Any]:
        return fingerprint(self.train_dataset)

    def _run_epoch(self, **kwargs: Any) -> None:
        """Prevents one step too many when a run resumes at its last step, in the middle of an epoch."""
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(**kwargs)
        else:
            self.control.should_training_stop = True

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        check_fsdp(resume_from_checkpoint, self.is_fsdp_enabled)
        if self.is_fsdp_enabled:  # sharded, in its own format
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            load_checkpoint(self.luab, resume_from_checkpoint)

    def _load_best_model(self) -> None:
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_best_model()
        else:
            best = Path(self.state.best_model_checkpoint)
            require_undamaged(best, f"the best model, {best}", "Take another checkpoint of this run.")
            load_checkpoint(self.luab, best)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Writes our card; the arguments of the trainer's method are ignored."""
        if self.is_world_process_zero():
            self._write_card(Path(self.args.output_dir))

    def _write_card(self, folder: Path) -> None:
        names = (self.dataset_name, self.eval_dataset_name or self.dataset_name)
        splits = (self.run_arguments.get("train_split"), self.run_arguments.get("eval_split"))
        if share := self.run_arguments.get("eval_share"):
            splits = (splits[0], f"{splits[0]}, {share:.0%} held out")
        card = model_card(self.luab, self.args, self.state, *names, self._base_license, splits, self.facts)
        (folder / CARD_FILE).write_text(card, encoding="utf-8")

    @cached_property
    def _base_license(self) -> str | None:
        """License of the initial model; fetched only if the card is published."""
        return license_of(self.luab.config.name_or_path) if self.args.push_to_hub else None

    # ---- The Hub

    def init_hf_repo(self, token: str | None = None, **options: bool | None) -> None:
        """Makes the repository before training starts.

        Raises:
            SourceError: no access, or no connection.
        """
        try:
            super().init_hf_repo(token, **options)
            if self.is_world_process_zero():
                own = token or self.args.hub_token
                require_write(self.hub_model_id, "model", own)
                if self.args.hub_revision is not None:
                    branch = self.args.hub_revision
                    HfApi().create_branch(self.hub_model_id, branch=branch, token=own, exist_ok=True)
        except (HTTPError, OSError) as error:
            raise SourceError(
                f"--push_to_hub: the Hub gives no access to {self.args.hub_model_id or 'a new repository'}: "
                f"{reason(error)} Log in with `hf auth login` (or set HF_TOKEN) as one who may write there."
            ) from error
        if self.is_world_process_zero():
            self.args.hub_model_id = self.hub_model_id  # with its owner, for the card
            self._uploads = Uploads(self.hub_model_id, self.args)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Uploads a checkpoint during training.

        The trainer's own method copies a fixed list of files without our head, pickles its arguments, and
        does not report a failed upload.
        """
        if not self.is_world_process_zero() or self.args.hub_strategy == HubStrategy.END:
            return
        busy = self.push_in_progress is not None and not self.push_in_progress.is_done()
        if not busy:
            self.push_in_progress = PushInProgress([])
        if not busy or self.args.hub_always_push:
            message = f"Training in progress, step {self.state.global_step}"
            self.push_in_progress.jobs.append(self._uploads.start(Path(checkpoint_folder), message))

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> CommitInfo | None:
        """Saves the model and uploads it, after the checkpoints. Called by all processes; always `blocking`.

        Raises:
            SourceError: the upload failed; the model is saved on disk.
        """
        if token not in (None, self.args.hub_token) or revision not in (None, self.args.hub_revision):
            raise ValueError("set hub_token and hub_revision in the config: all uploads go to one place.")
        if self.hub_model_id is None:
            self.init_hf_repo(private=private)
        self.save_model(_internal_call=True)
        if not self.is_world_process_zero():
            return None
        self._finish_current_push()
        return self._uploads.finish(Path(self.args.output_dir), commit_message)


@contextmanager
def _every_row(args: LUABConfig) -> Iterator[None]:
    dropped, args.dataloader_drop_last = args.dataloader_drop_last, False
    try:
        yield
    finally:
        args.dataloader_drop_last = dropped


class _SetEpoch(TrainerCallback):
    """Sets the epoch of the training dataset, which determines its augmentation.

    Accelerate does not do so with several processes, or after resuming in the middle of an epoch.
    """

    def __init__(self, trainer: Trainer):
        self.trainer = trainer

    def on_epoch_begin(self, args, state, control, **kwargs):
        set_epoch = getattr(self.trainer.train_dataset, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(int(state.epoch or 0))
