"""What a reader gives: one `SourceRecord` for each entry of its source, in the source's own numbers."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from luab_attention.columns import NOT_HERE
from luab_attention.convert.frames import RATIOS, Frame
from luab_attention.convert.mask_files import MaskFile, read_mask_file
from luab_attention.convert.masks import MaskContent
from luab_data.errors import RejectedRecord
from luab_data.sources.entries import BYPRODUCTS, Reject


class PointPart(NamedTuple):
    """One point; `sign` -1: the class is not there."""

    x: float
    y: float
    label: str | None = None
    weight: float | None = None
    sign: int | None = None


class PathPart(NamedTuple):
    """One viewing: samples or fixations in order.

    Times and durations are in ms. Parts of an image with the same `key` are one viewing, which a source gives
    in pieces: its samples come in the order of time. `lost` has the times of samples that are not there, NaN
    for a time that is not known: it was after the samples that the source has before it. The samples before
    and after a lost one are not connected.
    """

    x: list[float]
    y: list[float]
    time: list[float] | None = None
    duration: list[float] | None = None
    segment: list[int] | None = None
    annotator: str | None = None
    task: str | None = None
    label: str | None = None
    weight: float | None = None
    key: str | None = None
    lost: Sequence[float] = ()

    @property
    def may_lose(self) -> bool:
        """Whether a sample counts until the next one, and some may be lost: then it has segments."""
        return self.key is not None and self.time is not None and self.duration is None

    def cut(self, begin: int, end: int) -> "PathPart":
        """The samples from `begin` to before `end`."""
        return self._replace(
            x=self.x[begin:end],
            y=self.y[begin:end],
            time=None if self.time is None else self.time[begin:end],
            duration=None if self.duration is None else self.duration[begin:end],
            segment=None if self.segment is None else self.segment[begin:end],
        )


class BoxPart(NamedTuple):
    """A box from its upper left corner, in the record's frame.

    Parts of an image with the same `key` are one box, which a source repeats.
    """

    x: float
    y: float
    width: float
    height: float
    label: str | None = None
    key: str | None = None


class MaskPart(NamedTuple):
    """A mask of the whole image."""

    content: MaskContent
    label: str | None = None


class HeatmapPart(NamedTuple):
    """A map of the whole image: the bytes of an image file."""

    content: bytes
    label: str | None = None
    annotator: str | None = None


class RecordEntry(NamedTuple):
    """One of a record's entries: its name, for `rejects.jsonl`, and how many points or samples it has."""

    name: str
    parts: int = 1


@dataclass(frozen=True)
class SourceRecord:
    """One entry of a source, or several that follow each other and belong to one image.

    Attributes:
        image_id: the image, by any name that tells which it is: see `image_key`.
        name: of the entry, or of the first, for `rejects.jsonl`.
        frame: where the image is among the numbers.
        size: width and height of the image in pixels, if the source states them.
        label: the image's own class.
        image: the image file's bytes, if the source has them.
        pixels_per_degree: image pixels in a degree of visual angle.
        entries: its entries, if each can be rejected alone. Then the record has points alone in their order,
            or the samples of one path with a key.
        counted: False if it is no entry of the source, but tells more about an image: its true boxes, or the
            samples that a path lost.
    """

    image_id: str
    name: str
    frame: Frame = RATIOS
    size: tuple[float, float] | None = None
    label: str | None = None
    points: list[PointPart] = field(default_factory=list)
    paths: list[PathPart] = field(default_factory=list)
    boxes: list[BoxPart] = field(default_factory=list)
    masks: list[MaskPart] = field(default_factory=list)
    heatmaps: list[HeatmapPart] = field(default_factory=list)
    image: bytes | None = None
    pixels_per_degree: float | None = None
    entries: Sequence[RecordEntry] = ()
    counted: bool = True

    @property
    def count(self) -> int:
        """Number of the source's entries."""
        return (len(self.entries) or 1) if self.counted else 0

    def labels(self) -> Iterator[str]:
        """The classes that it names, in order, also those that it says are not there."""
        return self._labels(self.points)

    def present(self) -> Iterator[str]:
        """The classes that it says are there."""
        return self._labels([point for point in self.points if point.sign != NOT_HERE])

    def _labels(self, points: list[PointPart]) -> Iterator[str]:
        parts: tuple[PointPart | PathPart | BoxPart | MaskPart | HeatmapPart, ...]
        parts = (*points, *self.paths, *self.boxes, *self.masks, *self.heatmaps)
        for label in (self.label, *(part.label for part in parts)):
            if label is not None:
                yield label

    def rejects(self, reason: str, role: str = BYPRODUCTS) -> list[Reject]:
        """A reject for each of its entries."""
        names = [entry.name for entry in self.entries] or [self.name]
        return [Reject(role, name, reason) for name in names] if self.counted else []

    def halves(self) -> tuple["SourceRecord", "SourceRecord"]:
        """The record in two, each with half of its entries."""
        middle = len(self.entries) // 2
        at = sum(entry.parts for entry in self.entries[:middle])
        end = sum(entry.parts for entry in self.entries)
        return self._cut(self.entries[:middle], 0, at), self._cut(self.entries[middle:], at, end)

    def _cut(self, entries: Sequence[RecordEntry], begin: int, end: int) -> "SourceRecord":
        paths = [path.cut(begin, end) for path in self.paths]
        return replace(
            self, name=entries[0].name, entries=entries, points=self.points[begin:end], paths=paths
        )

    def lost(self) -> "SourceRecord | None":
        """What is left of it if it cannot be used: the times of the samples of viewings in pieces."""
        paths = [
            PathPart([], [], key=path.key, lost=path.time or (math.nan,))
            for path in self.paths
            if path.key is not None
        ]
        return SourceRecord(self.image_id, self.name, paths=paths, counted=False) if paths else None


class Records(list[SourceRecord]):
    """The records of an image with all that a row is made of, so that another machine can make it."""

    @property
    def nbytes(self) -> int:
        """Bytes of the files that they hold, each counted once."""
        files: list[object] = [record.image for record in self]
        files += [heatmap.content for record in self for heatmap in record.heatmaps]
        masks = (mask.content for record in self for mask in record.masks)
        files += [mask.content for mask in masks if isinstance(mask, MaskFile)]
        return sum(map(len, {id(file): file for file in files if isinstance(file, bytes)}.values()))


def with_files(records: Iterable[SourceRecord]) -> Records:
    """The records with the bytes of their mask files; each file is read once."""
    read: dict[Path, bytes | RejectedRecord] = {}
    return Records(replace(record, masks=[_read(mask, read) for mask in record.masks]) for record in records)


def _read(mask: MaskPart, read: dict[Path, bytes | RejectedRecord]) -> MaskPart:
    file = mask.content
    if not isinstance(file, MaskFile) or not isinstance(file.content, Path):
        return mask
    if file.content not in read:
        read[file.content] = read_mask_file(file.content)
    return mask._replace(content=file._replace(content=read[file.content]))


class Unannotated(NamedTuple):
    """An entry that nobody annotated: it is counted, and neither used nor rejected.

    `what` names its kind in the plural, such as "images without an object".
    """

    what: str


Read = Iterator[SourceRecord | Reject | Unannotated]  # what a reader's function gives
