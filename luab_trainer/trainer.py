"""transformers' Trainer for `LUABModel`: logs each term, saves plain checkpoints."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import PreTrainedModel
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, BestRun, EvalLoopOutput, TrainOutput

from luab_data.files.sums import remove_listed, require_undamaged, write_sums
from luab_data.files.whole import write_json
from luab_trainer.announcement import powerless
from luab_trainer.averaging import WeightAverage
from luab_trainer.batch_norm import WholeCropStatistics
from luab_trainer.config import LUABConfig
from luab_trainer.data.collator import collate
from luab_trainer.data.dataset import ViewDataset, check_dataset, check_not_paired
from luab_trainer.data.epochs import SetEpoch, check_drop_last, check_repeats, every_row, repeated
from luab_trainer.data.streaming import StreamedSamples, loader_of_process
from luab_trainer.finite import FiniteSteps, require_finite_metrics, row_names
from luab_trainer.hub.checkpoint import (
    check_fsdp,
    checkpoint_to_resume,
    load_checkpoint,
    save_checkpoint,
)
from luab_trainer.hub.checkpoint_folder import CheckpointFolder
from luab_trainer.hub.earlier_results import EarlierResults
from luab_trainer.hub.model_card import BestWeights, card_splits, license_of, model_card
from luab_trainer.hub.upload import public_arguments, signed_files
from luab_trainer.hub.uploading_trainer import UploadingTrainer
from luab_trainer.lamb import lamb
from luab_trainer.layer_decay import check_layer_decay, check_own_optimizer, decay_by_depth, scales
from luab_trainer.lora import frozen_fingerprint, is_adapted
from luab_trainer.metrics.accuracy import accuracy, predictions
from luab_trainer.metrics.multi_label import MultiLabelMetrics
from luab_trainer.model import CLASSIFICATION, LUABModel, LUABOutput
from luab_trainer.pictures import AttentionPictures
from luab_trainer.plan import FROZEN, fingerprint, require_same_run, run_plan, write_plan
from luab_trainer.said import say
from luab_trainer.search import Objective, Space, checked_space, require_objective
from luab_trainer.sharding import check_sharding
from luab_trainer.stopping import EarlyStopping
from luab_trainer.terms import TermMeans, real_rows
from luab_trainer.wrapping import OF_THE_MODEL, WrappingInit, wrapped
from luab_vision.processors import PROCESSOR_FILE

ARGUMENTS_FILE = "training_args.json"
CARD_FILE = "README.md"


class LUABTrainer(UploadingTrainer):
    """Trains a classifier with byproduct losses.

    Each term is logged unweighted, as its mean over all rows since the last log (`ce`, `point`, `attention`;
    in evaluation `eval_ce`, ...): `loss = ce + sum(weight * term)`.

    The loss of a batch is a mean over its rows, and the trainer averages it over accumulation steps and
    processes. So every (micro-)batch has the same weight: a batch of 8 rows trains like 8 accumulation steps
    of 1 row. If an epoch's last batch is smaller, its rows weigh more; `--dataloader_drop_last` skips it.

    Args:
        model: any `AutoModelForImageClassification`, wrapped according to `args` and trained in float32 (set
            `bf16` or `fp16` for mixed precision); or a `LUABModel`, which is not changed: the trainer's
            `args` take its losses.
        args: the run's settings. They are copied: what is set later must be set in the trainer's `args`.
        model_init: instead of `model`, a function that makes one; called again when the training starts.
        dataset_name: for the model card; a Hub id, or a folder, which is shown without its path.
        eval_dataset_name: the same for the evaluation dataset, if it is another one.
        run_arguments: what else the run depends on, JSON-able; saved with the training arguments. The card
            names its `train_split` and `eval_split`.
        kwargs: as `Trainer`. The processing class is the image processor. Its settings normalize batches of
            bytes, and it is saved with the model.

    Raises:
        ValueError: the processing class, a dataset's transform and a `LUABModel` normalize differently; or
            `args` ask for other losses than a `LUABModel` has; or `dataloader_drop_last` leaves nothing to
            train on, or has no effect; or `background_mix`, `cutmix` or `mixup` is not what the training
            dataset does; or the evaluation dataset has one of the last two; or the training dataset wraps a
            `ViewDataset`, as torch's `Subset` does.
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
        if args is None:
            raise ValueError("LUABTrainer needs args, a LUABConfig.")
        args = copy.copy(args)  # which takes what the model and the dataset do: the user's serves others too
        check_drop_last(args, kwargs.get("train_dataset"))
        check_repeats(args, kwargs.get("train_dataset"))
        check_dataset(args, kwargs.get("train_dataset"))
        check_not_paired(kwargs.get("eval_dataset"))
        self._ready = isinstance(model, LUABModel)
        if model is None and model_init is not None:
            kwargs["model_init"] = WrappingInit(model_init, args, **kwargs)
            multi_label = kwargs["model_init"].first.multi_label
        elif model is not None and model_init is None:
            model = wrapped(model, args, **kwargs)
            multi_label = model.multi_label
        else:
            raise ValueError("LUABTrainer needs either a model or a model_init, a function that makes one.")
        defaults: dict[str, Any] = {"data_collator": collate}
        if multi_label:
            defaults |= {"compute_metrics": MultiLabelMetrics()}
        else:
            defaults |= {"compute_metrics": accuracy, "preprocess_logits_for_metrics": predictions}
        self.dataset_name, self.eval_dataset_name = dataset_name, eval_dataset_name
        self.run_arguments = run_arguments or {}
        self._finite = FiniteSteps(row_names(None))
        self._saving_checkpoint = False
        self._checkpoint_folder = CheckpointFolder()
        self._best: BestWeights | None = None
        self._earlier_results = EarlierResults()
        self.facts: list[tuple[str, str]] = []  # of the run, for the card
        self._train_terms, self._eval_terms = TermMeans(), TermMeans()
        self._without_targets: set[str] = set()  # "training", "evaluation"
        super().__init__(model=model, args=args, **{**defaults, **kwargs})
        check_sharding(self)
        self.label_smoother = None  # LUABModel smooths: the trainer's own would replace the whole loss
        self.add_callback(SetEpoch(self))
        self._statistics = WholeCropStatistics(self)
        self.add_callback(self._statistics)
        self._average = WeightAverage(self)
        self.add_callback(self._average)
        self.add_callback(AttentionPictures(self, self._average))
        if args.early_stopping_patience is not None:
            self.add_callback(EarlyStopping(args.early_stopping_patience))
        if args.do_train:
            check_own_optimizer(args, kwargs)
            check_layer_decay(self)

    @staticmethod
    def get_optimizer_cls_and_kwargs(  # type: ignore[override]  # of our own arguments
        args: LUABConfig, model: PreTrainedModel | None = None
    ) -> tuple[Any, Any]:
        """As `Trainer`, which has no LAMB."""
        return lamb(args) if args.lamb else UploadingTrainer.get_optimizer_cls_and_kwargs(args, model)

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """As `Trainer`, with learning rates by depth if the arguments ask for them."""
        new = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if new and self.args.layer_decay is not None:
            decay_by_depth(optimizer, scales(self.luab.model, self.args.layer_decay))
        return optimizer

    def train(  # type: ignore[override]  # the other arguments are passed on
        self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any
    ) -> TrainOutput:
        """As `Trainer.train`, with a lock on the output folder.

        Raises:
            ValueError: `do_train` is off.
            SourceError: another run has the lock; the checkpoint is damaged, or of a run with other options;
                a loss or gradient is not finite.
        """
        if not self.args.do_train:
            raise ValueError("do_train=False makes a trainer that only evaluates: leave it out to train.")
        # A search drops the model after each trial; the next one is made in `Trainer.train`.
        if self.model is not None and (warning := powerless(self.luab)) is not None:
            say(f"{warning}.")
        self._train_terms.clear()  # of an earlier trial, since its last log
        self._finite = FiniteSteps(row_names(self.train_dataset))
        self._average.drop()  # of a training that failed
        self._best = None
        self._earlier_results.note(Path(self.args.output_dir))
        with self.args.only_run():
            value = None if resume_from_checkpoint is None else str(resume_from_checkpoint)
            checkpoint = checkpoint_to_resume(value, self.args.output_dir)
            if checkpoint is not None:
                require_same_run(Path(checkpoint), self._plan(), self._of_the_model)
                check_fsdp(checkpoint, self.is_fsdp_enabled)
            output = super().train(resume_from_checkpoint=checkpoint, **kwargs)
        self._finite.check()
        self._average.settle()
        self._statistics.settle()
        return output

    def hyperparameter_search(  # type: ignore[override]  # as above
        self, hp_space: Space | None = None, compute_objective: Objective | None = None, **kwargs: Any
    ) -> BestRun | list[BestRun]:
        """As `Trainer.hyperparameter_search`; `hp_space` may also set the options of `LUABConfig`.

        Raises:
            ValueError: there is no `compute_objective`; or the space sets an option that there is not, that
                the datasets, the trainer or a `LUABModel` are made with, or to a value that is not allowed.
        """
        objective = require_objective(compute_objective)
        space = None if hp_space is None else checked_space(hp_space, self.args, self._of_the_model)
        return super().hyperparameter_search(space, objective, **kwargs)

    @property
    def _of_the_model(self) -> tuple[str, ...]:
        """The arguments that come from a `LUABModel`."""
        if isinstance(self.model_init, WrappingInit):
            return self.model_init.made_with
        return OF_THE_MODEL if self._ready else ()

    # ---- Loss and logs

    def compute_loss(  # type: ignore[override]  # as above
        self, model: nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False, **kwargs: Any
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, as in `Trainer`; its terms are summed for the next log."""
        inputs = dict(inputs)
        rows = inputs.pop("rows", None)
        outputs: LUABOutput = model(**inputs)
        loss, terms, logits = outputs.loss, outputs.terms, outputs.logits
        if loss is None or terms is None or logits is None:
            raise ValueError("the batch has no labels, so it has no loss.")
        self._say_missing(terms)
        if self.model.training:
            self._train_terms.add(terms)
            self._finite.add_loss(self.state.global_step + 1, loss, terms, rows)
        else:
            self._eval_terms.add(terms, real_rows(terms, self.accelerator))
        return (loss, {"loss": loss, "logits": logits}) if return_outputs else loss

    def _say_missing(self, terms: Mapping[str, Tensor]) -> None:
        """Says which byproduct terms the batches give no targets for, once in training and in evaluation."""
        rows = "training" if self.model.training else "evaluation"
        if rows == "evaluation" and isinstance(self.eval_dataset, ViewDataset):
            return  # of rows without byproducts, as `run.py` says before it starts
        if len(terms) > 1 or rows in self._without_targets:  # a batch has all of its terms, or only the first
            return
        self._without_targets.add(rows)
        if missing := self.luab.weights:
            say(
                f"the {rows} batches have no target_points and no target_maps: their loss is without "
                f"{' and '.join(missing)}. A ViewDataset makes them if it is given a byproduct."
            )

    def gradient_is_known(self, norm: Tensor | float) -> None:
        """Ends the run where the gradient is no finite number."""
        if self.accelerator.scaler is None:  # float16's scaler meets infinity now and then, and goes on
            self._finite.add_gradient(norm)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs as `Trainer` does, with the mean of each term of the loss since the last log."""
        if "loss" in logs:  # a log of training steps; evaluation adds its terms to its metrics
            logs.update(self._train_terms.take(self.accelerator))
            if not math.isfinite(logs.get("grad_norm") or 0):  # of a step that float16's scaler left out
                del logs["grad_norm"]
        super().log(logs, start_time)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Of a dataset that mixes as the arguments say, also those that a hyperparameter search has set.

        Of an endless stream each process reads its own rows.
        """
        check_dataset(self.args, self.train_dataset)
        if isinstance(self.train_dataset, StreamedSamples) and self.args.world_size > 1:
            return loader_of_process(self.train_dataset, self.args, self.data_collator, self.args.device)
        return super().get_train_dataloader()

    def train_sampler(self) -> Sampler[Any] | None:
        """With repeated augmentation its own."""
        return repeated(self.args, self.train_dataset)

    def get_eval_dataloader(self, eval_dataset: str | Dataset[Any] | None = None) -> DataLoader[Any]:
        """Of all rows: `dataloader_drop_last` is about batches of training."""
        check_not_paired(eval_dataset)
        with every_row(self.args):
            return super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset: Dataset[Any]) -> DataLoader[Any]:
        """Of all rows, as in an evaluation."""
        check_not_paired(test_dataset)
        with every_row(self.args):
            return super().get_test_dataloader(test_dataset)

    def evaluation_loop(
        self,
        dataloader: DataLoader[Any],
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Evaluates as `Trainer` does, and adds the mean of each term of the loss."""
        self._eval_terms.clear()
        with self._average.in_use():
            self._statistics.settle()
            output = super().evaluation_loop(
                dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
            )
        means = self._eval_terms.take(self.accelerator)
        if means and output.metrics is not None:
            weights = {CLASSIFICATION: 1.0, **self.luab.weights}
            # Exact; the trainer's own loss weighs a smaller last batch like a full one.
            means["loss"] = sum(weights[name] * mean for name, mean in means.items())
            require_finite_metrics(means, self.state.global_step)
            output.metrics.update({f"{metric_key_prefix}_{name}": mean for name, mean in means.items()})
        return output

    # ---- Checkpoints

    @property
    def luab(self) -> LUABModel:
        """The model without wrappers (DDP, compilation)."""
        return self.accelerator.unwrap_model(self.model, keep_torch_compile=False)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As `Trainer.save_model`, of the average if there is one, with the statistics of whole crops."""
        with self._average.in_use():
            self._statistics.settle()
            super().save_model(output_dir, _internal_call)
        if self._saving_checkpoint and self.args.should_save and not self.args.save_only_model:
            self._average.write(Path(output_dir or self.args.output_dir))

    def write_model(self, folder: Path, state_dict: dict[str, Tensor] | None) -> None:
        """A plain transformers checkpoint, the head, the image processor, the arguments as JSON, the card."""
        self._finite.check()  # no checkpoint after a loss that is not finite
        if not self.args.should_save:
            return
        folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(self.luab, folder, state_dict)
        if self.processing_class is not None:
            self.processing_class.save_pretrained(folder)
        else:
            remove_listed(folder, [PROCESSOR_FILE])  # of an earlier run into the same folder
        write_json(folder / ARGUMENTS_FILE, public_arguments(self.args, self.run_arguments), indent=2)
        self._earlier_results.remove(folder)
        self._write_card(folder)
        if not self._saving_checkpoint:
            adapted, processed = is_adapted(self.luab.model), self.processing_class is not None
            write_sums(folder, signed_files(folder, adapted, processed))

    @contextmanager
    def saving_checkpoint(self, folder: Path) -> Iterator[None]:
        """With the plan of the run, and sums that are written last: without them it is not whole."""
        plan = self._plan()
        if self.args.should_save:
            self._checkpoint_folder.empty(folder)
            write_plan(folder, plan)
        self.accelerator.wait_for_everyone()  # each process writes files of its own
        self._saving_checkpoint = True
        try:
            yield
        finally:
            self._saving_checkpoint = False

    def checkpoint_is_written(self, folder: Path) -> None:
        """Sums up its files, so that damage is seen."""
        self._checkpoint_folder.sum_up(folder)

    def _plan(self) -> dict[str, Any]:
        options = public_arguments(self.args, self.run_arguments)
        return run_plan(self.luab, self.args, options, self._train_fingerprint)

    @cached_property
    def _train_fingerprint(self) -> dict[str, Any]:
        frozen = {FROZEN: frozen_fingerprint(self.luab.model)} if is_adapted(self.luab.model) else {}
        return fingerprint(self.train_dataset) | frozen

    def read_model(self, folder: str) -> None:
        """The classifier and the head; with an average also the weights that it is of."""
        load_checkpoint(self.luab, folder)
        self._average.read(Path(folder))

    def read_best_model(self, folder: Path) -> None:
        """The same of the best checkpoint, which must be as it was written."""
        require_undamaged(folder, f"the best model, {folder}", "Take another checkpoint of this run.")
        load_checkpoint(self.luab, folder)
        self._average.drop()
        self._statistics.stale = False

    def best_model_is_read(self, folder: Path) -> None:
        """The card then has the results of that step."""
        step = int(folder.name.removeprefix(f"{PREFIX_CHECKPOINT_DIR}-"))
        self._best = BestWeights(step, len(self.state.log_history))

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Writes our card; the arguments of the trainer's method are ignored."""
        if self.is_world_process_zero():
            self._write_card(Path(self.args.output_dir))

    def _write_card(self, folder: Path) -> None:
        names = (self.dataset_name, self.eval_dataset_name or self.dataset_name)
        splits = card_splits(self.run_arguments)
        resized = self.run_arguments.get("image_size") is not None
        license_, facts, best = self._base_license, self.facts, self._best
        card = model_card(self.luab, self.args, self.state, *names, license_, splits, facts, resized, best)
        (folder / CARD_FILE).write_text(card, encoding="utf-8")

    @cached_property
    def _base_license(self) -> str | None:
        """License of the initial model; fetched only if the card is published."""
        return license_of(self.luab.config.name_or_path) if self.args.push_to_hub else None
