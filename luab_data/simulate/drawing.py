"""Drawing for the simulated releases: shapes as masks, textured backgrounds, colors from hue and light."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

SUPERSAMPLING = 4  # the object's mask is drawn this much larger, for smooth edges
TILT = 0.2  # radians to either side: with any rotation, a tiny network would need far more images


@dataclass(frozen=True)
class Box:
    """Pixels of the image; both corners belong to the box."""

    x0: int
    y0: int
    x1: int
    y1: int


def _regular(
    corners: int, radius: float = 1.0, inner: float | None = None, center: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """A regular polygon [corners, 2], or a star when every second corner has the radius `inner`."""
    angles = 2 * np.pi * np.arange(corners) / corners - np.pi / 2  # the first corner is on top
    radii = np.full(corners, radius)
    if inner is not None:
        radii[1::2] = inner
    return np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None] + center


_SQUARE = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)], float)
_CROSS = np.array([(1, 3), (1, 1), (3, 1), (3, -1), (1, -1), (1, -3)], float)
_ARROW = np.array([(3, 0), (0, 3), (0, 1), (-3, 1), (-3, -1), (0, -1), (0, -3)], float)

# Each form: the polygon to fill, and the polygon to cut out of it, in units of its own.
FORMS: dict[str, tuple[np.ndarray, np.ndarray | None]] = {
    "circle": (_regular(60), None),
    "square": (_SQUARE, None),
    "triangle": (_regular(3), None),
    "cross": (np.concatenate([_CROSS, -_CROSS]), None),
    "star": (_regular(10, inner=0.4), None),
    "ring": (_regular(60), _regular(60, radius=0.55)),
    "crescent": (_regular(60), _regular(60, radius=0.85, center=(0.5, 0.0))),
    "arrow": (_ARROW, None),
}


def draw_mask(form: str, size: int, area: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """The object's coverage of each pixel, 0..1 [size, size]; tilt, scale and position are random."""
    angle = rng.uniform(-TILT, TILT)
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    filled, cut = FORMS[form]
    filled, cut = filled @ turn, None if cut is None else cut @ turn
    low, high = filled.min(0), filled.max(0)
    scale = np.sqrt(rng.uniform(*area) / np.prod(high - low))  # to ratios of the image
    corner = rng.uniform(0, 1 - scale * (high - low))
    large = size * SUPERSAMPLING
    canvas = Image.new("L", (large, large))
    pencil = ImageDraw.Draw(canvas)
    for polygon, value in ((filled, 255), (cut, 0)):
        if polygon is not None:
            pencil.polygon([tuple(each) for each in ((polygon - low) * scale + corner) * large], fill=value)
    return np.asarray(canvas.reduce(SUPERSAMPLING), np.float32) / 255


def paint(pixels: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """RGB 0..1 [height, width, 3] with a pale object of any hue where `mask` 0..1 [height, width] is.

    The object's hue is independent of the background's; the object is always lighter.
    """
    light, grain = rng.uniform(0.8, 1.0), rng.uniform(-0.05, 0.05, mask.shape)
    color = np.full(mask.shape, rng.uniform())
    body = hsv(color, rng.uniform(0.0, 0.35), light + grain)
    return mask[..., None] * body + (1 - mask[..., None]) * pixels


def to_image(pixels: np.ndarray) -> Image.Image:
    """RGB 0..1 [height, width, 3] as an image."""
    return Image.fromarray((pixels * 255).round().astype(np.uint8))


def box_of(mask: np.ndarray) -> Box:
    """The pixels that the mask covers by more than half."""
    rows, columns = (np.flatnonzero((mask > 0.5).any(axis)) for axis in (1, 0))
    return Box(*(int(each) for each in (columns[0], rows[0], columns[-1], rows[-1])))


def textured(index: int, hue: float, size: int, rng: np.random.Generator) -> np.ndarray:
    """RGB 0..1 [size, size, 3]: two dark shades of the hue mixed by the texture, plus noise.

    The shades' contrast is drawn too, from none to strong: some backgrounds hardly show their texture.
    """
    angle, shift = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1, 2)
    rows, columns = np.mgrid[:size, :size] / size
    u = np.cos(angle) * columns + np.sin(angle) * rows + shift[0]
    v = np.cos(angle) * rows - np.sin(angle) * columns + shift[1]
    pattern = TEXTURES[index](u, v, rng.uniform(3, 6), rng)
    contrast = rng.uniform(0.0, 0.3)
    value = rng.uniform(0.2, 0.45) + contrast * (pattern - 0.5) + rng.normal(0, 0.04, (size, size))
    return hsv(np.full((size, size), hue), rng.uniform(0.2, 0.5), value)


def _blobs(u: np.ndarray, v: np.ndarray, frequency: float, rng: np.random.Generator) -> np.ndarray:
    coarse = Image.fromarray(rng.uniform(0, 1, (7, 7)).astype(np.float32))
    return np.asarray(coarse.resize(u.shape, Image.Resampling.BICUBIC)).clip(0, 1)


def _grain(u: np.ndarray, v: np.ndarray, frequency: float, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0, 1, u.shape)


def _wave(u: np.ndarray, frequency: float) -> np.ndarray:
    return 0.5 + 0.5 * np.sin(2 * np.pi * frequency * u)


# (u, v, frequency, rng) -> 0..1; u and v are the image's axes, shifted and turned, in ratios of the image.
TEXTURES: tuple[Callable[..., np.ndarray], ...] = (
    lambda u, v, f, rng: _wave(u, f),  # soft stripes
    lambda u, v, f, rng: (_wave(u, f) > 0.5) ^ (_wave(v, f) > 0.5),  # checks
    lambda u, v, f, rng: _wave(u, f) * _wave(v, f) > 0.4,  # dots
    lambda u, v, f, rng: _wave(u + 0.1 * np.sin(4 * np.pi * v), f),  # waves
    lambda u, v, f, rng: _wave(np.hypot(u - 0.5, v - 0.5), f),  # ripples
    lambda u, v, f, rng: (u - u.min()) / np.ptp(u),  # a gradient
    _blobs,
    _grain,
)


def hsv(hue: np.ndarray, saturation: float, value: np.ndarray) -> np.ndarray:
    """Hue (any real number, 1 is the full circle), saturation and value 0..1 -> RGB 0..1 [..., 3]."""
    k = (np.array([5.0, 3.0, 1.0]) + 6 * hue[..., None]) % 6
    return value.clip(0, 1)[..., None] * (1 - saturation * np.minimum(k, 4 - k).clip(0, 1))
