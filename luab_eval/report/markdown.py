"""The report as Markdown, and in a model card: its text and its `model-index` metadata.

The Hub shows `model-index` beside the card, and `huggingface_hub.ModelCard.load(...).data.eval_results` reads
it back.
"""

import re
from pathlib import Path
from typing import cast

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from luab_data.console.text import printable
from luab_eval.report.table import Row, Table, interval, shown

TASK = "image-classification"
_BEGIN, _END = "<!-- luab evaluation: begin -->", "<!-- luab evaluation: end -->"
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!])")


def markdown(table: Table) -> str:
    """A table that GitHub and the Hub render, and how to read it."""
    header = ["Benchmark", "Metric", *(escape(model.name) for model in table.models), "Images"]
    rows = [
        [
            escape(row.title),
            f"{escape(row.metric_name)} {row.arrow}",
            *(_cell(row, model.name) for model in table.models),
            f"{row.images:,}",
        ]
        for row in table.rows
    ]
    lines = [header, ["---", "---", *("---:" for _ in header[2:])], *rows]
    notes = [escape(note) for note in table.notes()]
    absent = [f"- {escape(key)}: {escape(why)}" for key, why in table.skipped.items()]
    notes += ["", "Not run:", "", *absent] if absent else []
    return "\n".join([*("| " + " | ".join(line) + " |" for line in lines), "", *notes]) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return _SPECIAL.sub(r"\\\1", printable(text))


def eval_results(table: Table, model: str) -> list[EvalResult]:
    """A model's column as `model-index` entries; the interval is in the metric's `args`."""
    return [
        EvalResult(
            task_type=TASK,
            task_name="Image Classification",
            dataset_type=row.benchmark,
            dataset_name=row.title,
            metric_type=row.metric,
            metric_name=row.metric_name,
            metric_value=round(estimate.value, 6),
            metric_args={
                "interval": [round(estimate.low, 6), round(estimate.high, 6)],
                "level": estimate.level,
                "images": row.images,
                "training_runs": estimate.seeds,
            },
        )
        for row in table.rows
        if (estimate := row.estimates.get(model)) is not None
    ]


def update_card(path: Path, table: Table, model: str) -> None:
    """Put the table and the model's `model-index` into the card at `path`, or create the card.

    It replaces the report of an earlier evaluation. The rest of the card stays, and so do results of
    benchmarks that this evaluation did not run.
    """
    card = (
        ModelCard.load(path)
        if path.is_file()
        else ModelCard(f"---\n{ModelCardData()}\n---\n\n# {escape(model)}\n")
    )
    data = cast(ModelCardData, card.data)  # `RepoCard` names only its base class
    new = eval_results(table, model)
    replaced = {result.unique_identifier for result in new}
    old = [result for result in data.eval_results or [] if result.unique_identifier not in replaced]
    data.model_name = data.model_name or model
    data.eval_results = old + new
    section = f"{_BEGIN}\n## Evaluation\n\n{markdown(table)}{_END}"
    before, begin, rest = card.text.partition(_BEGIN)
    after = rest.partition(_END)[2] if begin else ""
    card.text = f"{before.rstrip()}\n\n{section}\n{after.lstrip(chr(10))}"
    card.save(path)


def _cell(row: Row, model: str) -> str:
    estimate = row.estimates.get(model)
    if estimate is None:
        return "-"
    star = r"\*" if row.verdict(model) else ""
    ends = interval(estimate, row.digits, row.scale)
    return f"{shown(estimate.value, row.digits, row.scale)}{star} {ends}"
