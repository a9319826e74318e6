"""One forward pass of a classifier on made-up images, and what its modules say in it.

The model stays as it was: its weights, its running statistics, its mode, the random numbers, and what its
modules remember of the size of their last images.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from luab_data.console.text import counted
from luab_vision.adapters.timm_models import takes_one_size, timm_model, timm_size
from luab_vision.geometry import pair
from luab_vision.grids import Size
from luab_vision.hooks import plain
from luab_vision.token_order import CHANGED, changes

SMALL: Size = (64, 96)  # pixels: a few cells of the coarsest models, and not square
USUAL: Size = (224, 224)
KEPT = 64  # tensors: the feature map is among the last, and all of a large model's would fill memory


class Call(NamedTuple):
    """A call of fused attention by a module: how many tokens ask, and how many are asked."""

    module: str
    heads: int
    queries: int
    keys: int
    plain: bool  # neither causal nor with grouped heads


@dataclass
class Trace:
    """What the modules of a model said, in the order in which they ended.

    Attributes:
        size: Height and width of the images, in pixels. There are 1 + len(CHANGED) of them.
        logits: [B, K].
        tensors: (module, key of its output, tensor) of the last tensors that modules gave.
        inputs: module -> its first input, of modules without parts.
        changed: `luab_vision.token_order.changes` of each sequence of tokens.
        convolved: Height and width of each convolution's output.
        calls: The calls of fused attention.
        last: (module, whether its output has more than one cell or token) of modules without parts.
    """

    size: Size
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    tensors: deque[tuple[str, str | int | None, Tensor]] = field(default_factory=lambda: deque(maxlen=KEPT))
    inputs: deque[tuple[str, Tensor]] = field(default_factory=lambda: deque(maxlen=KEPT))
    changed: list[Tensor] = field(default_factory=list)
    convolved: list[Size] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    last: list[tuple[str, bool]] = field(default_factory=list)


def traced(model: nn.Module, wanted: "Wanted") -> Trace:
    """Runs the model on small images, or on images of its own size if it takes no other.

    Args:
        model: A classifier.
        wanted: Which tensors to keep.

    Raises:
        ValueError: it takes no images [B, 3, H, W] of the sizes that it may be made for.
    """
    problem: Exception | None = None
    for size in sizes_of(model):
        try:
            with as_it_was(model), torch.no_grad():
                return _traced(model, size, wanted)
        except Exception as error:  # each model raises its own kind of error
            problem = error
    if (channels := input_channels(model)) not in (None, 3):
        raise ValueError(
            f"it takes images of {counted(channels or 0, 'channel')}, and here they have 3 (red, green, blue)"
        ) from problem
    tried = " or ".join(f"{height} x {width}" for height, width in sizes_of(model))
    raise ValueError(
        f"it takes no images [B, 3, height, width] of {tried} pixels: {str(problem)[:200]}"
    ) from problem


def input_channels(model: nn.Module) -> int | None:
    """The channels that a model's first convolution reads; None if it has no convolution."""
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    return None if first is None else first.in_channels


def sizes_of(model: nn.Module) -> list[Size]:
    """The sizes to try, first the smallest that may do."""
    own, timm = own_size(model), timm_model(model)
    if own is not None and timm is not None and takes_one_size(timm):
        return [own]
    return list(dict.fromkeys([SMALL, *([own] if own else []), USUAL]))


def own_size(model: nn.Module) -> Size | None:
    """Height and width in pixels of the images that a model was made for; None if it does not say."""
    config: Any = getattr(model, "config", None)
    if (timm := timm_model(model)) is not None:
        asked = (getattr(config, "model_args", None) or {}).get("img_size")
        return timm_size(timm) if asked is None else pair(asked)
    for part in (config, getattr(config, "vision_config", None)):
        if (size := getattr(part, "image_size", None)) is not None:
            return pair(size)
    return None


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    """[B, 3, H, W] -> the logits [B, K] of a model of transformers or timm."""
    extra = {}
    can = "interpolate_pos_encoding" in signature(plain(model).forward).parameters
    if can and tuple(images.shape[-2:]) != own_size(model):
        extra["interpolate_pos_encoding"] = True
    output = model(images, **extra)
    return output if isinstance(output, Tensor) else output.logits


