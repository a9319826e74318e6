"""An image -> the model's input and the view, which also transforms the points.

    pixels --(view)--> crop --(policy)--> crop --(augmentations)--> crop --(normalize)--> pixel_values

`pixels` are uint8 `[H, W, 3]`, upright RGB, as `luab_vision.images` gives them. A crop is uint8
`[h, w, 3]`: loaders hand out crops, a quarter of the bytes, and the model normalizes them on its device.

Only the view and the policy (`luab_vision.policies`) move pixels. Other augmentations are any callable
`(crop, rng) -> crop`:

    def blur(crop: PIL.Image.Image, rng: np.random.Generator) -> PIL.Image.Image:
        return crop.filter(ImageFilter.GaussianBlur(rng.uniform(0, 2)))

    TrainTransform(settings, augmentations=[blur, ColorJitter(0.4), RandomErasing(0.25)])

All randomness must come from `rng`: then image i of epoch e is the same with any number of workers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from luab_vision.framing import Framing, framing
from luab_vision.geometry import View, pair, random_resized_view, render, render_window
from luab_vision.operations import Step
from luab_vision.policies import Policy

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Filters of `render_window`; only Pillow has the others.
FAST_FILTERS = {Image.Resampling.BILINEAR: "bilinear", Image.Resampling.BICUBIC: "bicubic"}

Augmentation = Callable[[Image.Image, np.random.Generator], Image.Image]


@dataclass(frozen=True)
class ImageSettings:
    """How a model expects its images. `luab_vision.processors.image_settings` finds this for a processor.

    Attributes:
        size: Pixels of the model's input: a square's side or `(height, width)`.
        mean, std: Mean and standard deviation of the model's three channels, on a scale of 0 to 1.
        resize: The evaluation's resize before the central crop: the shorter side in pixels, or
            `(height, width)`, ignoring the aspect ratio. None: `size / 0.875`, the usual 256 for 224.
        resample: Pillow's filter.
        bgr: Whether the model reads blue, green, red.
        cut: Central crop of the evaluation before the resize; see `luab_vision.framing`.
        nearest: How the central crop halves an odd margin; see there. True for models of timm.
    """

    size: int | tuple[int, int] = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    resize: int | tuple[int, int] | None = None
    resample: Image.Resampling = Image.Resampling.BICUBIC
    bgr: bool = False
    cut: tuple[float, float] | None = None
    nearest: bool = False

    @property
    def normalization(self) -> Normalization:
        """The normalization of a byte."""
        return Normalization(three(self.mean), three(self.std), self.bgr)

    @property
    def neutral(self) -> tuple[float, float, float]:
        """Red, green and blue, 0 to 1, of the color that the model reads as 0, or of the nearest one."""
        mean = self.mean[::-1] if self.bgr else self.mean
        return three([min(1.0, max(0.0, value)) for value in mean])


class Normalization(NamedTuple):
    """A byte -> the model's input: (byte / 255 - mean) / std, per channel; `bgr`: blue comes first."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False


def three(values: Sequence[float]) -> tuple[float, float, float]:
    """One value for each of the three channels."""
    first, second, third = values
    return first, second, third


def normalize(crops: Tensor, mean: Sequence[float], std: Sequence[float], bgr: bool = False) -> Tensor:
    """Crops uint8 `[B, h, w, 3]` -> pixel_values `[B, 3, h, w]` float32, (value / 255 - mean) / std.

    `bgr`: the model's channels, mean and std are in the order blue, green, red; the crops are always red,
    green, blue.

    The result keeps the crops' memory order, torch's channels-last. Each row is treated as w * 3 values:
    broadcasting over the 3 channels, the innermost and shortest axis, takes four times as long on a CPU. On a
    CPU it works image by image: one image stays in the cache, which halves the time again.
    """
    width, device = crops.shape[2], crops.device
    # Not buffers of the model, which would be cast to half precision with it; a GPU does not wait for the
    # copies.
    divisor = torch.tensor(std)
    scale = (1 / (255 * divisor)).repeat(width).to(device, non_blocking=True)
    shift = (-torch.tensor(mean) / divisor).repeat(width).to(device, non_blocking=True)
    rows = (crops.flip(-1) if bgr else crops).flatten(2)
    values = torch.empty(rows.shape, device=device)
    by_image = device.type == "cpu" and not torch.compiler.is_compiling()
    at_once = 1 if by_image else max(1, len(rows))
    for part, own in zip(values.split(at_once), rows.split(at_once), strict=True):
        torch.addcmul(shift, part.copy_(own), scale, out=part)
    return values.unflatten(2, (width, 3)).permute(0, 3, 1, 2)


