"""Image bytes: is this a whole image, and, where asked for, smaller; upright and RGB, as it was annotated."""

import io
import threading
import warnings

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from luab_data.errors import RejectedRecord

# Image formats that are read, by Pillow's names. The list is closed: others would let a file choose exotic
# decoders (Pillow's EPS runs Ghostscript). A phone's MPO is opened as the JPEG that it begins with.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "PPM")
# What such files are called, in lower case. A file's content decides how it is read, never its name.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    *(".png", ".apng", ".gif", ".bmp", ".webp"),
    *(".tif", ".tiff", ".avif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
MAX_PIXELS = 100_000_000  # ImageNet's largest image has 61 million
JPEG_QUALITY = 90  # of what is shrunk; FFCV's for ImageNet. 95 takes 1.4 times the bytes
PAGE = (255, 255, 255)  # what shows through transparent pixels, as on the annotation page


class _PillowIsQuiet:
    """Ignores Pillow's warnings. `warnings.catch_warnings` for threads: they share the filters, so that the
    first one in sets them, and the last one out sets them back.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self):
        with self._lock:
            if not self._inside:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *exception):
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._before.__exit__()


_pillow_is_quiet = _PillowIsQuiet()


def checked_image(payload: bytes, max_side: int | None = None) -> bytes:
    """The bytes of a whole image, untouched unless a side is longer than `max_side` pixels.

    A larger image is turned upright (EXIF), shrunk with its aspect kept, and encoded as JPEG. Ratios of the
    image do not change: browsers, `datasets` and this function all show it upright. Raises `RejectedRecord`
    when the bytes are not an image, are cut off, or claim more than `MAX_PIXELS`.
    """
    try:
        with _pillow_is_quiet:  # odd metadata, a large image: the checks here decide
            return _checked(payload, max_side)
    except RejectedRecord:
        raise
    except UnidentifiedImageError:
        raise RejectedRecord(f"not an image ({', '.join(FORMATS)})") from None
    except Exception as error:  # Pillow's decoders raise many types on broken files
        raise RejectedRecord(f"the image cannot be decoded: {error}") from error


def _checked(payload: bytes, max_side: int | None) -> bytes:
    with Image.open(io.BytesIO(payload), formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise RejectedRecord(
                f"the image claims {image.width} x {image.height} pixels, allowed are {MAX_PIXELS:,}"
            )
        if max_side is not None and max(image.size) > max_side:
            return _shrunk(image, max_side)
        image.draft(None, (1, 1))  # JPEG: reads all the data, at an eighth of the resolution
        image.load()
        return payload


def _shrunk(image: Image.Image, max_side: int) -> bytes:
    image.draft(None, (2 * max_side, 2 * max_side))
    icc_profile = image.info.get("icc_profile")
    if image.mode in ("L", "RGB"):
        upright = ImageOps.exif_transpose(image)
    else:
        upright = upright_rgb(image)
        icc_profile = None  # it described the old colour space
    upright.thumbnail((max_side, max_side), Image.Resampling.BICUBIC)
    encoded = io.BytesIO()
    upright.save(encoded, "JPEG", quality=JPEG_QUALITY, icc_profile=icc_profile)
    return encoded.getvalue()


def upright_rgb(image: Image.Image) -> Image.Image:
    """Turn by the EXIF orientation, then convert to RGB: the image as the annotator's browser showed it.

    Browsers turn photos by their EXIF orientation, so that a click is in ratios of the upright image.
    Transparent pixels become white; 16 bits a pixel become 8 (Pillow would clip them).
    """
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        image = Image.new("RGBA", image.size, PAGE)
        image.alpha_composite(opaque)
    # load() also closes the file below; convert() returns a copy for any other mode.
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


def upright_size(payload: bytes) -> tuple[int, int]:
    """Width and height in pixels of a checked image as it is shown: turned upright (EXIF)."""
    with Image.open(io.BytesIO(payload), formats=FORMATS) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        return (image.height, image.width) if turned else image.size
