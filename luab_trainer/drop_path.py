"""Drop path, or stochastic depth (Huang et al., ECCV 2016): a sample skips a block with some probability.

The families that have it read the probability from their config, and timm's models are made with it. It
grows linearly over the blocks, from 0 to `drop_path_rate` in the last one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from transformers import PretrainedConfig

from luab_vision.adapters.timm_models import WRAPPER

FIELD = "drop_path_rate"


def set_drop_path(config: PretrainedConfig, rate: float | None) -> None:
    """Sets the probability in a config. None: it keeps its own.

    Raises:
        ValueError: models of this config have no drop path, or one for each stage.
    """
    if rate is None:
        return
    if config.model_type == WRAPPER:
        config.model_args = {**(config.model_args or {}), FIELD: rate}
        return
    own = getattr(config, FIELD, None)
    if own is None:
        raise ValueError(
            f"--drop_path {rate:g}: transformers' {config.model_type} has none, as ViT, DeiT and ResNet; "
            "ConvNeXt, Swin, BEiT and DINOv2 have it, and timm's models. Leave it out."
        )
    if not isinstance(own, int | float):
        raise ValueError(
            f"--drop_path {rate:g}: {config.model_type} has one for each stage, {own}. Set its {FIELD} in a "
            "config.json, and leave --drop_path out."
        )
    setattr(config, FIELD, rate)


@contextmanager
def made_with(rate: float | None) -> Iterator[None]:
    """Around the making of a model: one of timm's without drop path does not know the argument.

    Raises:
        ValueError: names it, and the option.
    """
    try:
        yield
    except (TypeError, ValueError) as error:  # the latter explains the former, of a checkpoint
        if rate is None or f"argument '{FIELD}'" not in str(error):
            raise
        raise ValueError(
            f"--drop_path {rate:g}: this model of timm has none ({error}). Leave it out."
        ) from error


def drop_path_of(model: nn.Module) -> float:
    """The largest probability of a block; 0 without drop path."""
    return max((getattr(module, "drop_prob", None) or 0.0 for module in model.modules()), default=0.0)


def require_drop_path(model: nn.Module, rate: float | None) -> None:
    """Raises ValueError if a model does nothing with the probability of its config. None: nothing was asked.

    Some configs have a field that their model never reads, and a model of one block drops none.
    """
    if rate and not drop_path_of(model):
        raise ValueError(
            f"--drop_path {rate:g} does nothing: no block of {type(model).__name__} drops a path. Leave it "
            "out."
        )
