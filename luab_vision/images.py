"""The image column's value -> upright RGB pixels, as the annotator's browser showed them.

Opening an image tells its size; decoding it, the expensive part, can wait until the view is drawn.
"""

import os
import stat
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import simplejpeg
from PIL import Image

from luab_data.images.headers import MAX_BYTES, check_header
from luab_data.images.pillow import open_file, orientation, upright_pixels

# Bytes of a JPEG's header: what starts a segment, and the kinds of segment that matter here.
MARKER, START_OF_SCAN, APP1 = 0xFF, 0xDA, 0xE1


class OpenedImage(NamedTuple):
    """Size in pixels, upright, and what decodes it: uint8 `[H, W, 3]`, RGB."""

    width: int
    height: int
    pixels: Callable[[], np.ndarray]


def decode(value: Any) -> np.ndarray:
    """`open_image(value).pixels()`, with the errors of both."""
    return open_image(value).pixels()


def open_image(value: Any) -> OpenedImage:
    """`{bytes, path}` as `datasets.Image(decode=False)` gives it, bytes, a path, or a PIL image.

    Of files the formats of `luab_data.images.pillow.FORMATS` are read; of several pages or frames the first.
    A path is that of a regular file on this machine; addresses are not fetched. `luab_data.rows.image_paths`
    checks which paths a dataset may name.

    Raises:
        ValueError: no image in `value`, another format, or one that would take more than 5 s or 1 GB.
        OSError, SyntaxError: unreadable, as Pillow says it; a damaged file may raise only when it is decoded.
    """
    if isinstance(value, Image.Image):
        return _by_pillow(value)
    data, path = value, value
    if isinstance(value, Mapping):
        data, path = value.get("bytes"), value.get("path")
    if isinstance(data, bytes):
        return _open_data(data)
    if isinstance(path, str | Path) and "://" not in str(path):
        return _open_data(read_file(path))
    raise ValueError(
        f"no image: got {str(value)[:100]!r}; give the bytes of an image file, the path of one that exists, "
        "or a PIL image"
    )


def read_file(path: str | Path) -> bytes:
    """The bytes of a regular file: a pipe or a device could go on for ever.

    Raises:
        ValueError: there is no such file, it is of another kind, or too large for an image.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # else a pipe waits for a writer
    except OSError as error:
        raise ValueError(
            f"no image: {path} cannot be read ({error.strerror}); give the bytes of an image file, the path "
            "of one that exists, or a PIL image"
        ) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ValueError(f"no image: {path} is no regular file; give the bytes of an image file")
    with os.fdopen(descriptor, "rb") as stream:
        if status.st_size > MAX_BYTES:
            raise ValueError(f"{path} has {status.st_size:,} bytes, allowed for an image are {MAX_BYTES:,}")
        return stream.read()


def _open_data(data: bytes) -> OpenedImage:
    """The pixels of an upright color JPEG come from simplejpeg, all others from Pillow, which knows more.

    Both are libjpeg-turbo and give the same pixels, simplejpeg in 0.7 of the time.
    """
    try:
        height, width, colors, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:  # no JPEG, or one that only Pillow can explain
        return _by_pillow(open_file(data))
    check_header(data)
    if colors == "YCbCr" and _is_upright(data):
        return OpenedImage(width, height, partial(_decode_jpeg, data))
    return _by_pillow(open_file(data))


def _is_upright(data: bytes) -> bool:
    """Whether a JPEG is shown as it is stored.

    Only an APP1 segment, which few have, can say that it is not (EXIF, XMP); then Pillow is asked.
    """
    place = 2
    while place + 4 <= len(data) and data[place] == MARKER and data[place + 1] != APP1:
        if data[place + 1] == START_OF_SCAN:
            return True
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return orientation(open_file(data)) == 1


def _decode_jpeg(data: bytes) -> np.ndarray:
    try:
        return simplejpeg.decode_jpeg(data)
    except ValueError:  # damaged, or a variant that it does not know: Pillow's word counts
        return upright_pixels(open_file(data))


def _by_pillow(image: Image.Image) -> OpenedImage:
    width, height = image.size
    # Where the EXIF of a PNG is not before its pixels, Pillow would decode it now: then its size may be that
    # of the image lying on its side, which is no harm to ratios.
    waits = image.format == "PNG" and "exif" not in image.info
    if not waits and orientation(image) >= 5:
        width, height = height, width
    return OpenedImage(width, height, partial(upright_pixels, image))
