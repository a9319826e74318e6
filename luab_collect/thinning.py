"""Raw samples of the pointer -> what the released files hold: 60 Hz at most, none while selected."""

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from itertools import accumulate, pairwise

from luab_collect.results import PlaceItem, Sample, SelectItem

# ms from one kept sample to the next, at least. The page's times have steps of 0.1 ms: without their slack,
# every other sample of a mouse with 60 Hz would be left out.
INTERVAL = 1000 / 60 - 0.1


def thinned(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The first sample, and each one that is `INTERVAL` ms or more after the last kept: the leading edge."""
    kept: list[Sample] = []
    for sample in samples:
        if not kept or sample.t - kept[-1].t >= INTERVAL:
            kept.append(sample)
    return tuple(kept)


def released_track(item: SelectItem) -> tuple[Sample, ...]:
    """The track of an image as the authors' page records it: throttled, and paused while it is selected."""
    ends = [t for span in selected_spans(item) for t in span]
    return thinned(sample for sample in item.track if bisect_right(ends, sample.t) % 2 == 0)


def released_place_track(item: PlaceItem) -> tuple[Sample, ...]:
    """The track of a `place` page as the authors' page records it: throttled, nothing of the drags."""
    dragged = {sample for icon in item.icons for path in icon.paths for sample in path}
    return thinned(sample for sample in item.track if sample not in dragged)


def selected_spans(item: SelectItem) -> list[tuple[float, float]]:
    """The times (ms) from which to which the image was selected; the last may have no end (infinity)."""
    spans: list[tuple[float, float]] = []
    start: float | None = None
    selects, deselects = deque(each.t for each in item.selects), deque(each.t for each in item.deselects)
    while selects or deselects:
        # At equal times they alternate.
        selects_next = bool(selects) and (
            not deselects or selects[0] < deselects[0] or (selects[0] == deselects[0] and start is None)
        )
        if selects_next:
            t = selects.popleft()
            start = t if start is None else start
        else:
            t = deselects.popleft()
            if start is not None:
                spans.append((start, t))
            start = None
    return spans if start is None else [*spans, (start, math.inf)]


def hover_spans(item: SelectItem) -> list[tuple[float, float]]:
    """The times from which to which the pointer was over the image."""
    pairs = pairwise(item.hovers)
    return [(one.t, two.t) for one, two in pairs if (one.action, two.action) == ("enter", "leave")]


def hovered_unselected(item: SelectItem) -> float:
    """How long (ms) the pointer was over the image while not selected: the released `estimateTime`."""
    spans = selected_spans(item)
    starts = [start for start, _ in spans]
    before = [0.0, *accumulate(end - start for start, end in spans)]

    def selected_until(t: float) -> float:
        at = bisect_right(starts, t)
        return before[at - 1] + min(t, spans[at - 1][1]) - starts[at - 1] if at else 0.0

    return sum(
        end - start - (selected_until(end) - selected_until(start)) for start, end in hover_spans(item)
    )