def made_up(size: Size, like: Tensor) -> Tensor:
    """Noise [1 + len(CHANGED), 3, H, W]: an image, and the same with one of the `CHANGED` regions anew."""
    generator = torch.Generator().manual_seed(0)
    height, width = size
    first, others = torch.randn(2, 3, height, width, generator=generator)
    images = first.repeat(1 + len(CHANGED), 1, 1, 1)
    for image, (row, column) in zip(images[1:], CHANGED, strict=True):
        region = (
            slice(None),
            slice(row * height // 4, (row + 1) * height // 4),
            slice(column * width // 4, (column + 1) * width // 4),
        )
        image[region] = others[region]
    return images.to(like.device, like.dtype)


@contextmanager
def as_it_was(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and afterwards as it was before, whatever its code has remembered."""
    before = [
        (module, dict(module.__dict__), dict(module.named_buffers(recurse=False)))
        for module in model.modules()
    ]
    devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=sorted(devices, key=str)):
            model.eval()
            yield
    finally:
        for module, attributes, buffers in before:
            for name in module.__dict__.keys() - attributes.keys():
                del module.__dict__[name]
            module.__dict__.update(attributes)
            for name, value in buffers.items():
                setattr(module, name, value)


class Wanted(NamedTuple):
    """Which tensors of a trace are kept: those with `features` channels, and outputs of convolutions."""

    features: frozenset[int]

    def keeps(self, value: Tensor) -> bool:
        """Whether a tensor may be a feature map, tokens, or pooled features."""
        if value.ndim == 4:
            return value.shape[1] in self.features or value.shape[3] in self.features
        return value.ndim in (2, 3) and value.shape[-1] in self.features


def _traced(model: nn.Module, size: Size, wanted: Wanted) -> Trace:
    trace, running = Trace(size), []
    names = {module: name for name, module in model.named_modules()}
    handles = []

    def begin(module: nn.Module, args: tuple[Any, ...]) -> None:
        running.append(names[module])

    def end(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        name = running.pop()
        for key, value in tensors_of(output):
            if wanted.keeps(value):
                trace.tensors.append((name, key, value))
                if value.ndim == 3 and len(value) == 1 + len(CHANGED):
                    trace.changed.append(changes(value))
        if isinstance(output, Tensor) and not list(module.children()):
            trace.last.append((name, output.ndim > 2 and output.shape[1:].numel() > max(output.shape[1:])))
            if isinstance(module, nn.Conv2d) and output.ndim == 4:
                trace.convolved.append((output.shape[2], output.shape[3]))
            if args and isinstance(args[0], Tensor):
                trace.inputs.append((name, args[0]))

    try:
        for module in names:
            handles.append(module.register_forward_pre_hook(begin))
            handles.append(module.register_forward_hook(end))
        like = next(p for p in model.parameters() if p.is_floating_point())
        with _Calls(trace, running):
            trace.logits = logits_of(model, made_up(size, like))
    finally:
        for handle in handles:
            handle.remove()
    return trace


def tensors_of(output: Any) -> Iterator[tuple[str | int | None, Tensor]]:
    """Each tensor of a module's output, with the key by which `tensor_at` finds it."""
    if isinstance(output, Tensor):
        yield None, output
    elif isinstance(output, dict):
        yield from ((str(key), value) for key, value in output.items() if isinstance(value, Tensor))
    elif isinstance(output, tuple | list):
        yield from ((at, value) for at, value in enumerate(output) if isinstance(value, Tensor))


def tensor_at(output: Any, key: str | int | None) -> Tensor:
    """The tensor at a key of a module's output."""
    return output if key is None else output[key]


class _Calls(TorchFunctionMode):
    """Notes which module calls fused attention."""

    def __init__(self, trace: Trace, running: list[str]):
        super().__init__()
        self.trace, self.running = trace, running

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            given = dict(zip(("query", "key"), args, strict=False)) | kwargs
            query, key = given["query"], given["key"]
            plain = query.ndim == key.ndim == 4 and query.shape[1] == key.shape[1]
            plain = plain and not (kwargs.get("is_causal") or (len(args) > 5 and args[5]))
            self.trace.calls.append(
                Call(self.running[-1], query.shape[-3], query.shape[-2], key.shape[-2], plain)
            )
        return func(*args, **kwargs)
