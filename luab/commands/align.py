"""Compare where classifiers look with where people looked: Spearman, NSS, AUC, SIM, CC, KL, bits.

    luab align --model runs/luab runs/plain --dataset data/gaze --against scanpaths
    luab align --model runs/luab --dataset data/clickme --split validation --against heatmaps

--against says what people's attention is read from: click, points, scanpaths (gaze, mouse traces, our
annotations), heatmaps, masks or boxes. Areas (heatmaps, masks, boxes) have no fixations, so that NSS, AUC and
information gain are not computed for them.

Beside each figure: the same for a uniform map, the center bias of the other images, the model's map of
another image, one person against the others, and half of the people against the other half (the human
ceiling). The model never gets what people did: attention is only compared with it.
--output-dir gets the same files as with luab evaluate; luab compare reads them too.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from luab.commands._evaluating import add_evaluation_options, dataset_name, evaluation_options, in_team
from luab_data.console.boundary import guarded
from luab_data.console.missing import require_extra
from luab_data.console.options import CommandParser
from luab_data.console.text import printable
from luab_data.errors import SourceError
from luab_eval.team import Team

if TYPE_CHECKING:
    from luab_eval.image_sets.attention import AttentionDataset
    from luab_eval.report.table import Row, Table

KINDS = ("click", "points", "scanpaths", "heatmaps", "masks", "boxes")


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = CommandParser("luab align", __doc__)
    add = options.add_argument
    add("--dataset", metavar="DIR_OR_ID", required=True, help="rows with images and human attention")
    add("--config", help="the dataset's configuration")
    add("--split", help="the dataset's split, or a part of it (default: validation, or the only one)")
    add("--against", choices=KINDS, required=True, help="what people's attention is read from")
    add(
        "--sigma",
        type=float,
        help="deviation of the Gaussian around a fixation, a ratio of the image's width (default: the "
        "data's own sigma, or one degree of visual angle if the data has pixels_per_degree, or 0.03); "
        "heatmaps are blurred by it if it is given",
    )
    add("--image-column", help="default: image")
    add("--label-column", help="default: label or labels, or the images' folders, if present")
    add(
        "--label-format",
        choices=("auto", "indices", "multi_hot"),
        default="auto",
        help="how to read lists of 0 and 1 (default: %(default)s)",
    )
    add_evaluation_options(options, "runs/align")
    return options


@guarded("luab align")
def main(argv: list[str]) -> int:
    """Run the command and return the exit status: 0, or 1 with the reason on stderr."""
    return in_team(lambda team: _main(argv, team))


def _main(argv: list[str], team: Team) -> int:
    options = parser().parse_args(argv)
    require_extra("eval")
    options.command = shlex.join(["luab", "align", *argv])
    return run(options, team)


def run(options: argparse.Namespace, team: Team) -> int:
    """Run what the options ask for. `team`: the processes that share the work.

    Raises:
        ValueError: rows, attention or a model that cannot be used.
    """
    evaluation = evaluation_options(options)
    from luab_eval.benchmarks import ALIGN
    from luab_eval.benchmarks.alignment import NO_FIXATIONS
    from luab_eval.evaluate import evaluate
    from luab_eval.report.terminal import grid, wrapped
    from luab_eval.report.write import PAGE
    from luab_eval.suite import usable

    people = people_of(options, *split_of(options))
    every = [benchmark(own=people) for benchmark in ALIGN]
    try:
        people.judged(Path())  # once for all metrics; what is wrong with it is said once too
    except SourceError as error:
        raise SourceError(_in_options(str(error))) from error
    asked = [one for one in every if one.own.has_fixations or not one.needs_fixations]
    skipped = {one.key: f"{options.against} {NO_FIXATIONS}" for one in every if one not in asked}
    present, _ = usable(asked, Path(), skip_absent=False)
    _, table = evaluate(benchmarks=present, root=Path(), skipped=skipped, **evaluation, team=team)
    models = [model.name for model in table.models]
    print(
        "\n".join(grid([["metric", *models], *(line for row in table.rows for line in _lines(table, row))]))
    )
    print("\n".join(["", *wrapped(table.notes()), *map(printable, table.not_run())]))
    print(f"More in {options.output_dir / PAGE}")
    return 0


def split_of(options: argparse.Namespace) -> tuple[str, str]:
    """The split to read, and the one that is read if none is given ("" if one must be).

    Raises:
        SourceError: no such split, or none is given and there are several.
    """
    from luab_data.rows.splits import EVAL_SPLITS, find_part, load_splits

    splits = load_splits(options.dataset, options.config)
    known = [name for name in EVAL_SPLITS if name in splits] or list(splits)
    usual = known[0] if known[0] in EVAL_SPLITS or len(known) == 1 else ""
    if options.split is None:
        if not usual:
            raise SourceError(f"{options.dataset} has the splits {', '.join(splits)}. Set --split.")
        return usual, usual
    find_part(splits, options.split, options.dataset, "split")
    return str(options.split), usual


def people_of(options: argparse.Namespace, split: str, usual: str) -> AttentionDataset:
    """The images and their people.

    Raises:
        ValueError: an option with a value that is not allowed.
    """
    from luab_eval.image_sets.attention import attention_dataset
    from luab_eval.image_sets.own_datasets import DatasetPlace

    given = {
        "against": options.against,
        "sigma": options.sigma,
        "image": options.image_column,
        "label": options.label_column,
        "label_format": options.label_format,
    }
    chosen = tuple((name, str(value)) for name, value in given.items() if value is not None)
    place = DatasetPlace(options.dataset, split, options.config, chosen)
    return attention_dataset(dataset_name(options.dataset, split, options.config, usual), place)


def _in_options(message: str) -> str:
    """A message on a benchmark's argument, with this command's options."""
    for there, option in (
        ("Name it behind the split: ?image=COLUMN", "Set --image-column"),
        ("Name it behind the split: ?label=COLUMN", "Set --label-column"),
        ("?label_format=", "--label-format "),
    ):
        message = message.replace(there, option)
    return message


def _lines(table: Table, row: Row) -> list[list[str]]:
    """A metric of all models with its interval, then what is beside it."""
    from luab_eval.report.table import interval, metric_name, metric_value, shown

    first = [f"{row.metric_name} {row.arrow}"]
    for model in table.models:
        estimate = row.estimates.get(model.name)
        star = "*" if row.verdict(model.name) else ""
        unit = row.digits, row.scale
        first.append(
            "-" if estimate is None else f"{shown(estimate.value, *unit)}{star} {interval(estimate, *unit)}"
        )
    further = [
        [
            f"  {metric_name(metric).removeprefix(f'{row.metric_name}, ')}",
            *(
                metric_value(metric, values[model.name], row.scale) if model.name in values else "-"
                for model in table.models
            ),
        ]
        for metric, values in row.further.items()
    ]
    return [first, *further]
