"""The gray images of masks and heat maps, as stored in rows."""

from collections.abc import Mapping
from typing import Any

from PIL import Image

from luab_data.images.pillow import open_file
from luab_vision.images import read_file


def gray_image(value: Any, column: str) -> Image.Image:
    """The image of a mask or a map, which is a gray one.

    Raises:
        ValueError: it is none, or cannot be opened.
    """
    if isinstance(value, Image.Image):
        image = value
    elif isinstance(value, Mapping) and (value.get("bytes") or value.get("path")):
        try:
            image = open_file(value.get("bytes") or read_file(value["path"]))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(f"cannot read an image in column {column!r}: {error}") from error
    else:
        raise ValueError(f"column {column!r} has an entry without an image; leave the entry out")
    if image.mode not in ("1", "L"):
        raise ValueError(
            f"column {column!r} has an image of the mode {image.mode}; needed is a gray one of 8 bits (L)"
        )
    return image
