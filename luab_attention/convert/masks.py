"""Masks in the encodings of the annotation tools -> pixels. All counts and sizes are checked first."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from luab_data.errors import RejectedRecord
from luab_data.files.regular import read_regular
from luab_data.images.headers import MAX_PIXELS
from luab_data.images.pillow import open_file
from luab_data.sources.entries import MAX_IMAGE_BYTES


class Runs(NamedTuple):
    """Lengths of runs, outside and inside by turns, outside first; COCO's go down the columns."""

    counts: list[int]
    width: int
    height: int
    down: bool = True
    left: int = 0  # of a part of the image, in pixels
    top: int = 0


class Polygons(NamedTuple):
    """Outlines [x, y, x, y, ...] in pixels of the image. A pixel is inside if its center is."""

    outlines: list[list[float]]


class MaskFile(NamedTuple):
    """An image file.

    `values`: the pixels' numbers that are inside, R + 256 G + 65536 B for color; None: all but 0.
    """

    path: Path
    values: tuple[int, ...] | None = None


class MaskBytes(NamedTuple):
    """0 outside and more inside, row by row, packed to bits as `np.packbits` does."""

    bits: bytes
    width: int
    height: int


MaskContent = Runs | Polygons | MaskFile | MaskBytes


def mask_pixels(content: MaskContent, size: tuple[float, float] | None) -> np.ndarray:
    """The mask, bool [H, W].

    Args:
        content: the mask.
        size: width and height of its image in pixels.

    Raises:
        RejectedRecord: the size is needed and not known, or the content does not fit it.
    """
    if isinstance(content, MaskFile):
        return file_mask(content)
    if isinstance(content, MaskBytes):
        bits = np.unpackbits(np.frombuffer(content.bits, np.uint8), count=content.width * content.height)
        return bits.reshape(content.height, content.width).astype(bool)
    if size is None:
        raise RejectedRecord("a mask needs the size of its image, which is not known")
    width, height = round(size[0]), round(size[1])
    require_pixels(width, height)
    if isinstance(content, Polygons):
        return polygon_mask(content.outlines, width, height)
    part = run_mask(content)
    if (part.shape[1], part.shape[0]) == (width, height):
        return part
    bottom, right = content.top + part.shape[0], content.left + part.shape[1]
    if min(content.left, content.top) < 0 or bottom > height or right > width or content.down:
        raise RejectedRecord(
            f"a mask of {part.shape[1]} x {part.shape[0]} pixels at ({content.left}, {content.top}) does not "
            f"fit its image of {width} x {height}"
        )
    whole = np.zeros((height, width), bool)
    whole[content.top : bottom, content.left : right] = part
    return whole


def run_mask(runs: Runs) -> np.ndarray:
    """Runs -> bool [H, W]."""
    require_pixels(runs.width, runs.height)
    counts = np.asarray(runs.counts, np.int64)
    if (counts < 0).any() or counts.sum() != runs.width * runs.height:
        raise RejectedRecord(
            f"the runs of a mask have {counts.sum():,} pixels, not the {runs.width * runs.height:,} of "
            f"{runs.width} x {runs.height}"
        )
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    if runs.down:
        return flat.reshape(runs.width, runs.height).T
    return flat.reshape(runs.height, runs.width)


def coco_counts(text: str, most: int) -> list[int]:
    """The lengths of COCO's compressed runs: characters of 6 bits, of which one says that more follow.

    From the third on, a number is the difference to the one two before it.

    Args:
        text: the string `counts`.
        most: pixels of the image, which no length exceeds.

    Raises:
        RejectedRecord: it is no such string.
    """
    counts: list[int] = []
    value = shift = 0
    for char in text:
        bits = ord(char) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise RejectedRecord(f"the compressed runs of a mask hold {char!r}, or a number without end")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        if len(counts) > 2:
            value += counts[-2]
        if not 0 <= value <= most:
            raise RejectedRecord(f"the compressed runs of a mask have the length {value:,}")
        counts.append(value)
        value = shift = 0
    if shift:
        raise RejectedRecord("the compressed runs of a mask are cut off")
    return counts


def polygon_mask(outlines: Sequence[Sequence[float]], width: int, height: int) -> np.ndarray:
    """Outlines -> bool [H, W]: the pixels whose center is in one of them (even-odd rule)."""
    inside = np.zeros((height, width), bool)
    for outline in outlines:
        corners = np.asarray(outline, np.float64).reshape(-1, 2)
        flips = np.zeros((height, width + 1), np.uint8)  # of which only the parity counts
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            low, high = sorted((y0, y1))
            rows = np.arange(
                np.clip(np.ceil(low - 0.5), 0, height),
                np.clip(np.ceil(high - 0.5), 0, height),
                dtype=np.int64,
            )
            if len(rows):
                crossing = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
                columns = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
                np.add.at(flips, (rows, columns), 1)
        inside |= np.cumsum(flips[:, :width], axis=1, dtype=np.uint8) % 2 == 1
    return inside


def file_mask(content: MaskFile) -> np.ndarray:
    """An image file -> bool [H, W]."""
    numbers = class_map(read_regular(content.path, MAX_IMAGE_BYTES))
    return numbers > 0 if content.values is None else np.isin(numbers, content.values)


def class_map(data: bytes) -> np.ndarray:
    """The pixels' numbers of an image file, int64 [H, W]: palette index or gray value; R + 256 G + 65536 B.

    Raises:
        RejectedRecord: it is no image, or in a format that loses values.
    """
    try:
        image = open_file(data)
        if image.format == "JPEG":
            raise RejectedRecord("a mask in a JPEG has lost its values: save it as PNG")
        image.load()
    except RejectedRecord:
        raise
    except Exception as error:  # Pillow's decoders raise many types on broken files
        raise RejectedRecord(f"the image cannot be decoded: {error}") from error
    pixels = np.asarray(image).astype(np.int64)
    if image.mode in ("1", "L", "P") or image.mode.startswith("I"):
        return pixels
    if image.mode in ("RGB", "RGBA"):
        return pixels[..., 0] + 256 * pixels[..., 1] + 65536 * pixels[..., 2]
    raise RejectedRecord(f"a mask in mode {image.mode}; allowed are gray, palette and RGB")


def require_pixels(width: int, height: int) -> None:
    """Raises RejectedRecord for a size that no image has."""
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise RejectedRecord(f"{width:,} x {height:,} pixels; allowed are 1 to {MAX_PIXELS:,}")


def mask_png(mask: np.ndarray) -> bytes:
    """Bool [H, W] -> an 8-bit PNG, 255 inside."""
    encoded = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(encoded, "PNG")
    return encoded.getvalue()
