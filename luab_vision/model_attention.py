"""The model's spatial attention: where it looks, as a differentiable distribution over its grid.

`spatial_attention(model)` picks one of two kinds, by how the model is built (`luab_vision.readout`), not by
its name. Both return A of shape [B, C, L, h, w], and each [h, w] map sums to 1:

* `CLSAttention`, for vision transformers whose classifier reads a class token, or what a learned query pools:
  softmax(q_CLS k^T * scaling) of each of the L layers, averaged over heads and renormalized over the patch
  tokens. C = 1: it is the same for all classes.
* `ActivationMap`, for models that average a feature map, or patch tokens: softmax over the grid of the exact
  class-activation map (Zhou et al., CVPR 2016) of each target class. L = 1. Exact: the mean of the map plus a
  constant is the logit. This is checked once on noise.

Usage, around the model's forward:

    attention.watch(model)
    outputs = model(pixel_values)
    A = attention.maps(model, pixel_values.shape[-2:], classes)
"""

from typing import Any

import torch
from torch import nn

from luab_data.console.names import few
from luab_data.console.text import counted
from luab_vision.activation_map import ActivationMap
from luab_vision.cls_attention import ALL, CLSAttention, can_record
from luab_vision.hooks import output_linear
from luab_vision.readout import NoReadout, Readout, close, find_readout
from luab_vision.tracing import as_it_was, logits_of, made_up

FOUND = "luab_readout"  # the attribute of a model that keeps what was found
PRODUCTS = 1e-2  # how far two ways to the same product may be apart: a GPU may compute in TF32
# BEiT's classifier averages patch tokens, but the loss has always been on its CLS token, which attends too.
KEEPS_CLS = ("beit",)


def spatial_attention(model: nn.Module, layers: str = ALL, heads: str = ALL) -> CLSAttention | ActivationMap:
    """The spatial attention of an image classifier of transformers or timm.

    The first call runs the model twice on a few small images. It changes nothing about the model.

    Args:
        model: The classifier.
        layers: Which layers of a vision transformer: "all", "lastN" ("last4"), or numbers ("0,5,11").
        heads: Which of its heads: "all", or numbers.

    Raises:
        NoReadout: (a ValueError) the model is built in another way. The message says why.
        ValueError: layers or heads that the model does not have.
    """
    try:
        readout = readout_of(model)
        if readout.kind == "mean":
            if (layers, heads) != (ALL, ALL):
                raise ValueError(
                    f"--attention_layers {layers}, --attention_heads {heads}: where {type(model).__name__} "
                    "looks is its class-activation map, which has no layers and no heads. Leave both at all."
                )
            return ActivationMap(model, readout)
        return CLSAttention(model, readout, layers, heads)
    except NoReadout as error:
        raise NoReadout(
            f"the attention loss does not support {type(model).__name__}: {error}. It needs a class token "
            "and fused attention, or the mean of a feature map before the last Linear (`luab models` lists "
            f"what is tested). {_other_loss(model, error.takes_images)}",
            error.why,
            error.takes_images,
        ) from error


def _other_loss(model: nn.Module, takes_images: bool) -> str:
    """The loss that a model without a known attention can be trained with, as a sentence."""
    if not takes_images:
        return "No loss works with it: take a model that reads images of 3 channels."
    try:
        output_linear(model)
    except ValueError:
        return "The point loss needs a Linear that gives the logits: use --loss none."
    return "The point loss only needs the Linear: use --loss point."


def attention_grid(model: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width, in cells, of the maps of images of `size` pixels. Runs the model once.

    Args:
        model: The classifier.
        size: Height and width of its images.

    Raises:
        NoReadout: see `spatial_attention`.
    """
    attention = spatial_attention(model)
    like = next(p for p in model.parameters() if p.is_floating_point())
    with as_it_was(model), torch.no_grad():
        attention.watch(model)
        logits_of(model, made_up(size, like)[:1])
        maps = attention.maps(model, size, torch.zeros(1, 1, dtype=torch.int64, device=like.device))
    return maps.shape[-2], maps.shape[-1]


def has_attention(model: nn.Module) -> bool:
    """Whether `spatial_attention` knows where the model looks.

    Other than that, it does not make the model record anything, which would cost time in each step.
    """
    try:
        readout = readout_of(model)
    except NoReadout:
        return False
    return readout.kind == "mean" or can_record(model, readout)


def readout_of(model: nn.Module) -> Readout:
    """What the model's last Linear reads; found once, and kept on the model.

    Raises:
        NoReadout: in no known way.
    """
    found = model.__dict__.get(FOUND)  # not by getattr: wrappers of PEFT hand on what the model within has
    if found is None:
        try:
            found = find_readout(model)
            if found.kind == "mean" and _model_type(model) in KEEPS_CLS and found.place.prefix:
                found = found._replace(kind="tokens", class_tokens=1)
            elif found.kind == "mean":
                _require_exact(model, found)
        except NoReadout as error:
            found = NoReadout(error.why, takes_images=error.takes_images)  # without its traceback's tensors
        setattr(model, FOUND, found)
    if isinstance(found, NoReadout):
        raise NoReadout(found.why, takes_images=found.takes_images)
    return found


def _model_type(model: nn.Module) -> str | None:
    config: Any = getattr(model, "config", None)
    return getattr(config, "model_type", None)


def _require_exact(model: nn.Module, readout: Readout) -> None:
    """Raises NoReadout unless the mean of the map plus a constant is the logit, for every class."""
    attention = ActivationMap(model, readout)
    like = next(p for p in model.parameters() if p.is_floating_point())
    with as_it_was(model), torch.no_grad():
        attention.watch(model)
        logits = logits_of(model, made_up(readout.size, like)[:1])
        classes = torch.arange(logits.shape[1], device=logits.device)[None]
        maps = attention.activation_maps(model, readout.size, classes)
        found = maps.float().mean(dim=(2, 3)) + attention.constant(model)
    if not close(found.to(logits.dtype), logits, PRODUCTS):
        raise NoReadout(
            f"the mean over its feature map ({readout.place.module}) does not give its logits: they differ "
            f"by up to {(found - logits).abs().max().item():g}"
        )


def where_it_looks(model: nn.Module) -> str:
    """How a model is asked where it looks, in words.

    Raises:
        NoReadout: it cannot be.
    """
    attention, readout = spatial_attention(model), readout_of(model)
    if isinstance(attention, CLSAttention):
        layers = counted(len(attention.names), "layer")
        what = "the pooling's query" if readout.kind == "attention pooling" else "the class token"
        what = "the class and distillation tokens, mean" if readout.class_tokens > 1 else what
        return f"attention of {what}, {layers} ({few(attention.names)})"
    place = readout.place
    output = place.module if place.key is None else f"{place.module} ({place.key})"
    before = f" without the first {counted(place.prefix, 'token')}" if place.prefix else ""
    norm = f"; the norm {readout.norm} is folded in" if readout.norm else ""
    return f"class-activation map of the output of {output}, {place.layout}{before}{norm}"
