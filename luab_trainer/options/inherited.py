"""How each of transformers' training arguments is handled.

Either it works as transformers documents it, or we implement it, or it is rejected with the reason and the
fix. No argument is ignored silently: `tests/luab_trainer/test_inherited.py` fails for an argument of the
installed transformers that is in none of the three tables. `luab_trainer.options.contradictions` rejects
arguments that contradict each other or do not work on this machine.
"""

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any, NamedTuple

from transformers import TrainingArguments

# ---- Implemented by transformers, accelerate and torch, as they document it.
AS_DOCUMENTED = {
    "output_dir", "per_device_train_batch_size", "num_train_epochs", "max_steps", "learning_rate",
    "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "optim", "optim_args", "weight_decay",
    "adam_beta1", "adam_beta2", "adam_epsilon", "optim_target_modules", "gradient_accumulation_steps",
    "max_grad_norm", "bf16", "fp16", "tf32", "activation_checkpointing",
    "activation_checkpointing_kwargs", "gradient_checkpointing", "gradient_checkpointing_kwargs",
    "torch_compile", "torch_compile_backend", "torch_compile_mode", "torch_empty_cache_steps",
    "auto_find_batch_size", "logging_strategy", "logging_steps", "logging_first_step", "log_on_each_node",
    "log_level", "log_level_replica", "disable_tqdm", "report_to", "run_name", "project",
    "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id", "eval_strategy", "eval_steps",
    "eval_delay", "per_device_eval_batch_size", "prediction_loss_only", "eval_on_start",
    "eval_accumulation_steps", "save_only_model", "save_strategy", "save_steps", "save_on_each_node",
    "save_total_limit", "enable_jit_checkpoint", "push_to_hub", "hub_private_repo", "hub_model_id",
    "hub_always_push", "hub_revision", "load_best_model_at_end", "metric_for_best_model",
    "ignore_data_skip", "restore_callback_states_from_checkpoint", "full_determinism", "seed",
    "data_seed", "use_cpu", "accelerator_config", "dataloader_num_workers", "dataloader_pin_memory",
    "dataloader_persistent_workers", "dataloader_prefetch_factor", "dataloader_multiprocessing_context",
    "dataloader_in_order", "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_static_graph",
    "ddp_backend", "ddp_timeout", "fsdp", "fsdp_config", "deepspeed", "debug", "skip_memory_metrics",
}  # fmt: skip

# ---- Implemented by us, or different from transformers.
OURS = {
    "do_train": "on by default; without it the model is only evaluated, and no checkpoint is written",
    "do_eval": "on by default; without it nothing is evaluated after training",
    "resume_from_checkpoint": "a folder, or true: the last whole checkpoint",
    "label_smoothing_factor": "of the cross-entropy only; the byproduct losses stay as they are",
    "dataloader_drop_last": "of training only: an evaluation always covers every row",
    "greater_is_better": "the default knows that less of each term of the loss is better",
    "hub_strategy": "every_save or end: the others upload pickled files",
    "hub_token": "never from a command line or a file, where others read it",
    "ddp_find_unused_parameters": "the default of a transformers model",
}

_TEXT = "it is for models of text; leave it out"
_METRICS = "the metrics are ours and take all rows at once; leave it out"
_ROUNDS = "it rounds the weights themselves, which are saved; take --bf16"

