"""Image bytes: checks that an image is complete, shrinks it on request, and returns upright RGB pixels."""

import io
import threading
import warnings

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from luab_data.errors import RejectedRecord
from luab_data.images.headers import PLAIN_MODES, check_header, check_size, check_tags

# Image formats that are read, by Pillow's names. The list is closed: others would let a file choose exotic
# decoders (Pillow's EPS runs Ghostscript). A phone's MPO is opened as the JPEG that it begins with.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "PPM")
# Suffixes of such files, in lower case. A file's content decides how it is read, never its name.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    *(".png", ".apng", ".gif", ".bmp", ".webp"),
    *(".tif", ".tiff", ".avif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
TIFF_COMPRESSIONS = (
    *("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "jpeg", "zstd", "webp"),
    *("tiff_ccitt", "group3", "group4"),
)
TEXT_DECODERS = ("ppm_plain", "bmp_rle")  # Pillow's in Python: a second for each megabyte
MAX_BYTES_OF_TEXT = 2 * 1024**2
# The operation that turns an image upright, by EXIF orientation.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# The same for an array: a view of the upright pixels in the stored orientation.
AS_STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright.swapaxes(0, 1)[::-1],
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
    8: lambda upright: upright.swapaxes(0, 1)[:, ::-1],
}
LARGE = 16_000_000  # pixels
STRIP = 256  # rows
WITH_ORIENTATION = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")  # parts of an image's `info`
JPEG_QUALITY = 90  # of shrunk images, as in FFCV for ImageNet. 95 takes 1.4 times the bytes
PAGE = (255, 255, 255)  # color of transparent pixels, as on the annotation page


class _PillowIsQuiet:
    """Ignores Pillow's warnings: `warnings.catch_warnings` for threads.

    Threads share the filters: the first thread sets them, and the last one restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._before.__exit__(None, None, None)


_pillow_is_quiet = _PillowIsQuiet()


def checked_image(payload: bytes, max_side: int | None = None) -> bytes:
    """The bytes of a whole image, untouched unless a side is longer than `max_side` pixels.

    A larger image is turned upright (EXIF), shrunk with its aspect ratio, and encoded as JPEG. Points in
    image ratios stay valid: browsers, `datasets` and this function all show it upright. Raises
    `RejectedRecord` if the bytes are not an image, are truncated, or would take more than 5 s or 1 GB
    (`image_headers`).
    """
    try:
        with _pillow_is_quiet:  # warnings on metadata or size: our checks decide
            return _checked(payload, max_side)
    except RejectedRecord:
        raise
    except Exception as error:  # Pillow's decoders raise many types on broken files
        raise RejectedRecord(f"the image cannot be decoded: {error}") from error


def _checked(payload: bytes, max_side: int | None) -> bytes:
    with open_file(payload) as image:
        if max_side is not None and max(image.size) > max_side:
            return _shrunk(image, max_side)
        _check_levels(image)
        image.draft(None, (1, 1))  # JPEG: reads all the data, at an eighth of the resolution
        image.load()
        return payload


def open_file(payload: bytes) -> ImageFile.ImageFile:
    """Opens the bytes of an image file without decoding; the first of several pages or frames.

    Raises `RejectedRecord` for formats outside `FORMATS`, and for images that would take more than 5 s or 1
    GB to decode. For damaged files Pillow may raise any error.
    """
    check_header(payload)
    try:
        image = Image.open(io.BytesIO(payload), formats=FORMATS)
    except UnidentifiedImageError:
        raise RejectedRecord(f"not an image ({', '.join(FORMATS)})") from None
    costly = image.mode not in PLAIN_MODES or image.has_transparency_data
    check_size(*image.size, f"{image.format} in mode {image.mode}" if costly else str(image.format), costly)
    if len(payload) > MAX_BYTES_OF_TEXT and image.tile and image.tile[0][0] in TEXT_DECODERS:
        raise RejectedRecord(
            f"a {image.format} of digits or run lengths has {len(payload):,} bytes, allowed are "
            f"{MAX_BYTES_OF_TEXT:,}; save it in another format"
        )
    if image.format == "TIFF" and image.info.get("compression") not in TIFF_COMPRESSIONS:
        raise RejectedRecord(
            f"the TIFF's compression is {image.info.get('compression')}, allowed are "
            f"{', '.join(TIFF_COMPRESSIONS)}; save it again with one of them"
        )
    return image


def _shrunk(image: Image.Image, max_side: int) -> bytes:
    image.draft(None, (2 * max_side, 2 * max_side))
    icc_profile = image.info.get("icc_profile")
    if image.mode in ("L", "RGB"):
        upright = upright_as_is(image)
    else:
        upright = upright_rgb(image)
        icc_profile = None  # it described the old color space
    upright.thumbnail((max_side, max_side), Image.Resampling.BICUBIC)
    encoded = io.BytesIO()
    upright.save(encoded, "JPEG", quality=JPEG_QUALITY, icc_profile=icc_profile)
    return encoded.getvalue()


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (as stored) if it is absent, unreadable or another value.

    Browsers also ignore an orientation that is text or out of range. Pillow turns a TIFF itself.
    """
    if image.format == "TIFF":
        return 1
    try:
        for block in (image.info.get("exif"), _raw_exif(image.info.get("Raw profile type exif"))):
            if block:
                check_tags(block.removeprefix(b"Exif\0\0"))
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except RejectedRecord:
        raise
    except Exception:  # Pillow raises many types on broken EXIF; browsers show such a photo as stored
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _raw_exif(profile: str | None) -> bytes:
    """ImageMagick's text chunk of a PNG: three lines, then hexadecimal digits."""
    return bytes.fromhex("".join(profile.split("\n")[3:])) if profile else b""


def upright_as_is(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, in the image's mode."""
    turn = TURNS.get(orientation(image))
    if turn is None:
        return image
    turned = image.transpose(turn)
    for name in WITH_ORIENTATION:  # else it would be turned again
        turned.info.pop(name, None)
    return turned


def _bits(image: Image.Image) -> int:
    """The used bits of a channel: 12 bits of a TIFF are stored in 16."""
    return image.tag_v2.get(258, (16,))[0] if isinstance(image, TiffImageFile) else 16


def _check_levels(image: Image.Image) -> None:
    """Raise if the values of black and white are unknown; among deep images only 16 bits define them."""
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        low, high = image.getextrema()
        kind = "floating-point numbers" if image.mode == "F" else "32-bit integers"
        raise RejectedRecord(
            f"its pixels are {kind} (mode {image.mode}) from {low:g} to {high:g}, and nothing says which of "
            "them are black and white; save it with 8 or 16 bits a channel"
        )


def upright_rgb(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, then convert to RGB: the image as in the annotator's browser.

    Browsers apply the EXIF orientation, so a click is in ratios of the upright image. Transparent pixels
    become white; 16 bits per pixel become 8 (Pillow would clip them).

    Raises `RejectedRecord` for 32-bit and float images, whose range is unknown.
    """
    _check_levels(image)
    bits = _bits(image)
    image = upright_as_is(image)
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> bits - 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        image = Image.new("RGBA", image.size, PAGE)
        image.alpha_composite(opaque)
    # load() also closes the file below; convert() returns a copy for any other mode.
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


def upright_size(payload: bytes) -> tuple[int, int]:
    """Width and height in pixels of a checked image, upright (EXIF)."""
    with open_file(payload) as image:
        return (image.height, image.width) if orientation(image) >= 5 else image.size


def upright_pixels(image: Image.Image) -> np.ndarray:
    """`upright_rgb` as uint8 `[H, W, 3]`; large images in strips, which saves two copies."""
    if image.width * image.height <= LARGE or image.mode not in PLAIN_MODES or image.has_transparency_data:
        return np.array(upright_rgb(image))
    turn = orientation(image)
    pixels = np.empty((*(image.size if turn >= 5 else image.size[::-1]), 3), np.uint8)
    stored = AS_STORED[turn](pixels)
    for top in range(0, image.height, STRIP):
        bottom = min(image.height, top + STRIP)
        stored[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)).convert("RGB"))
    return pixels
