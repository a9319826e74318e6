"""Drop path, or stochastic depth (Huang et al., ECCV 2016): a sample skips a block with some probability.

The families that have it read the probability from their config. It grows linearly over the blocks, from 0 to
`drop_path_rate` in the last one.
"""

from torch import nn
from transformers import PretrainedConfig

FIELD = "drop_path_rate"


def set_drop_path(config: PretrainedConfig, rate: float | None) -> None:
    """Sets the probability in a config. None: it keeps its own.

    Raises:
        ValueError: models of this config have no drop path, or one for each stage.
    """
    if rate is None:
        return
    own = getattr(config, FIELD, None)
    if own is None:
        raise ValueError(
            f"--drop_path {rate:g}: transformers' {config.model_type} has none, as ViT, DeiT and ResNet; "
            "ConvNeXt, Swin, BEiT and DINOv2 have it. Leave it out."
        )
    if not isinstance(own, int | float):
        raise ValueError(
            f"--drop_path {rate:g}: {config.model_type} has one for each stage, {own}. Set its {FIELD} in a "
            "config.json, and leave --drop_path out."
        )
    setattr(config, FIELD, rate)


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
