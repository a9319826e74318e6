"""Masks in the encodings of the annotation tools -> pixels. All counts and sizes are checked first."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from luab_attention.convert.mask_files import MaskFile, file_mask
from luab_data.console.text import counted
from luab_data.errors import RejectedRecord
from luab_data.images.headers import MAX_PIXELS

MAX_COVERED = 10 * MAX_PIXELS  # by the outlines of a mask: some seconds


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
    """Outlines -> bool [H, W]: the pixels whose center is in one of them (even-odd rule).

    Raises:
        RejectedRecord: they cover more than `MAX_COVERED` pixels, each outline and each edge counted.
    """
    inside = np.zeros((height, width), bool)
    found = [_Outline(outline, width, height) for outline in outlines]
    covered = sum(outline.covered for outline in found)
    if covered > MAX_COVERED:
        raise RejectedRecord(
            f"a mask of {counted(len(found), 'outline')} over {covered:,} pixels, each outline and edge "
            f"counted; allowed are {MAX_COVERED:,}: save it as runs (RLE) or as an image"
        )
    for outline in found:
        outline.fill(inside)
    return inside


class _Outline:
    """One outline, in its own part of an image of `width` x `height`.

    Attributes:
        covered: the pixels of its box, and of its edges one for each row.
    """

    def __init__(self, outline: Sequence[float], width: int, height: int):
        self._from = np.asarray(outline, np.float64).reshape(-1, 2)
        self._to = np.roll(self._from, -1, axis=0)
        self._width = width
        rows = np.clip(np.ceil(self._from[:, 1] - 0.5), 0, height).astype(np.int64)
        ends = np.roll(rows, -1)
        self._rows = np.minimum(rows, ends), np.maximum(rows, ends)  # from the first, before the last
        columns = np.clip(np.ceil(self._from[:, 0] - 0.5), 0, width).astype(np.int64)
        # A crossing's rounding error is far below a pixel: one more column on each side holds all.
        self._left = max(0, int(columns.min(initial=width)) - 1)
        self._right = min(width, int(columns.max(initial=0)) + 1)
        self._top, self._bottom = int(rows.min(initial=height)), int(rows.max(initial=0))
        crossings = int((self._rows[1] - self._rows[0]).sum())
        self.covered = crossings + max(0, self._right - self._left) * max(0, self._bottom - self._top)

    def fill(self, inside: np.ndarray) -> None:
        """Marks the pixels of a mask, bool [H, W], whose center is in the outline."""
        if self._top >= self._bottom:
            return
        size = (self._bottom - self._top, self._right - self._left + 1)
        flips = np.zeros(size, np.uint8)  # of which only the parity counts
        edges = (each.tolist() for each in (self._from, self._to, *self._rows))
        for (x0, y0), (x1, y1), first, last in zip(*edges, strict=True):
            if first < last:
                rows = np.arange(first, last)
                crossing = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
                columns = np.clip(np.ceil(crossing - 0.5), 0, self._width).astype(np.int64)
                flips[rows - self._top, columns - self._left] ^= 1
        part = np.bitwise_xor.accumulate(flips[:, :-1], axis=1).view(bool)
        inside[self._top : self._bottom, self._left : self._right] |= part


def require_pixels(width: int, height: int) -> None:
    """Raises RejectedRecord for a size that no image has."""
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise RejectedRecord(f"{width:,} x {height:,} pixels; allowed are 1 to {MAX_PIXELS:,}")


def mask_png(mask: np.ndarray) -> bytes:
    """Bool [H, W] -> an 8-bit PNG, 255 inside."""
    encoded = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(encoded, "PNG")
    return encoded.getvalue()
