"""Policies of augmentation whose operations may move pixels: RandAugment, AutoAugment, 3-Augment.

A policy draws steps for one crop. A step changes the pixels and, if it moves them, says where points go:

    crop --(step.pixels)--> crop        points --(step.move)--> points

A policy is any callable `(height, width, rng) -> steps`, so your own takes the place of these:

    def upside_down(height: int, width: int, rng: np.random.Generator) -> list[Step]:
        return [Step("turn", ImageOps.flip, np.array([[1.0, 0, 0], [0, -1.0, 1.0]]))]

    TrainTransform(settings, policy=upside_down)
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ImageFilter, ImageOps

from luab_vision.operations import MIDDLE, PLAIN, TOP, Canvas, Step, operation

Policy = Callable[[int, int, np.random.Generator], Sequence[Step]]  # of a crop's height and width

RANDOM = (
    "AutoContrast", "Equalize", "Invert", "Rotate", "PosterizeIncreasing", "SolarizeIncreasing",
    "SolarizeAdd", "ColorIncreasing", "ContrastIncreasing", "BrightnessIncreasing", "SharpnessIncreasing",
    "ShearX", "ShearY", "TranslateXRel", "TranslateYRel",
)  # fmt: skip


def _drawn(name: str, level: float, size: tuple[int, int], canvas: Canvas, rng: np.random.Generator) -> Step:
    return operation(name, level, 1 if rng.random() < 0.5 else -1, *size, canvas)


@dataclass(frozen=True)
class RandAugment:
    """`layers` random operations in a row, each with a probability (Cubuk et al., 2020; here as timm's).

    All of them grow with the magnitude, as timm's `inc1`.

    Args:
        magnitude: 0 to 10.
        layers: Number of operations.
        probability: Of each operation. The paper's is 1; timm's, which DeiT and others use, 0.5.
        spread: Standard deviation of the magnitude, timm's `mstd`.
        canvas: For operations that move pixels.
    """

    magnitude: float = 9.0
    layers: int = 2
    probability: float = 0.5
    spread: float = 0.5
    canvas: Canvas = PLAIN

    def __post_init__(self) -> None:
        for name, most in (("magnitude", TOP), ("probability", 1), ("spread", TOP)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name}={getattr(self, name)}: a number of 0 to {most:g}.")
        if self.layers < 1:
            raise ValueError(f"layers={self.layers}: a number of operations, 1 or more.")

    def __call__(self, height: int, width: int, rng: np.random.Generator) -> list[Step]:
        """Draws the steps for a crop."""
        steps = []
        for number in rng.integers(len(RANDOM), size=self.layers):
            if rng.random() >= self.probability:
                continue
            level = float(np.clip(rng.normal(self.magnitude, self.spread), 0, TOP))
            steps.append(_drawn(RANDOM[number], level, (height, width), self.canvas, rng))
        return steps

    def __str__(self) -> str:
        chance = f"p{self.probability:g}-mstd{self.spread:g}"
        return f"RandAugment m{self.magnitude:g}-n{self.layers}-{chance}"


# Name, probability and magnitude of the two operations of each of ImageNet's 25 policies "v0".
IMAGENET_V0 = (
    (("Equalize", 0.8, 1), ("ShearY", 0.8, 4)),
    (("Color", 0.4, 9), ("Equalize", 0.6, 3)),
    (("Color", 0.4, 1), ("Rotate", 0.6, 8)),
    (("Solarize", 0.8, 3), ("Equalize", 0.4, 7)),
    (("Solarize", 0.4, 2), ("Solarize", 0.6, 2)),
    (("Color", 0.2, 0), ("Equalize", 0.8, 8)),
    (("Equalize", 0.4, 8), ("SolarizeAdd", 0.8, 3)),
    (("ShearX", 0.2, 9), ("Rotate", 0.6, 8)),
    (("Color", 0.6, 1), ("Equalize", 1.0, 2)),
    (("Invert", 0.4, 9), ("Rotate", 0.6, 0)),
    (("Equalize", 1.0, 9), ("ShearY", 0.6, 3)),
    (("Color", 0.4, 7), ("Equalize", 0.6, 0)),
    (("PosterizeIncreasing", 0.4, 6), ("AutoContrast", 0.4, 7)),
    (("Solarize", 0.6, 8), ("Color", 0.6, 9)),
    (("Solarize", 0.2, 4), ("Rotate", 0.8, 9)),
    (("Rotate", 1.0, 7), ("TranslateYRel", 0.8, 9)),
    (("ShearX", 0.0, 0), ("Solarize", 0.8, 4)),
    (("ShearY", 0.8, 0), ("Color", 0.6, 4)),
    (("Color", 1.0, 0), ("Rotate", 0.6, 2)),
    (("Equalize", 0.8, 4), ("Equalize", 0.0, 8)),
    (("Equalize", 1.0, 4), ("AutoContrast", 0.6, 2)),
    (("ShearY", 0.4, 7), ("SolarizeAdd", 0.6, 7)),
    (("PosterizeIncreasing", 0.8, 2), ("Solarize", 0.6, 10)),
    (("Solarize", 0.6, 8), ("Equalize", 0.6, 1)),
    (("Color", 0.8, 6), ("Rotate", 0.4, 5)),
)


@dataclass(frozen=True)
class AutoAugment:
    """One of the pairs of operations that were found for ImageNet (Cubuk et al., 2019).

    The policy is "v0" of Google's EfficientNet, with timm's correction `v0r`: Posterize removes more bits for
    a larger magnitude. In v0 itself it keeps none for a small one, which makes a crop in thirty black.
    """

    canvas: Canvas = PLAIN

    def __call__(self, height: int, width: int, rng: np.random.Generator) -> list[Step]:
        """Draws the steps for a crop."""
        pair = IMAGENET_V0[rng.integers(len(IMAGENET_V0))]
        return [
            _drawn(name, level, (height, width), self.canvas, rng)
            for name, probability, level in pair
            if rng.random() < probability
        ]

    def __str__(self) -> str:
        return "AutoAugment (ImageNet, v0r)"


@dataclass(frozen=True)
class ThreeAugment:
    """Grayscale, solarize or a Gaussian blur, one of the three (DeiT III, Touvron et al., 2022).

    No pixel moves. DeiT III has a color jitter of 0.3 after it.
    """

    def __call__(self, height: int, width: int, rng: np.random.Generator) -> list[Step]:
        """Draws the step for a crop."""
        radius = rng.uniform(0.1, 2)
        return [
            (
                Step("Grayscale", lambda crop: crop.convert("L").convert("RGB")),
                Step("Solarize", lambda crop: ImageOps.solarize(crop, MIDDLE)),
                Step("GaussianBlur", lambda crop: crop.filter(ImageFilter.GaussianBlur(radius))),
            )[rng.integers(3)]
        ]

    def __str__(self) -> str:
        return "3-Augment"


POLICIES = ("none", "randaugment", "autoaugment", "3augment")
_SECTIONS = {"m": "magnitude", "n": "layers", "p": "probability", "mstd": "spread"}


def named_policy(text: str, canvas: Canvas = PLAIN) -> Policy | None:
    """A policy by its name.

    Args:
        text: "none", "randaugment" (rand-m9-mstd0.5-inc1, as DeiT), "autoaugment", "3augment", or timm's
            spelling of a RandAugment, such as "rand-m7-n2-p0.5-mstd0.5-inc1". Without n it has 2 operations,
            without p each has 0.5, and without mstd the magnitude is fixed: timm's defaults.
        canvas: For operations that move pixels.

    Raises:
        ValueError: an unknown name or section.
    """
    if text == "none":
        return None
    if text == "autoaugment":
        return AutoAugment(canvas)
    if text == "3augment":
        return ThreeAugment()
    if text == "randaugment":
        return RandAugment(canvas=canvas)
    name, *sections = text.split("-")
    if name != "rand" or not sections:
        raise ValueError(
            f"{text!r} is unknown; take one of {', '.join(POLICIES)}, or such as rand-m9-mstd0.5-inc1"
        )
    values: dict[str, Any] = {"spread": 0.0}
    given: set[str] = set()
    for section in sections:
        match = re.fullmatch(r"([a-z]+)(\d+(?:\.\d+)?)", section)
        key = match[1] if match else section
        if match is None or (key not in _SECTIONS and section != "inc1"):
            raise ValueError(
                f"{text!r}: the section {section!r} is unknown; RandAugment here has m (magnitude), n "
                "(operations), p (probability), mstd (standard deviation of the magnitude) and inc1"
            )
        if key in given:
            raise ValueError(f"{text!r}: {key} is given twice; give it once")
        given.add(key)
        if key in _SECTIONS:
            values[_SECTIONS[key]] = int(match[2]) if key == "n" and match[2].isdigit() else float(match[2])
    if "magnitude" not in values or isinstance(values.get("layers"), float):
        raise ValueError(f"{text!r}: give the magnitude, m0 to m10, and n as a whole number")
    try:
        return RandAugment(**values, canvas=canvas)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from error
