"""COCO's train images, in a folder or in `train2014.zip`, and their names."""

import itertools
import re
from pathlib import Path

from luab_data.build.join import EXAMPLES
from luab_data.errors import SourceError
from luab_data.sources.entries import IMAGE_SUFFIXES, IMAGES, is_entry
from luab_data.sources.folders import FolderSource, ZipSource
from luab_data.sources.roots import choose_root, folders_below, say
from luab_data.sources.zip import is_zip

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
    """The source of the images: a folder `train2014` or its parent, or the zip (read in place).

    `train2017` works too. Raises `SourceError` that says what to pass.
    """
    if images is None:
        raise SourceError(f"images is missing: pass the folder train2014 or train2014.zip ({DOWNLOAD}).")
    path = Path(images)
    if path.is_file() and is_zip(path):
        return _of_train(ZipSource(path, depth=1, rename=_name_of_2014))
    if not path.is_dir():
        raise SourceError(
            f"images={str(images)!r} is neither a folder nor a zip: pass the folder train2014, or "
            f"train2014.zip ({DOWNLOAD})."
        )
    source = FolderSource(path, depth=1, rename=_name_of_2014)
    if not any(isinstance(item, str) for item in source.ids()):
        root = _root_below(path)
        say(path, root)
        source = FolderSource(root, depth=1, rename=_name_of_2014)
    return _of_train(source)


def _root_below(path: Path) -> str:
    """The only folder below `path` with images of the training set, or the one called train2014."""
    found = {}
    for folder in folders_below(path):
        names = (each.stem for each in folder.iterdir() if is_entry(each.name, IMAGE_SUFFIXES))
        found[str(folder)] = next(names)
    root = choose_root(path, found, lambda name: image_id_of(name) is not None, "train2014")
    if root is None:
        raise SourceError(f"{IMAGES}={str(path)!r} holds no images of train2014: pass the folder that does.")
    return root


def _of_train(source: FolderSource | ZipSource) -> FolderSource | ZipSource:
    """Raises SourceError if the first images are of another set."""
    first = [item for item in itertools.islice(source.ids(), EXAMPLES) if isinstance(item, str)]
    if first and all(re.match("COCO_(val|test)", name) for name in first):
        raise SourceError(
            f"{IMAGES}={str(source.place)!r} holds images of another set ({', '.join(first)}), "
            f"but the byproducts are of train2014: pass that folder, or train2014.zip ({DOWNLOAD})."
        )
    return source
