"""Where a model that pools a feature map looks: the exact class-activation map, as a distribution."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from luab_vision.grids import Size
from luab_vision.hooks import recorded, watch, watch_output
from luab_vision.readout import Readout
from luab_vision.tracing import tensor_at


class ActivationMap:
    """Spatial softmax of the exact class-activation map (Zhou et al., CVPR 2016).

    Exact: the mean of the map plus a constant is the logit. A norm between pooling and classifier is folded
    in.
    """

    kind = "map"
    chosen: ClassVar[dict[str, tuple[int, ...]]] = {}  # layers and heads: it has none

    def __init__(self, model: nn.Module, readout: Readout):
        self.readout = readout
        watch_output(self._module(model))

    def watch(self, model: nn.Module) -> None:
        """Records the feature map of the next forward."""
        watch(self._module(model))

    def maps(self, model: nn.Module, size: Size, classes: Tensor) -> Tensor:
        """A [B, C, 1, h, w] float32 of `classes` [B, C] (negative: padding, with a meaningless map)."""
        logits = self.activation_maps(model, size, classes)
        return (
            logits.flatten(2).softmax(dim=-1, dtype=torch.float32).unflatten(2, logits.shape[2:]).unsqueeze(2)
        )

    def activation_maps(self, model: nn.Module, size: Size, classes: Tensor) -> Tensor:
        """The class-activation maps [B, C, h, w]: mean over the grid = the class's logit - `constant`."""
        features = self._feature_map(model, size)
        weight = self._weight(model)[classes.clamp(min=0)]  # [B, C, D]
        norm = self._norm(model)
        if norm is not None:
            weight = _folded(weight, norm, features)
        return torch.einsum("bcd,bdhw->bchw", weight.to(features.dtype), features)

    def constant(self, model: nn.Module) -> Tensor:
        """[K]: the logits minus the mean of the map, in evaluation mode."""
        weight, norm, bias = self._weight(model), self._norm(model), self._linear(model).bias
        bias = torch.zeros_like(weight[:, 0]) if bias is None else bias
        if norm is None:
            return bias
        shift = getattr(norm, "bias", None)
        shift = torch.zeros_like(weight[0]) if shift is None else shift
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            mean, variance = norm.running_mean, norm.running_var
            if mean is not None and variance is not None:
                scale = _scale(norm, weight) / (variance + norm.eps).sqrt()
                shift = shift - mean * scale
        return weight @ shift + bias

    def _feature_map(self, model: nn.Module, size: Size) -> Tensor:
        """The watched feature map [B, D, h, w]."""
        place = self.readout.place
        features = tensor_at(recorded(self._module(model)), place.key)
        if place.layout == "channels last":
            return features.permute(0, 3, 1, 2)
        if place.layout == "tokens" and place.grid is not None:
            tokens = features[:, place.prefix :] if place.prefix else features
            return tokens.transpose(1, 2).unflatten(2, place.grid.shape(size, tokens.shape[1]))
        return features

    # Looked up each time, on the running model: under nn.DataParallel it is a replica.
    def _module(self, model: nn.Module) -> nn.Module:
        return model.get_submodule(self.readout.place.module)

    def _linear(self, model: nn.Module) -> Any:
        return model.get_submodule(self.readout.linear)

    def _weight(self, model: nn.Module) -> Tensor:
        """[K, D], of a 1 x 1 convolution too."""
        weight: Tensor = self._linear(model).weight
        return weight.flatten(1)

    def _norm(self, model: nn.Module) -> Any:
        return None if self.readout.norm is None else model.get_submodule(self.readout.norm)


def _folded(weight: Tensor, norm: Any, features: Tensor) -> Tensor:
    """The weights [B, C, D] of a Linear and of the norm before it.

    logit = w . (g * (m - center(m)) / std(m) + b) + bias with m = the pooled map, so with v = w * g a
    LayerNorm gives logit = (v - mean(v)) . m / std(m) + constant, which is linear in the map given the
    image's std(m). An RMSNorm has no center. A BatchNorm has a center and a std of each channel, which depend
    on no image in evaluation mode.
    """
    pooled = features.float().mean(dim=(-2, -1))
    if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
        own = norm.training or norm.running_var is None
        variance: Any = pooled.var(dim=0, correction=0) if own else norm.running_var
        return weight * (_scale(norm, weight) / (variance + norm.eps).sqrt())
    if isinstance(norm, nn.RMSNorm):
        eps = torch.finfo(features.dtype).eps if norm.eps is None else norm.eps
        rms = (pooled.square().mean(dim=-1) + eps).sqrt()
        return weight * _scale(norm, weight) / rms[:, None, None]
    std = (pooled.var(dim=-1, correction=0) + norm.eps).sqrt()
    weight = weight * _scale(norm, weight)
    return (weight - weight.mean(dim=-1, keepdim=True)) / std[:, None, None]


def _scale(norm: Any, like: Tensor) -> Tensor:
    """The norm's weight [D], ones if it has none."""
    return like.new_ones(like.shape[-1]) if norm.weight is None else norm.weight
