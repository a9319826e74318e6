"""Where the values are in many XMLs of the released layout, found for all of them at once.

A file is of the layout if it is ASCII, its tags have no attributes and follow each other as below, each value
occurs as often as it may, and between the tags is white space. Where the white space is, in what order the
elements are and how the root is called does not matter. All of this is decided on arrays that hold every tag
of every file; a file that is not of the layout is only named, for the strict parser (`imagenet_ab.record`) to
say what it is.

    <?xml version="1.0" ?>  <root>  <metadata>  scalars and structures  </metadata> ...  </root>

Which tag may follow which is a table of pairs. That decides the whole structure, because a tag's symbol holds
the element that it is in: `</x>` of a click and `</x>` of the image's position are two.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

# Children of `metadata` with a value of their own.
SCALARS = (
    "imageID",
    "originalImageHeight",
    "originalImageWidth",
    "imageHeight",
    "imageWidth",
    "hoveredCount",
    "selected",
    "selectedCount",
    "estimateTime",
    "worker_id",
    "assignment_id",
    "page_idx",
)
# Children of `metadata` with elements below them, all of which they need, or none.
STRUCTURES = {
    "imagePosition": ("x", "y"),
    "hoveredRecord": ("action", "time"),
    "mouseTracking": ("x", "y", "time"),
    "selectedRecord": ("x", "y", "time"),
}
CHILDREN = (*SCALARS, *STRUCTURES)
ONCE = (*SCALARS, "imagePosition")  # the other structures repeat
REQUIRED = ("imageID", "selected")
# Far below the strict parser's limits on bytes and elements (one takes 4 bytes or more).
MAX_FILE_BYTES = 1 << 18

_DECLARATION = re.compile(r'<\?xml version="1\.0"( encoding="(utf|UTF)-8")? ?\?>')
_ROOT = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9_]*)>")
_NOT_ANGLES = bytes(set(range(256)) - set(b"<>"))
_SPACE = " \t\r\n"
_VALUE_BEGINS = np.array([chr(code) not in "<>" + _SPACE for code in range(256)])


class _Symbols:
    """Numbers of the tags, each with the element that it is in, and which may follow which."""

    def __init__(self):
        self.number: dict[tuple[str, ...], int] = {}
        self.unknown, self.declaration, self.root, self.root_end = (
            self._add(name) for name in ("unknown", "declaration", "root", "/root")
        )
        for name in ("metadata", *CHILDREN):
            self._add(name), self._add("/" + name)
        for name in CHILDREN:
            self._add(name + "/")  # <mouseTracking/>
        self.of_tag = {f"<{name}>": number for (name,), number in list(self.number.items())[4:]}
        self._add_contexts()
        self.follows = self._table()
        self.leaves = np.zeros(len(self.number), bool)  # by symbol: what follows it is a value
        for name in SCALARS:
            self.leaves[self[name]] = True
        for structure, fields in STRUCTURES.items():
            for field in fields:
                self.leaves[self[structure, field]] = True

    def __getitem__(self, key: str | tuple[str, str]) -> int:
        return self.number[key if isinstance(key, tuple) else (key,)]

    def _add(self, *key: str) -> int:
        return self.number.setdefault(key, len(self.number))

    def _add_contexts(self) -> None:
        """`<x>` has a number before it is known what it is in, and one for each structure."""
        fields = sorted({field for each in STRUCTURES.values() for field in each})
        for field in fields:
            for tag in (field, "/" + field):
                self.of_tag[f"<{tag}>"] = self._add("anywhere", tag)
        for structure in STRUCTURES:
            for field in STRUCTURES[structure]:
                self._add(structure, field), self._add(structure, "/" + field)
        self.count = count = len(self.number)
        self.opens = np.zeros(count, bool)  # tags that decide which structure the next `<x>` is in
        self.in_structure = np.tile(np.arange(count, dtype=np.uint8), (count, 1))
        for field in fields:
            for tag in (field, "/" + field):
                self.in_structure[:, self["anywhere", tag]] = self.unknown
                for structure in STRUCTURES:
                    if field in STRUCTURES[structure]:
                        known = self[structure, tag]
                        self.in_structure[self[structure], self["anywhere", tag]] = known
        for structure in STRUCTURES:
            self.opens[self[structure]] = True

    def _table(self) -> np.ndarray:
        follows = np.zeros((len(self.number),) * 2, bool)

        def allow(before, *after) -> None:
            for each in after:
                follows[self[before], self[each]] = True

        empty = [name + "/" for name in CHILDREN]
        allow("declaration", "root")
        allow("root", "metadata")
        allow("/metadata", "metadata", "/root")
        for before in ("metadata", *empty, *("/" + name for name in CHILDREN)):
            allow(before, *CHILDREN, *empty, "/metadata")
        for name in SCALARS:
            allow(name, "/" + name)
        for name, fields in STRUCTURES.items():
            starts = [(name, field) for field in fields]
            allow(name, *starts, "/" + name)
            for field in fields:
                allow((name, field), (name, "/" + field))
                allow((name, "/" + field), *starts, "/" + name)
        return follows


_SYMBOLS = _Symbols()


class Layout:
    """The tags of some files, all of them of the layout.

    `metadata` gives for each tag the number of its `metadata` element among those of all files, `files` the
    file of each `metadata`.
    """

    def __init__(self, pieces: "_Pieces", symbols: np.ndarray, of_file: np.ndarray):
        starts = symbols == _SYMBOLS["metadata"]
        self.metadata = np.cumsum(starts, dtype=np.int32) - 1
        self.files = of_file[starts]
        self._pieces = pieces
        self._symbols = symbols
        self._order = np.argsort(symbols, kind="stable")
        self._bounds = np.searchsorted(symbols[self._order], np.arange(len(_SYMBOLS.number) + 1))

    def places(self, *name: str) -> np.ndarray:
        """The tags called `<name>` (of a scalar or structure), or of one field of a structure."""
        symbol = _SYMBOLS.number[name]
        return self._order[self._bounds[symbol] : self._bounds[symbol + 1]]

    def filled(self, structure: str) -> np.ndarray:
        """The tags `<structure>` with elements below them."""
        places = self.places(structure)
        return places[self._symbols[places + 1] != _SYMBOLS["/" + structure]]

    def values(self, places: np.ndarray) -> pa.StringArray:
        """The values behind some of the tags; "" where there is nothing but white space."""
        return self._pieces.values(places)


class _Pieces:
    """Some files, cut into tags (with the white space behind them) and values; nothing is copied.

    `angles` are the places of `<` and behind `>`, in turns.
    """

    def __init__(self, content: bytes, characters: np.ndarray, angles: np.ndarray):
        angles[-1] -= angles[-1] == len(characters)  # the last tag may end the content: look at its `>`
        self._valued = _VALUE_BEGINS[characters[angles[1::2]]]  # by tag: whether a value follows
        kept = np.ones(len(angles), bool)
        kept[1::2] = self._valued
        cuts = np.append(angles[kept], len(characters)).astype(np.int32)
        self._array = pa.StringArray.from_buffers(len(cuts) - 1, pa.py_buffer(cuts), pa.py_buffer(content))
        self._place = np.cumsum(self._valued) - self._valued + np.arange(len(self._valued))  # of each tag

    @property
    def valued(self) -> np.ndarray:
        """For each tag, whether a value follows it."""
        return self._valued

    def tags(self) -> pa.StringArray:
        return self._array.take(pa.array(self._place))

    def values(self, tags: np.ndarray) -> pa.StringArray:
        """The values behind some of the tags; "" where there is none."""
        places, valued = self._place[tags] + 1, self._valued[tags]
        if valued.all():
            return self._array.take(pa.array(places))
        return self._array.take(pa.array(places, mask=~valued)).fill_null("")


def read_layout(xmls: Sequence[bytes]) -> tuple[Layout | None, np.ndarray]:
    """The layout of those `xmls` that are of it (None: of none), and their numbers, in ascending order."""
    small = [xml.startswith(b"<") and len(xml) <= MAX_FILE_BYTES for xml in xmls]
    numbers = np.flatnonzero(small)
    while len(numbers):
        layout, good = _read([xmls[number] for number in numbers])
        if good.all():
            return layout, numbers
        numbers = numbers[good]  # again without the others: that they are not of it is all that is known
    return None, numbers


def _read(xmls: Sequence[bytes]) -> tuple[Layout | None, np.ndarray]:
    """The layout, and which of the files are of it; there is none unless all of them are."""
    content = b"".join(xmls)
    characters = np.frombuffer(content, np.uint8)
    angles = np.flatnonzero((characters & 0xFD) == ord("<"))  # `<` and `>` differ in one bit
    if not content.isascii() or not _in_turns(characters, angles):
        good = np.array([_is_plain(xml) for xml in xmls], bool)
        if not good.all():
            return None, good
    starts = angles[::2]
    angles[1::2] += 1
    first = np.searchsorted(starts, np.cumsum([0, *map(len, xmls)])[:-1])  # tag of each file
    of_file = np.repeat(np.arange(len(xmls), dtype=np.int32), np.diff(first, append=len(starts)))
    pieces = _Pieces(content, characters, angles)
    symbols, root_names = _symbols(pieces.tags())
    good = np.ones(len(xmls), bool)

    def require(holds: np.ndarray, files: np.ndarray) -> None:
        if not holds.all():
            good[files[~holds]] = False

    follows = _SYMBOLS.follows.ravel().take(symbols[:-1] * np.int16(_SYMBOLS.count) + symbols[1:])
    require(follows | (of_file[:-1] != of_file[1:]), of_file[1:])
    require(_SYMBOLS.leaves[symbols] | ~pieces.valued, of_file)
    last = np.append(first[1:], len(symbols)) - 1
    root = np.minimum(first + (symbols[first] == _SYMBOLS.declaration), last)
    good &= (symbols[root] == _SYMBOLS.root) & (symbols[last] == _SYMBOLS.root_end)
    good &= root_names(root) == root_names(last)
    if not good.all():
        return None, good
    layout = Layout(pieces, symbols, of_file)
    _require_counts(layout, require)
    return layout, good


def _in_turns(characters: np.ndarray, angles: np.ndarray) -> bool:
    """Whether `<` and `>` are in turns at these places."""
    found = characters[angles]
    return len(found) % 2 == 0 and bool((found[::2] == ord("<")).all() and (found[1::2] == ord(">")).all())


def _is_plain(xml: bytes) -> bool:
    """Whether `xml` is ASCII and has `<` and `>` in turns."""
    angles = xml.translate(None, _NOT_ANGLES)
    return xml.isascii() and angles == b"<>" * (len(angles) // 2)


def _symbols(tags: pa.StringArray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """The symbol of each tag, and what tells the roots' names of some tags from each other."""
    encoded = tags.dictionary_encode()
    known, names, name_numbers = [], [], {}
    for tag in encoded.dictionary.to_pylist():
        tag = tag.rstrip(_SPACE)
        symbol, name = _SYMBOLS.of_tag.get(tag, _SYMBOLS.unknown), ""
        if symbol == _SYMBOLS.unknown and (match := _ROOT.fullmatch(tag)):
            symbol, name = _SYMBOLS.root_end if match[1] else _SYMBOLS.root, match[2]
        elif symbol == _SYMBOLS.unknown and _DECLARATION.fullmatch(tag):
            symbol = _SYMBOLS.declaration
        known.append(symbol)
        names.append(name_numbers.setdefault(name, len(name_numbers)))
    which, names = encoded.indices.to_numpy(), np.array(names)
    symbols = np.array(known, np.int16).take(which)
    # The structure that was opened last is the one that a field is in; if it is closed again, the pair before
    # the field is not allowed.
    opening = np.flatnonzero(_SYMBOLS.opens.take(symbols))
    behind = np.diff(opening, prepend=0, append=len(symbols))
    opened = np.repeat(np.append(np.int16(_SYMBOLS.unknown), symbols[opening]), behind)
    symbols = _SYMBOLS.in_structure.ravel().take(opened * np.int16(_SYMBOLS.count) + symbols)
    return symbols, lambda tags: names[which[tags]]


def _require_counts(layout: Layout, require) -> None:
    """Each scalar at most once in a `metadata`; each field of a structure once, unless the structure is
    empty.
    """
    for name in ONCE:
        count, empty = (
            np.bincount(layout.metadata[layout.places(each)], minlength=len(layout.files))
            for each in (name, name + "/")
        )
        require(count + empty <= 1, layout.files)
        if name in REQUIRED:
            require(count == 1, layout.files)
    for structure, fields in STRUCTURES.items():
        filled = layout.filled(structure)
        for field in fields:
            owner = np.searchsorted(filled, layout.places(structure, field)) - 1
            once = np.bincount(owner, minlength=len(filled)) == 1
            require(once, layout.files[layout.metadata[filled]])
