"""Which images of a page of work never came. They were not seen, so that nothing was said of them."""

from collections.abc import Iterable

LOADED, MISSING = "loaded", "missing"
ARRIVALS = frozenset({LOADED, MISSING})
_PROOFS = frozenset({LOADED, "select"})  # only an image that came can be selected, in pages of all versions


def unseen(events: Iterable[tuple[str, str | None]]) -> set[str]:
    """Images that were given up and came in no epoch.

    Args:
        events: Kind and image (None: of no image) of each event of all epochs. Pages of earlier versions say
            neither: theirs count as seen.
    """
    seen, missing = set(), set()
    for kind, item in events:
        if item is None:
            continue
        if kind in _PROOFS:
            seen.add(item)
        elif kind == MISSING:
            missing.add(item)
    return missing - seen
