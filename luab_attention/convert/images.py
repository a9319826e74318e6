"""The images of a conversion: a folder, a zip, a tar or a dataset on the Hub, matched by name.

A name matches a file by its path, or by the path's end: `cat/1.jpg` is `photos/cat/1.jpg` if no other file
ends the same way, and `photos/cat/1.png` if there is no such JPEG. An upload to Label Studio also matches a
file without the prefix that it got there, if no other upload has that name. Files that the source does not
name are counted, and not read.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from luab_attention.convert.gather import Gathered
from luab_attention.convert.image_stores import Store, open_store
from luab_attention.convert.matching import Matching
from luab_data.console.names import few
from luab_data.constants import TRAIN
from luab_data.errors import RejectedRecord, SourceError
from luab_data.hub.source import HubImages, hub_id
from luab_data.sources.entries import IMAGES, Reject, printable


class MatchedImages:
    """The files of a store that a source names. A `Lookup` by the source's keys.

    Attributes:
        several: the keys that several files fit: they have no image.
        left_out: see `Store`.

    Raises:
        SourceError: it holds none of them.
    """

    role = IMAGES

    def __init__(self, store: Store, place: str | Path, wanted: Gathered):
        self.place = place
        self.left_out = store.left_out
        self._store = store
        matching = Matching(wanted)
        self._places, self.several, self.ignored = _by_key(store.names(), matching)
        if not self._places:
            raise no_match(place, wanted, matching.seen, store.left_out)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._places

    def get(self, entry_id: str) -> bytes:
        """The bytes of an image's file."""
        if entry_id in self.several:
            return self.several.get(entry_id)
        return self._store.read(self._places[entry_id])

    def ids(self) -> Iterator[str]:
        """The keys that have an image."""
        return iter(self._places)


class Several:
    """The keys that several files fit, a `Lookup` that refuses each."""

    role = IMAGES
    ignored = 0

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._names

    def add(self, key: str, first: str, name: str) -> None:
        """A further file of a key, and the first one."""
        self._names.setdefault(key, [first]).append(name)

    def get(self, entry_id: str) -> bytes:
        """Raises RejectedRecord."""
        raise RejectedRecord(self.reason(entry_id))

    def ids(self) -> Iterator[str]:
        """The keys."""
        return iter(self._names)

    def reason(self, key: str) -> str:
        """Why a key has no image, with the names of the files."""
        names = self._names[key]
        if len(set(names)) == 1:
            return f"its name fits {len(names):,} images called {names[0]}: keep one"
        shown = " and ".join(names) if len(names) == 2 else few(names)
        return f"its name fits {shown}: {_fix(names)}"

    def rejects(self) -> Iterator[Reject]:
        """Each file but the first of a key: that one is refused with the key's entries."""
        for key, names in self._names.items():
            yield from (Reject(IMAGES, printable(name), self.reason(key)) for name in names[1:])


def _fix(names: list[str]) -> str:
    """How to tell files of different paths apart."""
    paths = [PurePosixPath(name) for name in names]
    if len({path.with_suffix("") for path in paths}) > 1:
        return "name it with its folder, or pass the folder of one"
    suffixes = {path.suffix.lower() for path in paths}
    return "name it with its suffix" if len(suffixes) == len(paths) else "keep one"


def _by_key(names: Iterable[tuple[str, Any]], matching: Matching) -> tuple[dict[str, Any], Several, int]:
    """The place of the file of each key, the keys with several, and the number of files without one.

    Of several files, the only one with the suffix that the source names is meant.
    """
    first: dict[str, tuple[str, Any]] = {}
    more: dict[str, list[tuple[str, Any]]] = {}
    several, ignored = Several(), 0
    for name, at in names:
        key = matching.key(name)
        if key is None:
            ignored += 1
        elif key in first:
            more.setdefault(key, [first[key]]).append((name, at))
        else:
            first[key] = name, at
    for key, files in more.items():
        exact = [file for file in files if matching.has_suffix(key, file[0])]
        if len(exact) == 1:
            first[key] = exact[0]
            matching.left_out.update(name for name, _ in files if name != exact[0][0])
            ignored += len(files) - 1
        else:
            for name, _ in files[1:]:
                several.add(key, files[0][0], name)
    return {key: at for key, (_, at) in first.items()}, several, ignored


