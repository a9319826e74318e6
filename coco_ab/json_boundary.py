"""Where one JSON value ends: the exact way, for text that is broken or does not fit in memory.

Strings and nesting are followed with arrays, in time linear in the text, whatever it is made of.
"""

import numpy as np

_FIRST, _MOST = 1 << 10, 1 << 20  # bytes looked at at once
_STEPS = np.zeros(256, np.int32)  # how a byte outside strings changes the depth
_STEPS[list(b"{[")], _STEPS[list(b"}]")] = 1, -1


class Boundary:
    """Finds where one JSON value ends, knowing strings and nesting.

    It goes on where it stopped when more text comes.
    """

    def __init__(self, closing: bytes):
        self._ends = np.zeros(256, bool)
        self._ends[[ord(","), ord(closing)]] = True  # `closing`: of the array or object that the value is in
        self._depth = 0
        self._in_string = False
        self._escaped = False  # the next character is
        self._offset = 0  # from the value's beginning

    def find(self, text: bytes, start: int) -> int | None:
        """Where the comma or bracket after the value that begins at `start` is; None: not in the text."""
        size = _FIRST
        while (position := start + self._offset) < len(text):
            piece = text[position : position + size]
            end = self._find(piece)
            if end is not None:
                return position + end
            self._offset += len(piece)
            size = min(2 * size, _MOST)
        return None

    def moved(self, count: int) -> None:
        """`count` bytes of the value were dropped from the text's beginning."""
        self._offset -= count

    def _find(self, piece: bytes) -> int | None:
        codes = np.frombuffer(self._without_escapes(piece), np.uint8)
        inside = (np.cumsum(codes == ord('"'), dtype=np.int32) + self._in_string) % 2 == 1
        steps = np.where(inside, 0, _STEPS[codes])
        depth = self._depth + np.cumsum(steps)
        depth -= np.minimum(np.minimum.accumulate(depth), 0)  # what closes nothing does not count
        before = np.append(np.int64(self._depth), depth[:-1])
        ends = np.flatnonzero((before == 0) & ~inside & self._ends[codes])
        self._depth, self._in_string = int(depth[-1]), bool(inside[-1])
        return int(ends[0]) if len(ends) else None

    def _without_escapes(self, piece: bytes) -> bytes:
        """The piece, as long as before, without the escapes that could be taken for a string's end."""
        if self._escaped:
            piece = b" " + piece[1:]
        self._escaped = (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1
        return piece.replace(rb"\\", b"  ").replace(rb"\"", b"  ")
