"""Operations of augmentation policies on a crop, which say where they take its points.

Their names and magnitudes are those of timm's `timm/data/auto_augment.py`, here with Pillow alone: timm needs
torchvision, which does not import beside every torch.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from luab_vision.geometry import move_of_pixels, warp

TOP = 10.0  # the largest magnitude, timm's `_LEVEL_DENOM`
MIDDLE = 128  # the threshold of solarize, of 0 to 255
MOVING_FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)  # that a move can take


class Step(NamedTuple):
    """One operation on a crop.

    Attributes:
        name: The operation's name.
        pixels: Changes the crop; the result has the same size.
        move: `[2, 3]` float64, where it takes points in crop ratios, as `luab_vision.geometry.moved`. None:
            they stay.
    """

    name: str
    pixels: Callable[[Image.Image], Image.Image]
    move: np.ndarray | None = None


def _enhance(kind: Any, crop: Image.Image, factor: float) -> Image.Image:
    return kind(crop).enhance(factor)


def _solarize(crop: Image.Image, threshold: float) -> Image.Image:
    return ImageOps.solarize(crop, int(threshold))


def _solarize_add(crop: Image.Image, add: float) -> Image.Image:
    return crop.point([min(255, i + int(add)) if i < MIDDLE else i for i in range(256)] * 3)


# Operations on colors: the value of a level of 0 to 1 and a sign, and what is done with the value.
_COLORS: dict[str, tuple[Callable[[float, int], float], Callable[[Image.Image, float], Image.Image]]] = {
    "AutoContrast": (lambda level, sign: 0, lambda crop, _: ImageOps.autocontrast(crop)),
    "Equalize": (lambda level, sign: 0, lambda crop, _: ImageOps.equalize(crop)),
    "Invert": (lambda level, sign: 0, lambda crop, _: ImageOps.invert(crop)),
    "PosterizeIncreasing": (  # bits that are kept: at least one, also at the level 10
        lambda level, sign: max(1, 4 - int(level * 4)),
        lambda crop, bits: ImageOps.posterize(crop, int(bits)),
    ),
    "Solarize": (lambda level, sign: int(level * 256), _solarize),
    "SolarizeIncreasing": (lambda level, sign: 256 - int(level * 256), _solarize),
    "SolarizeAdd": (lambda level, sign: min(MIDDLE, int(level * 110)), _solarize_add),
    "Color": (lambda level, sign: level * 1.8 + 0.1, partial(_enhance, ImageEnhance.Color)),
    **{
        f"{name}Increasing": (
            lambda level, sign: max(0.1, 1 + sign * level * 0.9),
            partial(_enhance, getattr(ImageEnhance, name)),
        )
        for name in ("Color", "Contrast", "Brightness", "Sharpness")
    },
}


def _rotation(degrees: float, height: int, width: int) -> np.ndarray:
    """Around the crop's center, counterclockwise, in pixels."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = width / 2, height / 2
    return np.array(((cos, sin, x - cos * x - sin * y), (-sin, cos, y + sin * x - cos * y)))


# Operations that move pixels: the map of pixel coordinates for a signed level, height and width.
_MOVES: dict[str, Callable[[float, int, int], np.ndarray]] = {
    "ShearX": lambda level, height, width: np.array(((1, -0.3 * level, 0), (0, 1, 0))),
    "ShearY": lambda level, height, width: np.array(((1, 0, 0), (-0.3 * level, 1, 0))),
    "TranslateXRel": lambda level, height, width: np.array(((1, 0, -0.45 * level * width), (0, 1, 0))),
    "TranslateYRel": lambda level, height, width: np.array(((1, 0, 0), (0, 1, -0.45 * level * height))),
    "Rotate": lambda level, height, width: _rotation(30 * level, height, width),
}


@dataclass(frozen=True)
class Canvas:
    """How moved crops are drawn.

    Args:
        fill: Red, green and blue, 0 to 1, of what comes from outside the crop; usually the model's neutral
            color.
        resample: Pillow's filter: bilinear or bicubic.
    """

    fill: tuple[float, float, float] = (0.5, 0.5, 0.5)
    resample: Image.Resampling = Image.Resampling.BICUBIC


PLAIN = Canvas()


def operation(name: str, level: float, sign: int, height: int, width: int, canvas: Canvas) -> Step:
    """An operation of timm's name.

    Args:
        name: One of timm's, such as "ShearX".
        level: Its magnitude, 0 to `TOP`.
        sign: 1 or -1: its direction, where it has two.
        height: Pixels of the crop.
        width: Pixels of the crop.
        canvas: For operations that move pixels.
    """
    level /= TOP
    if name in _COLORS:
        value, change = _COLORS[name]
        return Step(name, partial(_with, change, value(level, sign)))
    move = move_of_pixels(_MOVES[name](sign * level, height, width), height, width)
    fill = tuple(min(255, round(255 * part)) for part in canvas.fill)
    return Step(name, partial(warp, move=move, resample=canvas.resample, fill=fill), move)


def _with(
    change: Callable[[Image.Image, float], Image.Image], value: float, crop: Image.Image
) -> Image.Image:
    return change(crop, value)
