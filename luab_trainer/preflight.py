"""Checks before the first step, with model and rows loaded: finds errors that would occur hours later."""

import copy
import inspect
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, IterableDataset
from transformers.trainer_utils import IntervalStrategy
from transformers.training_args import OptimizerNames

from luab_data.console.names import few
from luab_data.console.text import did_you_mean
from luab_data.errors import SourceError
from luab_trainer.arguments import RunArguments
from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.metrics.multi_label import PRIMARY_METRIC as MAP
from luab_trainer.trainer import LUABTrainer

_SPEED = ("runtime", "samples_per_second", "steps_per_second")
# The optimizer's files of a checkpoint: plain, FSDP, DeepSpeed.
_OPTIMIZER_STATES = ("optimizer.pt", "optimizer.bin", "optimizer_*", "global_step*")


def check_output_folder(folder: str | Path) -> None:
    """Raises SourceError if a folder cannot be written to; it need not exist yet."""
    folder = Path(folder).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"1")
    except OSError as error:
        problem = "it is a file" if there.is_file() else f"{there} cannot be written to: {error.strerror}"
        raise SourceError(f"--output_dir {folder}: {problem}. Give another folder.") from error


def check_rows(
    run: RunArguments, args: LUABConfig, train: Dataset | IterableDataset | None, evaluated: Dataset | None
) -> None:
    """Raises SourceError for a split without rows, and for a requested evaluation without rows."""
    for option, rows in (("train_split", train), ("eval_split", evaluated)):
        if isinstance(rows, Dataset) and len(rows) == 0:
            raise SourceError(
                f"--{option} {getattr(run, option)} has no rows; give a split, or a part of one, with some."
            )
    asked = {
        "--do_train False": not args.do_train,
        f"--eval_strategy {IntervalStrategy(args.eval_strategy).value}": args.eval_strategy != "no",
        "--eval_on_start": args.eval_on_start,
    }
    for option, given in asked.items():
        if given and evaluated is None:
            raise SourceError(
                f"{option} needs rows to evaluate, and the dataset has no split for that. Give --eval_split, "
                "--eval_share or --eval_dataset."
            )


def check_ready(trainer: LUABTrainer, checkpoint: str | None) -> None:
    """Reject arguments that do not fit these rows or this model.

    Args:
        trainer: The complete trainer, before its first step.
        checkpoint: The folder to resume from.

    Raises:
        SourceError: names the argument and the fix.
    """
    args = trainer.args
    if args.metric_for_best_model is not None:
        _check_metric(args.metric_for_best_model, metrics_of(trainer))
    if not args.do_train:
        return
    if args.activation_checkpointing and not trainer.luab.model.supports_gradient_checkpointing:
        kind = type(trainer.luab.model).__name__
        raise SourceError(f"--activation_checkpointing: {kind} does not support it; leave it out.")
    if not any(parameter.requires_grad for parameter in trainer.luab.parameters()):
        raise SourceError("all weights are frozen, so there is nothing to train.")
    _check_optimizer(trainer)
    if checkpoint is not None and not any(any(Path(checkpoint).glob(name)) for name in _OPTIMIZER_STATES):
        raise SourceError(
            f"{checkpoint} was saved with --save_only_model, so no run can resume from it; start a new run "
            f"from its classifier with --model {checkpoint}."
        )


def metrics_of(trainer: LUABTrainer) -> list[str]:
    """The metrics of an evaluation during training, without `eval_`."""
    dataset, luab = trainer.eval_dataset, trainer.luab
    if dataset is None:
        return []
    # Datasets of other classes may bring targets, which is only seen in their batches.
    with_byproduct = not isinstance(dataset, ViewDataset) or dataset.to_sample.byproduct is not None
    terms = ["loss", "ce", *(luab.weights if with_byproduct else [])]
    if trainer.args.prediction_loss_only:
        return [*terms, *_SPEED]
    scores = [MAP, "f1_macro", "f1_micro", "classes_without_positive"] if luab.multi_label else ["accuracy"]
    return [*scores, *terms, *_SPEED]


def _check_metric(metric: str, known: Collection[str]) -> None:
    name = metric.removeprefix("eval_")
    if not known or name in known:
        return
    raise SourceError(
        f"--metric_for_best_model {metric}{did_you_mean(name, known)}: an evaluation during training gives "
        f"{few(list(known), 20)}."
    )


def _check_optimizer(trainer: LUABTrainer) -> None:
    """Make the optimizer once, for one number: finds missing packages and arguments without effect."""
    args = trainer.args
    luab: Any = trainer.luab  # of which `Trainer` only asks for the parameters
    option = f"--optim {OptimizerNames(args.optim).value}"
    given = f" with --optim_args {args.optim_args}" if args.optim_args else ""
    try:
        kind, kwargs = trainer.get_optimizer_cls_and_kwargs(args, luab)
        if given and inspect.isclass(kind) and not {"params", "optimizer_dict"} & set(kwargs):
            make: Any = kind
            make([torch.nn.Parameter(torch.zeros(2, 2))], **kwargs)
        for name in ("optim_args", "optim_target_modules"):
            if getattr(args, name):
                without = copy.copy(args)
                setattr(without, name, None)
                if trainer.get_optimizer_cls_and_kwargs(without, luab) == (kind, kwargs):
                    raise SourceError(f"--{name} {getattr(args, name)} does nothing with {option}.")
    except SourceError:
        raise
    except (ImportError, TypeError, ValueError) as error:
        raise SourceError(f"{option}{given}: {error}") from error
