"""What a simulation did, in numbers and in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from luab_collect.simulate.client import Log
from luab_collect.simulate.people import Person
from luab_data.console.text import counted


@dataclass(frozen=True)
class Report:
    """The figures of a run.

    Attributes:
        annotators: Kind -> how many.
        seconds: Wall time.
        pages: Submitted pages of work.
        codes: Completion codes that were given.
        sent: Events that were uploaded, each counted once.
        acknowledged: Of these, those that the server acknowledged.
        stored: Of these, those that are in the database.
        ack_ms: Percentile 50, 95 and 100 -> ms until an upload was acknowledged.
        sent_bytes: Bytes an event in the uploads.
        stored_bytes: Bytes an event in the database, compressed.
        again: Status or error -> requests that were tried again.
        failures: Why annotators gave up -> how many.
    """

    annotators: dict[str, int]
    seconds: float
    pages: int
    codes: int
    sent: int
    acknowledged: int
    stored: int
    uploads: int
    ack_ms: dict[str, float]
    sent_bytes: float
    stored_bytes: float
    media_mb: float
    again: dict[str, int]
    failures: dict[str, int]

    @property
    def complete(self) -> bool:
        """Whether all that was sent is there, and nobody gave up."""
        return self.sent == self.acknowledged == self.stored and not self.failures

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return {**asdict(self), "complete": self.complete}

    def lines(self) -> list[str]:
        """For a terminal."""
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.annotators.items())
        rate = self.sent / self.seconds if self.seconds else 0.0
        lines = [
            f"{counted(sum(self.annotators.values()), 'annotator')} ({kinds}), {counted(self.pages, 'page')} "
            f"submitted, {counted(self.codes, 'completion code')}, {self.seconds:.1f} s",
            f"events: {self.sent:,} sent, {self.acknowledged:,} acknowledged, {self.stored:,} stored; "
            f"{rate:,.0f} a second in {counted(self.uploads, 'upload')}",
        ]
        if self.uploads:
            shown = ", ".join(f"{name} {ms:,.0f} ms" for name, ms in self.ack_ms.items())
            lines.append(f"until acknowledged: {shown}")
            lines.append(f"bytes an event: {self.sent_bytes:.0f} sent, {self.stored_bytes:.1f} stored")
        if self.media_mb:
            lines.append(f"images: {self.media_mb:,.1f} MB")
        lines += [f"tried again: {count} times after {what}" for what, count in self.again.items()]
        lines += [f"gave up: {counted(count, 'annotator')}: {why}" for why, count in self.failures.items()]
        lines.append("Nothing was lost." if self.complete else "NOT ALL THAT WAS SENT IS THERE.")
        return lines


def report(
    people: Sequence[Person], logs: Sequence[Log], seconds: float, stored: int, stored_bytes: int
) -> Report:
    """The figures of all annotators' logs.

    Args:
        people: The annotators.
        logs: Theirs, in the same order.
        seconds: Wall time.
        stored: Events of their pages in the database.
        stored_bytes: Their bytes.
    """
    delays = np.array([delay for log in logs for delay in log.delays]) * 1000
    sent, uploads = sum(log.sent for log in logs), sum(len(log.delays) for log in logs)
    points = np.percentile(delays, [50, 95, 100]).tolist() if uploads else [0.0] * 3
    return Report(
        annotators=dict(Counter(person.kind for person in people).most_common()),
        seconds=round(seconds, 3),
        pages=sum(log.submitted for log in logs),
        codes=sum(len(log.codes) for log in logs),
        sent=sent,
        acknowledged=sum(log.acknowledged for log in logs),
        stored=stored,
        uploads=uploads,
        ack_ms=dict(zip(("p50", "p95", "max"), (round(each, 1) for each in points), strict=True)),
        sent_bytes=sum(log.sent_bytes for log in logs) / max(1, sent),
        stored_bytes=stored_bytes / max(1, stored),
        media_mb=sum(log.media_bytes for log in logs) / 1e6,
        again=dict(sum((log.again for log in logs), Counter()).most_common()),
        failures=dict(Counter(log.failure for log in logs if log.failure).most_common()),
    )
