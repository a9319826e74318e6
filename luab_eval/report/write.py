"""Writes the report of an evaluation next to its results.json."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from luab_eval.benchmark import Benchmark
from luab_eval.models import Classifier
from luab_eval.passes import PassSettings
from luab_eval.report.cards import write_card
from luab_eval.report.figures import figures
from luab_eval.report.galleries import MAX_BYTES, Gallery
from luab_eval.report.looks import galleries
from luab_eval.report.markdown import markdown
from luab_eval.report.page import Made, page
from luab_eval.report.table import Table
from luab_eval.results import Shown
from luab_eval.statistics.defaults import RESAMPLES
from luab_eval.suite import CACHE, unique_names

MARKDOWN, PAGE, CARDS = "report.md", "report.html", "cards"
# Models side by side in the galleries; more would be too small on a screen.
MOST_LOOKS = 4


def write_report(
    output_dir: Path,
    models: Sequence[str | Classifier],
    benchmarks: Sequence[Benchmark],
    root: Path,
    settings: PassSettings,
    load: Callable[[str], Classifier],
    resamples: int = RESAMPLES,
    command: str = "",
    shown: Shown | None = None,
) -> Table:
    """Make `report.md` and `report.html` from the results of `suite.run` in `output_dir`.

    Of several training runs of a model, the galleries show the first one's attention. `cards/<model>.md` is a
    model card with the results, ready to be uploaded: the checkpoint's own README.md where it has one, from
    its folder or the Hub. The checkpoint itself stays as it is.

    `command`: what was typed, for the page's head.

    `shown`: what of the folder's results the report is about; default: all.

    Returns:
        The table; `terminal(table)` is for the screen.
    """
    table = figures([output_dir], resamples, shown=shown)
    looked_at = [model.runs[0] for model in table.models][:MOST_LOOKS]
    names = unique_names([model if isinstance(model, str) else model.name for model in models])
    classifiers = [
        replace(load(model) if isinstance(model, str) else model, name=name)
        for model, name in zip(models, names, strict=True)
        if name in looked_at
    ]
    looks = _galleries(benchmarks, root, classifiers, output_dir / CACHE, settings)
    (output_dir / MARKDOWN).write_text(markdown(table), encoding="utf-8")
    folders = dict(zip(names, models, strict=True))
    checkpoints = {
        model.name: [str(folders[run]) for run in model.runs if isinstance(folders.get(run), str)]
        for model in table.models
    }
    made = Made(datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"), command, checkpoints)
    (output_dir / PAGE).write_text(page(table, looks, made), encoding="utf-8")
    for model in table.models:
        own = folders.get(model.runs[0])
        write_card(output_dir / CARDS, table, model, own if isinstance(own, str) else None)
    return table


def _galleries(
    benchmarks: Sequence[Benchmark],
    root: Path,
    classifiers: Sequence[Classifier],
    cache: Path,
    settings: PassSettings,
) -> list[Gallery]:
    """The galleries of all benchmarks; each may use an equal share of the remaining budget."""
    found: list[Gallery] = []
    left = MAX_BYTES
    for position, benchmark in enumerate(benchmarks):
        share = left // (len(benchmarks) - position)
        own = galleries(benchmark, root, classifiers, cache, settings, budget=share)
        left -= sum(exhibit.bytes for gallery in own for exhibit in gallery.exhibits)
        found += own
    return found
