"""The image column's value -> upright RGB pixels, as the annotator's browser showed them.

Opening an image tells its size; decoding it, the expensive part, can wait until the view is drawn.
"""

import io
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import simplejpeg
from PIL import ExifTags, Image

from luab_data.images import upright_rgb

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

    Raises:
        ValueError: no image in `value`, or a type that is none of these.
        OSError, SyntaxError, Image.DecompressionBombError: unreadable or absurdly large, as Pillow says it;
            a damaged file may raise only when it is decoded.
    """
    if isinstance(value, Image.Image):
        return _by_pillow(value)
    data, path = value, value
    if isinstance(value, Mapping):
        data, path = value.get("bytes"), value.get("path")
    if isinstance(data, bytes):
        return _open_file(data)
    if isinstance(path, str | Path) and Path(path).is_file():
        return _open_file(Path(path).read_bytes())
    if isinstance(path, str) and "://" in path:
        return _by_pillow(_remote(path))
    raise ValueError(
        f"no image: got {str(value)[:100]!r}; give the bytes of an image file, the path of one that exists, "
        "or a PIL image"
    )


def _open_file(data: bytes) -> OpenedImage:
    """The pixels of an upright colour JPEG come from simplejpeg, all others from Pillow, which knows more.

    Both are libjpeg-turbo and give the same pixels, simplejpeg in 0.7 of the time.
    """
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:  # no JPEG, or one that only Pillow can explain
        return _by_pillow(Image.open(io.BytesIO(data)))
    allowed = Image.MAX_IMAGE_PIXELS is None or width * height <= Image.MAX_IMAGE_PIXELS
    if colours == "YCbCr" and allowed and _is_upright(data):
        return OpenedImage(width, height, partial(_decode_jpeg, data))
    return _by_pillow(Image.open(io.BytesIO(data)))


def _is_upright(data: bytes) -> bool:
    """Whether a JPEG is shown as it is stored. Only an APP1 segment, which few have, can say that it is not
    (EXIF, XMP); then Pillow is asked.
    """
    place = 2
    while place + 4 <= len(data) and data[place] == MARKER and data[place + 1] != APP1:
        if data[place + 1] == START_OF_SCAN:
            return True
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return Image.open(io.BytesIO(data)).getexif().get(ExifTags.Base.Orientation, 1) == 1


def _decode_jpeg(data: bytes) -> np.ndarray:
    try:
        return simplejpeg.decode_jpeg(data)
    except ValueError:  # damaged, or a variant that it does not know: Pillow's word counts
        return np.array(upright_rgb(Image.open(io.BytesIO(data))))


def _by_pillow(image: Image.Image) -> OpenedImage:
    width, height = image.size
    # Where the EXIF of a PNG is not before its pixels, Pillow would decode it now: then its size may be that
    # of the image lying on its side, which is no harm to ratios.
    waits = image.format == "PNG" and "exif" not in image.info
    if not waits and image.getexif().get(ExifTags.Base.Orientation, 1) >= 5:
        width, height = height, width
    return OpenedImage(width, height, lambda: np.array(upright_rgb(image)))


def _remote(path: str) -> Image.Image:
    """A file of a streamed dataset that is read only now, e.g. `hf://datasets/...`."""
    import datasets

    return datasets.Image().decode_example({"path": path, "bytes": None})
