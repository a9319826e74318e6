"""Where a vision transformer looks: the attention of its class token, computed beside fused attention.

The model keeps running on fused attention (SDPA), which returns no weights. Only the row of the class token
is computed in addition, from the layer's query and key: in transformers by an attention implementation of
its interface, in timm, whose modules call SDPA themselves, around that call.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from luab_vision.adapters.hf_models import attend_with, attention_module, can_attend
from luab_vision.adapters.timm_models import timm_model
from luab_vision.grids import Size
from luab_vision.hooks import record, recorded, watch
from luab_vision.readout import NoReadout, Readout

ALL = "all"
ASKED = "luab_asked"  # the attribute of a module that says which part of its attention is recorded

_RECORDED_SDPA = "luab_sdpa"


class Asked(NamedTuple):
    """The part of a layer's attention that is recorded.

    Attributes:
        heads: Whose mean it is; None: of all. Of none, nothing is computed.
        tokens: How many class tokens, whose mean it is.
    """

    heads: tuple[int, ...] | None = None
    tokens: int = 1


def chosen(text: str, count: int, what: str) -> tuple[int, ...]:
    """Which of `count` layers or heads "all", "last4" or "0,5,11" means.

    Raises:
        ValueError: another text, or one that names some that the model does not have.
    """
    check_choice(text, what)
    if text == ALL:
        return tuple(range(count))
    last = text.startswith("last")
    found = list(range(count - int(text[4:]), count)) if last else sorted(map(int, text.split(",")))
    if found[0] < 0 or found[-1] >= count or len(set(found)) < len(found):
        raise ValueError(
            f"--attention_{what} {text}: the model has {count} {what}, numbered 0 to {count - 1}; name each "
            "once."
        )
    return tuple(found)


def check_choice(text: str, what: str) -> None:
    """Raises ValueError for a text that no model's "layers" or "heads" can be chosen by."""
    pattern, allowed = {
        "layers": (r"all|last[1-9]\d*|\d+(,\d+)*", "all, lastN (last4) or numbers from 0 (0,5,11)"),
        "heads": (r"all|\d+(,\d+)*", "all or numbers from 0 (0,5,11)"),
    }[what]
    if not re.fullmatch(pattern, text, re.ASCII):
        raise ValueError(f"--attention_{what} {text}: give {allowed}.")


