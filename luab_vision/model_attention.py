"""The model's spatial attention: where it looks, as a differentiable distribution over its grid.

`spatial_attention(model)` picks one of two kinds. Both return A of shape [B, C, L, h, w], and each [h, w] map
sums to 1:

* `CLSAttention`, for vision transformers with a CLS token: softmax(q_CLS k^T * scaling) of each of the L
  layers, averaged over heads and renormalized over the patch tokens. C = 1: it is the same for all classes.
  The model keeps running on SDPA, which returns no weights. Only the CLS row is computed in addition, from
  the layer's query and key.
* `ActivationMap`, for models that pool a feature map: softmax over the grid of the exact class-activation
  map (Zhou et al., CVPR 2016) of each target class. L = 1. Exact: the mean of the map plus a constant is
  the logit.

Usage, around the model's forward:

    attention.watch(model)
    outputs = model(pixel_values)
    A = attention.maps(model, pixel_values.shape[-2:], classes)
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from luab_vision.adapters.hf_models import attend_with, attention_module
from luab_vision.geometry import pair
from luab_vision.hooks import output_linear, plain, record, recorded, watch, watch_feature_map

# `config.model_type` of the supported models.
CLS_ATTENTION = ("vit", "deit", "dinov2", "dinov2_with_registers", "beit", "vit_msn")
FEATURE_MAP = ("convnext", "convnextv2", "mobilenet_v1", "resnet", "swin", "swinv2")

# Feature-map models with a LayerNorm between the pooling and the classifier.
_NORM_AFTER_POOLING = ("convnext", "convnextv2")

_RECORDED_SDPA = "luab_sdpa"


def spatial_attention(model: PreTrainedModel) -> "CLSAttention | ActivationMap":
    """The spatial attention of a transformers image classifier.

    Raises:
        ValueError: for a model type that is neither in `CLS_ATTENTION` nor in `FEATURE_MAP`.
    """
    if model.config.model_type in CLS_ATTENTION:
        return CLSAttention(model)
    if model.config.model_type in FEATURE_MAP:
        return ActivationMap(model)
    raise ValueError(
        f"the attention loss does not support {type(model).__name__} (model_type "
        f"{model.config.model_type!r}). Supported model types: {', '.join(CLS_ATTENTION + FEATURE_MAP)}. "
        "The point loss works with every image classifier: use --loss point."
    )


def _recorded_sdpa(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention by SDPA, as in transformers, which also records the CLS row.

    query, key, value: [B, heads, N, d].

    The row is computed here, layer by layer, so that its gradients are too. If it were computed after the
    forward pass, the backward pass would first compute the gradients of all layers' queries and keys, and
    hold them in memory. The row is computed even if the module is not watched: this code may run in a
    checkpointed region, whose (unwatched) recomputation must do the same operations.
    """
    record(module, _cls_row(query, key, attention_mask, scaling))
    return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)


def _cls_row(query: Tensor, key: Tensor, mask: Tensor | None, scaling: float | None) -> Tensor:
    """[B, N] float32: the attention of the first token, mean over heads."""
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    # matmul would copy the keys, whose heads are interleaved in memory, and keep the copy for its gradient.
    scores = (query[:, :, :1] * scaling * key).sum(dim=-1, dtype=torch.float32)
    if mask is not None:
        scores = scores + mask[:, :, 0]
    return scores.softmax(dim=-1).mean(dim=1)


AttentionInterface.register(_RECORDED_SDPA, _recorded_sdpa)


