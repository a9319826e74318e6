"""ImageNet's train images, wherever they are: a folder, the original tar of tars, or a dataset on the Hub."""

import re
from pathlib import Path, PurePosixPath

from luab_data.archives import TarOfTars
from luab_data.entries import IMAGES
from luab_data.errors import RejectedRecord, SourceError
from luab_data.hub import HubImages, hub_id
from luab_data.sources import FolderSource

HUB_DATASET = "ILSVRC/imagenet-1k"

# `n01440764_10026_n01440764.JPEG` or `n01440764_10026.JPEG`
_FILE_NAME = re.compile(r"(?P<name>(?P<class>.+?)_(?P<number>[^_]+))(_(?P=class))?")

Images = FolderSource | TarOfTars | HubImages


def open_images(images: str | Path | None = None) -> Images:
    """The source of the images, ids `<class>/<class>_<n>`.

    `images`: a folder `<class>/*.JPEG`, `ILSVRC2012_img_train.tar` (read in place), or a dataset whose
    `image` column's file names carry the ids: on the Hub (`owner/name`, `owner/name@revision`) or a local
    folder of Parquet files. Default: ImageNet on the Hub, which is gated. Raises `SourceError` that says
    what to request or pass.
    """
    path = Path(images) if images is not None else None
    if path is not None and path.is_dir():
        return _open_folder(path)
    if path is not None and path.is_file():
        return TarOfTars(path)
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
    if source.classes():
        return source
    if any(path.glob("*.parquet")) or any(path.glob("*/*.parquet")):
        return HubImages(str(path), None, id_of=id_of_file_name)
    below = [
        f"{path.name}/{p.name}" for p in sorted(path.iterdir()) if p.is_dir() and FolderSource(p).classes()
    ]
    hint = f" Did you mean {' or '.join(below)}?" if below else ""
    raise SourceError(f"{IMAGES}={str(path)!r} holds no <class>/*.JPEG and no Parquet files.{hint}")