def _recorded_sdpa(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention by SDPA, as in transformers, which also records the class token's row.

    query, key, value: [B, heads, N, d].
    """
    _record_row(module, query, key, attention_mask, scaling)
    return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)


def _record_row(
    module: nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, scale: float | None
) -> None:
    """Records the class token's row.

    The row is computed here, layer by layer, so that its gradients are too. If it were computed after the
    forward pass, the backward pass would first compute the gradients of all layers' queries and keys, and
    hold them in memory. The row is computed even if the module is not watched: this code may run in a
    checkpointed region, whose (unwatched) recomputation must do the same operations.
    """
    asked: Asked = getattr(module, ASKED, Asked())
    if asked.heads == ():
        return
    if asked.heads is not None:
        heads = list(asked.heads)
        query, key = query[:, heads], key[:, heads]
        mask = mask[:, heads] if mask is not None and mask.shape[1] > 1 else mask
    rows = [_row(query, key, mask, scale, at) for at in range(asked.tokens)]
    record(module, rows[0] if len(rows) == 1 else torch.stack(rows).mean(dim=0))


def _row(query: Tensor, key: Tensor, mask: Tensor | None, scale: float | None, at: int) -> Tensor:
    """[B, N] float32: the attention of token `at`, mean over heads."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    # matmul would copy the keys, whose heads are interleaved in memory, and keep the copy for its gradient.
    scores = (query[:, :, at : at + 1] * scale * key).sum(dim=-1, dtype=torch.float32)
    if mask is not None:
        row = mask[:, :, at if mask.shape[2] > 1 else 0]
        scores = scores.masked_fill(~row, -torch.inf) if row.dtype == torch.bool else scores + row
    return scores.softmax(dim=-1).mean(dim=1)


AttentionInterface.register(_RECORDED_SDPA, _recorded_sdpa)


class _Beside(TorchFunctionMode):
    """Records the row of a module that calls SDPA itself."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            given = dict(zip(("query", "key", "value", "attn_mask"), args, strict=False)) | kwargs
            mask, scale = given.get("attn_mask"), given.get("scale")
            _record_row(self.module, given["query"], given["key"], mask, scale)
        return func(*args, **kwargs)


class RecordsRow(nn.Module):
    """Mixed into the class of a module that calls SDPA itself: its forward records the row besides."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """That of the module's own class."""
        with _Beside(self):
            return super().forward(*args, **kwargs)


_RECORDING: dict[type[nn.Module], type[nn.Module]] = {}  # one class for each of timm's


def _recording(kind: type[nn.Module]) -> type[nn.Module]:
    if kind not in _RECORDING:
        _RECORDING[kind] = type(kind.__name__, (RecordsRow, kind), {"__module__": kind.__module__})
    return _RECORDING[kind]


class CLSAttention:
    """Attention of the class token to the patches, layer by layer.

    Switches the model permanently to SDPA, which picks flash kernels on a GPU. `output_attentions` then
    returns nothing, as always with SDPA.

    Args:
        model: The classifier.
        readout: What its last Linear reads.
        layers: Which layers: "all", "lastN", or numbers.
        heads: Which heads, whose mean is taken: "all", or numbers.

    Attributes:
        chosen: The numbers of its "layers" and "heads", if not all of them.

    Raises:
        NoReadout: its attention cannot be recorded.
        ValueError: layers or heads that it does not have.
    """

    kind = "cls"

    def __init__(self, model: nn.Module, readout: Readout, layers: str = ALL, heads: str = ALL):
        self.place = readout.place
        every = _interface(model) or _calling(model, readout)
        at = chosen(layers, len(every), "layers")
        self.names = [every[each] for each in at]
        self._unasked = [name for name in every if name not in self.names]
        self.chosen = {"layers": at} if self._unasked else {}
        asked = None
        if heads != ALL:
            count = readout.calls[0].heads if readout.calls else 0
            count = count or getattr(getattr(model, "config", None), "num_attention_heads", 0)
            numbers = chosen(heads, count, "heads")
            asked = numbers if len(numbers) < count else None
        if asked is not None:
            self.chosen["heads"] = asked
        self.asked = Asked(asked, readout.class_tokens)

    def watch(self, model: nn.Module) -> None:
        """Records the attention of the next forward."""
        for module in self._modules(model, self.names):
            setattr(module, ASKED, self.asked)
            watch(module)
        for module in self._modules(model, self._unasked):
            setattr(module, ASKED, Asked(heads=()))

    def maps(self, model: nn.Module, size: Size, classes: Tensor | None = None) -> Tensor:
        """The attention A [B, 1, L, h, w], float32, after a watched forward.

        Args:
            model: The model that was watched.
            size: Height and width of its images, in pixels.
            classes: Unused: the class token's attention is the same for all.
        """
        rows = torch.stack([recorded(each) for each in self._modules(model, self.names)], dim=1)  # [B, L, N]
        patches = rows[..., self.place.prefix :]  # the last tokens
        # If a CLS token attends only to itself, no mass is on the patches: keep the quotient finite.
        attention = patches / patches.sum(dim=-1, keepdim=True).clamp(min=1e-8)
        assert self.place.grid is not None
        return attention.unflatten(-1, self.place.grid.shape(size, patches.shape[-1])).unsqueeze(1)

    def _modules(self, model: nn.Module, names: Sequence[str]) -> list[nn.Module]:
        # Looked up each time, on the running model: under nn.DataParallel it is a replica.
        return [model.get_submodule(name) for name in names]


def can_record(model: nn.Module, readout: Readout) -> bool:
    """Whether `CLSAttention` can record the model's attention; changes nothing about the model."""
    by_interface = timm_model(model) is None and attention_module(model) is not None and can_attend(model)
    return by_interface or bool(readout.calls)


def _interface(model: nn.Module) -> list[str]:
    """The modules that attend, of a model that is switched to our attention by transformers' interface."""
    if timm_model(model) is not None:
        return []
    kind: Any = attention_module(model)
    if kind is None or not attend_with(model, _RECORDED_SDPA):
        return []
    return [name for name, module in model.named_modules() if isinstance(module, kind)]


def _calling(model: nn.Module, readout: Readout) -> list[str]:
    """The modules that call SDPA with the class token and all tokens, made to record it.

    Raises:
        NoReadout: there are none.
    """
    if not readout.calls:
        raise NoReadout(
            "its last Linear reads a class token, but no module asks all tokens by plain fused attention "
            "(transformers' attention interface, or a call of F.scaled_dot_product_attention)"
        )
    for call in readout.calls:
        module = model.get_submodule(call.module)
        if not isinstance(module, RecordsRow):
            module.__class__ = _recording(type(module))
    return [call.module for call in readout.calls]