class StreamedImages:
    """The images of a dataset that a source names, in the dataset's order.

    Of local Parquet files the names are read first: keys that several images fit are refused, as those of
    files. A dataset on the Hub is read once, and the row of a key's first image is made before another comes.
    The same image again is a reject; another image of the key ends the build, because the row may be wrong.

    Args:
        images: the dataset, whose ids are the source's keys.
        matching: of the source.
        source: the source, for messages.
    """

    role = IMAGES
    left_out = ""

    def __init__(self, images: HubImages, matching: Matching, source: str | Path):
        self.place = images.place
        self.ignored = 0
        self._images, self._source = images, source
        names = images.names()
        _, self._several, _ = _by_key([] if names is None else ((name, None) for name in names), matching)

    def __iter__(self) -> Iterator[tuple[str, bytes | Several] | Reject]:
        """The key of each image with its bytes, or with what refuses it. Raises SourceError."""
        self.ignored = 0
        seen: dict[str, bytes] = {}  # key -> hash of its image
        refused: Counter[str] = Counter()
        for item in self._images:
            if isinstance(item, Reject):
                if item.reason == NOT_NAMED:
                    self.ignored += 1
                else:
                    yield item
            elif item.id in self._several:
                refused[item.id] += 1
                if refused[item.id] == 1:
                    yield item.id, self._several
                else:
                    name = f"{item.id}, image {refused[item.id]}"
                    yield Reject(IMAGES, name, self._several.reason(item.id))
            else:
                digest = hashlib.blake2b(item.payload, digest_size=16).digest()
                if item.id not in seen:
                    yield item.id, item.payload
                elif seen[item.id] == digest:
                    yield Reject(IMAGES, item.id, "the same image again")
                else:
                    raise self._several_in_stream(item.id)
                seen[item.id] = digest

    def _several_in_stream(self, key: str) -> SourceError:
        return SourceError(
            f"{IMAGES}={str(self.place)!r} has several images that fit the name {key!r} of "
            f"{str(self._source)!r}. It is read once, and the row with the first is made. Name the images "
            "with their folders, or download the dataset and pass its folder: entries of such names are then "
            "rejected."
        )


def no_match(place: str | Path, wanted: Gathered, seen: list[str], left_out: str) -> SourceError:
    """The error if no file has a name of the source."""
    names = [key for key, _ in zip(wanted.ids(), range(3), strict=False)]
    return SourceError(
        f"{IMAGES}={str(place)!r}: none of its files is an image that {wanted.place} names. It holds "
        f"{few(seen) or 'no image file'}; the images are called {few(names) or 'nothing'}."
        + (f" {left_out}." if left_out else "")
    )


class ImageRows(NamedTuple):
    """Which of a dataset's rows have the images. None: `train`, of the default configuration."""

    split: str | None = None
    config: str | None = None


DEFAULT = ImageRows()


def open_images(
    images: str | Path, wanted: Gathered, choice: ImageRows = DEFAULT
) -> MatchedImages | StreamedImages:
    """The images of a folder, a zip, a plain tar, or a dataset on the Hub (`owner/name`).

    Those of the Hub, and of a folder of Parquet files, are a stream; the others are looked up.

    Raises:
        SourceError: there is no such place, it cannot be read, or it holds none of the images; a choice among
            files that are no dataset.
    """
    path = Path(images)
    if path.is_dir() and (any(path.glob("*.parquet")) or any(path.glob("data/*.parquet"))):
        return _streamed(str(path), None, wanted, choice)
    if path.exists():
        for option, value in choice._asdict().items():
            if value is not None:
                raise SourceError(
                    f"--images-{option} {value} goes with a dataset on the Hub or a folder of Parquet files, "
                    f"not with {str(images)!r}."
                )
    if path.is_dir() or path.is_file():
        return MatchedImages(open_store(path), path, wanted)
    parsed = hub_id(str(images))
    if parsed is None:
        raise SourceError(
            f"{IMAGES}={str(images)!r} is neither a folder of images, nor a zip or tar of them, nor a "
            "dataset on the Hub (owner/name)."
        )
    return _streamed(*parsed, wanted, choice)


def _streamed(dataset: str, revision: str | None, wanted: Gathered, choice: ImageRows) -> StreamedImages:
    matching = Matching(wanted)
    split = TRAIN if choice.split is None else choice.split
    images = HubImages(dataset, revision, _Ids(matching), split=split, config=choice.config)
    return StreamedImages(images, matching, wanted.place)


NOT_NAMED = "the source does not name this image"


class _Ids:
    """The key of a file name; raises RejectedRecord for images that the source does not name."""

    def __init__(self, matching: Matching):
        self._matching = matching

    def __call__(self, name: str) -> str:
        key = self._matching.key(name)
        if key is None:
            raise RejectedRecord(NOT_NAMED)
        return key
