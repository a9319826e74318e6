"""COCO's train images, in a folder or in `train2014.zip`, and their names."""

import re
import zipfile
from pathlib import Path

from luab_data.entries import IMAGES
from luab_data.errors import SourceError
from luab_data.sources import FolderSource, ZipSource

DOWNLOAD = "http://images.cocodataset.org/zips/train2014.zip"

# As in the sets of 2014, or of 2017 (the same images, split otherwise).
_NAME = re.compile(r"(?:COCO_train2014_)?(\d{12})", re.ASCII)


def name_of(image_id: int) -> str:
    """9 -> `COCO_train2014_000000000009`: the image file's name without suffix, and the entry's id."""
    return f"COCO_train2014_{image_id:012d}"


def image_id_of(name: str) -> int | None:
    """`COCO_train2014_000000000009` or `000000000009` -> 9; None for another name."""
    match = _NAME.fullmatch(name)
    return int(match.group(1)) if match else None


def _name_of_2014(name: str) -> str:
    image_id = image_id_of(name)
    return name if image_id is None else name_of(image_id)


def open_images(images: str | Path | None) -> FolderSource | ZipSource:
    """The source of the images: a folder `train2014`, or the zip (read in place). `train2017` will do too.

    Raises `SourceError` that says what to pass.
    """
    if images is None:
        raise SourceError(f"images is missing: pass the folder train2014 or train2014.zip ({DOWNLOAD}).")
    path = Path(images)
    if path.is_file() and zipfile.is_zipfile(path):
        return ZipSource(path, depth=1, rename=_name_of_2014)
    if not path.is_dir():
        raise SourceError(
            f"images={str(images)!r} is neither a folder nor a zip: pass the folder train2014, or "
            f"train2014.zip ({DOWNLOAD})."
        )
    source = FolderSource(path, depth=1, rename=_name_of_2014)
    if not any(isinstance(item, str) for item in source.ids()):
        hint = f" Did you mean {path / 'train2014'}?" if (path / "train2014").is_dir() else ""
        raise SourceError(f"{IMAGES}={str(images)!r} holds no images.{hint}")
    return source
