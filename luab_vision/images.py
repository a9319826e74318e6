"""The image column's value -> upright RGB pixels, as the annotator's browser showed them.

Opening an image gives its size; decoding, the expensive part, can wait until the view is drawn.
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

# Bytes of a JPEG's header: the start of a segment, and the segment types that matter here.
MARKER, START_OF_SCAN, APP1 = 0xFF, 0xDA, 0xE1


class OpenedImage(NamedTuple):
    """Size in pixels, upright, and a function that decodes it: uint8 `[H, W, 3]`, RGB."""

    width: int
    height: int
    pixels: Callable[[], np.ndarray]


def decode(value: Any) -> np.ndarray:
    """`open_image(value).pixels()`, with the errors of both."""
    return open_image(value).pixels()


def open_image(value: Any) -> OpenedImage:
    """Opens `{bytes, path}` from `datasets.Image(decode=False)`, bytes, a path, or a PIL image.

    Files must have a format of `luab_data.images.pillow.FORMATS`; only the first page or frame is read. A
    path must be a regular local file; URLs are not fetched. `luab_data.rows.image_paths` checks which paths a
    dataset may name.

    Raises:
        ValueError: no image in `value`, another format, or one that would take more than 5 s or 1 GB.
        OSError, SyntaxError: unreadable, from Pillow; a damaged file may raise only when it is decoded.
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
    """The bytes of a regular file: a pipe or a device could be endless.

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
    """Opens an upright color JPEG with simplejpeg, and all other images with Pillow.

    Both use libjpeg-turbo and give the same pixels; simplejpeg takes 0.7 of the time.
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
    """Whether a JPEG is stored upright.

    Only an APP1 segment (EXIF, XMP), which few files have, can change the orientation; then Pillow decides.
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
    except ValueError:  # damaged, or an unknown variant: Pillow decides
        return upright_pixels(open_file(data))


def _by_pillow(image: Image.Image) -> OpenedImage:
    width, height = image.size
    # If a PNG's EXIF comes after its pixels, Pillow would have to decode it now. The size may then be that of
    # the unrotated image, which does not affect ratios.
    waits = image.format == "PNG" and "exif" not in image.info
    if not waits and orientation(image) >= 5:
        width, height = height, width
    return OpenedImage(width, height, partial(upright_pixels, image))