class CLSAttention:
    """CLS-to-patch attention of all layers.

    Switches the model permanently to SDPA, which picks flash kernels on a GPU. `output_attentions` then
    returns nothing, as always with SDPA.
    """

    kind = "cls"

    def __init__(self, model: PreTrainedModel):
        module_type = attention_module(model)
        if module_type is None or not attend_with(model, _RECORDED_SDPA):
            raise ValueError(
                f"the attention loss needs a transformers version in which {type(model).__name__} uses the "
                "attention interface: pip install -U transformers (or use --loss point)."
            )
        self.module_type = module_type
        self.patch_size = pair(model.config.patch_size)

    def watch(self, model: PreTrainedModel) -> None:
        """Records the attention of the next forward."""
        for module in self._modules(model):
            watch(module)

    def maps(self, model: PreTrainedModel, size: tuple[int, int], classes: Tensor | None = None) -> Tensor:
        """The attention A [B, 1, L, h, w], float32, after a watched forward.

        Args:
            model: The model that was watched.
            size: Height and width of its images, in pixels.
            classes: Unused: the CLS token's attention is the same for all.
        """
        h, w = size[0] // self.patch_size[0], size[1] // self.patch_size[1]
        rows = torch.stack([recorded(module) for module in self._modules(model)], dim=1)  # [B, L, N]
        patches = rows[..., -h * w :]  # the last tokens
        # If a CLS token attends only to itself, no mass is on the patches: keep the quotient finite.
        attention = patches / patches.sum(dim=-1, keepdim=True).clamp(min=1e-8)
        return attention.unflatten(-1, (h, w)).unsqueeze(1)

    def _modules(self, model: PreTrainedModel) -> list[nn.Module]:
        # Looked up each time, on the running model: under nn.DataParallel it is a replica.
        return [module for module in model.modules() if isinstance(module, self.module_type)]


class ActivationMap:
    """Spatial softmax of the exact class-activation map.

    A LayerNorm between pooling and classifier is folded in.
    """

    kind = "map"

    def __init__(self, model: PreTrainedModel):
        self.config = model.config
        self.norm_after_pooling = model.config.model_type in _NORM_AFTER_POOLING
        output_linear(model)
        watch_feature_map(plain(model).base_model)

    def watch(self, model: PreTrainedModel) -> None:
        """Records the feature map of the next forward."""
        watch(plain(model).base_model)

    def maps(self, model: PreTrainedModel, size: tuple[int, int], classes: Tensor) -> Tensor:
        """A [B, C, 1, h, w] float32 of `classes` [B, C] (negative: padding, with a meaningless map)."""
        logits = self.activation_maps(model, size, classes)
        return (
            logits.flatten(2).softmax(dim=-1, dtype=torch.float32).unflatten(2, logits.shape[2:]).unsqueeze(2)
        )

    def activation_maps(self, model: PreTrainedModel, size: tuple[int, int], classes: Tensor) -> Tensor:
        """The class-activation maps [B, C, h, w]: mean over the grid = the class's logit - `constant`."""
        features = recorded(plain(model).base_model)
        if features.ndim == 3:  # a sequence [B, N, D] (Swin)
            features = features.transpose(1, 2).unflatten(2, self._sequence_grid(size))
        weight = output_linear(model).weight[classes.clamp(min=0)]  # [B, C, D]
        if self.norm_after_pooling:
            # logit = w . (g * (m - mean(m)) / std(m) + b) + bias with m = the pooled map, so with v = w *
            # g: logit = (v - mean(v)) . m / std(m) + constant, which is linear in the map given the image's
            # std(m).
            norm: Any = plain(model).base_model.layernorm
            pooled = features.float().mean(dim=(-2, -1))
            std = (pooled.var(dim=-1, correction=0) + norm.eps).sqrt()
            weight = weight * norm.weight
            weight = (weight - weight.mean(dim=-1, keepdim=True)) / std[:, None, None]
        return torch.einsum("bcd,bdhw->bchw", weight.to(features.dtype), features)

    def constant(self, model: PreTrainedModel) -> Tensor:
        """[K]: the logits minus the mean of the map."""
        linear = output_linear(model)
        bias = torch.zeros_like(linear.weight[:, 0]) if linear.bias is None else linear.bias
        norm: Any = plain(model).base_model.layernorm if self.norm_after_pooling else None
        return bias if norm is None else linear.weight @ norm.bias + bias

    def _sequence_grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Grid of a hierarchical transformer's last stage.

        Patches, padded, then halved (rounding up) at each stage.
        """
        grid = [-(-pixels // patch) for pixels, patch in zip(size, pair(self.config.patch_size), strict=True)]
        for _ in self.config.depths[1:]:
            grid = [-(-side // 2) for side in grid]
        return grid[0], grid[1]
