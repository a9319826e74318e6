"""ImageNet's training images, from a folder, the original tar of tars, or a dataset on the Hub."""

import re
from pathlib import Path, PurePosixPath
from typing import TypeVar

from luab_data.constants import TRAIN
from luab_data.errors import RejectedRecord, SourceError
from luab_data.hub.source import HubImages, hub_id
from luab_data.imagenet_classes import imagenet_names
from luab_data.sources.archives import TarOfTars
from luab_data.sources.entries import IMAGE_SUFFIXES, IMAGES, is_entry
from luab_data.sources.folders import FolderSource, ZipSource, broken_zip
from luab_data.sources.roots import SPLITS, choose_root, folders_below, say
from luab_data.sources.zip import BrokenZip, is_zip, zip_members

HUB_DATASET = "ILSVRC/imagenet-1k"

# `n01440764_10026_n01440764.JPEG` or `n01440764_10026.JPEG`
_FILE_NAME = re.compile(r"(?P<name>(?P<class>.+?)_(?P<number>[^_]+))(_(?P=class))?")

Local = TypeVar("Local", FolderSource, ZipSource)
Images = FolderSource | ZipSource | TarOfTars | HubImages


def open_images(images: str | Path | None = None) -> Images:
    """The source of the images, ids `<class>/<class>_<n>`.

    `images`: a folder `<class>/*.JPEG`, or one above it; `ILSVRC2012_img_train.tar` or a zip that holds such
    a folder, as Kaggle's (both read in place); or a dataset whose `image` column's file names carry the
    ids: on the Hub (`owner/name`, `owner/name@revision`) or a local folder of Parquet files. Default:
    ImageNet on the Hub, which is gated. Raises `SourceError` that says what to request or pass.
    """
    path = Path(images) if images is not None else None
    if path is not None and path.is_dir():
        return _open_folder(path)
    if path is not None and path.is_file():
        return _open_zip(path) if is_zip(path) else TarOfTars(path)
    parsed = hub_id(str(images or HUB_DATASET))
    if parsed is None:
        raise SourceError(
            f"images={str(images)!r} is neither a folder <class>/*.JPEG, nor "
            f"ILSVRC2012_img_train.tar, nor a dataset "
            f"on the Hub (owner/name)."
        )
    return HubImages(*parsed, id_of=id_of_file_name)


def id_of_file_name(name: str) -> str:
    """`.../n01440764_10026_n01440764.JPEG` or `.../n01440764_10026.JPEG` -> `n01440764/n01440764_10026`."""
    match = _FILE_NAME.fullmatch(PurePosixPath(name).stem)
    if match is None:
        raise RejectedRecord("the file's name is not <class>_<n>.JPEG or <class>_<n>_<class>.JPEG")
    return f"{match['class']}/{match['name']}"


def _open_folder(path: Path) -> FolderSource | HubImages:
    source = FolderSource(path)
    classes, known = source.classes() or [], imagenet_names()
    train = path / TRAIN
    inside = set(FolderSource(train).classes() or []) if TRAIN in classes else set()
    if inside and (set(classes) <= SPLITS or (known.keys() & inside and not known.keys() & set(classes))):
        say(path, str(train))  # it has images beside the class folders
        return _of_train(FolderSource(train))
    above_train = TRAIN not in classes and train.is_dir() and not known.keys() & set(classes)
    if classes and not above_train:
        return _of_train(source)
    if any(path.glob("*.parquet")) or any(path.glob("*/*.parquet")):
        return HubImages(str(path), None, id_of=id_of_file_name)
    found: dict[str, str] = {}
    for folder in folders_below(path):
        if str(folder.parent) not in found or folder.name in known:
            found[str(folder.parent)] = folder.name
    root = _choose(path, found)
    say(path, root)
    return _of_train(FolderSource(root))


def _open_zip(path: Path) -> ZipSource:
    classes: dict[str, set[str]] = {}  # by the folder that holds them
    try:
        with path.open("rb") as file:
            for member in zip_members(file):
                folder, _, name = member.name.rpartition("/")
                root, _, class_name = folder.rpartition("/")
                if class_name and is_entry(name, IMAGE_SUFFIXES):
                    classes.setdefault(root, set()).add(class_name)
    except (OSError, BrokenZip) as error:
        raise broken_zip(IMAGES, path, error) from error
    known = imagenet_names().keys()
    root = _choose(path, {root: min(names & known or names) for root, names in _topmost(classes).items()})
    say(path, f"its folder {root or '.'}")
    return _of_train(ZipSource(path, depth=2, below=f"{root}/" if root else ""))


def _topmost(classes: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without folders in class folders, unless these have ImageNet's classes or are `train` alone.

    As for a folder: images in `<class>/<folder>` are no class of their own.
    """
    known = imagenet_names().keys()
    folders = {f"{root}/{name}" if root else name for root, names in classes.items() for name in names}

    def is_split(root: str) -> bool:
        above, _, name = root.rpartition("/")
        return name == TRAIN and classes.get(above, {""}) <= SPLITS

    def is_inside(root: str) -> bool:
        return root in folders or any(str(each) in folders for each in PurePosixPath(root).parents)

    splits = {root: names for root, names in classes.items() if is_split(root)}
    return splits or {root: names for root, names in classes.items() if names & known or not is_inside(root)}


def _choose(path: Path, found: dict[str, str]) -> str:
    """The folder of the class folders. `found`: one class folder of each that may be it."""
    known = imagenet_names()
    of_imagenet = any(name in known for name in found.values())
    root = choose_root(path, found, lambda name: name in known if of_imagenet else bool(name))
    if root is None:
        links = sum(p.is_symlink() and p.is_dir() for p in path.iterdir()) if path.is_dir() else 0
        why = f" {links:,} of its folders are links, which are not followed." if links else ""
        raise SourceError(
            f"{IMAGES}={str(path)!r} holds no <class>/*.JPEG and no Parquet files.{why} Pass the folder "
            "whose folders are the classes; of Kaggle's download, ILSVRC/Data/CLS-LOC/train."
        )
    return root


def _of_train(source: Local) -> Local:
    """Raises SourceError if the first image is of ImageNet's validation set."""
    first = next((item for item in source.ids() if isinstance(item, str)), "")
    if first.rpartition("/")[2].startswith("ILSVRC2012_val_"):
        raise SourceError(
            f"{IMAGES}={str(source.place)!r} holds ImageNet's validation images ({first}), but the "
            "byproducts are those of the training images: pass the folder train."
        )
    return source
