"""The image processor of a checkpoint: loads it, and finds out by tests what it does to an image.

    preprocessor_config.json --(load_processor)--> processor --(image_settings)--> ImageSettings

The class's code decides what a processor does, not only its file: hidden defaults, a size of one number that
means a square in one class and the shorter side in another, a second division, another channel order. So the
file alone is not trusted. Plain colors show the normalization. The known ways to resize and crop are tried on
noise, and the one with exactly the processor's pixels is used. If there is none, the processor is rejected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.Image import Resampling
from torch import Tensor
from transformers import AutoImageProcessor, BaseImageProcessor, PreTrainedModel
from transformers.image_processing_backends import PilBackend

from luab_vision.geometry import pair
from luab_vision.timm_checkpoints import DATA_CONFIG, of_timm, settings_of
from luab_vision.transforms import (
    EvalTransform,
    ImageSettings,
    Normalization,
    three,
)

PROCESSOR_FILE = "preprocessor_config.json"
MAX_SIDE = 4096  # pixels, of a size in a processor: 100,000 x 100,000 would fill any memory
# Width and height of the images that processors are tried on: odd, wide, tall, large and small.
PROBES = ((301, 203), (203, 301), (467, 93), (13, 29))
PLAIN = (64, 64)
LONGEST_REASON = 300  # characters of a message of transformers, which may list all known models
LEVIT = 256 / 224
EXACT = 0.01  # levels: the same bytes, and values but for float32's rounding
SIMILAR = 2  # levels, for a class that needs torchvision, whose filters round differently
CROP = ("do_resize", "size", "do_center_crop", "crop_size")
# Fields for resizing, cropping, normalizing, or without effect on an RGB image.
KNOWN = {
    *("image_processor_type", "feature_extractor_type", "processor_class", "auto_map", "return_tensors"),
    *(*CROP, "crop_pct", "resample", "default_to_square", "data_format", "input_data_format"),
    *("do_rescale", "rescale_factor", "rescale_offset", "do_normalize", "image_mean", "image_std"),
    *("include_top", "do_flip_channel_order", "do_convert_rgb", "do_reduce_labels"),
}


def load_processor(name: str) -> BaseImageProcessor:
    """The image processor of a checkpoint's folder or of a model on the Hub.

    Raises:
        ValueError: the checkpoint has none, or it needs its own code or a missing library.
    """
    try:
        # Pillow's version of the class, the same on every machine: torchvision's gives other pixels.
        return AutoImageProcessor.from_pretrained(name, backend="pil", trust_remote_code=False)
    except Exception as error:  # an untrusted file may break the class anywhere
        reason = (str(error) or repr(error)).strip().splitlines()[0][:LONGEST_REASON]
        raise ValueError(
            f"{name} has no usable {PROCESSOR_FILE}, which says how the model reads images (size, crop, mean "
            "and standard deviation). Copy it from the checkpoint that this one comes from, or write it with "
            f"save_pretrained of the model's image processor. transformers says: {reason}"
        ) from error


def square_processor(size: int | tuple[int, int]) -> BaseImageProcessor:
    """Resize to `size` (a square's side, or height and width), ImageNet's mean and standard deviation."""
    return _squeezing_processor(pair(size), ImageSettings())


def resized_processor(processor: BaseImageProcessor, size: int) -> BaseImageProcessor:
    """The processor for square images of another size; resizes and margins grow in proportion.

    ConvNeXT's class crops below 384 pixels, and from there on squeezes the whole image into a square. Across
    this border, a processor of another class does what the present one does.

    Args:
        processor: The one for the present size.
        size: Side of the new images, in pixels.

    Raises:
        ValueError: it would not make images of this size.
    """
    before = image_settings(processor)
    height, width = pair(before.size)
    fields = processor.to_dict()
    for name in ("size", "crop_size"):
        if fields.get(name):
            fields[name] = {
                key: round(value * size / (width if key == "width" else height))
                for key, value in dict(fields[name]).items()
                if value is not None
            }
    resized: BaseImageProcessor = type(processor).from_dict(fields)
    after = image_settings(resized)
    if pair(after.size) != (size, size):
        raise ValueError(
            f"its image processor makes no squares of {size} pixels: {_named(fields, *CROP)}. Change its "
            f"{PROCESSOR_FILE}, or leave --image_size out"
        )
    if isinstance(before.resize, int) and not isinstance(after.resize, int):
        return cropping_processor(resized, height / before.resize)
    if isinstance(after.resize, int) and not isinstance(before.resize, int):
        return _squeezing_processor((size, size), before)
    return resized


def _squeezing_processor(size: tuple[int, int], settings: ImageSettings) -> BaseImageProcessor:
    """The processor that resizes the whole image to a height and a width, with these settings otherwise."""
    from transformers import ViTImageProcessorPil  # imported here because it is slow

    return ViTImageProcessorPil(
        size={"height": size[0], "width": size[1]},
        resample=settings.resample,
        image_mean=list(settings.mean),
        image_std=list(settings.std),
    )


def cropping_processor(processor: BaseImageProcessor, share: float) -> BaseImageProcessor:
    """The processor that resizes the shorter side, and crops a share of it: as many pixels as now.

    Args:
        processor: The present one, of any kind. Its size, filter, mean and standard deviation stay.
        share: Of the resized side, as timm's `crop_pct`: 0.875 crops 224 of 256 pixels.

    Raises:
        ValueError: it makes no squares, or turns the channels around.
    """
    from transformers import BitImageProcessorPil  # imported here because it is slow

    settings = image_settings(processor)
    height, width = pair(settings.size)
    if height != width or settings.bgr:
        made = "blue-green-red images" if settings.bgr else f"images of {height} x {width} pixels"
        raise ValueError(f"its image processor makes {made}: a share is for squares of red, green and blue")
    return BitImageProcessorPil(
        size={"shortest_edge": int(height / share)},  # rounded as by timm
        crop_size={"height": height, "width": width},
        resample=settings.resample,
        image_mean=list(settings.mean),
        image_std=list(settings.std),
    )


def image_settings(processor: BaseImageProcessor) -> ImageSettings:
    """The processor's steps; evaluation then equals transformers' pipeline, pixel by pixel.

    Raises:
        ValueError: it does more than resize, crop the center, and scale each channel. The message names the
            fields.
    """
    timm_config = getattr(processor, "data_config", None)  # of a checkpoint of timm
    if timm_config is None and not isinstance(processor, PilBackend):
        # Take its class's version that computes with Pillow, if any.
        with TemporaryDirectory() as folder:
            processor.save_pretrained(folder)
            processor = load_processor(folder)
    fields = processor.to_dict() if timm_config is None else of_timm(timm_config)
    try:
        with np.errstate(all="ignore"):
            return _tried(processor, fields)
    except ValueError as error:
        kind = fields.get("image_processor_type") or type(processor).__name__
        raise ValueError(
            f"The image processor ({kind}) cannot be used: {error}. Change its {PROCESSOR_FILE}, or take "
            "another model."
        ) from error


def check_fits(model: PreTrainedModel, settings: ImageSettings) -> None:
    """Run the model on one image from its processor, as transformers' pipeline does.

    Raises:
        ValueError: the model does not accept it.
    """
    pixels = np.array(_noise(*PROBES[0]))
    values, _ = EvalTransform(settings)(pixels)
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(pixel_values=values[None].to(model.device, model.dtype))
    except Exception as error:  # each model raises its own kind of error
        height, width = values.shape[1:]
        raise ValueError(
            f"the model does not take the images of its own image processor, {height} x {width} pixels: "
            f"{str(error)[:200]} transformers' pipeline would fail on them too. Make size (and crop_size) in "
            f"{PROCESSOR_FILE} and image_size in config.json the same, and num_channels 3."
        ) from error
    finally:
        model.train(training)


def _tried(processor: BaseImageProcessor, fields: Mapping[str, Any]) -> ImageSettings:
    """The settings that give exactly the processor's pixels; ValueError if there are none."""
    _check_sizes(fields)
    normalization = _normalization(processor, fields)
    expected = [_processed(processor, _noise(*size)) for size in PROBES]
    shapes = {tuple(values.shape[-2:]) for values in expected}
    if len(shapes) > 1:
        raise ValueError(
            f"it makes inputs of different sizes, which cannot be one batch: {_named(fields, *CROP)}. "
            "Give it do_resize, and do_center_crop with a crop_size"
        )
    tolerance = EXACT if isinstance(processor, PilBackend) or DATA_CONFIG in fields else SIMILAR
    height, width = shapes.pop()
    for settings in _candidates(fields, normalization, (height, width)):
        if _equal(settings, expected, tolerance):
            return settings
    raise ValueError(f"what it does to an image is not known here: {_unusual(fields)}")


def _check_sizes(fields: Mapping[str, Any]) -> None:
    """Raise if testing the processor would take too much memory or time."""
    for name, value in fields.items():
        for number in value.values() if isinstance(value, Mapping) else (value,):
            if isinstance(number, int | float | np.number) and number > MAX_SIDE:
                raise ValueError(f"{_named(fields, name)} is too large, allowed are {MAX_SIDE}")
    if not 0.1 <= (fields.get("crop_pct") or 1) <= 10:
        raise ValueError(f"{_named(fields, 'crop_pct')} is no share of an image")


def _processed(processor: BaseImageProcessor, image: Image.Image) -> Tensor:
    """The processor's output `[3, h, w]`, float64."""
    try:
        output = processor(images=image, return_tensors="pt")
    except Exception as error:  # untrusted fields may break the class anywhere
        raise ValueError(f"it fails on an image: {type(error).__name__}: {error}") from error
    values = output.get("pixel_values")
    if len(output) > 1 or values is None or values.ndim != 4 or values.shape[:2] != (1, 3):
        shapes = ", ".join(f"{name} {list(each.shape[1:])}" for name, each in output.items())
        raise ValueError(f"it does not make pixel_values [3, height, width] alone, but {shapes}")
    return values[0].double()


def _normalization(processor: BaseImageProcessor, fields: Mapping[str, Any]) -> Normalization:
    """The normalization of a byte, measured on images of one color."""

    def center(*color: int) -> np.ndarray:
        values = _processed(processor, Image.new("RGB", PLAIN, color))
        return values[:, values.shape[1] // 2, values.shape[2] // 2].numpy()

    black, white = center(0, 0, 0), center(255, 255, 255)
    scale = white - black
    red_first, blue_first = center(255, 0, 0) - black, center(0, 0, 255) - black
    red, _, blue = np.eye(3)
    if not (np.isfinite(scale).all() and (scale != 0).all()):
        names = ("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")
        raise ValueError(f"black and white become {black} and {white}: {_named(fields, *names)}")
    for bgr in (False, True):
        first, last = (blue_first, red_first) if bgr else (red_first, blue_first)
        if np.allclose((first / scale, last / scale), (red, blue), atol=1e-5):
            return Normalization(*_as_declared(-black / scale, 1 / scale, fields), bgr)
    raise ValueError(f"red, green and blue are not three channels to it: {_unusual(fields)}")


def _as_declared(
    mean: np.ndarray, std: np.ndarray, fields: Mapping[str, Any]
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Measured mean and std, with the digits of the fields if they agree."""
    declared: tuple[Any, Any]
    for declared in ((fields.get("image_mean"), fields.get("image_std")), ((0.0,) * 3, (1.0,) * 3)):
        try:
            means, stds = (three([float(each) for each in np.broadcast_to(one, 3)]) for one in declared)
        except (TypeError, ValueError):
            continue
        if np.allclose((means, stds), (mean, std), rtol=1e-5, atol=1e-6):
            return means, stds
    return three([float(f"{each:.7g}") for each in mean]), three([float(f"{each:.7g}") for each in std])


def _candidates(
    fields: Mapping[str, Any], normalization: Normalization, shape: tuple[int, int]
) -> Iterator[ImageSettings]:
    """The ways in which transformers' image processors reach `shape` from the sizes in the fields."""
    if DATA_CONFIG in fields:
        yield settings_of(fields[DATA_CONFIG])
        return
    size, crop_size, share = (fields.get(name) or {} for name in ("size", "crop_size", "crop_pct"))
    resample = Resampling(fields["resample"]) if fields.get("resample") is not None else Resampling.BILINEAR
    whole: tuple[Any, Any] = (size.get("height"), size.get("width"))
    shorter = size.get("shortest_edge")

    def settings(resize: int | tuple[int, int], cut: tuple[float, float] | None = None) -> ImageSettings:
        square = shape[0] == shape[1] and isinstance(resize, int)
        mean, std, bgr = normalization
        return ImageSettings(shape[0] if square else shape, mean, std, resize, resample, bgr, cut)

    yield settings(shape)  # also ConvNeXt from 384 on
    if all(whole):
        yield settings(whole)
        if share and whole[0] == whole[1]:
            yield settings(int(whole[0] / share))
        if crop_size.get("height") and crop_size.get("width"):  # Perceiver
            yield settings(whole, (whole[0] / crop_size["height"], whole[1] / crop_size["width"]))
    if shorter:
        yield settings(shorter)
        yield settings(int(LEVIT * shorter))
        if share:  # ConvNeXt, ResNet, PoolFormer
            yield settings(int(shorter / share))


def _equal(settings: ImageSettings, expected: list[Tensor], tolerance: float) -> bool:
    """Whether our steps turn the probes into `expected`, up to `tolerance` levels of 255."""
    level = 1 / (255 * torch.tensor(settings.std, dtype=torch.float64).abs().view(3, 1, 1))
    transform = EvalTransform(settings)
    return all(
        ((transform(np.array(_noise(*size)))[0] - values).abs() <= tolerance * level).all()
        for size, values in zip(PROBES, expected, strict=True)
    )


@lru_cache(maxsize=len(PROBES))
def _noise(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng((width, height))
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


def _named(fields: Mapping[str, Any], *names: str) -> str:
    return ", ".join(f"{name}={fields.get(name)!r}" for name in names)


def _unusual(fields: Mapping[str, Any]) -> str:
    """The fields that may be the cause: unknown ones, else those of the crop."""
    strange = [name for name, value in fields.items() if name not in KNOWN and value not in (None, False)]
    return _named(fields, *(strange or (*CROP, "resample")))
