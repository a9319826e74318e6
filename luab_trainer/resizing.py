"""A pretrained classifier at another image size, with its image processor: both load plain afterwards.

The position encodings are interpolated once, by the model's own code, and saved at the new size. So a
checkpoint needs no `interpolate_pos_encoding`, and answers in transformers' pipeline as it does here.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BaseImageProcessor, PretrainedConfig, PreTrainedModel

from luab_trainer.model import input_size
from luab_trainer.resizing_timm import reading_anew, takes_img_size, timm_at_size
from luab_trainer.said import say
from luab_vision.processors import check_fits, cropping_processor, image_settings, resized_processor
from luab_vision.timm_checkpoints import DATA_CONFIG, is_timm, set_image_size


def at_size(
    model: PreTrainedModel, processor: BaseImageProcessor, size: int
) -> tuple[PreTrainedModel, BaseImageProcessor]:
    """The model and its image processor for square images of another size.

    Args:
        model: A classifier with all its weights.
        processor: Its image processor.
        size: Side of the new images, in pixels.

    Raises:
        ValueError: the model does not take images of this size, or the processor does not make them.
    """
    if image_settings(processor).size in (size, (size, size)):
        return model, processor
    if is_timm(model.config):
        model, processor = timm_at_size(model, processor, size)
    else:
        processor = resized_processor(processor, size)
        model = _interpolated(model, size)
    try:
        check_fits(model, image_settings(processor))
    except ValueError as error:
        raise ValueError(f"--image_size {size}: {error}") from error
    return model, processor


def at_crop(model: PreTrainedModel, processor: BaseImageProcessor, share: float) -> BaseImageProcessor:
    """The image processor whose evaluation crops a share of the resized image's side; see `--eval_crop`.

    The config of a checkpoint of timm then says the share too, which is where others read it.

    Raises:
        ValueError: the processor has no such crop.
    """
    try:
        if getattr(processor, DATA_CONFIG, None) is not None:
            return reading_anew(model, processor, crop_pct=share, crop_mode="center")
        return cropping_processor(processor, share)
    except ValueError as error:
        raise ValueError(f"--eval_crop {share:g}: {error}. Leave it out.") from error


def set_input_size(config: PretrainedConfig, size: int) -> None:
    """Sets the size in the vision config; a model of images and text has a config for each."""
    if is_timm(config):
        set_image_size(config, size, takes_img_size(config))
        return
    target = config if "image_size" in config.to_dict() else getattr(config, "vision_config", config)
    several = isinstance(getattr(target, "image_size", None), list | tuple)
    target.image_size = [size, size] if several else size


def _interpolated(model: PreTrainedModel, size: int) -> PreTrainedModel:
    """The model with position encodings for another size. Without such encodings, it only gets the size."""
    before = input_size(model.config)
    if before is None:  # such as ResNet: its config has no size
        return model
    config = copy.deepcopy(model.config)
    set_input_size(config, size)
    patch = _patch_size(config)
    if _has_positions(model, before, patch):
        if size % patch:
            raise ValueError(
                f"--image_size {size}: {type(model).__name__} cuts images into patches of {patch} pixels, "
                f"and would leave out the last {size % patch}. Give a multiple of {patch}, such as "
                f"{size - size % patch or patch} or {size - size % patch + patch}."
            )
        if before[0] != before[1]:
            raise ValueError(
                f"--image_size {size}: the model's position encodings are for images of {before[0]} x "
                f"{before[1]} pixels, and only those of squares are interpolated; leave it out."
            )
    resized: PreTrainedModel = type(model)(config)
    weights, own = model.state_dict(), resized.state_dict()
    moved = [name for name in own if own[name].shape != weights[name].shape]
    with torch.no_grad():
        for name in moved:
            weights[name] = _at_size(model, name, own[name].shape, size, patch)
    resized.load_state_dict(weights)
    if moved:
        say(
            f"--image_size {size}: the position encodings are interpolated from {before[0] // patch} x "
            f"{before[1] // patch} to {size // patch} x {size // patch} patches."
        )
    return resized.train(model.training)


def _at_size(model: PreTrainedModel, name: str, shape: torch.Size, size: int, patch: int) -> Tensor:
    """A weight that depends on the image size, at another size.

    Raises:
        ValueError: how it depends on the size is not known.
    """
    owner, _, _ = name.rpartition(".")
    path = owner.split(".")
    for length in range(len(path), -1, -1):
        module: Any = model.get_submodule(".".join(path[:length]))
        if callable(getattr(module, "interpolate_pos_encoding", None)):
            tokens = torch.zeros(1, shape.numel() // shape[-1], shape[-1])
            try:
                encoding: Tensor = module.interpolate_pos_encoding(tokens, size, size)
                return encoding.reshape(shape)
            except (RuntimeError, TypeError):  # PVT and Hiera want other arguments
                break
        if callable(getattr(module, "generate_relative_position_index", None)):  # BEiT
            return _relative_table(module, shape, (size // patch, size // patch))
    raise ValueError(
        f"--image_size {size}: {name} of {type(model).__name__} depends on the image size, and transformers "
        "has no code that interpolates it; leave it out, or take another model."
    )


def _relative_table(module: Any, shape: torch.Size, window: tuple[int, int]) -> Tensor:
    """BEiT's table of relative positions for another window, from the bias that its own code interpolates."""
    bias: Tensor = module(window)  # [1, heads, N, N] or [heads, N, N]
    index: Tensor = module.generate_relative_position_index(window)
    table = torch.zeros(shape)
    table[index.flatten()] = bias.reshape(shape[-1], -1).T
    return table


def _has_positions(model: PreTrainedModel, before: tuple[int, int], patch: int) -> bool:
    """Whether weights of the model depend on the image size."""
    config = copy.deepcopy(model.config)
    set_input_size(config, before[0] + 2 * patch)
    kind: Any = type(model)
    with torch.device("meta"):
        other: nn.Module = kind(config)
    shapes = {name: value.shape for name, value in other.state_dict().items()}
    return any(shapes[name] != value.shape for name, value in model.state_dict().items())


def _patch_size(config: PretrainedConfig) -> int:
    """The pixels from one patch to the next; 1 without patches."""
    for part in (config, getattr(config, "vision_config", None)):
        for name in ("patch_stride", "patch_size"):  # Hiera's patches overlap
            patch = getattr(part, name, None)
            if isinstance(patch, int) or (isinstance(patch, list | tuple) and len(patch) == 2):
                return patch if isinstance(patch, int) else patch[0]
    return 1
