"""What a hyperparameter search may set, and what it must be given."""

import copy
from collections.abc import Callable
from functools import wraps
from typing import Any

from luab_data.console.text import did_you_mean
from luab_trainer.config import LUABConfig

# Options that the datasets have been made with.
OF_THE_DATA = (
    "byproduct", "attention_sigma", "label_policy", "background_mix", "background_radius", "background_shape",
    "cutmix", "cutmix_alpha", "mixup", "mixup_alpha", "repeated_augmentation",
)  # fmt: skip

Space = Callable[[Any], dict[str, Any]]
Objective = Callable[[dict[str, float]], float]


def checked_space(space: Space, args: LUABConfig) -> Space:
    """The search space, whose values are checked before each trial.

    transformers only logs a warning for an option that there is not, and sets any value.
    """

    @wraps(space)
    def checked(trial: Any) -> dict[str, Any]:
        values = space(trial)
        if trial is not None:  # else distributions, for a backend that draws by itself
            check_trial(values, args)
        return values

    return checked


def check_trial(values: dict[str, Any], args: LUABConfig) -> None:
    """Raises ValueError for options that there are not, that a trial cannot change, or with such a value."""
    tried = copy.copy(args)
    for name, value in values.items():
        if not hasattr(args, name):
            hint = did_you_mean(name, list(vars(args)))
            raise ValueError(f"hp_space sets {name!r}, which is no option of LUABConfig{hint}.")
        if name in OF_THE_DATA:
            raise ValueError(
                f"hp_space sets {name!r}, which the datasets have been made with; make a trainer for each."
            )
        former = getattr(args, name)
        setattr(tried, name, value if former is None else type(former)(value))  # as transformers sets it
    tried.check_own()


def require_objective(objective: Objective | None) -> Objective:
    """The objective of a search.

    Raises:
        ValueError: there is none: transformers' sums all metrics, ours are terms of the loss and accuracies.
    """
    if objective is None:
        raise ValueError(
            "hyperparameter_search needs compute_objective: by default the sum of all metrics, in which "
            "eval_accuracy and the terms of the loss mean nothing together. Pass for example "
            "compute_objective=lambda metrics: metrics['eval_accuracy'], direction='maximize'."
        )
    return objective
