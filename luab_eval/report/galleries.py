"""Galleries of the report: images that each model classifies rightly or wrongly, with its attention map.

    right [M, N] --(choose)--> groups of images --(exhibit)--> embedded pictures, up to MAX_BYTES in all

This module runs no model; `looks` does.
"""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

# The longer side of an embedded picture, in pixels; a WebP of it takes 3 to 8 kB.
SIDE = 192
# All embedded pictures of a page together, in base64 characters: no picture is added beyond.
MAX_BYTES = 8_000_000
BOX_COLOR = (255, 214, 10)
PEAK_COLOR = (255, 64, 129)
# Attention that is this many times the even share is shown at full light, if nothing is higher: an even map
# is a quarter lit everywhere, and does not look like the image.
FULL_LIGHT = 4.0
NOT_FINITE = "attention that is not finite"


@dataclass(frozen=True)
class Look:
    """One model's result on an image. `image` (a data URI): its input with its attention, or "".

    `confidence`: None where it was not kept. `verdict`: `right` in words. `peak`: how many times the even
    share the attention's maximum is; None without attention.
    """

    model: str
    predicted: str
    confidence: float | None
    right: bool
    image: str
    verdict: str
    peak: float | None = None


@dataclass(frozen=True)
class Exhibit:
    """One image: its file and true class, the picture (a data URI, `size` is width and height), the looks.

    `people`: the picture with people's attention, or "".
    """

    file: str
    true: str
    image: str
    size: tuple[int, int]
    looks: tuple[Look, ...]
    people: str = ""

    @property
    def bytes(self) -> int:
        """The size of its pictures, in bytes."""
        return len(self.image) + len(self.people) + sum(len(look.image) for look in self.looks)


@dataclass(frozen=True)
class Gallery:
    """Some of the `total` images of a kind; `title` names the kind, which is of these `models`."""

    title: str
    total: int
    exhibits: tuple[Exhibit, ...]
    models: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """Images of a kind: positions `chosen` of the `total` there are."""

    title: str
    chosen: np.ndarray
    total: int


def choose(
    right: np.ndarray,
    models: Sequence[str],
    each: int = 4,
    seed: int = 0,
    among: np.ndarray | None = None,
    words: tuple[str, str] = ("right", "wrong"),
    images: np.ndarray | None = None,
) -> list[Choice]:
    """Up to `each` images of every kind, drawn at random.

    For one or two models the kinds are all combinations of right and wrong. For more models they are: the
    models differ, all are right, all are wrong.

    Args:
        right: [M, N] bool.
        models: [M] their names.
        each: The most images of a kind.
        seed: Of the draw.
        among: [N] bool, the images that may be drawn; default: all.
        words: For right and for wrong, in the titles.
        images: [N] the same for rows of one image, which is drawn and counted once. Default: all differ.
    """
    rng = np.random.default_rng(seed)
    choices = []
    for title, kind in _kinds(np.asarray(right, dtype=bool), models, *words):
        found = np.flatnonzero(kind if among is None else kind & among)
        if images is not None:
            found = found[np.sort(np.unique(images[found], return_index=True)[1])]
        if len(found):
            drawn = rng.choice(found, size=min(each, len(found)), replace=False)
            choices.append(Choice(title, np.sort(drawn), len(found)))
    return choices


def within_budget(exhibits: Iterable[Exhibit], budget: int = MAX_BYTES) -> tuple[tuple[Exhibit, ...], int]:
    """The first exhibits that fit into `budget`, and the remaining budget."""
    kept = []
    for exhibit in exhibits:
        if exhibit.bytes > budget:
            break
        kept.append(exhibit)
        budget -= exhibit.bytes
    return tuple(kept), budget


