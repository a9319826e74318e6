"""A reader's records, gathered by image on disk: sources name an image again and again, in any order."""

import pickle
import tempfile
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from luab_attention.columns import HEATMAPS, MASKS, OPTIONAL, SCANPATHS, SEGMENT
from luab_attention.convert.image_keys import key_and_suffix
from luab_attention.convert.records import PathPart, Read, SourceRecord, Unannotated
from luab_data.constants import OBJECTS, POINTS
from luab_data.errors import RejectedRecord
from luab_data.sources.entries import BYPRODUCTS, Reject

_PARTS = {POINTS: "points", SCANPATHS: "paths", OBJECTS: "boxes", MASKS: "masks", HEATMAPS: "heatmaps"}


class Gathered:
    """All records of a source in a compressed scratch file, by image; what they have, in memory.

    An image is called by its name without suffix, unless another has this name with another suffix.

    The records are our own objects in a file without a name, deleted with this object. A `Lookup` whose
    payloads are lists of records.

    Args:
        records: what the reader gives.
        place: the source, for messages and the fingerprint of a build.
        role: what the source is for.

    Attributes:
        fields: for each column that there is, its optional fields.
        labels: how many images have each class, in the order of their first record.
        single: whether each image has exactly one class, its own.
        sized: whether each image has a size.
        found: the number of the source's entries.
        unannotated: how many entries of each kind nobody annotated; `ignored` counts them all.
        with_suffix: the images that are called with their suffix.
    """

    def __init__(self, records: Read, place: str | Path, role: str = BYPRODUCTS):
        self.role = role
        self.place = place
        self.ignored = 0
        self.unannotated: dict[str, int] = {}
        self.fields: dict[str, set[str]] = {}
        self.labels: dict[str, int] = {}
        self.found = 0
        self.with_images = False
        self.with_suffix: set[str] = set()
        self._chunks: dict[str, array[int]] = {}  # id -> begin and end of each of its records
        self._early: dict[str, array[int]] = {}  # those that are not counted, of images without another yet
        self._suffixes: dict[str, str] = {}  # id -> the suffix of its name, if it has one
        self._rejects: array[int] = array("Q")
        self._file = tempfile.TemporaryFile(prefix="luab-")  # noqa: SIM115 - lives as long as the object
        self._end = 0
        self._unsized: set[str] = set()
        self._sized: set[str] = set()
        self._own: dict[str, str | None] = {}  # image -> its own class; None: several
        for record in records:
            if isinstance(record, Unannotated):
                self.ignored += 1
                self.unannotated[record.what] = self.unannotated.get(record.what, 0) + 1
            elif isinstance(record, Reject):
                self.found += 1
                self._rejects.extend(self._write(record))
            else:
                self.found += record.count
                self._add(record)
        self._early.clear()  # there is nothing that they could tell more about
        self._drop_suffixes()

    @property
    def single(self) -> bool:
        """Whether each image has exactly one class, and it is the image's own."""
        return bool(self._own) and None not in self._own.values() and self._own.keys() == self._chunks.keys()

    @property
    def sized(self) -> bool:
        """Whether the source states the size of each image."""
        return self._unsized <= self._sized

    def states_size(self, entry_id: str) -> bool:
        """Whether a record of an image states its size."""
        return entry_id in self._sized

    def suffix(self, entry_id: str) -> str:
        """The suffix of an image's name in lower case, "" if it has none."""
        return self._suffixes.get(entry_id, "")

    def file_name(self, entry_id: str) -> str:
        """An image's name with its suffix."""
        return entry_id if entry_id in self.with_suffix else entry_id + self.suffix(entry_id)

    def __len__(self) -> int:
        return len(self._chunks)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._chunks

    def get(self, entry_id: str) -> list[SourceRecord]:
        """The records of an image, in the source's order."""
        places = self._chunks[entry_id]
        found = [self._read(*places[at : at + 2]) for at in range(0, len(places), 2)]
        return [record for record in found if isinstance(record, SourceRecord)]

    def ids(self) -> Iterator[str]:
        """The images, in the order of their first record."""
        return iter(self._chunks)

    def rejects(self) -> Iterator[Reject]:
        """What the reader refused, in the source's order."""
        for at in range(0, len(self._rejects), 2):
            reject = self._read(*self._rejects[at : at + 2])
            if isinstance(reject, Reject):
                yield reject

    def _add(self, record: SourceRecord) -> None:
        try:
            key, suffix = key_and_suffix(record.image_id)
            key += suffix
        except RejectedRecord as error:
            for reject in record.rejects(f"its image {record.image_id[:200]!a}: {error.reason}", self.role):
                self._rejects.extend(self._write(reject))
            return
        if not record.counted:
            places = self._chunks if key in self._chunks else self._early
            places.setdefault(key, array("Q")).extend(self._write(record))
            return
        if key not in self._chunks:
            self._chunks[key] = self._early.pop(key, array("Q"))
        self._chunks[key].extend(self._write(record))
        if suffix:
            self._suffixes[key] = suffix
        (self._sized if record.size is not None else self._unsized).add(key)
        self.with_images |= record.image is not None
        self._note_labels(key, record)
        for column, name in _PARTS.items():
            for part in getattr(record, name):
                fields = self.fields.setdefault(column, set())
                for field in OPTIONAL[column]:
                    if field not in fields and getattr(part, field) is not None:
                        fields.add(field)
                if isinstance(part, PathPart) and part.may_lose:
                    fields.add(SEGMENT)

    def _note_labels(self, key: str, record: SourceRecord) -> None:
        for label in dict.fromkeys(record.labels()):
            self.labels[label] = self.labels.get(label, 0) + 1
        if record.label is not None:
            self._note_own(key, record.label)
        elif next(record.present(), None) is not None:
            self._note_own(key, None)

    def _note_own(self, key: str, label: str | None) -> None:
        self._own[key] = label if self._own.get(key, label) == label else None

    def _drop_suffixes(self) -> None:
        """Calls images by their names without suffix, now that all names are known."""
        keys = {name: name.removesuffix(suffix) for name, suffix in self._suffixes.items()}
        number = Counter(keys.values())
        self.with_suffix = {name for name, key in keys.items() if number[key] > 1}
        # `a.jpg.png` cannot be `a.jpg` beside an `a.jpg` that keeps its suffix.
        self.with_suffix |= {name for name, key in keys.items() if key in self.with_suffix}
        keys |= {name: name for name in self.with_suffix}
        chunks, own = self._chunks, self._own
        self._chunks, self._own = {}, {}
        for name, places in chunks.items():
            before = self._chunks.get(keys.get(name, name))
            merged = places if before is None else array("Q", sorted([*before, *places]))
            self._chunks[keys.get(name, name)] = merged
        for name, label in own.items():
            self._note_own(keys.get(name, name), label)
        self._sized = {keys.get(name, name) for name in self._sized}
        self._unsized = {keys.get(name, name) for name in self._unsized}
        self._suffixes = {keys[name]: suffix for name, suffix in self._suffixes.items()}

    def _write(self, item: SourceRecord | Reject) -> tuple[int, int]:
        packed = zlib.compress(pickle.dumps(item, pickle.HIGHEST_PROTOCOL), 1)
        begin, self._end = self._end, self._end + len(packed)
        self._file.seek(begin)
        self._file.write(packed)
        return begin, self._end

    def _read(self, begin: int, end: int) -> SourceRecord | Reject:
        self._file.seek(begin)
        found: SourceRecord | Reject = pickle.loads(zlib.decompress(self._file.read(end - begin)))
        return found
