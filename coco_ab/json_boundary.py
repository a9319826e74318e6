"""Finds the exact end of a JSON value, also in broken text or text that does not fit in memory.

Arrays track strings and nesting, in time linear in the text, for any text.
"""

import numpy as np

_FIRST, _MOST = 1 << 10, 1 << 20  # bytes per step
_STEPS = np.zeros(256, np.int32)  # how a byte outside strings changes the depth
_STEPS[list(b"{[")], _STEPS[list(b"}]")] = 1, -1


class Boundary:
    """Finds the end of one JSON value, with strings and nesting.

    With more text it continues where it stopped.
    """

    def __init__(self, closing: bytes):
        self._ends = np.zeros(256, bool)
        self._ends[[ord(","), ord(closing)]] = True  # `closing`: of the array or object that the value is in
        self._depth = 0
        self._in_string = False
        self._escaped = False  # the next character is
        self._offset = 0  # from the value's beginning

    def find(self, text: bytes, start: int) -> int | None:
        """Position of the comma or bracket after the value at `start`; None if not in the text."""
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
        """The piece, with the same length, without escapes that could look like a string's end."""
        if self._escaped:
            piece = b" " + piece[1:]
        self._escaped = (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1
        return piece.replace(rb"\\", b"  ").replace(rb"\"", b"  ")
