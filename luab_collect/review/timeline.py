"""The events of a page of work in one order, whichever tabs wrote them."""

from typing import Any

from luab_collect.derive import Work, epochs


def timeline(work: Work) -> list[dict[str, Any]]:
    """The events as they were sent, with their epoch; `t` is ms on the page's axis and never goes back."""
    found: list[dict[str, Any]] = []
    now = 0.0
    numbers = sorted(epoch for epoch, some in work.events.items() if some)
    for epoch, (events, offset) in zip(numbers, epochs(work), strict=True):
        for event in events:
            now = max(now, event.t + offset)
            found.append({"seq": event.seq, "kind": event.kind, "epoch": epoch, **event.fields, "t": now})
    return found
