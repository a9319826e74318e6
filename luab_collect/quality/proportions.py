"""Shares with intervals: counts of decisions, such as gold images that were found."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.95


@dataclass(frozen=True)
class Proportion:
    """`count` of `total` with Wilson's (1927) interval of the level 95 %; nothing is known where total is 0.

    The interval takes the decisions as independent. Those of one annotator or of one image are not quite, so
    that a project's interval is somewhat narrow.
    """

    count: int = 0
    total: int = 0

    @staticmethod
    def of(hits: Iterable[bool]) -> "Proportion":
        """The share of True."""
        values = list(hits)
        return Proportion(sum(values), len(values))

    @property
    def value(self) -> float | None:
        """The share, 0..1; None of nothing."""
        return self.count / self.total if self.total else None

    @property
    def low(self) -> float:
        """The interval's lower end, 0 of nothing."""
        return self._ends()[0]

    @property
    def high(self) -> float:
        """The interval's upper end, 1 of nothing."""
        return self._ends()[1]

    def _ends(self) -> tuple[float, float]:
        if not self.total:
            return 0.0, 1.0
        z = NormalDist().inv_cdf((1 + LEVEL) / 2)
        share, weight = self.count / self.total, z * z / self.total
        center = (share + weight / 2) / (1 + weight)
        half = z / (1 + weight) * math.sqrt(share * (1 - share) / self.total + weight / (4 * self.total))
        return max(0.0, center - half), min(1.0, center + half)

    def __add__(self, other: "Proportion") -> "Proportion":
        return Proportion(self.count + other.count, self.total + other.total)

    def to_json(self) -> dict[str, float | int | None]:
        """For reports: the counts, the share and its interval."""
        return {
            "count": self.count,
            "total": self.total,
            "value": self.value,
            "low": self.low,
            "high": self.high,
        }

    def __str__(self) -> str:
        if not self.total:
            return "-"
        return (
            f"{self.count / self.total:.0%} ({self.low:.0%} to {self.high:.0%}; {self.count} of {self.total})"
        )
