"""The images of a set as a model's input: read, decoded, transformed."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from luab_data.images.pillow import open_file
from luab_eval.benchmark import ImageSet, Item
from luab_vision.geometry import pair
from luab_vision.images import decode, read_file
from luab_vision.transforms import EvalTransform, ImageSettings


def read_image(item: Item, upright: bool = False) -> np.ndarray:
    """The image's pixels, uint8 `[H, W, 3]` RGB.

    `upright`: as in training, with EXIF orientation applied and transparent pixels white. Otherwise as the
    authors of the published benchmarks read it: in the stored orientation, converted by Pillow.

    Raises:
        ValueError: it is unreadable; the message names it.
    """
    try:
        value = item.image if isinstance(item.image, Path) else item.image()
        if upright:
            return decode(value)
        data = read_file(value) if isinstance(value, Path) else value.get("bytes")
        if data is None:
            raise ValueError("its row holds a path and not the file's bytes")
        with open_file(data) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        name = item.image if isinstance(item.image, Path) else item.id
        raise ValueError(
            f"image {name} cannot be read: {error}; get it anew from the benchmark's source"
        ) from error


class PixelValues(Dataset[Tensor]):
    """Image `i` of a set as model input: `[3, H, W]` float32."""

    def __init__(self, images: ImageSet, settings: ImageSettings):
        if images.whole:
            settings = replace(settings, resize=settings.size, cut=None)
        if images.stretched:
            settings = replace(settings, resize=pair(settings.size), cut=None)
        self.images = images
        self.transform = EvalTransform(settings)

    def __len__(self) -> int:
        return len(self.images.items)

    def __getitem__(self, index: int) -> Tensor:
        return self.values(self.pixels(index))

    def pixels(self, index: int) -> np.ndarray:
        """The decoded image, uint8 `[H, W, 3]`."""
        return read_image(self.images.items[index], self.images.upright)

    def values(self, pixels: np.ndarray) -> Tensor:
        """The model's input."""
        if border := self.images.border:
            pixels = pixels[border:-border, border:-border]
        values, _ = self.transform(pixels)
        return occlude(values, self.images.occlusion)


class HashedPixelValues(Dataset[tuple[Tensor, int]]):
    """The same, and a hash of the decoded image: a signed int of 64 bits."""

    def __init__(self, images: ImageSet, settings: ImageSettings):
        self.plain = PixelValues(images, settings)

    def __len__(self) -> int:
        return len(self.plain)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = self.plain.pixels(index)
        digest = hashlib.sha256(str(pixels.shape).encode())
        digest.update(np.ascontiguousarray(pixels).data)
        return self.plain.values(pixels), int.from_bytes(digest.digest()[:8], "little", signed=True)


def occlude(values: Tensor, side: float) -> Tensor:
    """`[3, H, W]` -> the same with a square of 0 (the mean color) in the center.

    `side`: side of the square, as a ratio of the crop's shorter side; rounded to whole pixels.
    """
    height, width = values.shape[1:]
    pixels = round(side * min(height, width))
    top, left = (height - pixels) // 2, (width - pixels) // 2
    values[:, top : top + pixels, left : left + pixels] = 0
    return values
