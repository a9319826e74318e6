"""Rejects training arguments that contradict each other, have no effect, or do not work on this machine."""

import multiprocessing
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import torch
from transformers import TrainingArguments, get_scheduler
from transformers.integrations import get_available_reporting_integrations
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.trainer_utils import SchedulerType
from transformers.utils import is_torch_bf16_gpu_available, is_torch_xla_available

from luab_vision.cls_attention import ALL, check_choice
from luab_vision.compiling import require_compiler

_NO_WARMUP = ("constant", "reduce_lr_on_plateau", "greedy")  # schedules
_NO_KWARGS = ("constant", "constant_with_warmup")
_TRACKIO = ("trackio_space_id", "trackio_bucket_id", "trackio_static_space_id")
# Packages of the tools in --report_to, if their names differ.
_PACKAGES = {"azure_ml": "azureml-core", "comet_ml": "comet-ml", "flyte": "flytekit"}
_COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


def check_combinations(args: TrainingArguments) -> None:
    """Rejects arguments that contradict each other, or have no effect.

    Called before transformers' `__post_init__`, which changes some values.

    Raises:
        ValueError: names the arguments and the fix.
    """
    for wrong, message in (*_of_evaluation(args), *_of_training(args)):
        if wrong:
            raise ValueError(message)
    _check_reports(args)
    if args.bf16 and not args.use_cpu and not (is_torch_bf16_gpu_available() or is_torch_xla_available()):
        raise ValueError(
            "--bf16 needs a GPU that computes in it (Ampere or newer): on a CPU add --use_cpu True, on an "
            "older GPU take --fp16 True."
        )


def check_device(args: TrainingArguments) -> None:
    """Reject what this machine does not support. Called after `__post_init__`, which finds the device.

    Raises:
        ValueError: names the argument and the fix.
    """
    on_cpu = args.device.type == "cpu"
    if on_cpu and args.mixed_precision == "fp16":
        raise ValueError(
            "--fp16 is for GPUs, but this run is on the CPU, where it is slow and trains worse; leave it "
            "out, or take --bf16 True --use_cpu True."
        )
    config: Any = args.accelerator_config  # an `AcceleratorConfig` by now
    if config.split_batches or config.dispatch_batches or not config.even_batches:
        raise ValueError(
            "--accelerator_config: split_batches, dispatch_batches and even_batches false change which rows "
            "a process gets, and our means over rows would be wrong; leave them out."
        )
    if args.torch_compile:
        _check_compilation(args, on_cpu)
    _check_schedule(args)


def check_own_combinations(args: Any) -> None:
    """Rejects options of a `LUABConfig` of our own that contradict others, or have no effect.

    Raises:
        ValueError: names the options and the fix.
    """
    for what in ("layers", "heads"):
        text = getattr(args, f"attention_{what}")
        check_choice(text, what)
        if text != ALL and args.loss not in ("attention", "both"):
            raise ValueError(
                f"--attention_{what} {text} does nothing with --loss {args.loss}; leave it out, or take "
                "--loss attention."
            )
    if args.early_stopping_patience is not None and not args.load_best_model_at_end:
        raise ValueError(
            f"--early_stopping_patience {args.early_stopping_patience} needs the best model, not the "
            "last: add --load_best_model_at_end True, --eval_strategy epoch and --save_strategy epoch "
            "(or steps), and --metric_for_best_model, such as accuracy."
        )
    if args.classification_loss == "bce" and args.label_smoothing_factor:
        raise ValueError(
            f"--label_smoothing_factor {args.label_smoothing_factor:g} is of the cross-entropy; with "
            "--classification_loss bce every class is 0 or 1. Leave it out."
        )
    if args.repeated_augmentation > 1 and args.train_sampling_strategy == "sequential":
        raise ValueError(
            f"--repeated_augmentation {args.repeated_augmentation} shuffles the rows, and "
            "--train_sampling_strategy sequential does not; leave one of them out."
        )
    if args.cutmix + args.mixup > 1:
        raise ValueError(
            f"--cutmix {args.cutmix:g} and --mixup {args.mixup:g}: a crop has one of them, so their "
            "shares are at most 1 together."
        )


