"""Finds the values in many XMLs of the released layout at once.

The layout is one regular expression, `LAYOUT`. Arrow's engine (RE2) matches it against all files, in time
linear in their bytes. White space between the tags, the order of the elements and the root's name are free.
Files with another layout are left to the strict parser (`imagenet_ab.record`), which reports the problem. In
the others, the first character that differs between the tags' names identifies a tag, and the text after it
is its value.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imagenet_ab.fast.texts import NUMBER, texts
from imagenet_ab.fast.traces import END_OF_FILE, FIELDS, TRACE
from imagenet_ab.fields import (
    ANNOTATION_FIELDS,
    ID_FIELD,
    METADATA_FIELD,
    Flag,
    ImageId,
    Kind,
    One,
    Repeated,
    Text,
    xml_fields,
)


def _pattern(kind: Kind, required: bool) -> str:
    """The accepted values; the strict parser accepts more."""
    match kind:
        case ImageId():
            return "[A-Za-z0-9_-]+/[A-Za-z0-9_-]+"
        case Flag():
            return "[Tt]rue|[Ff]alse"
        case Text():
            # Free text: visible ASCII without spaces, entities and tags.
            return "|".join(kind.choices) or "[!-%'-;=?-~]*"
        case _:
            return NUMBER if required else f"({NUMBER})?"


def _below(of: type) -> dict[str, str]:
    return {field.tag: _pattern(field.kind, field.required) for field in xml_fields(of)}


_CHILDREN = (ID_FIELD, *ANNOTATION_FIELDS.values())
# Children of `metadata` with a value of their own.
SCALARS = {
    field.tag: _pattern(field.kind, field.required)
    for field in _CHILDREN
    if not isinstance(field.kind, One | Repeated)
}
# Children of `metadata` with elements below them: each of these once, or none. Those of the trace are cut out
# before.
STRUCTURES = {
    field.tag: _below(field.kind.of)
    for field in _CHILDREN
    if isinstance(field.kind, One | Repeated) and field.tag != TRACE
}
ONCE = [field.tag for field in _CHILDREN if not isinstance(field.kind, Repeated)]
REQUIRED = [field.tag for field in _CHILDREN if field.required]

_SPACE = " \t\r\n"


def _layout() -> str:
    space, root = f"[{_SPACE}]*", "[A-Za-z][A-Za-z0-9_]*"

    def elements(values: dict[str, str]) -> list[str]:
        return [f"<{name}>({value})</{name}>" for name, value in values.items()]

    def some(parts: list[str], times: str) -> str:
        return f"(({'|'.join(parts)}){space}){times}"

    structures = {
        name: f"{space}({some(elements(fields), f'{{{len(fields)}}}')})?"
        for name, fields in STRUCTURES.items()
    }
    structures[TRACE] = space
    children = [*elements(structures | SCALARS), *(f"<{name}/>" for name in (*SCALARS, *structures)), "<>"]
    metadata = f"<{METADATA_FIELD.tag}>{space}{some(children, '*')}</{METADATA_FIELD.tag}>"
    declaration = r'<\?xml version="1\.0"( encoding="(utf|UTF)-8")? ?\?>'
    end = re.escape(END_OF_FILE.decode())
    return rf"\A({declaration}{space})?<{root}>{space}{some([metadata], '+')}</{root}>{space}{end}\z"


# An XML from which the positions are cut out (`imagenet_ab.fast.traces`): `<>` is what is left of one.
LAYOUT = _layout()

Tree = str | tuple[int, dict[str, "Tree"]]


def _tree(names: list[str], offset: int = 0) -> Tree:
    """The first place where the names differ, and what follows for each character there; or the only name."""
    if len(names) == 1:
        return names[0].rstrip(">")
    characters = sorted({name[offset] for name in names})
    if len(characters) == 1:
        return _tree(names, offset + 1)
    branches = {each: [name for name in names if name[offset] == each] for each in characters}
    return offset, {each: _tree(alike, offset + 1) for each, alike in branches.items()}


POSITION = ""  # the name of `<>`
_TAGS = [name + end for name in (*SCALARS, *STRUCTURES) for end in (">", "/>")] + [f"{METADATA_FIELD.tag}>"]
# Not looked for, but they may begin like others.
_OTHERS = {f"{name}>" for name in (TRACE, *(name for below in STRUCTURES.values() for name in below))}
_LETTERS = {tag[0] for tag in _TAGS}
_TREE = _tree([*_TAGS, POSITION + ">", *(tag for tag in _OTHERS if tag[0] in _LETTERS)])
_LOOKED_FOR = np.isin(np.arange(256), [ord(letter) for letter in _TREE[1]])  # by the first letter


class Layout:
    """The tags of some files that `LAYOUT` matches. A place is the number of a tag.

    `content` has all files, one behind the other; `files` holds the file of each `metadata`. `good`: whether
    each file closes the root that it opens, and has nothing twice that it may have once. A regular expression
    cannot say that.
    """

    def __init__(self, xmls: pa.BinaryArray):
        _, offsets, self.content = xmls.buffers()
        bounds = np.frombuffer(offsets, np.int32, len(xmls) + 1)
        self._characters = np.frombuffer(self.content, np.uint8, bounds[-1])
        self._begins = np.flatnonzero(self._characters == ord("<"))
        self._letters = self._characters.take(self._begins + 1)
        first = np.searchsorted(self._begins, bounds[:-1])  # tag of each file
        roots = first + (self._letters[first] == ord("?"))
        self._letters[roots] = 0  # it may be called like others
        self._places: dict[str, np.ndarray] = {}
        self._name(_TREE, np.flatnonzero(_LOOKED_FOR.take(self._letters)))
        self._metadata = self.places(METADATA_FIELD.tag)
        self.files = np.searchsorted(first, self._metadata, "right") - 1
        self.good = self._closed(roots, first, bounds)
        positions = self.places(POSITION)
        self._filled = {TRACE: positions}
        self._fields = {(TRACE, field): positions for field in FIELDS}
        for structure in STRUCTURES:
            self._find_fields(structure)
        self._require_counts()

    def places(self, name: str, field: str | None = None) -> np.ndarray:
        """The tags `<name>`, or those of one field of the filled structures called so; ascending."""
        return self._places[name] if field is None else self._fields[name, field]

    def filled(self, structure: str) -> np.ndarray:
        """The tags `<structure>` with elements below them."""
        return self._filled[structure]

    def values(self, *name: str) -> tuple[np.ndarray, np.ndarray]:
        """Begin and end, in `content`, of the values in the elements at `places(*name)`."""
        places = self.places(*name)
        return self._begins[places] + len(f"<{name[-1]}>"), self._begins[places + 1]

    def metadata_of(self, places: np.ndarray) -> np.ndarray:
        """The number of the `metadata` that each tag is in, among those of all files."""
        return np.searchsorted(self._metadata, places, "right") - 1

    def offsets(self, structure: str) -> np.ndarray:
        """int32 [metadata + 1]: where those of each `metadata` begin among the filled structures."""
        ends = np.append(self._metadata, len(self._begins))
        return np.searchsorted(self.filled(structure), ends).astype(np.int32)

    def _name(self, tree: Tree, places: np.ndarray) -> None:
        """Finds out which tags have which name; all begin with what leads to this part of the tree."""
        if isinstance(tree, str):
            self._places[tree] = places
            return
        offset, branches = tree
        characters = self._characters[self._begins[places] + 1 + offset]
        for character, branch in branches.items():
            self._name(branch, places[characters == ord(character)])

    def _closed(self, roots: np.ndarray, first: np.ndarray, bounds: np.ndarray) -> np.ndarray:
        """Whether the root's two tags have the same name, for each file."""
        last = np.append(first[1:], len(self._begins)) - 1
        opened = texts(self.content, self._begins[roots] + 1, self._begins[roots + 1])
        closed = texts(self.content, self._begins[last] + 2, bounds[1:])
        around = _SPACE + ">" + END_OF_FILE.decode()
        names = (pc.ascii_trim(tags, characters=around) for tags in (opened, closed))
        return pc.equal(*names).to_numpy(zero_copy_only=False)

    def _find_fields(self, structure: str) -> None:
        """Finds the fields of the filled structures; each field must occur once, in any order."""
        fields, opening = STRUCTURES[structure], self.places(structure)
        self._filled[structure] = filled = opening[self._letters[opening + 1] != ord("/")]
        steps = 1 + 2 * np.arange(len(fields))
        inside = np.array([self._letters.take(filled + step) for step in steps])
        for field in fields:
            here = inside == ord(field[0])
            self._require(here.sum(axis=0, dtype=np.uint8) == 1, filled)
            self._fields[structure, field] = filled + steps @ here

    def _require_counts(self) -> None:
        """Each scalar is at most once in a `metadata`."""
        for name in ONCE:
            count, empty = (
                np.bincount(self.metadata_of(self.places(each)), minlength=len(self.files))
                for each in (name, name + "/")
            )
            self._require(count + empty <= 1, self._metadata)
            if name in REQUIRED:
                self._require(count == 1, self._metadata)

    def _require(self, holds: np.ndarray, places: np.ndarray) -> None:
        if not holds.all():
            self.good[self.files[self.metadata_of(places[~holds])]] = False


def read_layout(files: pa.BinaryArray) -> tuple[Layout | None, np.ndarray]:
    """The layout of those `files` that are of it (None: of none), and which they are: bool [files]."""
    good = pc.match_substring_regex(files, LAYOUT).to_numpy(zero_copy_only=False)
    while good.any():
        layout = Layout(files if good.all() else files.filter(pa.array(good)))
        if layout.good.all():
            return layout, good
        good[good] = layout.good
    return None, good
