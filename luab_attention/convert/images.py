"""The images of a conversion: a folder, a zip, a tar or a dataset on the Hub, matched by name.

A name matches a file by its path, or by the path's end: `cat/1.jpg` is `photos/cat/1.jpg` if no other file
ends the same way. Files that the source does not name are counted, and not read.
"""

import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from luab_attention.convert.gather import Gathered
from luab_attention.convert.image_keys import ends, forms, image_key
from luab_data.console.names import few
from luab_data.constants import TRAIN
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.regular import read_regular
from luab_data.hub.source import HubImages, hub_id
from luab_data.images.files import image_files, list_images
from luab_data.sources.archives import GZIP_MAGIC
from luab_data.sources.entries import (
    IMAGE_SUFFIXES,
    IMAGES,
    MAX_IMAGE_BYTES,
    file_name_of,
    is_entry,
)
from luab_data.sources.folders import broken_zip
from luab_data.sources.tar import MAX_HEADER_BYTES, BoundedReader, archive_errors, check_plain, members
from luab_data.sources.zip import BrokenZip, ZipMember, read_member, zip_members


class Store(Protocol):
    """Image files that can be read in any order."""

    def names(self) -> Iterable[tuple[str, Any]]:
        """The path of each file, and what `read` needs."""
        ...

    def read(self, place: Any) -> bytes:
        """The bytes of a file. Raises RejectedRecord."""
        ...


class MatchedImages:
    """The files of a store that a source names. A `Lookup` by the source's keys.

    Raises:
        SourceError: it holds none of them.
    """

    role = IMAGES

    def __init__(self, store: Store, place: str | Path, wanted: Gathered):
        self.place = place
        self.ignored = 0
        self._store = store
        self._places: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._twice: dict[str, str] = {}
        matching = Matching(wanted)
        for name, at in store.names():
            key = matching.key(name)
            if key is None:
                self.ignored += 1
            elif key in self._places:
                self._twice.setdefault(key, name)
            else:
                self._places[key], self._names[key] = at, name
        if not self._places:
            raise no_match(place, wanted, matching.seen)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._places

    def get(self, entry_id: str) -> bytes:
        """The bytes of an image's file."""
        if entry_id in self._twice:
            raise RejectedRecord(
                f"its name fits {self._names[entry_id]} and {self._twice[entry_id]}: pass the folder of one"
            )
        return self._store.read(self._places[entry_id])

    def ids(self) -> Iterator[str]:
        """The keys that have an image."""
        return iter(self._places)


class Matching:
    """Finds the key that a file's path means, among those of a source."""

    def __init__(self, wanted: Gathered):
        self._wanted = wanted
        self._longer: dict[str, list[str]] = {}  # last part -> keys with folders
        self.seen: list[str] = []  # the first files, for messages
        for key in wanted.ids():
            if "/" in key:
                self._longer.setdefault(key.rpartition("/")[2], []).append(key)

    def key(self, name: str) -> str | None:
        """The key of a file, or None."""
        if len(self.seen) < 3:
            self.seen.append(name)
        try:
            path = image_key(name)
        except RejectedRecord:
            return None
        return next((key for form in forms(path) if (key := self._key(form)) is not None), None)

    def _key(self, path: str) -> str | None:
        found = next((end for end in ends(path) if end in self._wanted), None)
        if found is not None:
            return found
        fitting = [key for key in self._longer.get(path.rpartition("/")[2], ()) if key.endswith(f"/{path}")]
        return fitting[0] if len(fitting) == 1 else None


def no_match(place: str | Path, wanted: Gathered, seen: list[str]) -> SourceError:
    """The error if no file has a name of the source."""
    names = [key for key, _ in zip(wanted.ids(), range(3), strict=False)]
    return SourceError(
        f"{IMAGES}={str(place)!r}: none of its files is an image that {wanted.place} names. It holds "
        f"{few(seen) or 'no image file'}; the images are called {few(names) or 'nothing'}."
    )


class ImageRows(NamedTuple):
    """Which of a dataset's rows have the images. None: `train`, of the default configuration."""

    split: str | None = None
    config: str | None = None


DEFAULT = ImageRows()


