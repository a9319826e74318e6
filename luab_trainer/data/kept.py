"""Small results that the forked processes of a data loader keep together, and for all epochs."""

import hashlib
import mmap

CHECK = 8  # bytes
PROBES = 8  # slots in a row that a value may have


class Kept:
    """Values of one size by their key, in memory that processes forked from this one share.

    Processes write without a lock. So each value has a checksum over its key and itself, and one that two of
    them wrote at once is not found. A value whose slots are taken is not kept. A pickled copy, as a spawned
    process gets it, begins empty.

    Args:
        size: Bytes of a value.
        slots: Most values. A page of memory is taken as its first value is written.
    """

    def __init__(self, size: int, slots: int):
        self._size, self._width, self._slots = size, CHECK + size, slots
        self._memory = mmap.mmap(-1, slots * self._width)

    def __reduce__(self) -> tuple[type["Kept"], tuple[int, int]]:
        return Kept, (self._size, self._slots)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, a digest; None if it is not kept."""
        for place in self._places(key):
            check, value = self._read(place)
            if check == _check(key, value):
                return value
            if not any(check):
                return None
        return None

    def put(self, key: bytes, value: bytes) -> None:
        """Keeps the value of a key, if one of its slots is free."""
        for place in self._places(key):
            check, _ = self._read(place)
            if not any(check):
                self._memory[place : place + self._width] = _check(key, value) + value
                return

    def _places(self, key: bytes) -> list[int]:
        first = int.from_bytes(key[:8], "little")
        return [(first + probe) % self._slots * self._width for probe in range(PROBES)]

    def _read(self, place: int) -> tuple[bytes, bytes]:
        entry = self._memory[place : place + self._width]
        return entry[:CHECK], entry[CHECK:]


def _check(key: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(key + value, digest_size=CHECK).digest()
