"""Evaluate where classifiers look, using the true boxes: MaxBoxAcc, pointing game.

    luab localize --model runs/luab --model runs/plain --images val --boxes ILSVRC2012_bbox_val_v3
    luab localize --model runs/demo --images images/val --boxes boxes_val.csv
    luab localize --model runs/coco --dataset data/coco_ab --split validation

Boxes are ImageNet's official XML files (unpacked), a CSV (file, x0, y0, x1, y1, width, height), or the
dataset's objects column. The classifier is one of transformers that the attention loss supports. --output-dir
gets the same files as with luab evaluate; luab compare reads them too.
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
from luab_eval.team import Team

if TYPE_CHECKING:
    from luab_eval.image_sets.boxes import BoxDataset, BoxFolder

SPLIT = "validation"


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = CommandParser("luab localize", __doc__)
    add = options.add_argument
    add("--images", type=Path, metavar="DIR", help="images, flat or in class folders")
    add("--boxes", type=Path, metavar="CSV_OR_DIR", help="their boxes")
    add("--dataset", metavar="DIR_OR_ID", help="instead of images and boxes: rows with an objects column")
    add("--config", help="the dataset's configuration")
    add("--split", default=SPLIT, help="the dataset's split (default: %(default)s)")
    add_evaluation_options(options, "runs/localize")
    return options


@guarded("luab localize")
def main(argv: list[str]) -> int:
    """Run the command and return the exit status: 0, or 1 with the reason on stderr."""
    return in_team(lambda team: _main(argv, team))


def _main(argv: list[str], team: Team) -> int:
    options = parser().parse_args(argv)
    require_extra("eval")
    options.command = shlex.join(["luab", "localize", *argv])
    return run(options, team)


def run(options: argparse.Namespace, team: Team) -> int:
    """Run what the options ask for. `team`: the processes that share the work.

    Raises:
        ValueError: rows, boxes or a model that cannot be used.
    """
    own = where(options)
    evaluation = evaluation_options(options)
    from luab_eval.benchmarks import WHERE
    from luab_eval.evaluate import evaluate
    from luab_eval.report.table import metric_value
    from luab_eval.report.terminal import grid
    from luab_eval.report.write import PAGE
    from luab_eval.suite import usable

    present, _ = usable([benchmark(own=own) for benchmark in WHERE], Path(), skip_absent=False)
    results, _ = evaluate(benchmarks=present, root=Path(), **evaluation, team=team)
    shown = results.shown()
    evaluated = [results.content["benchmarks"][key]["models"] for key in shown.benchmarks]
    models = [name for name in shown.models if name in evaluated[0]]
    lines = [
        [metric, *(metric_value(metric, of_model[name]["metrics"][metric]) for name in models)]
        for of_model in evaluated
        for metric in of_model[models[0]]["metrics"]
    ]
    images = ["images", *(f"{evaluated[0][name]['n']:,}" for name in models)]
    print("\n".join(grid([["metric, in %", *models], *lines, images])))
    if left_out := results.content["benchmarks"][shown.benchmarks[0]]["left_out"]:
        print(printable(f"Left out: {left_out}."))
    for key, why in shown.skipped.items():
        print(printable(f"Not run: {key}, {why}"))
    print(f"More in {options.output_dir / PAGE}")
    return 0


def where(options: argparse.Namespace) -> BoxFolder | BoxDataset:
    """The images and their boxes.

    Raises:
        ValueError: neither or both of the two ways to give them.
    """
    from luab_eval.image_sets.boxes import BoxFolder, box_dataset
    from luab_eval.image_sets.own_datasets import DatasetPlace

    if (options.dataset is None) == (options.images is None) or (options.images is None) != (
        options.boxes is None
    ):
        raise ValueError("give either --images and --boxes, or --dataset")
    if options.dataset is None:
        return BoxFolder(options.images.name or "images", options.images, options.boxes)
    place = DatasetPlace(options.dataset, options.split, options.config)
    return box_dataset(dataset_name(options.dataset, options.split, options.config, SPLIT), place)
