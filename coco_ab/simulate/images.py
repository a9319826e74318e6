"""Generated images of several objects; each form stands for one of COCO's classes."""

import numpy as np
from PIL import Image

from luab_data.simulate.drawing import FORMS, TEXTURES, Box, box_of, draw_mask, paint, textured, to_image

# Form -> the COCO class that it stands for.
CLASS_OF = {
    "circle": "sports ball",
    "square": "tv",
    "triangle": "pizza",
    "cross": "airplane",
    "star": "kite",
    "ring": "donut",
    "crescent": "banana",
    "arrow": "fork",
}
MAX_OBJECTS = 4
OBJECT_SIDE = (0.35, 0.55)  # of the image's shorter side: the square frame in which an object is drawn
OBJECT_AREA = (0.5, 0.7)  # of that frame
TRIES = 50  # to find an object a place where it hides no other


def draw(width: int, height: int, rng: np.random.Generator) -> tuple[Image.Image, list[tuple[str, Box, int]]]:
    """One RGB image and its objects: the COCO class, the box, and how many pixels the object covers.

    An image has 1 to `MAX_OBJECTS` objects, often two of one class; their boxes do not overlap.
    """
    pixels = textured(int(rng.integers(len(TEXTURES))), rng.uniform(), max(width, height), rng)
    pixels = pixels[:height, :width]
    taken = np.zeros((height, width), bool)
    objects = []
    for _ in range(int(rng.integers(1, MAX_OBJECTS + 1))):
        form = str(rng.choice(list(FORMS)))
        for _ in range(TRIES):
            mask = _placed(form, width, height, rng)
            box = box_of(mask)
            frame = np.s_[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1]
            if not taken[frame].any():
                taken[frame] = True
                pixels = paint(pixels, mask, rng)
                objects.append((CLASS_OF[form], box, int((mask > 0.5).sum())))
                break
    return to_image(pixels), objects


def _placed(form: str, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """An object's coverage of each pixel, 0..1 [height, width]."""
    side = int(min(width, height) * rng.uniform(*OBJECT_SIDE))
    left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    mask = np.zeros((height, width), np.float32)
    mask[top : top + side, left : left + side] = draw_mask(form, side, OBJECT_AREA, rng)
    return mask
