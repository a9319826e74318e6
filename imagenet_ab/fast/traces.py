"""Reads the mouse traces of many XMLs at once, and cuts their elements out.

Two thirds of the bytes are positions of the cursor. Each consists of the same eight tags,

    <mouseTracking> <x> 0.5 </x> <y> 0.7 </y> <time> 1644834735154 </time> </mouseTracking>

with or without white space between them, and with the fields in the most common order. Only the first `<` and
the last `>` of a position are kept: `<>`, which occurs in no XML, marks its place in the rest of the file.
Malformed positions are left to the strict parser, which reports them. All of this works on arrays with every
tag of every file.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.lib.stride_tricks import sliding_window_view

from imagenet_ab.fast.texts import NUMBER, numbers, texts
from imagenet_ab.fields import ANNOTATION_FIELDS, MAX_TEXT, TimedPoint, xml_fields

TRACE = ANNOTATION_FIELDS["mouse_tracking"].tag
FIELDS = tuple(field.tag for field in xml_fields(TimedPoint))
MAX_SPACE = 64  # characters between two tags; positions with more are left to the strict parser
_TAGS_OF_ONE = 2 + 2 * len(FIELDS)
_WORD = 8  # characters that are compared at a time, as one number
# Behind each file, so that nothing seems to go on in the next: it is in no tag, no number and no white space.
END_OF_FILE = b"\0"
_PADDING = bytes(4 * _WORD)  # behind the last tag, where the words of a longer one would be


def _words(parts: list[bytes]) -> np.ndarray:
    """uint64: the first eight characters of each."""
    return np.array([int.from_bytes(part[:_WORD], "little") for part in parts], np.uint64)


_WITHIN = _words([b"\xff" * size for size in range(_WORD + 1)])  # the first so many characters of a word
_SPACES = _words([b" " * _WORD])
_IS_SPACE = np.isin(np.arange(256), list(b" \t\r\n"))


class _Tags:
    """The eight tags of a position whose fields are in this order, as arrays [8]."""

    def __init__(self, order: tuple[str, ...]):
        self.order = order
        tags = [f"<{TRACE}>", *(f"<{end}{field}>" for field in order for end in ("", "/")), f"</{TRACE}>"]
        self.letters = [ord(tag[1]) for tag in tags]
        self.lengths = np.array([len(tag) for tag in tags])
        words = [[tag[start:].encode() for tag in tags] for start in (0, _WORD)]
        self.wanted, self.wanted_next = map(_words, words)
        self.masks, self.masks_next = (_words([b"\xff" * len(part) for part in parts]) for parts in words)


_LONG = (0, _TAGS_OF_ONE - 1)  # the tags of more than eight characters, and of no more than sixteen
_BY_LETTERS = {bytes(ord(field[0]) for field in order): _Tags(order) for order in permutations(FIELDS)}
_USUAL = _BY_LETTERS[bytes(ord(field[0]) for field in FIELDS)]
_SAMPLE = 100


@dataclass(frozen=True)
class Traces:
    """The positions of some files, and what is left of the files without them.

    Attributes:
        rest: The files, with `<>` in place of each position, and END_OF_FILE behind each.
        counts: int64 [files], how many positions each had.
        positions: float64 [positions, 3], their FIELDS in the files' order, as Arrow reads them: NaN and
            infinity too, the latter also for a number of more than MAX_TEXT characters. Refuse those.
    """

    rest: pa.BinaryArray
    counts: np.ndarray
    positions: np.ndarray

    def positions_of(self, files: np.ndarray) -> np.ndarray:
        """The positions of some files, chosen by bool [files]."""
        return self.positions if files.all() else self.positions[np.repeat(files, self.counts)]


def cut_traces(xmls: Sequence[bytes]) -> Traces:
    """Reads and cuts out the positions. A file that already has `<>` becomes empty: it is not XML."""
    content = _Content(xmls)
    if content.has_empty_tags:
        content = _Content([b"" if b"<>" in xml else xml for xml in xmls])
    places = content.find_positions()
    try:
        positions = content.numbers(places)
    except pa.ArrowInvalid:
        places = places[content.are_plain(places)]
        positions = content.numbers(places)
    before = np.searchsorted(places[:, 0], content.bounds)  # positions before each file
    rest = content.without(places[:, 0] + 1, places[:, -1] + len(f"</{TRACE}>") - 1, before)
    return Traces(rest, np.diff(before), positions)


class _Content:
    """Some files, one behind the other, each with END_OF_FILE: `bounds` [files + 1] says where."""

    def __init__(self, xmls: Sequence[bytes]):
        content = END_OF_FILE.join([*xmls, _PADDING])
        characters = np.frombuffer(content, np.uint8)
        self.bounds = np.cumsum([0, *(len(xml) + len(END_OF_FILE) for xml in xmls)])
        self._buffer = pa.py_buffer(content)
        # One from each character on: they overlap.
        self._words = np.ndarray((len(content) - _WORD + 1,), "<u8", content, strides=(1,))
        self._begins = np.flatnonzero(characters == ord("<"))
        self._letters = characters.take(self._begins + 1)

    @property
    def has_empty_tags(self) -> bool:
        return bool((self._letters == ord(">")).any())

    def find_positions(self) -> np.ndarray:
        """The places of the eight tags of each position: int64 [positions, 8]."""
        first = np.flatnonzero(self._letters[:-_TAGS_OF_ONE] == ord(TRACE[0]))
        self._tags = self._usual_tags(first)
        for step, letter in enumerate(self._tags.letters):  # few others begin with all of these
            first = first[self._letters[first + step] == letter]
        if not len(first):
            return np.empty((0, _TAGS_OF_ONE), np.int64)
        places = sliding_window_view(self._begins, _TAGS_OF_ONE)[first]
        good = self._spelled(places) & self._blank_between(places)
        return places if good.all() else places[good]

    def _usual_tags(self, first: np.ndarray) -> _Tags:
        """The most common eight tags of the positions that begin with the `first` tags."""
        sample = first[:: len(first) // _SAMPLE + 1]
        fields = self._letters[sample[:, None] + (1, 3, 5)]
        known = (_BY_LETTERS.get(letters.tobytes()) for letters in fields)
        orders = Counter(tags for tags in known if tags is not None)
        return max(orders, key=orders.__getitem__, default=_USUAL)

    def _spelled(self, places: np.ndarray) -> np.ndarray:
        """Whether these are the eight tags, by all of their characters."""
        tags = self._tags
        same = (self._words[places] & tags.masks) == tags.wanted
        for tag in _LONG:
            found = self._words[places[:, tag] + _WORD] & tags.masks_next[tag]
            same[:, tag] &= found == tags.wanted_next[tag]
        return np.ones(len(same), bool) if same.all() else same.all(axis=1)

    def _blank_between(self, places: np.ndarray) -> np.ndarray:
        """Whether there is nothing but white space behind the tags that no value follows."""
        begins, ends = places[:, :-1:2] + self._tags.lengths[:-1:2], places[:, 1::2]
        apart = begins < ends
        blank = np.ones(apart.shape, bool)
        if apart.any():
            blank[apart] = self._blank(begins[apart], ends[apart])
        return np.asarray(blank.all(axis=1))

    def _blank(self, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Whether there is nothing but white space, and not too much, from each begin to its end."""
        blank = ends - begins <= MAX_SPACE
        for start in range(0, MAX_SPACE, _WORD):
            left = np.flatnonzero(blank & (begins + start < ends))
            within = _WITHIN.take(ends[left] - begins[left] - start, mode="clip")
            words = (self._words[begins[left] + start] & within) | (_SPACES & ~within)
            blank[left] = _IS_SPACE[words.view(np.uint8)].reshape(-1, _WORD).all(axis=1)
        return blank

    def numbers(self, places: np.ndarray) -> np.ndarray:
        """float64 [positions, 3]. Raises pa.ArrowInvalid where a value is none."""
        begins, ends = self._values(places)
        found = numbers(self._buffer, begins.ravel(), ends.ravel()).reshape(begins.shape)
        too_long = ends - begins > MAX_TEXT
        found = np.where(too_long, np.inf, found) if too_long.any() else found
        order = self._tags.order
        return found if order == FIELDS else found[:, [order.index(field) for field in FIELDS]]

    def are_plain(self, places: np.ndarray) -> np.ndarray:
        """Whether the values of each position are numbers, plainly."""
        begins, ends = self._values(places)
        found = texts(self._buffer, begins.ravel(), ends.ravel())
        plain = pc.match_substring_regex(found, rf"\A{NUMBER}\z").to_numpy(zero_copy_only=False)
        return plain.reshape(begins.shape).all(axis=1)

    def _values(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Begin and end of the values of each position: [positions, 3] each, in the content's order."""
        return places[:, 1:-1:2] + self._tags.lengths[1:-1:2], places[:, 2:-1:2]

    def without(self, begins: np.ndarray, ends: np.ndarray, before: np.ndarray) -> pa.BinaryArray:
        """The files without what is from each begin to its end; `before`: how many are before each file."""
        kept = texts(self._buffer, np.append(0, ends), np.append(begins, self.bounds[-1]))
        gone = np.append(0, np.cumsum(ends - begins))
        offsets = (self.bounds - gone[before]).astype(np.int32)
        buffers = [None, pa.py_buffer(offsets), kept.buffers()[2]]
        return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)
