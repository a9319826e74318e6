"""Rejects numbers that no loss, augmentation or fine-tuning can use, NaN included."""

import math
from collections.abc import Callable
from typing import Any

# Option -> which values fit, and what is allowed, in words.
_CHECKS: tuple[tuple[str, Callable[[float], bool], str], ...] = (
    ("point_weight", lambda value: 0 <= value < math.inf, "a number of 0 or more"),
    ("attention_weight", lambda value: 0 <= value < math.inf, "a number of 0 or more"),
    ("attention_radius", lambda value: 0 < value < math.inf, "a ratio of the crop, more than 0"),
    ("attention_sigma", lambda value: 0 < value < math.inf, "a ratio of the image, more than 0"),
    ("background_mix", lambda value: 0 <= value <= 1, "a share of the crops, 0 to 1"),
    ("background_radius", lambda value: 0 < value < math.inf, "a ratio of the image, more than 0"),
    ("cutmix", lambda value: 0 <= value <= 1, "a share of the crops, 0 to 1"),
    ("cutmix_alpha", lambda value: 0 < value < math.inf, "a number of more than 0"),
    ("layer_decay", lambda value: 0 < value <= 1, "a factor, more than 0 and at most 1"),
    ("mixup", lambda value: 0 <= value <= 1, "a share of the crops, 0 to 1"),
    ("mixup_alpha", lambda value: 0 < value < math.inf, "a number of more than 0"),
    ("repeated_augmentation", lambda value: value >= 1, "a number of times, 1 or more"),
    ("ema_decay", lambda value: 0 < value < 1, "a share, more than 0 and less than 1"),
    ("early_stopping_patience", lambda value: value >= 1, "a number of evaluations, 1 or more"),
    ("lora_r", lambda value: value >= 1, "a rank, 1 or more"),
    ("lora_alpha", lambda value: value >= 1, "a scale, 1 or more"),
    ("lora_dropout", lambda value: 0 <= value < 1, "a probability, 0 or more and less than 1"),
    ("attention_tolerance", lambda value: 0 <= value < 1, "a share, 0 or more and less than 1"),
)


def check_numbers(args: Any) -> None:
    """Checks the numbers of a `LUABConfig` that are its own; None is a default.

    Raises:
        ValueError: names the option, its value and what is allowed.
    """
    for name, fits, allowed in _CHECKS:
        value = getattr(args, name)
        if value is not None and not fits(value):
            raise ValueError(f"--{name} {value}: give {allowed}.")
