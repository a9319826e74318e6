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

from luab_vision.adapters.timm_models import timm_heads, timm_model

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


def watch_output(module: nn.Module) -> None:
    """Make the module record its output. Repeated calls add only one hook."""
    if _first_time(module, _record_output):
        module.register_forward_hook(_record_output)


def _first_time(module: nn.Module, hook: Callable[..., None]) -> bool:
    """Whether a module did not have the hook yet; from now on it has. The note is copied with the module."""
    noted: frozenset[str] = getattr(module, HOOKED, frozenset())
    setattr(module, HOOKED, noted | {hook.__name__})
    return hook.__name__ not in noted


def _record_input(module: nn.Module, args: tuple[Tensor, ...]) -> None:
    record(module, args[0])


def _record_output(module: nn.Module, args: tuple[Tensor, ...], output: Any) -> None:
    record(module, output)


def plain(model: nn.Module) -> Any:
    """The classifier itself, also of a `PeftModel`, whose own `base_model` is the adapter's."""
    unwrapped: Any = getattr(model, "get_base_model", None)  # of PEFT, which is not a dependency
    return model if unwrapped is None else unwrapped()


def outputs_of(model: nn.Module) -> int:
    """The number of classes that a classifier of transformers or timm has."""
    config: Any = getattr(model, "config", None)
    return (getattr(model, "num_classes", 0) if config is None else config.num_labels) or 0


def is_classifier(module: nn.Module, outputs: int) -> bool:
    """Whether a module may compute the logits: a Linear, or a 1 x 1 convolution, with one output per class.

    After the pooling such a convolution is a Linear.
    """
    if isinstance(module, nn.Conv2d):
        one = (module.kernel_size, module.stride, module.padding, module.groups)
        return module.out_channels == outputs and one == ((1, 1), (1, 1), (0, 0), 1)
    return isinstance(module, nn.Linear) and module.out_features == outputs


def output_linear(model: nn.Module) -> nn.Linear | nn.Conv2d:
    """The Linear that computes the logits of an image classifier of transformers or timm.

    Its input is the pooled features: [B, D], or of a 1 x 1 convolution [B, D, 1, 1]. Every
    `...ForImageClassification` builds its head after the backbone, so it is the last Linear of the model.
    timm's models say what their head is, and it may hold the Linear. Of two heads, as DeiT's for the class
    and the distillation token, it is the last. A `PeftModel` keeps two, of which the last is the one in use.

    Raises:
        ValueError: the classifier does not end in a Linear with one output per label.
    """
    own, outputs = timm_model(model), outputs_of(model)
    within = [model] if own is None else timm_heads(own)
    modules = [module for each in within for module in each.modules()]
    linears: list[Any] = [
        module for module in modules if isinstance(module, nn.Linear) or is_classifier(module, outputs)
    ]
    if not linears or not is_classifier(linears[-1], outputs):
        found = f"its last Linear has {linears[-1].out_features} outputs" if linears else "it has no Linear"
        if own is not None:
            found = f"its head is a {type(within[-1]).__name__}" if within else "it has no head"
        raise ValueError(
            f"{type(model if own is None else own).__name__} must end in an nn.Linear with one output per "
            f"label ({outputs}), but {found}."
        )
    last: nn.Linear | nn.Conv2d = linears[-1]
    return last
