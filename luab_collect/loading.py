"""Which images of a page of work never came. They were not seen, so that nothing was said of them."""

from collections.abc import Iterable

LOADED, MISSING = "loaded", "missing"
ARRIVALS = frozenset({LOADED, MISSING})


def unseen(events: Iterable[tuple[str, str | None]]) -> set[str]:
    """Images that were given up and came in no epoch.

    Args:
        events: Kind and image (None: of no image) of each event of all epochs. Pages of earlier versions say
            neither: theirs count as seen.
    """
    told: dict[str, set[str]] = {LOADED: set(), MISSING: set()}
    for kind, item in events:
        if kind in told and item is not None:
            told[kind].add(item)
    return told[MISSING] - told[LOADED]
