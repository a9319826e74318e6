"""`RunArguments` and `LUABConfig` together: impossible options, and those without effect."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from luab_vision.precision import SLOW, slow_in_bf16

# Options that only training uses, of both kinds.
_OF_TRAINING = (
    "min_crop", "augment", "flip", "color_jitter", "random_erasing", "background_mix", "background_radius",
    "background_shape", "cutmix", "cutmix_alpha", "mixup", "mixup_alpha", "repeated_augmentation",
    "label_policy", "freeze", "layer_decay", "lora_r", "lora_alpha", "lora_dropout", "lora_targets",
    "ema_decay", "lamb", "drop_path",
)  # fmt: skip

# Options of one part of training: those of its losses and of its mixes.
_OF_ATTENTION = ("attention_weight", "attention_form", "attention_radius", "attention_tolerance")
_OF_BACKGROUND = ("background_radius", "background_shape")


def problem_of(run: Any, config: Any) -> str | None:
    """Why a run is impossible with these arguments together; None if it is not."""
    if (run.model is None) == (run.from_config is None):
        return "give one of --model (a checkpoint) and --from_config (from scratch)"
    if run.model is None and not config.do_train:
        return "--do_train False evaluates a checkpoint: give it as --model instead of --from_config"
    if run.shuffle_byproducts is not None and not (config.do_train and config.shuffles):
        return (
            f"--shuffle_byproducts {run.shuffle_byproducts} does nothing: nothing is trained with "
            "byproducts; leave it out, or take a --loss"
        )
    if run.dataset is None:
        return "--dataset is missing: a folder or a Hub id; `--dataset imagenet_ab` is a small sample"
    if run.eval_boxes is not None and run.eval_dataset is None:
        return "--eval_boxes needs --eval_dataset, the folder <class>/<file> of its images"
    if run.eval_boxes is not None and run.eval_split is not None:
        return f"--eval_split {run.eval_split} does nothing with --eval_boxes, whose images are a folder"
    return _problem_of_stream(config) if run.streaming else None


def _problem_of_stream(config: Any) -> str | None:
    """Why a run cannot be trained from a stream."""
    if not config.do_train:
        return "--streaming is about training rows, and --do_train False trains nothing; leave it out"
    if config.max_steps < 1:
        return "--streaming needs --max_steps: the number of rows of a stream is unknown"
    if config.dataloader_drop_last:
        return "--dataloader_drop_last skips an epoch's last batch, and a stream has no epochs; leave it out"
    if config.train_sampling_strategy == "sequential":
        return "--train_sampling_strategy sequential: with --streaming, give --shuffle_buffer 0"
    if config.repeated_augmentation > 1:
        return "--repeated_augmentation needs rows by number, which a stream has not; leave it out"
    for name in ("save_strategy", "eval_strategy", "logging_strategy"):
        if getattr(config, name) == "epoch":
            return f"--{name} epoch: a stream has no epochs; give steps"
    if config.auto_find_batch_size and config.world_size > 1:
        return (
            "--auto_find_batch_size with --streaming is for one process; give --per_device_train_batch_size"
        )
    if config.ignore_data_skip:
        return "--ignore_data_skip would train on the stream's first rows again; leave it out"
    return None


def notes_of(run: Any, config: Any) -> list[str]:
    """What a user should know of options that do nothing, or not what they are for.

    Called after `LUABConfig.settle_mix`.
    """
    notes = [f"warning: --bf16: {SLOW}"] if config.bf16 and slow_in_bf16(config.device.type) else []
    if not config.do_train:
        given = [*_given(run, _OF_TRAINING), *_given(config, _OF_TRAINING)]
        return [*notes, _do_nothing("--do_train False trains nothing", given)] if given else notes
    for part, unused, names in _unused(config):
        if unused and (given := list(_given(config, names))):
            notes.append(_do_nothing(part, given))
    if not run.streaming and (given := list(_given(run, ("shuffle_buffer",)))):
        notes.append(_do_nothing("without --streaming all rows are shuffled", given))
    return [*notes, *_notes_from_scratch(config)] if run.from_config is not None else notes


def _unused(config: Any) -> Iterator[tuple[str, bool, tuple[str, ...]]]:
    """(why options do nothing, whether it is so, the options)."""
    yield f"--loss {config.loss} has no attention loss", config.loss in ("none", "point"), _OF_ATTENTION
    yield f"--loss {config.loss} has no point loss", config.loss in ("none", "attention"), ("point_weight",)
    learned = "no loss and no background mix learns from byproducts"
    yield learned, config.used is None, ("byproduct", "attention_sigma")
    yield "no background is mixed", config.background_mix == 0, _OF_BACKGROUND
    yield "--cutmix is 0", config.cutmix == 0, ("cutmix_alpha",)
    yield "--mixup is 0", config.mixup == 0, ("mixup_alpha",)


def _notes_from_scratch(config: Any) -> Iterator[str]:
    if config.freeze is not None:
        yield (
            f"warning: --freeze {config.freeze} with --from_config: the frozen weights stay random, as no "
            "training has made them. Start from a checkpoint with --model, or leave it out"
        )
    if config.lora_r is not None:
        yield (
            f"warning: --lora_r {config.lora_r} with --from_config: all weights but the head and LoRA's own "
            "stay random, as no training has made them. Start from a checkpoint with --model, or leave it out"
        )


def _do_nothing(why: str, given: list[str]) -> str:
    return f"{why}, so {', '.join(given)} {'does' if len(given) == 1 else 'do'} nothing"


def _given(options: Any, names: tuple[str, ...]) -> Iterator[str]:
    """Of these options, those that do not have their default, as they are typed."""
    for each in fields(options):
        value = getattr(options, each.name)
        if each.name in names and value != each.default:
            yield f"--no_{each.name}" if value is False else f"--{each.name} {_typed(value)}"


def _typed(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
