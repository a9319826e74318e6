"""The evaluation's view of an image, in whole pixels: crop, resize, crop.

These are the steps of transformers' image processors, in their order and with their rounding, so that a model
sees here what it sees in transformers' own pipeline, byte for byte.
"""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

from luab_vision.geometry import View, pair

# An image of 1 x 60,000 pixels, with its shorter side resized to 256, has 4 billion pixels. If the resized
# image is this many times larger than the crop, only the crop is computed, exact to one level of 255.
MUCH_LARGER = 64

Box = tuple[int, int, int, int]  # left, top, right, bottom


class Framing(NamedTuple):
    """How an image of `image` pixels becomes the model's input.

    Attributes:
        image: The image's width and height.
        source: The part of the image that is resized.
        resized: Width and height that `source` is resized to.
        crop: The crop of the resized image; pixels outside the image are black, as image processors pad.
    """

    image: tuple[int, int]
    source: Box
    resized: tuple[int, int]
    crop: Box

    @property
    def view(self) -> View:
        """The same as a window in image ratios, to transform points."""
        across = (self.source[2] - self.source[0]) / self.resized[0]  # image pixels per resized pixel
        down = (self.source[3] - self.source[1]) / self.resized[1]
        width, height = self.image
        left, top, right, bottom = self.crop
        return View(
            (self.source[0] + left * across) / width,
            (self.source[1] + top * down) / height,
            (right - left) * across / width,
            (bottom - top) * down / height,
        )

    def render(self, image: Image.Image, resample: Image.Resampling) -> Image.Image:
        """The model's input, in the image's mode."""
        if self.source != (0, 0, *image.size):
            image = image.crop(self.source)
        left, top, right, bottom = self.crop
        width, height = self.resized
        if width * height > MUCH_LARGER * (right - left) * (bottom - top):
            return self._only_the_crop(image, resample)
        return image.resize(self.resized, resample).crop(self.crop)

    def _only_the_crop(self, image: Image.Image, resample: Image.Resampling) -> Image.Image:
        left, top, right, bottom = self.crop
        width, height = self.resized
        inner = (max(0, left), max(0, top), min(width, right), min(height, bottom))
        across, down = image.width / width, image.height / height
        box = (inner[0] * across, inner[1] * down, inner[2] * across, inner[3] * down)
        part = image.resize((inner[2] - inner[0], inner[3] - inner[1]), resample, box=box)
        return part.crop((left - inner[0], top - inner[1], right - inner[0], bottom - inner[1]))


def framing(
    width: int,
    height: int,
    resize: int | tuple[int, int],
    crop: int | tuple[int, int],
    cut: tuple[float, float] | None = None,
    nearest: bool = False,
) -> Framing:
    """The framing of an image of `width` x `height` pixels: resize, then crop the center.

    Args:
        width: Pixels of the image.
        height: Pixels of the image.
        resize: Pixels of the resized image's shorter side, or its `(height, width)` whatever the aspect.
        crop: Pixels of the model's input: a square's side or `(height, width)`.
        cut: Height and width of a first central crop, as ratios of the image's shorter side.
        nearest: Whether half of an odd margin is rounded to an even number, as by torchvision, not down.
    """
    shorter = min(width, height)
    source = (0, 0, width, height)
    if cut is not None:
        # A very narrow image would have no pixel left; keep one.
        source = _center(width, height, max(1, int(cut[1] * shorter)), max(1, int(cut[0] * shorter)))
        shorter = min(source[2] - source[0], source[3] - source[1])
    if isinstance(resize, int):
        resized = resize * (source[2] - source[0]) // shorter, resize * (source[3] - source[1]) // shorter
    else:
        resized = (resize[1], resize[0])
    crop_height, crop_width = pair(crop)
    return Framing((width, height), source, resized, _center(*resized, crop_width, crop_height, nearest))


def _center(width: int, height: int, inner_width: int, inner_height: int, nearest: bool = False) -> Box:
    """The central box in `width` x `height` pixels, rounded down, also below 0, or as `framing` says."""
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    if nearest:
        left, top = round((width - inner_width) / 2), round((height - inner_height) / 2)
    return left, top, left + inner_width, top + inner_height
