"""The crop of an image that the model sees, for pixels and points.

Conventions: a point is `(x, y)` in ratios of the image, x first, with the origin at the top left. The ratio x
is the pixel coordinate `x * width`, and pixel i covers the interval [i, i + 1). A click in the middle of the
leftmost of 4 pixels is x = 1/8, and x = 1 is the image's right edge. Crop ratios are the same for the crop
that the model sees.

Image and points use the same `View`, so they stay aligned: `render` and `render_window` read the pixels,
`to_view` maps the points.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

# Tolerance of the crop's border, in crop ratios. Ratios are stored as float32 and a crop's edges are
# quotients of pixels, so a click on the very edge may become 1 + 1e-7; a pixel is 1000 times as wide.
BORDER_TOLERANCE = 1e-6
# What to do about `other_orientation`, for messages.
MEASURE_UPRIGHT = "measure them on the upright image, or remove the orientation from the file"
MEASURE_STORED = "measure them on the image as stored, or remove the orientation from the file"
MAX_TRIES = 10  # draws of a crop that fits, as in torchvision


class View(NamedTuple):
    """The part of an image that the model sees: a window in image ratios, mirrored when `flipped`."""

    left: float
    top: float
    width: float
    height: float
    flipped: bool = False


WHOLE_IMAGE = View(0.0, 0.0, 1.0, 1.0)


def to_view(points: np.ndarray, view: View) -> np.ndarray:
    """Image ratios `[..., 2]` -> crop ratios `[..., 2]`, x mirrored when the view is flipped."""
    points = (np.asarray(points, np.float64) - (view.left, view.top)) / (view.width, view.height)
    if view.flipped:
        points[..., 0] = 1 - points[..., 0]
    return points


def from_view(points: np.ndarray, view: View) -> np.ndarray:
    """Crop ratios `[..., 2]` -> image ratios `[..., 2]`: the inverse of `to_view`."""
    points = np.array(points, np.float64)
    if view.flipped:
        points[..., 0] = 1 - points[..., 0]
    return points * (view.width, view.height) + (view.left, view.top)


def inside(points: np.ndarray) -> np.ndarray:
    """Which crop ratios `[..., 2]` are in the crop -> bool `[...]`.

    The border counts as inside on all four sides: released clicks may be on the image's edges 0 and 1. With
    only one side closed, the flip would decide whether a point on a vertical border is inside.
    """
    points = np.asarray(points)
    return np.all((points >= -BORDER_TOLERANCE) & (points <= 1 + BORDER_TOLERANCE), axis=-1)


def moved(points: np.ndarray, move: np.ndarray) -> np.ndarray:
    """Where an affine map takes points, crop ratios `[..., 2]` -> crop ratios `[..., 2]`.

    Args:
        points: x first.
        move: `[2, 3]`: a point p goes to `move[:, :2] @ p + move[:, 2]`.
    """
    return np.asarray(points, np.float64) @ move[:, :2].T + move[:, 2]


def move_of_pixels(matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    """An affine map `[2, 3]` of pixel coordinates in a crop -> the same map of crop ratios."""
    size = np.array((width, height), np.float64)
    return np.asarray(matrix, np.float64) * np.append(size, 1) / size[:, None]


def warp(
    image: Image.Image,
    move: np.ndarray,
    resample: Image.Resampling = Image.Resampling.BICUBIC,
    fill: float | tuple[int, ...] = 0,
) -> Image.Image:
    """The image after its pixels went where `moved` takes points; of the same size and mode.

    Args:
        image: A crop, or a map or mask of one in the same frame.
        move: See `moved`; must be invertible.
        resample: Pillow's filter: nearest, bilinear or bicubic.
        fill: The color of pixels that come from outside the image.
    """
    size = np.array((*image.size, 1), np.float64)
    back = np.linalg.inv(np.vstack((move, (0, 0, 1)))) * size[:, None] / size
    return image.transform(
        image.size, Image.Transform.AFFINE, tuple(back[:2].ravel()), resample, fillcolor=fill
    )


def random_resized_view(
    width: int,
    height: int,
    rng: np.random.Generator,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip: float = 0.5,
) -> View:
    """Draws a random resized crop, as torchvision's RandomResizedCrop.

    The crop's edges are on pixel borders. If 10 draws do not fit, it is the largest central crop within
    `ratio`.

    Args:
        width: Pixels of the image.
        height: Pixels of the image.
        rng: The random generator.
        scale: Bounds of the crop's area, as a share of the image's.
        ratio: Bounds of the crop's width / height in pixels; drawn uniformly in its logarithm.
        flip: Probability of mirroring left to right.
    """
    flipped = bool(rng.random() < flip)
    for _ in range(MAX_TRIES):
        area = width * height * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return View(left / width, top / height, w / width, h / height, flipped)
    w = min(width, max(1, round(height * ratio[1])))
    h = min(height, max(1, round(width / ratio[0])))
    return View((width - w) // 2 / width, (height - h) // 2 / height, w / width, h / height, flipped)


def render(
    image: Image.Image,
    view: View,
    size: int | tuple[int, int],
    resample: Image.Resampling = Image.Resampling.BICUBIC,
) -> Image.Image:
    """The crop as the model sees it, in the image's mode.

    Only the window is resampled. As in "resize, then crop", the filter reads image pixels beyond the window's
    border. Convert an image with a palette first.

    Args:
        image: The whole image.
        view: The part of it to show, in ratios.
        size: Pixels of the result: a square's side or `(height, width)`.
        resample: Pillow's filter.
    """
    height, width = pair(size)
    box = (
        max(0.0, view.left * image.width),
        max(0.0, view.top * image.height),
        min(image.width, (view.left + view.width) * image.width),
        min(image.height, (view.top + view.height) * image.height),
    )
    # With a gap of 3, Pillow first averages whole pixels if the crop shrinks more than threefold: faster, and
    # not visible.
    crop = image.resize((width, height), resample, box=box, reducing_gap=3.0)
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if view.flipped else crop


def render_window(pixels: np.ndarray, view: View, size: int | tuple[int, int], mode: str) -> Tensor:
    """`render` for a view with edges on whole pixels, as random views have.

    Torch resamples in a quarter of Pillow's time. As in "crop, then resize", the filter stops at the window's
    border. Bytes differ from Pillow's by 0.02 levels on average.

    Args:
        pixels: [H, W, 3] uint8, the whole image.
        view: The part of it to show, in ratios.
        size: Pixels of the result: a square's side or `(height, width)`.
        mode: "bilinear" or "bicubic".

    Returns:
        [h, w, 3] uint8.
    """
    height, width = pixels.shape[:2]
    left, top = round(view.left * width), round(view.top * height)
    right, bottom = round((view.left + view.width) * width), round((view.top + view.height) * height)
    # Add the batch axis first. After `permute`, torch would treat the window as planes of one channel each,
    # copy it to such planes, and take 1.5 times as long.
    window = torch.from_numpy(pixels[top:bottom, left:right])[None].permute(0, 3, 1, 2)
    crop = interpolate(window, size=pair(size), mode=mode, antialias=True)
    return (crop.flip(-1) if view.flipped else crop)[0].permute(1, 2, 0)


def other_orientation(stated: ArrayLike, size: ArrayLike) -> np.ndarray:
    """Whether places were measured on a portrait and the image is a landscape, or the reverse.

    So it is where the EXIF orientation turns a photo, and somebody measured on its stored pixels. Ratios of
    such places would be of other parts of the image. A square has both orientations.

    Args:
        stated: [..., 2] width and height that the places refer to.
        size: [..., 2] width and height of the image as it is read.

    Returns:
        bool [...].
    """
    stated, size = np.asarray(stated, np.float64), np.asarray(size, np.float64)
    return (stated[..., 0] - stated[..., 1]) * (size[..., 0] - size[..., 1]) < 0


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """A square's side or `(height, width)` -> `(height, width)`."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])
