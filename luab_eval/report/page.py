"""The report as one HTML file: no script, nothing from elsewhere, readable on a phone, in light and dark.

The template escapes all text from data (names of models, files and classes). The page's content security
policy only allows its style and its embedded images.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from jinja2 import Template

from luab_eval.report.galleries import Gallery
from luab_eval.report.table import (
    PERCENT,
    Row,
    Table,
    interval,
    metric_name,
    metric_value,
    p_texts,
    shown,
    signed,
)
from luab_eval.report.templates import template

# Told apart by people with any color vision (Okabe and Ito, 2008); each bar has its model's name beside it.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

# Of the axis, as rates: four of them reach the longest bar, more where a figure exceeds 100% (mCE).
STEPS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.25)
LARGE_STEPS = (0.5, 1, 2, 5, 10)  # of figures that are no rates


@dataclass(frozen=True)
class Made:
    """The origin of a report: date, command line, and model -> its checkpoints."""

    date: str = ""
    command: str = ""
    checkpoints: Mapping[str, Sequence[str]] = field(default_factory=dict)


def page(table: Table, galleries: Sequence[Gallery] = (), made: Made | None = None) -> str:
    """The whole page.

    Its size is that of the galleries, which are bounded (`galleries.MAX_BYTES`), plus about 1 kB for each
    figure.
    """
    title = f"Evaluation of {', '.join(model.name for model in table.models)}"
    return _template().render(
        title=title,
        table=table,
        galleries=galleries,
        charts=list(map(chart, table.rows)),
        made=made or Made(),
    )


def chart(row: Row) -> dict[str, Any]:
    """Geometry of a benchmark's bars and axis, in % of the chart's width.

    The axis starts at 0 and ends beyond the longest bar or interval. It goes below 0 only for negative
    figures (a gap). Parts of an interval outside the axis (below 0, for a small accuracy) are cut off.
    """
    values = [estimate.value for estimate in row.estimates.values()]
    ends = [end for estimate in row.estimates.values() for end in (estimate.low, estimate.high)]
    steps = STEPS if row.scale == PERCENT else (*STEPS, *LARGE_STEPS)
    step = next((size for size in steps if 4 * size >= max(map(abs, ends))), steps[-1])
    first = math.floor(min(ends) / step) if min(values) < 0 else 0
    last = max(math.ceil(max(ends) / step), first + 1, 0)

    def place(rate: float) -> float:
        return round(100 * min(max((rate / step - first) / (last - first), 0), 1), 3)

    bars = {
        model: {
            "start": min(place(0), place(estimate.value)),
            "width": round(abs(place(estimate.value) - place(0)), 3),
            "low": place(estimate.low),
            "high": place(estimate.high),
        }
        for model, estimate in row.estimates.items()
    }
    ticks = [(place(step * tick), f"{row.scale * step * tick:.3g}") for tick in range(first, last + 1)]
    return {"bars": bars, "ticks": ticks}


@cache
def _template() -> Template:
    made = template("page.html")
    made.environment.filters.update(shown=shown, interval=interval, signed=signed)
    made.globals.update(COLORS=COLORS, p_texts=p_texts, metric_name=metric_name, metric_value=metric_value)
    return made
