"""Names by folder, for a million files in little memory."""

import json
import zlib
from collections import Counter

STAYS = 3  # a folder that is revisited more often is not packed again


class CompactNames:
    """`{folder: {name: text}}`; a new folder is empty.

    Archives and folders are read class by class. So when the next folder is requested, the previous one is
    packed, to about 5 bytes per name instead of 200. If a source has another order, folders are revisited,
    and stay unpacked after a few times: this takes more memory, but no more time.
    """

    def __init__(self) -> None:
        self._open: dict[str, dict[str, str]] = {}
        self._packed: dict[str, bytes] = {}
        self._returns: Counter[str] = Counter()
        self._last: str | None = None
        self._names: dict[str, str] = {}  # of the last one

    def __contains__(self, folder: str) -> bool:
        return folder in self._open or folder in self._packed

    def __getitem__(self, folder: str) -> dict[str, str]:
        if folder != self._last:
            self._pack_last()
            if folder in self._packed:
                self._open[folder] = json.loads(zlib.decompress(self._packed.pop(folder)))
                self._returns[folder] += 1
            self._last, self._names = folder, self._open.setdefault(folder, {})
        return self._names

    def _pack_last(self) -> None:
        if self._last is not None and self._returns[self._last] <= STAYS:
            content = json.dumps(self._open.pop(self._last)).encode()
            self._packed[self._last] = zlib.compress(content, 1)
