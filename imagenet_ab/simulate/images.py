"""Generated images whose class is an object's shape, on backgrounds that are an easier, misleading cue.

There are as many backgrounds (a texture and a range of hues each) as forms. Background i goes with form i in
most training images; a classifier that reads the background is right there, and wrong where the backgrounds
are swapped. The object's color, size, place and tilt say nothing about its class.
"""

import numpy as np
from PIL import Image

from luab_data.simulate.drawing import FORMS, Box, box_of, draw_mask, paint, textured, to_image

CLASSES = tuple(sorted(FORMS))


AREA = (0.12, 0.22)  # share of the image that an object's box covers, least and most


def mask(
    label: int, size: int, object_rng: np.random.Generator, area: tuple[float, float] = AREA
) -> np.ndarray:
    """How much the object covers of each pixel, 0 to 1, [size, size]: of the image that `draw` draws."""
    return draw_mask(CLASSES[label], size, area, object_rng)


def draw(
    label: int,
    background: int,
    size: int,
    object_rng: np.random.Generator,
    background_rng: np.random.Generator,
    area: tuple[float, float] = AREA,
) -> tuple[Image.Image, Box]:
    """One RGB image of `size` x `size` pixels and the object's box.

    `label` and `background` are indices of CLASSES; `area` is the range of the box's share of the image (a
    crescent's is less by what is cut out of it). Two calls with equal `object_rng` differ in the background
    only.
    """
    shape = mask(label, size, object_rng, area)
    hue = (background + background_rng.uniform(-1, 1)) / len(CLASSES)
    scene = textured(background, hue, size, background_rng)
    return to_image(paint(scene, shape, object_rng)), box_of(shape)
