"""The report in the terminal."""

import textwrap
from collections.abc import Sequence

from luab_data.console.text import printable
from luab_eval.report.table import Row, Table, interval, shown


def terminal(table: Table, width: int = 100) -> str:
    """Models side by side, benchmarks as rows, then how to read it in lines of at most `width`."""
    names = [printable(model.name) for model in table.models]
    lines = grid([["benchmark", "metric", *names], *(_cells(table, row) for row in table.rows)], left=2)
    return "\n".join([*lines, "", *wrapped(table.notes(), width), *map(printable, table.not_run())])


def wrapped(notes: Sequence[str], width: int = 100) -> list[str]:
    """Sentences, each in lines of at most `width`."""
    return [textwrap.fill(printable(note), width, subsequent_indent="  ") for note in notes]


def grid(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of aligned columns under a ruled header; the first `left` columns are flush left.

    Cells may have untrusted names: they are made `printable`.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(size) if column < left else cell.rjust(size)
            for column, (cell, size) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "  ".join("-" * size for size in widths), *lines[1:]]


def _cells(table: Table, row: Row) -> list[str]:
    return [
        printable(row.title),
        f"{printable(row.metric_name)} {row.arrow}",
        *(_cell(table, row, model.name) for model in table.models),
    ]


def _cell(table: Table, row: Row, model: str) -> str:
    estimate = row.estimates.get(model)
    if estimate is None:
        return "-"
    # Blanks where no star is and after short intervals, so that the numbers stay under one another.
    star = "*" if row.verdict(model) else " "
    width = max(
        len(interval(other.estimates[model], other.digits, other.scale))
        for other in table.rows
        if model in other.estimates
    )
    ends = interval(estimate, row.digits, row.scale)
    return f"{shown(estimate.value, row.digits, row.scale)}{star} {ends:<{width}}"
