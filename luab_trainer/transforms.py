"""An image -> what the model reads, and the view that was taken of it, so that points can follow.

    pixels --(view)--> crop --(on_image)--> crop --(normalize)--> tensor --(on_tensor)--> pixel_values

`pixels` are uint8 `[H, W, 3]`, upright RGB, as `luab_trainer.images.decode` gives them.

Only the view moves pixels. An augmentation that leaves them in place is any callable `(crop, rng) -> crop`:

    def blur(crop: PIL.Image.Image, rng: np.random.Generator) -> PIL.Image.Image:
        return crop.filter(ImageFilter.GaussianBlur(rng.uniform(0, 2)))

    TrainTransform(settings, on_image=[blur, ColorJitter(0.4)], on_tensor=[RandomErasing(0.25)])

Its randomness must come from `rng`: then image i of epoch e looks the same however many workers load it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from luab_trainer.geometry import View, center_view, pair, random_resized_view, render, render_window

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# From this size on ConvNeXt's image processor resizes without cropping.
CONVNEXT_UNCROPPED = 384
# Filters that `render_window` has; the others are Pillow's alone.
FAST_FILTERS = {Image.Resampling.BILINEAR: "bilinear", Image.Resampling.BICUBIC: "bicubic"}

ImageAugmentation = Callable[[Image.Image, np.random.Generator], Image.Image]
TensorAugmentation = Callable[[Tensor, np.random.Generator], Tensor]


@dataclass(frozen=True)
class ImageSettings:
    """What a model expects of an image.

    Attributes:
        size: Pixels of the model's input: a square's side or `(height, width)`.
        mean, std: Of the three channels, on a scale of 0 to 1.
        resize: The evaluation's resize before the central crop: the shorter side's pixels, or
            `(height, width)` whatever the aspect. None: `size / 0.875`, the usual 256 for 224.
        resample: Pillow's filter.
    """

    size: int | tuple[int, int] = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    resize: int | tuple[int, int] | None = None
    resample: Image.Resampling = Image.Resampling.BICUBIC

    @classmethod
    def from_processor(cls, processor: Mapping[str, Any]) -> "ImageSettings":
        """From an image processor's configuration (`processor.to_dict()`): its evaluation is the pipeline's.

        Raises:
            ValueError: a `size` of another form than transformers' image classifiers use.
        """
        size = processor.get("size") or {"height": 224, "width": 224}
        size = {"shortest_edge": size} if isinstance(size, int) else size
        if "height" in size and "width" in size:
            resize = crop = (size["height"], size["width"])
        elif "shortest_edge" in size:
            resize = crop = size["shortest_edge"]
            if processor.get("crop_pct"):  # ConvNeXt and ResNet
                resize = int(crop / processor["crop_pct"]) if crop < CONVNEXT_UNCROPPED else (crop, crop)
        else:
            raise ValueError(
                f"The image processor's size is {size!r}; it must be of the form "
                "{'height': 224, 'width': 224} or {'shortest_edge': 224}."
            )
        if processor.get("do_center_crop") and processor.get("crop_size"):
            size = processor["crop_size"]
            crop = size if isinstance(size, int) else (size["height"], size["width"])
        return cls(
            size=crop,
            mean=tuple(processor.get("image_mean") or IMAGENET_MEAN),
            std=tuple(processor.get("image_std") or IMAGENET_STD),
            resize=resize,
            resample=Image.Resampling(processor.get("resample", Image.Resampling.BICUBIC)),
        )


class EvalTransform:
    """Resize and central crop: the same view of an image each time."""

    def __init__(self, settings: ImageSettings):
        self.settings = settings
        self.size = pair(settings.size)
        # One multiplication and one addition a value instead of x / 255, - mean, / std.
        std = torch.tensor(settings.std).view(3, 1, 1)
        self._scale = 1 / (255 * std)
        self._shift = -torch.tensor(settings.mean).view(3, 1, 1) / std

    def view(self, width: int, height: int, rng: np.random.Generator | None = None) -> View:
        """The view of an image of `width` x `height` pixels."""
        resize = self.settings.resize
        if resize is None:
            resize = round(max(self.size) / 0.875)
        return center_view(width, height, resize, self.size)

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator | None = None) -> tuple[Tensor, View]:
        """uint8 `[H, W, 3]` -> pixel_values `[3, h, w]` float32, normalised, and the view of the image."""
        height, width = pixels.shape[:2]
        view = self.view(width, height, rng)
        # Pillow, like the model's own image processor: the view's edges need not lie on whole pixels.
        crop = render(Image.fromarray(pixels), view, self.size, self.settings.resample)
        return self.normalize(to_tensor(crop)), view

    def normalize(self, crop: Tensor) -> Tensor:
        """uint8 `[3, h, w]` -> float32, (value / 255 - mean) / std."""
        values = crop.to(torch.float32, memory_format=torch.contiguous_format)
        return values.mul_(self._scale).add_(self._shift)


def to_tensor(crop: Image.Image) -> Tensor:
    """RGB crop -> uint8 `[3, h, w]`."""
    return torch.from_numpy(np.array(crop)).permute(2, 0, 1)


class TrainTransform(EvalTransform):
    """Random resized crop and flip, then the augmentations that do not move pixels.

    Args:
        settings: What the model expects.
        scale, ratio, flip: See `random_resized_view`; the defaults are the paper's.
        on_image: Augmentations of the crop as a PIL image, in order.
        on_tensor: Augmentations of the normalised tensor, in order.
    """

    def __init__(
        self,
        settings: ImageSettings,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        on_image: Sequence[ImageAugmentation] = (),
        on_tensor: Sequence[TensorAugmentation] = (),
    ):
        super().__init__(settings)
        self.scale, self.ratio, self.flip = scale, ratio, flip
        self.on_image, self.on_tensor = tuple(on_image), tuple(on_tensor)

    def view(self, width: int, height: int, rng: np.random.Generator | None = None) -> View:
        """A random view, drawn from `rng`."""
        return random_resized_view(width, height, rng, self.scale, self.ratio, self.flip)

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, View]:
        """uint8 `[H, W, 3]` -> pixel_values `[3, h, w]` float32, normalised, and the view that was drawn."""
        height, width = pixels.shape[:2]
        view = self.view(width, height, rng)
        mode = FAST_FILTERS.get(self.settings.resample)
        if mode is None:
            crop = to_tensor(render(Image.fromarray(pixels), view, self.size, self.settings.resample))
        else:
            crop = render_window(pixels, view, self.size, mode)
        if self.on_image:
            image = Image.fromarray(crop.permute(1, 2, 0).numpy())
            for augment in self.on_image:
                image = augment(image, rng)
            crop = to_tensor(image)
        values = self.normalize(crop)
        for augment in self.on_tensor:
            values = augment(values, rng)
        return values, view


@dataclass(frozen=True)
class ColorJitter:
    """Change brightness, contrast and saturation by factors 1 - strength to 1 + strength, in random order."""

    strength: float = 0.4

    def __call__(self, crop: Image.Image, rng: np.random.Generator) -> Image.Image:
        enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
        for i in rng.permutation(len(enhancers)):
            factor = rng.uniform(max(0, 1 - self.strength), 1 + self.strength)
            crop = enhancers[i](crop).enhance(factor)
        return crop


@dataclass(frozen=True)
class RandomErasing:
    """Blank out a random rectangle with the mean colour (Zhong et al., 2020), with probability `probability`.

    scale: bounds of its area, as a share of the crop's. ratio: bounds of its height / width.
    """

    probability: float = 0.25
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)

    def __call__(self, values: Tensor, rng: np.random.Generator) -> Tensor:
        if rng.random() >= self.probability:
            return values
        height, width = values.shape[-2:]
        area = height * width * rng.uniform(*self.scale)
        aspect = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
        h, w = min(height, round(math.sqrt(area * aspect))), min(width, round(math.sqrt(area / aspect)))
        top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
        values[..., top : top + h, left : left + w] = 0  # normalised values: 0 is the mean
        return values