class EvalTransform:
    """Resize and central crop: the same view of an image each time."""

    def __init__(self, settings: ImageSettings):
        self.settings = settings
        self.size = pair(settings.size)

    def view(self, width: int, height: int, rng: np.random.Generator | None = None) -> View:
        """The view of an image of `width` x `height` pixels."""
        return self._framing(width, height).view

    def crop(self, pixels: np.ndarray, view: View) -> Tensor:
        """The view of the pixels, uint8 `[h, w, 3]`."""
        # Pillow, like the model's image processor: the view's edges may be between pixels.
        image, resample = Image.fromarray(pixels), self.settings.resample
        framing = self._framing(*image.size)
        if view == framing.view:
            return to_tensor(framing.render(image, resample))
        return to_tensor(render(image, view, self.size, resample))

    def steps(self, rng: np.random.Generator | None = None) -> Sequence[Step]:
        """The steps of the policy for a crop, drawn: here none."""
        return ()

    def changed(self, crop: Tensor, steps: Sequence[Step]) -> Tensor:
        """The crop after the policy's steps, uint8 `[h, w, 3]`."""
        if not steps:
            return crop
        image = Image.fromarray(crop.numpy())
        for step in steps:
            image = step.pixels(image)
        return to_tensor(image)

    def augment(self, crop: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """The crop as the model sees it, uint8 `[h, w, 3]`: here unchanged."""
        return crop

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator | None = None) -> tuple[Tensor, View]:
        """pixel_values `[3, h, w]` float32, normalized, and the view of the image."""
        height, width = pixels.shape[:2]
        view = self.view(width, height, rng)
        crop = self.augment(self.crop(pixels, view), rng)
        return normalize(crop[None], *self.settings.normalization)[0], view

    def _framing(self, width: int, height: int) -> Framing:
        resize = self.settings.resize
        if resize is None:
            resize = round(max(self.size) / 0.875)
        return framing(width, height, resize, self.size, self.settings.cut, self.settings.nearest)


def to_tensor(crop: Image.Image) -> Tensor:
    """RGB crop -> uint8 `[h, w, 3]`."""
    return torch.from_numpy(np.array(crop))


def to_image(pixel_values: Tensor, settings: ImageSettings) -> Image.Image:
    """The model's input, `[3, h, w]`, as a picture: the inverse of `normalize`."""
    mean, std = (torch.tensor(three).view(3, 1, 1) for three in (settings.mean, settings.std))
    values = (pixel_values * std + mean).mul(255).round().clamp(0, 255).to(torch.uint8)
    if settings.bgr:
        values = values.flip(0)
    return Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())


class TrainTransform(EvalTransform):
    """Random resized crop and flip, then a policy, then the augmentations that do not move pixels.

    Args:
        settings: The model's image settings.
        scale: See `random_resized_view`; the defaults are the paper's.
        ratio: See `random_resized_view`.
        flip: See `random_resized_view`.
        augmentations: Functions of the crop as a PIL image, applied in order.
        policy: Draws what comes before them and may move pixels; see `luab_vision.policies`. None: nothing.
    """

    def __init__(
        self,
        settings: ImageSettings,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        augmentations: Sequence[Augmentation] = (),
        policy: Policy | None = None,
    ):
        super().__init__(settings)
        self.scale, self.ratio, self.flip = scale, ratio, flip
        self.augmentations = tuple(augmentations)
        self.policy = policy

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator | None = None) -> tuple[Tensor, View]:
        """As `EvalTransform`.

        Raises:
            ValueError: there is a policy. Where it takes the points, the view does not tell.
        """
        if self.policy is not None:
            raise ValueError(
                "a transform with a policy gives no view that tells where points go: take its methods view, "
                "steps, crop, changed and augment, as luab_trainer.data.samples does."
            )
        return super().__call__(pixels, rng)

    def view(  # type: ignore[override]  # it draws, which the base class does not
        self, width: int, height: int, rng: np.random.Generator
    ) -> View:
        """A random view, drawn from `rng`."""
        return random_resized_view(width, height, rng, self.scale, self.ratio, self.flip)

    def crop(self, pixels: np.ndarray, view: View) -> Tensor:
        """The view of the pixels, uint8 `[h, w, 3]`."""
        mode = FAST_FILTERS.get(self.settings.resample)
        return super().crop(pixels, view) if mode is None else render_window(pixels, view, self.size, mode)

    def steps(  # type: ignore[override]  # as above
        self, rng: np.random.Generator
    ) -> Sequence[Step]:
        """The steps of the policy for a crop, drawn from `rng`."""
        return () if self.policy is None else self.policy(*self.size, rng)

    def augment(  # type: ignore[override]  # as above
        self, crop: Tensor, rng: np.random.Generator
    ) -> Tensor:
        """The crop after the augmentations, uint8 `[h, w, 3]`."""
        if not self.augmentations:
            return crop
        image = Image.fromarray(crop.numpy())
        for augment in self.augmentations:
            image = augment(image, rng)
        return to_tensor(image)


@dataclass(frozen=True)
class ColorJitter:
    """Change brightness, contrast and saturation by factors 1 - strength to 1 + strength, in random order."""

    strength: float = 0.4

    def __call__(self, crop: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Changes brightness, contrast and saturation, in a random order."""
        enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
        for i in rng.permutation(len(enhancers)):
            factor = rng.uniform(max(0, 1 - self.strength), 1 + self.strength)
            crop = enhancers[i](crop).enhance(factor)
        return crop


@dataclass(frozen=True)
class RandomErasing:
    """Paint over a random rectangle (Zhong et al., 2020), with probability `probability`.

    scale: bounds of its area, as a share of the crop. ratio: bounds of its height / width. color: its red,
    green and blue, 0 to 1; usually the mean, which the model sees as 0.
    """

    probability: float = 0.25
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    color: tuple[float, float, float] = IMAGENET_MEAN

    def __call__(self, crop: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Paints over a random rectangle, or returns the crop unchanged."""
        if rng.random() >= self.probability:
            return crop
        area = crop.width * crop.height * rng.uniform(*self.scale)
        aspect = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
        h = min(crop.height, round(math.sqrt(area * aspect)))
        w = min(crop.width, round(math.sqrt(area / aspect)))
        top, left = int(rng.integers(crop.height - h + 1)), int(rng.integers(crop.width - w + 1))
        crop = crop.copy()
        crop.paste(tuple(round(255 * value) for value in self.color), (left, top, left + w, top + h))
        return crop