def overlay(image: Image.Image, attention: np.ndarray) -> Image.Image:
    """`image` with brightness by `attention` [h, w], not negative; a cross marks the maximum.

    Brightness, not color, keeps the object recognizable and needs no color map. Full brightness is the
    image's maximum, or `FULL_LIGHT` times the even share if that is larger. So weak and even attention looks
    weak and even. A map with values that are not finite is not drawn, and the picture says so.
    """
    if not np.isfinite(attention).all():
        return _said(_dimmed(image), NOT_FINITE)
    full = max(float(attention.max()), FULL_LIGHT * float(attention.mean()))
    lit = lit_by(image, attention / full if full > 0 else np.zeros_like(attention))
    return with_cross(lit, *highest(attention)) if full > 0 else lit


def lit_by(image: Image.Image, light: np.ndarray) -> Image.Image:
    """`image`, unchanged where `light` [h, w] is 1, dark and gray where it is 0."""
    mask = Image.fromarray(np.uint8(255 * light), mode="L").resize(image.size, Image.Resampling.BICUBIC)
    return Image.composite(image, _dimmed(image), mask)


def highest(attention: np.ndarray) -> tuple[float, float]:
    """The maximum of a map [h, w]: x and y of its cell's center, ratios of the map."""
    row, column = np.unravel_index(int(attention.argmax()), attention.shape)
    return (column + 0.5) / attention.shape[1], (row + 0.5) / attention.shape[0]


def peak(attention: np.ndarray) -> float | None:
    """The maximum of a map [h, w] as a multiple of the even share; 1 for an even map.

    None: the map has values that are not finite.
    """
    if not np.isfinite(attention).all():
        return None
    mean = float(attention.mean())
    return float(attention.max()) / mean if mean > 0 else 1.0


def _said(image: Image.Image, text: str) -> Image.Image:
    """`image` with a line of text at its top."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, image.width, 16), fill=(0, 0, 0))
    draw.text((3, 2), text, fill=(255, 255, 255))
    return image


def with_cross(
    image: Image.Image, x: float, y: float, color: tuple[int, int, int] = PEAK_COLOR
) -> Image.Image:
    """`image` with a cross at x, y, ratios of the image."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    across, down = x * image.width, y * image.height
    arm = max(3, min(image.size) // 20)
    for width, ink in ((3, (0, 0, 0)), (1, color)):
        draw.line((across - arm, down, across + arm, down), fill=ink, width=width)
        draw.line((across, down - arm, across, down + arm), fill=ink, width=width)
    return image


def with_boxes(image: Image.Image, boxes: Sequence[Sequence[float]], width: int, height: int) -> Image.Image:
    """`image` with its `boxes` [[x, y, w, h]], pixels of `width` x `height`, outlined."""
    image, across, down = image.copy(), image.width / width, image.height / height
    draw = ImageDraw.Draw(image)
    for x, y, w, h in boxes:
        left, top = round(x * across), round(y * down)
        right, bottom = round((x + w) * across) - 1, round((y + h) * down) - 1
        draw.rectangle((left, top, max(left, right), max(top, bottom)), outline=BOX_COLOR)
    return image


def thumbnail(image: Image.Image, side: int = SIDE) -> Image.Image:
    """`image` with its longer side at most `side` pixels."""
    scale = min(1.0, side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def data_uri(image: Image.Image) -> str:
    """The picture as a WebP in a data URI; made from pixels, so it has no bytes of the original file."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", quality=75)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _dimmed(image: Image.Image) -> Image.Image:
    """The image without attention: gray and much darker."""
    return image.convert("L").point(lambda value: 16 + value // 5).convert("RGB")


def _kinds(right: np.ndarray, models: Sequence[str], yes: str, no: str) -> list[tuple[str, np.ndarray]]:
    """Title and [N] bool of each kind of image; kinds on which models differ come first."""
    if len(models) == 1:
        return [(yes.capitalize(), right[0]), (no.capitalize(), ~right[0])]
    every, none = np.all(right, axis=0), ~np.any(right, axis=0)
    if len(models) == 2:
        return [
            (f"Only {models[1]} is {yes}", right[1] & ~right[0]),
            (f"Only {models[0]} is {yes}", right[0] & ~right[1]),
            (f"Both {yes}", every),
            (f"Both {no}", none),
        ]
    return [("The models differ", ~every & ~none), (f"All {yes}", every), (f"All {no}", none)]
