"""Mask image files -> pixels. A file is refused if its numbers and what it shows differ."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile

from luab_data.errors import RejectedRecord
from luab_data.files.regular import read_regular
from luab_data.images.pillow import open_file
from luab_data.sources.entries import MAX_IMAGE_BYTES

LOSSLESS = ("PNG", "BMP", "PPM", "TIFF", "GIF")  # Pillow's names
WITH_NUMBERS = LOSSLESS[:-1]  # the writers of GIF number the colors anew
LOSSY_IN_TIFF = ("jpeg", "webp")  # compressions
SAVE = "save it as a gray PNG, 0 outside and 255 inside"


class MaskFile(NamedTuple):
    """An image file: its path, and once it is read its bytes, or why it cannot be read.

    `values`: the numbers of a class map's pixels that are inside; None: a mask of one object.
    """

    content: Path | bytes | RejectedRecord
    values: tuple[int, ...] | None = None


def read_mask_file(path: Path) -> bytes | RejectedRecord:
    """The bytes of a mask file, or why it cannot be read."""
    try:
        return read_regular(path, MAX_IMAGE_BYTES)
    except RejectedRecord as error:
        return error


def file_mask(content: MaskFile) -> np.ndarray:
    """An image file -> bool [H, W]."""
    found = content.content
    found = read_mask_file(found) if isinstance(found, Path) else found
    if isinstance(found, RejectedRecord):
        raise found
    return binary_mask(found) if content.values is None else np.isin(class_map(found), content.values)


def binary_mask(data: bytes) -> np.ndarray:
    """The mask of one object, bool [H, W]: all but 0 is inside, and all but black.

    Raises:
        RejectedRecord: it is no image, or in a format that loses values; or a palette or transparency shows
            another mask than the numbers.
    """
    image = _opened(data, LOSSLESS)
    numbers = _numbers(image, SAVE)
    inside: np.ndarray = numbers > 0
    if image.mode == "P":
        palette = np.reshape(image.getpalette() or [], (-1, 3))
        colored = np.arange(max(256, len(palette))) > 0  # a number without a color
        colored[: len(palette)] = palette.any(axis=1)
        unclear = numbers[colored[numbers] != inside]
        if unclear.size:
            color = tuple(palette[unclear[0]].tolist())
            raise RejectedRecord(
                f"a mask whose palette gives the number {unclear[0]} the color {color}, so that it is not "
                f"known whether it is inside: {SAVE}"
            )
    if image.has_transparency_data and not image.mode.startswith("I"):
        opaque = np.asarray(image.convert("RGBA").getchannel("A"))
        if opaque.min() < 255 and ((opaque > 0) != inside).any():
            raise RejectedRecord(
                "a mask with transparent pixels that are not its black ones, so that it is not known what is "
                f"inside: {SAVE}"
            )
    return inside


def class_map(data: bytes) -> np.ndarray:
    """The pixels' numbers of an image file, int64 [H, W]: palette index or gray value; R + 256 G + 65536 B.

    Raises:
        RejectedRecord: it is no image, or in a format that loses or scales values, or has classes in
            transparent pixels.
    """
    image = _opened(data, WITH_NUMBERS)
    _require_unscaled(image)
    numbers = _numbers(image, "save its numbers as a gray PNG")
    if image.mode == "RGBA" and (numbers[np.asarray(image.getchannel("A")) < 255] > 0).any():
        raise RejectedRecord("a class map with colors in transparent pixels: save it without transparency")
    return numbers


def _opened(data: bytes, formats: tuple[str, ...]) -> ImageFile.ImageFile:
    with _decoding():
        image = open_file(data)
    compression = image.info.get("compression")
    if image.format not in formats or (image.format == "TIFF" and compression in LOSSY_IN_TIFF):
        kind = f"TIFF ({compression})" if image.format == "TIFF" else image.format
        raise RejectedRecord(f"a mask in {kind}, which may have lost its values: save it as PNG")
    return image


@contextmanager
def _decoding() -> Iterator[None]:
    try:
        yield
    except RejectedRecord:
        raise
    except Exception as error:  # Pillow's decoders raise many types on broken files
        raise RejectedRecord(f"the image cannot be decoded: {error}") from error


def _numbers(image: Image.Image, fix: str) -> np.ndarray:
    with _decoding():
        image.load()
    pixels = np.asarray(image).astype(np.int64)
    if image.mode in ("1", "L", "P") or image.mode.startswith("I"):
        if pixels.min() < 0:
            raise RejectedRecord(f"a mask with the number {pixels.min()}; allowed are 0 and more")
        return pixels
    if image.mode in ("RGB", "RGBA"):
        return pixels[..., 0] + 256 * pixels[..., 1] + 65536 * pixels[..., 2]
    raise RejectedRecord(f"a mask in mode {image.mode}; allowed are gray, palette and RGB: {fix}")


def _require_unscaled(image: ImageFile.ImageFile) -> None:
    """Raises RejectedRecord if the decoder scales the file's numbers: it is not loaded yet."""
    for tile in image.tile:
        layout, *more = (tile.args,) if isinstance(tile.args, str) else tile.args or ("",)
        few_bits = str(layout).startswith(("L;2", "L;4"))
        color_of_16_bits = image.mode.startswith("RGB") and ";16" in str(layout)
        white = {"I": 65535}.get(image.mode, 255)
        other_white = tile.codec_name in ("ppm", "ppm_plain") and image.mode != "1" and more != [white]
        if few_bits or color_of_16_bits or other_white:
            raise RejectedRecord(
                "a class map whose numbers are scaled as it is read (gray of 2 or 4 bits, color of 16 bits, "
                "PGM or PPM whose white is not 255 or 65535): save it as a PNG of 8 bits"
            )