# ---- Rejected: the allowed values (the default and its equivalents), and the reason.
REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "do_predict": ((False,), "there is no prediction without labels; take `luab evaluate`, or a pipeline"),
    "average_tokens_across_devices": ((True,), _TEXT),
    "use_liger_kernel": ((False,), _TEXT),
    "liger_kernel_config": ((None,), _TEXT),
    "use_cache": ((False,), _TEXT),
    "logging_nan_inf_filter": (
        (False,),
        "it would write an average of earlier losses for one that is NaN; leave it out",
    ),
    "neftune_noise_alpha": ((None,), _TEXT),
    "include_num_input_tokens_seen": (("no", False), _TEXT),
    "length_column_name": (("length",), "images have no length; leave it out"),
    "train_sampling_strategy": (("random", "sequential"), "images have no length; take random or sequential"),
    "bf16_full_eval": ((False,), _ROUNDS),
    "fp16_full_eval": ((False,), _ROUNDS),
    "eval_do_concat_batches": ((True,), _METRICS),
    "eval_use_gather_object": ((False,), _METRICS),
    "batch_eval_metrics": ((False,), _METRICS),
    "include_for_metrics": (([], None), _METRICS),
    "remove_unused_columns": ((False,), "our own dataset reads only what it needs; leave it out"),
    "label_names": ((None, ["labels"]), "the column is chosen by --label_column; leave it out"),
    "parallelism_config": ((None,), "no model is split by layers or tokens here; take --fsdp"),
    "local_rank": ((-1,), "`accelerate launch` and torchrun set it in the environment; leave it out"),
}


class Range(NamedTuple):
    """The numbers that an argument accepts, as a test and in words."""

    holds: Callable[[Any], bool]
    words: str


_COUNT = Range(lambda v: v >= 1, "1 or more")
_AMOUNT = Range(lambda v: 0 <= v < math.inf, "a number of 0 or more")
_SHARE = Range(lambda v: 0 <= v < 1, "0 or more and less than 1")
_POSITIVE = Range(lambda v: 0 < v < math.inf, "a number of more than 0")
_STEPS = Range(_POSITIVE.holds, "a number of steps, or a share of all steps below 1")
_SEED = Range(lambda v: 0 <= v < 2**32, "0 to 4294967295")

RANGES = {
    "per_device_train_batch_size": _COUNT,
    "per_device_eval_batch_size": _COUNT,
    "gradient_accumulation_steps": _COUNT,
    "eval_accumulation_steps": _COUNT,
    "save_total_limit": _COUNT,
    "dataloader_prefetch_factor": _COUNT,
    "dataloader_num_workers": Range(lambda v: v >= 0, "0 or more"),
    "ddp_timeout": _COUNT,
    "ddp_bucket_cap_mb": _COUNT,
    "torch_empty_cache_steps": _COUNT,
    "max_steps": Range(lambda v: v == -1 or v >= 1, "1 or more; to evaluate only, give --do_train False"),
    "num_train_epochs": Range(_POSITIVE.holds, "more than 0; to evaluate only, give --do_train False"),
    "learning_rate": _AMOUNT,
    "weight_decay": _AMOUNT,
    "max_grad_norm": _AMOUNT,
    "adam_epsilon": _AMOUNT,
    "adam_beta1": _SHARE,
    "adam_beta2": _SHARE,
    "label_smoothing_factor": _SHARE,
    "warmup_steps": _AMOUNT,
    "eval_delay": _AMOUNT,
    "logging_steps": _STEPS,
    "save_steps": _STEPS,
    "eval_steps": _STEPS,
    "seed": _SEED,
    "data_seed": _SEED,
}

TERMS = ("ce", "point", "attention")  # of the loss: as metrics, less is better


def settle(args: TrainingArguments) -> None:
    """Set what transformers would guess wrongly. Called before its `__post_init__`."""
    metric = (args.metric_for_best_model or "").removeprefix("eval_")
    if args.greater_is_better is None and metric in (*TERMS, "classes_without_positive"):
        args.greater_is_better = False


def check_values(args: TrainingArguments) -> None:
    """Reject unsupported values. Called before transformers' `__post_init__`, which changes some values.

    Raises:
        ValueError: names the argument, its value, what is allowed and the fix.
    """
    for name in (field.name for field in fields(TrainingArguments)):
        value = getattr(args, name)
        allowed, reason = REFUSED.get(name, ((value,), ""))
        if value not in allowed:
            raise ValueError(f"--{name} {value}: {reason}.")
        number = RANGES.get(name)
        if number is not None and value is not None and not number.holds(value):
            raise ValueError(f"--{name} {value}: give {number.words}.")
