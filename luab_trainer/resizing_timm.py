"""A model of timm at another image size: timm's own code interpolates what depends on it.

A model that `timm.create_model` makes with `img_size` is made anew with the new one. Its weights are
those that timm's `set_input_size` makes of the present ones. Swin's would get larger windows, which no
configuration says: there `checkpoint_filter_fn` makes them, as in `create_model(..., pretrained=True,
img_size=...)`. All other models take images of any size, or say what they take.
"""

import copy
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModelForImageClassification,
    BaseImageProcessor,
    PretrainedConfig,
    PreTrainedModel,
)

from luab_data.console.names import few
from luab_trainer.said import say
from luab_vision.adapters.timm_models import timm_model
from luab_vision.geometry import pair
from luab_vision.processors import resized_processor
from luab_vision.timm_checkpoints import DATA_CONFIG, IMAGES, IMG_SIZE, with_img_size


def takes_img_size(config: PretrainedConfig) -> bool:
    """Whether `timm.create_model` takes an image size for a configuration's architecture."""
    sized = with_img_size(config, 224)
    try:
        with torch.device("meta"):
            AutoModelForImageClassification.from_config(sized)
    except TypeError as error:
        if IMG_SIZE not in str(error):
            raise
        return False
    except (AssertionError, ValueError, RuntimeError):  # it takes one, but not this
        return True
    return True


def timm_at_size(
    model: PreTrainedModel, processor: BaseImageProcessor, size: int
) -> tuple[PreTrainedModel, BaseImageProcessor]:
    """A checkpoint of timm and its image processor for square images of another size, in pixels.

    Raises:
        ValueError: a weight depends on the size, and timm has no code that interpolates it; or patches of
            this size leave out a part of the image.
    """
    if takes_img_size(model.config):
        model = _interpolated(model, size)
    if getattr(processor, DATA_CONFIG, None) is None:
        return model, resized_processor(processor, size)
    return model, reading_anew(model, processor, input_size=[3, size, size])


def reading_anew(model: PreTrainedModel, processor: BaseImageProcessor, **changed: Any) -> BaseImageProcessor:
    """The image processor of a checkpoint of timm, with changes to the `pretrained_cfg` of its config."""
    described = {**(getattr(model.config, IMAGES, None) or {}), **changed}
    for name in changed:
        described.pop(f"test_{name}", None)
    setattr(model.config, IMAGES, described)
    kind: Any = type(processor)
    anew: BaseImageProcessor = kind(described, architecture=model.config.architecture)
    return anew


def _interpolated(model: PreTrainedModel, size: int) -> PreTrainedModel:
    own = timm_model(model)
    _require_whole_patches(own, size)
    kind: Any = type(model)
    resized: Any = kind(with_img_size(model.config, size))
    wanted = _shapes(resized.timm_model.state_dict())
    wrong: set[str] = set()
    for weights in _of_size(own, resized.timm_model, size):
        found = _shapes(weights)
        wrong = {name for name in wanted.keys() | found.keys() if found.get(name) != wanted.get(name)}
        if not wrong:
            break
    name = model.config.architecture
    if wrong:
        raise ValueError(
            f"--image_size {size}: {few(sorted(wrong))} of timm's {name} depend{'s' * (len(wrong) == 1)} on "
            f"the image size, and timm has no code that interpolates {'it' if len(wrong) == 1 else 'them'}; "
            "leave it out, or take another model."
        )
    before = _shapes(own.state_dict())
    resized.timm_model.load_state_dict(weights)
    if moved := sorted(each for each in wanted if before.get(each) != wanted[each]):
        say(f"--image_size {size}: timm has interpolated {few(moved)} of its {name}.")
    result: PreTrainedModel = resized.train(model.training)
    return result


def _of_size(own: Any, resized: Any, size: int) -> Iterator[dict[str, torch.Tensor]]:
    """The weights of one of timm's models as its code makes them for another size, in each of its ways.

    `resized`: the model at that size.
    """
    if callable(getattr(own, "set_input_size", None)):
        own = copy.deepcopy(own)
        before = own.state_dict()
        try:
            own.set_input_size(img_size=(size, size))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"--image_size {size}: {type(own).__name__} does not take it: {error}"
            ) from error
        yield own.state_dict()
        own_filter = getattr(sys.modules[type(own).__module__], "checkpoint_filter_fn", None)
        if own_filter is not None:
            yield own_filter(before, resized)
    else:
        yield own.state_dict()


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}


def _require_whole_patches(own: nn.Module, size: int) -> None:
    """Raises ValueError if the patches of one of timm's models would not cover its images."""
    embedding: Any = getattr(own, "patch_embed", None)
    patch = getattr(embedding, "patch_size", None)
    if patch is None or size % (patch := pair(patch)[0]) == 0:
        return
    raise ValueError(
        f"--image_size {size}: {type(own).__name__} cuts images into patches of {patch} pixels, and would "
        f"leave out the last {size % patch}. Give a multiple of {patch}, such as "
        f"{size - size % patch or patch} or {size - size % patch + patch}."
    )