def open_images(
    images: str | Path, wanted: Gathered, choice: ImageRows = DEFAULT
) -> MatchedImages | HubImages:
    """The images of a folder, a zip, a plain tar, or a dataset on the Hub (`owner/name`).

    Those of the Hub, and of a folder of Parquet files, are a stream with the source's keys as ids; the others
    are looked up.

    Raises:
        SourceError: there is no such place, it cannot be read, or it holds none of the images; a choice among
            files that are no dataset.
    """
    path = Path(images)
    chosen = {"split": TRAIN if choice.split is None else choice.split, "config": choice.config}
    if path.is_dir() and (any(path.glob("*.parquet")) or any(path.glob("data/*.parquet"))):
        return HubImages(str(path), None, _Ids(wanted), **chosen)  # type: ignore[arg-type]  # split is a text
    if path.exists():
        for option, value in choice._asdict().items():
            if value is not None:
                raise SourceError(
                    f"--images-{option} {value} goes with a dataset on the Hub or a folder of Parquet files, "
                    f"not with {str(images)!r}."
                )
    if path.is_dir():
        return MatchedImages(_Folder(path), path, wanted)
    if path.is_file():
        store = _Zip(path) if zipfile.is_zipfile(path) else _Tar(path)
        return MatchedImages(store, path, wanted)
    parsed = hub_id(str(images))
    if parsed is None:
        raise SourceError(
            f"{IMAGES}={str(images)!r} is neither a folder of images, nor a zip or tar of them, nor a "
            "dataset on the Hub (owner/name)."
        )
    return HubImages(*parsed, id_of=_Ids(wanted), **chosen)  # type: ignore[arg-type]  # split is a text


NOT_NAMED = "the source does not name this image"


class _Ids:
    """The key of a file name; raises RejectedRecord for images that the source does not name."""

    def __init__(self, wanted: Gathered):
        self._matching = Matching(wanted)

    def __call__(self, name: str) -> str:
        key = self._matching.key(name)
        if key is None:
            raise RejectedRecord(NOT_NAMED)
        return key


class _Folder:
    def __init__(self, root: Path):
        self._root = root

    def names(self) -> Iterator[tuple[str, str]]:
        """Images directly in the folder, and at any depth below its folders."""
        listing = list_images(self._root)
        for name in image_files(self._root):
            yield name, name
        for folder in listing.classes:
            for name in listing.images[folder]:
                yield f"{folder}/{name}", f"{folder}/{name}"

    def read(self, place: str) -> bytes:
        return read_regular(self._root / place, MAX_IMAGE_BYTES)


class _Zip:
    def __init__(self, path: Path):
        self._path = path
        self._file = path.open("rb")

    def names(self) -> Iterator[tuple[str, ZipMember]]:
        try:
            for member in zip_members(self._file):
                if is_entry(file_name_of(member.name), IMAGE_SUFFIXES):
                    yield member.name, member._replace(name="")
        except (OSError, BrokenZip) as error:
            raise broken_zip(IMAGES, self._path, error) from error

    def read(self, place: ZipMember) -> bytes:
        return read_member(self._file, place, MAX_IMAGE_BYTES)


class _Tar:
    def __init__(self, path: Path):
        self._path = path
        self._file = path.open("rb")
        if self._file.read(2) == GZIP_MAGIC:
            raise SourceError(
                f"{IMAGES}={str(path)!r} is a compressed tar, which has no index: unpack it, or gunzip it."
            )

    def names(self) -> Iterator[tuple[str, tuple[int, int]]]:
        size = self._path.stat().st_size
        with archive_errors(IMAGES, self._path):
            for member in members(BoundedReader(self._file, MAX_HEADER_BYTES + tarfile.BLOCKSIZE, size)):
                if not is_entry(file_name_of(member.name), IMAGE_SUFFIXES):
                    continue
                try:
                    check_plain(member, MAX_IMAGE_BYTES)
                except RejectedRecord:
                    continue
                yield member.name, (member.offset_data, member.size)

    def read(self, place: tuple[int, int]) -> bytes:
        offset, size = place
        self._file.seek(offset)
        return self._file.read(size)
