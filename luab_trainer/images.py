"""The image column's value -> an upright RGB image, as the annotator's browser showed it."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from luab_data.images import upright_rgb


def decode(value: Any) -> Image.Image:
    """`{bytes, path}` as `datasets.Image(decode=False)` gives it, bytes, a path, or a PIL image -> upright
    RGB.

    Raises:
        ValueError: no image in `value`, or a type that is none of these.
        OSError, SyntaxError, Image.DecompressionBombError: unreadable or absurdly large, as Pillow says it.
    """
    if isinstance(value, Image.Image):
        return upright_rgb(value)
    data, path = value, value
    if isinstance(value, Mapping):
        data, path = value.get("bytes"), value.get("path")
    if isinstance(data, bytes):
        return upright_rgb(Image.open(io.BytesIO(data)))
    if isinstance(path, str | Path) and Path(path).is_file():
        with Image.open(path) as image:
            return upright_rgb(image)
    if isinstance(path, str) and "://" in path:
        return upright_rgb(_remote(path))
    raise ValueError(
        f"no image: got {str(value)[:100]!r}; give the bytes of an image file, the path of one that exists, "
        "or a PIL image"
    )


def _remote(path: str) -> Image.Image:
    """A file of a streamed dataset that is read only now, e.g. `hf://datasets/...`."""
    import datasets

    return datasets.Image().decode_example({"path": path, "bytes": None})
