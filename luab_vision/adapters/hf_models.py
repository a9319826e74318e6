"""What transformers keeps private and the attention loss needs: how a model attends, and in which modules.

`set_attn_implementation` is public, but only warns where a model has no attention interface; which modules
compute attention, and what a loaded configuration asks for, have no public name.
`tests/luab_vision/test_hf_models.py` says what a new version of transformers changed.
"""

from typing import Any

from torch import nn
from transformers import PretrainedConfig


def attention_module(model: nn.Module) -> type[nn.Module] | None:
    """The class of the modules that compute attention weights, which serves `output_attentions`.

    None: the model says none.
    """
    said = (getattr(model, "_can_record_outputs", None) or {}).get("attentions")
    return said if isinstance(said, type) else None


def can_attend(model: Any) -> bool:
    """Whether `attend_with` can switch a model."""
    return bool(model._can_set_attn_implementation())


def attend_with(model: Any, implementation: str) -> bool:
    """Switch a model to a registered attention implementation for good; False: its code cannot be switched.

    Only in memory: transformers never writes the attention implementation into a saved config.
    """
    if not can_attend(model):  # else `set_attn_implementation` only warns
        return False
    model.set_attn_implementation(implementation)
    return True


def attend_by_default(config: PretrainedConfig) -> None:
    """Let transformers choose the attention for this machine, whatever the config and its parts say."""
    config._attn_implementation = None
