"""Where one JSON value ends: the exact, slow way, for text that is broken or does not fit in memory."""

import re

_MARK = re.compile(rb'["{}\[\],]')
_STRING_MARK = re.compile(rb'["\\]')


class Boundary:
    """Finds where one JSON value ends, knowing strings and nesting; goes on where it stopped when text
    comes.
    """

    def __init__(self, closing: bytes):
        self._closing = closing  # of the array or object that the value stands in
        self._depth = 0
        self._in_string = False
        self._offset = 0  # from the value's beginning

    def find(self, text: bytes, start: int) -> int | None:
        """Position of the comma or closing bracket after the value that begins at `start`; None: not in
        text.
        """
        position = start + self._offset
        while mark := (_STRING_MARK if self._in_string else _MARK).search(text, position):
            position = mark.end()
            byte = mark.group()
            if byte == b"\\":
                if position == len(text):  # the escaped character is in the next block
                    position -= 1
                    break
                position += 1
            elif byte == b'"':
                self._in_string = not self._in_string
            elif byte in b"{[":
                self._depth += 1
            elif self._depth == 0 and byte in (b",", self._closing):
                return mark.start()
            elif byte != b",":
                self._depth = max(0, self._depth - 1)
        else:
            position = len(text)
        self._offset = position - start
        return None

    def moved(self, count: int) -> None:
        """`count` bytes of the value were dropped from the text's beginning."""
        self._offset -= count
