"""Which image of a source a file's path means."""

import re

from luab_attention.convert.gather import Gathered
from luab_attention.convert.image_keys import ends, forms, image_key, key_and_suffix, suffix_of
from luab_data.errors import RejectedRecord

# Label Studio's address of an upload: 8 hex digits keep uploads of one name apart.
_UPLOAD = re.compile(r"(?:.*/)?data/upload/(?:.*/)?[0-9a-f]{8}-([^/]+)", re.ASCII)


class Matching:
    """Finds the key that a file's path means, among those of a source.

    Attributes:
        seen: the first files, for messages.
        left_out: files that are not meant, because another fits better.
    """

    def __init__(self, wanted: Gathered):
        self._wanted = wanted
        self._longer: dict[str, list[str]] = {}  # last part -> keys with folders
        self._uploads: dict[str, list[str]] = {}  # name before the upload -> keys
        self.seen: list[str] = []
        self.left_out: set[str] = set()
        for key in wanted.ids():
            if "/" in key:
                self._longer.setdefault(key.rpartition("/")[2], []).append(key)
            if (uploaded := _UPLOAD.fullmatch(key)) is not None:
                self._uploads.setdefault(image_key(f"{uploaded[1]}.jpg"), []).append(key)  # any suffix

    def key(self, name: str) -> str | None:
        """The key of a file, or None."""
        if len(self.seen) < 3:
            self.seen.append(name)
        try:
            path, suffix = key_and_suffix(name)
        except RejectedRecord:
            return None
        if name in self.left_out:
            return None
        paths = [(f"{form}{suffix}", True) for form in forms(path) if suffix]
        paths += [(form, False) for form in forms(path)]
        return next((key for each in paths if (key := self._key(*each)) is not None), None)

    def has_suffix(self, key: str, name: str) -> bool:
        """Whether a file has the suffix that the source names for a key."""
        return suffix_of(name) == self._wanted.suffix(key) != ""

    def _key(self, path: str, with_suffix: bool) -> str | None:
        """The key that a path fits, among those that are called with their suffix, or without."""
        called = self._wanted.with_suffix
        found = (end for end in ends(path) if end in self._wanted and (end in called) == with_suffix)
        key = next(found, None)
        if key is not None:
            return key
        fitting = [
            key
            for key in self._longer.get(path.rpartition("/")[2], ())
            if key.endswith(f"/{path}") and (key in called) == with_suffix
        ]
        fitting = fitting or self._uploads.get(path.rpartition("/")[2], [])
        return fitting[0] if len(fitting) == 1 else None
