"""What a hyperparameter search may set, and what it must be given."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import wraps
from typing import Any

from luab_data.console.text import did_you_mean
from luab_trainer.config import LUABConfig
from luab_trainer.options.inherited import check_values

# Options that the datasets have been made with.
OF_THE_DATA = (
    "byproduct", "attention_sigma", "label_policy", "background_mix", "background_radius", "background_shape",
    "cutmix", "cutmix_alpha", "mixup", "mixup_alpha", "repeated_augmentation",
)  # fmt: skip
# Options that are read once, when the trainer is made.
OF_THE_TRAINER = ("early_stopping_patience", "bf16", "fp16", "tf32")

Space = Callable[[Any], dict[str, Any]]
Objective = Callable[[dict[str, float]], float]


def checked_space(space: Space, args: LUABConfig, of_the_model: Iterable[str] = ()) -> Space:
    """The search space, whose values are checked before each trial.

    transformers only logs a warning for an option that there is not, and sets any value.

    Args:
        space: The user's.
        args: The trainer's.
        of_the_model: Options that the models of the trials have been made with.
    """
    fixed = dict.fromkeys(OF_THE_DATA, "which the datasets have been made with; make a trainer for each")
    fixed |= dict.fromkeys(OF_THE_TRAINER, "which the trainer has been made with; make one for each")
    own_model = "which model_init makes its LUABModel with; let it return the classifier itself"
    fixed |= dict.fromkeys(of_the_model, own_model)

    options = [field.name for field in fields(args)]

    @wraps(space)
    def checked(trial: Any) -> dict[str, Any]:
        values = space(trial)
        # Without one these are distributions, for a backend that draws by itself. wandb's are one level in;
        # among Ray's, "wandb" is the configuration of its logger.
        names = values if trial is not None else values.get("parameters", values).keys() - {"wandb"}
        for name in names:
            if name not in options:
                hint = did_you_mean(name, options)
                raise ValueError(f"hp_space sets {name!r}, which is no option of LUABConfig{hint}.")
            if name in fixed:
                raise ValueError(f"hp_space sets {name!r}, {fixed[name]}.")
        if trial is not None:
            check_trial(values, args)
        return values

    return checked


def check_trial(values: dict[str, Any], args: LUABConfig) -> None:
    """Raises ValueError for options with a value that is not allowed."""
    tried = copy.copy(args)
    for name, value in values.items():
        former = getattr(args, name)
        setattr(tried, name, value if former is None else type(former)(value))  # as transformers sets it
    tried.check_own()
    check_values(tried)


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
