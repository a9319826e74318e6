"""Explains a failed build: no entry of one of its sources is in a row."""

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from luab_data.build.join import Found
from luab_data.sources.entries import Reject

_MOST_REASONS = 1000  # counted reasons; reasons name values, so there may be as many as records
_SHOWN_REASONS = 2


class Reasons:
    """How often each reason for a reject occurs, by role."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def add(self, rejects: Iterable[Reject]) -> None:
        """Counts the rejects by source and reason."""
        for reject in rejects:
            counts = self._counts.setdefault(reject.source, Counter())
            if reject.reason in counts or len(counts) < _MOST_REASONS:
                counts[reject.reason] += 1

    def merge(self, other: "Reasons") -> None:
        """Counts what another one has counted, too."""
        for role, counts in other._counts.items():
            self._counts.setdefault(role, Counter()).update(counts)

    def most_common(self, role: str) -> str:
        """The most common reasons in words; empty without rejects."""
        common = self._counts.get(role, Counter()).most_common(_SHOWN_REASONS)
        return "; ".join(f"{reason} ({number:,} times)" for reason, number in common)


def failure(
    roles: Iterable[str], found: Found, used: Mapping[str, int], ignored: Mapping[str, int], reasons: Reasons
) -> str | None:
    """Why a build of sources with these roles failed; None if each source has an entry in a row."""
    useless = [role for role in roles if not used.get(role)]
    if not useless:
        return None
    empty = [role for role in useless if not found[role]]
    if empty:
        counts = (f"0 {role} found, {ignored.get(role, 0):,} other files ignored" for role in empty)
        return f"not one row: {'; '.join(counts)}. Do the file names and the classes fit?"
    examples = "; ".join(
        f"{role}: {found[role]:,}, such as {', '.join(map(ascii, ids))}" for role, ids in found.first.items()
    )
    if len(found.first) > 1 and not found.met:
        return f"no byproduct met an image, as no id is on both sides ({examples}). Are they of one dataset?"
    lines = (
        f"not one of {found[each]:,} {each} is in a row: {reasons.most_common(each)}" for each in useless
    )
    return f"{'; '.join(lines)} ({examples})."


class PartsRead:
    """What one process has found in its parts of a release, so that the last of all parts tells of a failure.

    A process that does not read all parts never knows. A part that is read again begins a new pass.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # threads read parts, too
        self._start()

    def _start(self) -> None:
        self._parts: set[int] = set()
        self._found, self._reasons = Found(), Reasons()
        self._used: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()

    def failure(
        self,
        parts: Collection[int],
        of: int,
        found: Found,
        used: Mapping[str, int],
        ignored: Mapping[str, int],
        reasons: Reasons,
    ) -> str | None:
        """Adds parts, of `of`; why all of them together failed, once they are all read. See `failure`."""
        with self._lock:
            if not self._parts.isdisjoint(parts):
                self._start()
            self._parts.update(parts)
            self._found.add(found)
            self._used.update(used)
            self._ignored.update(ignored)
            self._reasons.merge(reasons)
            if len(self._parts) < of:
                return None
            roles = sorted(self._found.keys() | self._ignored.keys())
            return failure(roles, self._found, self._used, self._ignored, self._reasons)
