"""The mouse traces of many XMLs: their numbers are read and the elements cut out, all at once.

Two thirds of the bytes are positions of the cursor. Each is the same eight tags,

    <mouseTracking> <x> 0.5 </x> <y> 0.7 </y> <time> 1644834735154 </time> </mouseTracking>

with or without white space between them. Only the first `<` and the last `>` are left: `<>`, which is in no
XML, so that the rest of a file still tells where each position was. One that is in any way odd stays whole,
for others to say what it is. All of this is decided on arrays that hold every tag of every file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.lib.stride_tricks import sliding_window_view

from imagenet_ab.record import MAX_TEXT
from imagenet_ab.texts import NUMBER, numbers, texts

TRACE, FIELDS = "mouseTracking", ("x", "y", "time")
MAX_SPACE = 64  # characters between two tags; with more, a position is odd
_TAGS = [f"<{TRACE}>", *(f"<{end}{field}>" for field in FIELDS for end in ("", "/")), f"</{TRACE}>"]
_LENGTHS = np.array([len(tag) for tag in _TAGS])
_LONG = (0, len(_TAGS) - 1)  # the tags of more than eight characters

_WORD = 8  # characters that are compared at a time, as one number
# Behind each file, so that nothing seems to go on in the next: it is in no tag, no number and no white space.
END_OF_FILE = b"\0"
_PADDING = bytes(4 * _WORD)  # behind the last tag, where the words of a longer one would be


def _words(parts: list[bytes]) -> np.ndarray:
    """uint64: the first eight characters of each."""
    return np.array([int.from_bytes(part[:_WORD], "little") for part in parts], np.uint64)


_WANTED, _WANTED_NEXT = (_words([tag[start:].encode() for tag in _TAGS]) for start in (0, _WORD))
_MASKS, _MASKS_NEXT = (_words([b"\xff" * len(tag[start:]) for tag in _TAGS]) for start in (0, _WORD))
_WITHIN = _words([b"\xff" * size for size in range(_WORD + 1)])  # the first so many characters of a word
_SPACES = _words([b" " * _WORD])
_IS_SPACE = np.isin(np.arange(256), list(b" \t\r\n"))


@dataclass(frozen=True)
class Traces:
    """`rest`: the files, with `<>` in place of each position, and END_OF_FILE behind each. `counts`: int64
    [files], how many these are. `positions`: float64 [positions, 3], their FIELDS in the files' order, as
    Arrow reads them: NaN and infinity too, the latter also for a number of more than MAX_TEXT characters.
    Whoever uses them must refuse those.
    """

    rest: pa.BinaryArray
    counts: np.ndarray
    positions: np.ndarray

    def positions_of(self, files: np.ndarray) -> np.ndarray:
        """Those of some files; bool [files]."""
        return self.positions if files.all() else self.positions[np.repeat(files, self.counts)]


def cut_traces(xmls: Sequence[bytes]) -> Traces:
    """Reads and cuts out the positions. A file that has `<>` before comes out empty: it is no XML."""
    content = _Content(xmls)
    if content.has_empty_tags:
        content = _Content([b"" if b"<>" in xml else xml for xml in xmls])
    tags = content.tags_of_positions()
    try:
        positions = content.numbers(tags)
    except pa.ArrowInvalid:
        tags = tags[content.are_plain(tags)]
        positions = content.numbers(tags)
    before = np.searchsorted(tags[:, 0], content.bounds)  # positions before each file
    rest = content.without(tags[:, 0] + 1, tags[:, -1] + _LENGTHS[-1] - 1, before)
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

    def tags_of_positions(self) -> np.ndarray:
        """Where the eight tags of each position are: int64 [positions, 8]."""
        first = np.flatnonzero(self._letters == ord(_TAGS[0][1]))
        first = first[first <= len(self._begins) - len(_TAGS)]
        for step, tag in enumerate(_TAGS):  # few others begin with all of these letters
            first = first[self._letters[first + step] == ord(tag[1])]
        if not len(first):
            return np.empty((0, len(_TAGS)), np.int64)
        tags = sliding_window_view(self._begins, len(_TAGS))[first]
        good = self._spelled(tags) & self._blank_between(tags)
        return tags if good.all() else tags[good]

    def _spelled(self, tags: np.ndarray) -> np.ndarray:
        """Whether each is the eight tags, by all of their characters."""
        same = (self._words[tags] & _MASKS) == _WANTED
        for tag in _LONG:
            same[:, tag] &= (self._words[tags[:, tag] + _WORD] & _MASKS_NEXT[tag]) == _WANTED_NEXT[tag]
        return np.ones(len(same), bool) if same.all() else same.all(axis=1)

    def _blank_between(self, tags: np.ndarray) -> np.ndarray:
        """Whether there is nothing but white space behind the tags that no value follows."""
        begins, ends = tags[:, :-1:2] + _LENGTHS[:-1:2], tags[:, 1::2]
        apart = begins < ends
        blank = np.ones(apart.shape, bool)
        if apart.any():
            blank[apart] = self._blank(begins[apart], ends[apart])
        return blank.all(axis=1)

    def _blank(self, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Whether there is nothing but white space, and not too much, from each begin to its end."""
        blank = ends - begins <= MAX_SPACE
        for start in range(0, MAX_SPACE, _WORD):
            left = np.flatnonzero(blank & (begins + start < ends))
            within = _WITHIN.take(ends[left] - begins[left] - start, mode="clip")
            words = (self._words[begins[left] + start] & within) | (_SPACES & ~within)
            blank[left] = _IS_SPACE[words.view(np.uint8)].reshape(-1, _WORD).all(axis=1)
        return blank

    def numbers(self, tags: np.ndarray) -> np.ndarray:
        """float64 [positions, 3]. Raises pa.ArrowInvalid where a value is none."""
        begins, ends = _values(tags)
        found = numbers(self._buffer, begins.ravel(), ends.ravel()).reshape(begins.shape)
        too_long = ends - begins > MAX_TEXT
        return np.where(too_long, np.inf, found) if too_long.any() else found

    def are_plain(self, tags: np.ndarray) -> np.ndarray:
        """Whether the values of each position are numbers, plainly."""
        begins, ends = _values(tags)
        found = texts(self._buffer, begins.ravel(), ends.ravel())
        plain = pc.match_substring_regex(found, rf"\A{NUMBER}\z").to_numpy(zero_copy_only=False)
        return plain.reshape(begins.shape).all(axis=1)

    def without(self, begins: np.ndarray, ends: np.ndarray, before: np.ndarray) -> pa.BinaryArray:
        """The files without what is from each begin to its end; `before`: how many are before each file."""
        kept = texts(self._buffer, np.append(0, ends), np.append(begins, self.bounds[-1]))
        gone = np.append(0, np.cumsum(ends - begins))
        offsets = (self.bounds - gone[before]).astype(np.int32)
        buffers = [None, pa.py_buffer(offsets), kept.buffers()[2]]
        return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def _values(tags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the values of each position begin and end: [positions, 3] each."""
    return tags[:, 1:-1:2] + _LENGTHS[1:-1:2], tags[:, 2:-1:2]
