"""Reads an intermediate tensor of a forward pass, without a second pass and without global state.

A record is a list on the module that produces the tensor: call `watch` before the forward pass, and
`recorded` after it. The list is on the module, not in a closure or a global. So replicas of
`nn.DataParallel`, several models in one process, and wrappers such as DDP or FSDP do not mix. A module that
is not watched keeps nothing. This includes the second forward pass of activation checkpointing, which runs
during the backward pass.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

RECORD = "luab_record"  # the attribute of a module that holds its record
HOOKED = "luab_hooks"  # the attribute that names the hooks that it has


def watch(module: nn.Module) -> None:
    """Start to keep what the module's code passes to `record`."""
    setattr(module, RECORD, [])


def record(module: nn.Module, value: Any) -> None:
    """Keep `value` if the module is watched."""
    values = getattr(module, RECORD, None)
    if values is not None:
        values.append(value)


def recorded(module: nn.Module) -> Any:
    """The last recorded value; ends the watch, so that no activation outlives the step."""
    values = getattr(module, RECORD)
    setattr(module, RECORD, None)
    return values[-1]


def watch_input(module: nn.Module) -> None:
    """Make the module record its first positional input. Repeated calls add only one hook."""
    if _first_time(module, _record_input):
        module.register_forward_pre_hook(_record_input)


def watch_feature_map(base_model: nn.Module) -> None:
    """Make the transformers base model record its `last_hidden_state`.

    Repeated calls add only one hook.
    """
    if _first_time(base_model, _record_feature_map):
        base_model.register_forward_hook(_record_feature_map)


def _first_time(module: nn.Module, hook: Callable[..., None]) -> bool:
    """Whether a module did not have the hook yet; from now on it has. The note is copied with the module."""
    noted: frozenset[str] = getattr(module, HOOKED, frozenset())
    setattr(module, HOOKED, noted | {hook.__name__})
    return hook.__name__ not in noted


def _record_input(module: nn.Module, args: tuple[Tensor, ...]) -> None:
    record(module, args[0])


def _record_feature_map(module: nn.Module, args: tuple[Tensor, ...], output: Any) -> None:
    record(module, output.last_hidden_state)


def plain(model: nn.Module) -> PreTrainedModel:
    """The transformers model itself, also of a `PeftModel`, whose own `base_model` is the adapter's."""
    if isinstance(model, PreTrainedModel):
        return model
    wrapper: Any = model  # of PEFT, which is not a dependency
    inner: PreTrainedModel = wrapper.get_base_model()
    return inner


def output_linear(model: PreTrainedModel) -> nn.Linear:
    """The Linear that computes the logits of a transformers image classifier.

    Its input is the pooled features. Every `...ForImageClassification` builds its head after the backbone, so
    it is the last Linear of the model. A `PeftModel` keeps two heads, of which the last is the one in use.

    Raises:
        ValueError: the classifier does not end in a Linear with one output per label.
    """
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linears or linears[-1].out_features != model.config.num_labels:
        found = f"its last Linear has {linears[-1].out_features} outputs" if linears else "it has no Linear"
        raise ValueError(
            f"{type(model).__name__} must end in an nn.Linear with one output per label "
            f"({model.config.num_labels}), but {found}. Use --loss none, or another model."
        )
    return linears[-1]