def _of_evaluation(args: TrainingArguments) -> Iterator[tuple[bool, str]]:
    """(whether it is so, message)."""
    evaluates = args.eval_strategy != "no"
    keeps_best = args.load_best_model_at_end or args.save_strategy == "best"
    yield (
        not (args.do_train or args.do_eval),
        "--do_train False and --do_eval False leave nothing to do; leave one of them out.",
    )
    yield (
        not args.do_eval and (evaluates or args.eval_on_start or keeps_best),
        "--do_eval False does not go with --eval_strategy, --eval_on_start, --load_best_model_at_end and "
        "--save_strategy best, which evaluate; leave it or them out.",
    )
    yield (
        not args.do_train and str(args.resume_from_checkpoint).lower() not in ("none", "false"),
        "--do_train False does not go with --resume_from_checkpoint; to evaluate a checkpoint give its "
        "folder as --model.",
    )
    yield (
        not args.do_train and args.push_to_hub,
        "--do_train False makes nothing new that --push_to_hub could upload; leave it out.",
    )
    yield (
        keeps_best and not evaluates,
        "--load_best_model_at_end and --save_strategy best compare evaluations during training; give "
        "--eval_strategy epoch or steps too.",
    )
    yield (
        args.eval_steps is not None and args.eval_strategy != "steps",
        f"--eval_steps {args.eval_steps} does nothing without --eval_strategy steps.",
    )
    yield (
        bool(args.eval_delay) and not evaluates,
        f"--eval_delay {args.eval_delay} does nothing without --eval_strategy epoch or steps.",
    )


def _of_training(args: TrainingArguments) -> Iterator[tuple[bool, str]]:
    """(whether it is so, message)."""
    contexts = multiprocessing.get_all_start_methods()
    yield (
        args.dataloader_num_workers == 0
        and (args.dataloader_persistent_workers or args.dataloader_multiprocessing_context is not None),
        "--dataloader_persistent_workers and --dataloader_multiprocessing_context need "
        "--dataloader_num_workers of 1 or more.",
    )
    yield (
        args.dataloader_multiprocessing_context not in (None, *contexts),
        f"--dataloader_multiprocessing_context {args.dataloader_multiprocessing_context}: take one of "
        f"{', '.join(contexts)}.",
    )
    yield (
        bool(args.activation_checkpointing_kwargs or args.gradient_checkpointing_kwargs)
        and not (args.activation_checkpointing or args.gradient_checkpointing),
        "--activation_checkpointing_kwargs does nothing without --activation_checkpointing True.",
    )
    schedule = str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type))
    yield (
        schedule in _NO_WARMUP and args.warmup_steps > 0,
        f"--warmup_steps {args.warmup_steps} does nothing with --lr_scheduler_type {schedule}; take "
        "constant_with_warmup, or leave it out.",
    )
    yield (
        schedule in _NO_KWARGS and bool(args.lr_scheduler_kwargs),
        f"--lr_scheduler_kwargs {args.lr_scheduler_kwargs} does nothing with --lr_scheduler_type {schedule}.",
    )
    yield (
        args.deepspeed is not None and find_spec("deepspeed") is None,
        "--deepspeed needs a package that is not installed: pip install deepspeed",
    )


def _check_reports(args: TrainingArguments) -> None:
    names = args.report_to if isinstance(args.report_to, list) else [args.report_to or "none"]
    for option in _TRACKIO:
        if getattr(args, option) is not None and not {"trackio", "all"} & set(names):
            raise ValueError(f"--{option} does nothing without --report_to trackio.")
    if names in (["none"], ["all"]):
        return
    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            known = ", ".join(["none", "all", *sorted(INTEGRATION_TO_CALLBACK)])
            raise ValueError(f"--report_to {name}: take one of {known}.")
        # transformers does not list flyte, but reports what it needs.
        if name not in get_available_reporting_integrations() and name != "flyte":
            package = _PACKAGES.get(name, name)
            raise ValueError(
                f"--report_to {name} needs a package that is not installed: pip install {package}"
            )


def _check_compilation(args: TrainingArguments, on_cpu: bool) -> None:
    backend, mode = args.torch_compile_backend, args.torch_compile_mode
    if backend not in torch.compiler.list_backends(exclude_tags=()):
        usual = ", ".join(sorted(torch.compiler.list_backends()))
        raise ValueError(f"--torch_compile_backend {backend}: take one of {usual}.")
    if mode not in (None, *_COMPILE_MODES):
        raise ValueError(f"--torch_compile_mode {mode}: take one of {', '.join(_COMPILE_MODES)}.")
    if backend == "inductor":
        require_compiler("--torch_compile", on_cpu)


def _check_schedule(args: TrainingArguments) -> None:
    """Make the schedule once, so that its errors come before the model is loaded."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    name = SchedulerType(args.lr_scheduler_type)
    kwargs: Any = args.lr_scheduler_kwargs  # a dict by now
    try:
        get_scheduler(name, optimizer, 0, 10, scheduler_specific_kwargs=kwargs)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"--lr_scheduler_type {name.value}, --lr_scheduler_kwargs {kwargs}: {error}"
        ) from error
