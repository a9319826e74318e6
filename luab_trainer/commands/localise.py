"""judge where classifiers look, against the real boxes: MaxBoxAcc, pointing game

    luab localise --model runs/luab --model runs/plain --images val --boxes ILSVRC2012_bbox_val_v3
    luab localise --model runs/demo --images images/val --boxes boxes_val.csv
    luab localise --model runs/coco --dataset data/coco_ab --split validation

Boxes are ImageNet's official XML files (unpacked), a CSV (file, x0, y0, x1, y1, width, height), or the
dataset's own objects column. The classifier is any of transformers whose attention the attention loss knows.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

COUNTS = ("localisation_images",)
RATIOS = ("max_box_acc_threshold",)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(
        prog="luab localise", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add(
        "--model",
        action="append",
        required=True,
        metavar="DIR_OR_ID",
        help="a checkpoint's folder or a model's id on the Hub; repeat it to compare",
    )
    add("--images", type=Path, metavar="DIR", help="images, flat or in class folders")
    add("--boxes", type=Path, metavar="CSV_OR_DIR", help="their boxes")
    add("--dataset", metavar="DIR_OR_ID", help="instead of images and boxes: rows with an objects column")
    add("--config", help="the dataset's configuration")
    add("--split", default="validation", help="the dataset's split (default: %(default)s)")
    add("--output", type=Path, metavar="FILE", help="write the figures, also of each image, as JSON")
    add("--device", help="cpu, cuda, cuda:1, mps (default: cuda where there is one, else cpu)")
    add("--batch-size", type=int, default=32, help="images at once (default: %(default)s)")
    return options


def main(argv: list[str]) -> int:
    """Run the command; 0: done, 1: it could not be, and stderr says why."""
    options = parser().parse_args(argv)
    try:
        return run(options)
    except ValueError as error:
        print(f"luab localise: {error}", file=sys.stderr)
        return 1


def run(options: argparse.Namespace) -> int:
    """What the options ask for.

    Raises:
        ValueError: rows, boxes or a model that cannot be used.
    """
    import torch

    from luab_trainer.evaluation.localisation import Localisation
    from luab_trainer.evaluation.models import load_classifier
    from luab_trainer.evaluation.report.terminal import grid
    from luab_trainer.evaluation.suite import unique_names

    rows, columns, classes = read_rows(options)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    found = {}
    for name, path in zip(unique_names(options.model), options.model, strict=True):
        classifier = load_classifier(path, device)
        outputs = outputs_for(classifier.labels, classes)
        evaluator = Localisation(rows, classifier.settings, columns, outputs, options.batch_size)
        judgement = evaluator.judge(classifier.model)
        per_image = {metric: values.tolist() for metric, values in judgement.per_image().items()}
        found[name] = {"metrics": judgement.metrics(), "ids": judgement.ids, "per_image": per_image}
    metrics = list(next(iter(found.values()))["metrics"])
    lines = [
        [metric, *(cell(metric, each["metrics"][metric]) for each in found.values())] for metric in metrics
    ]
    print("\n".join(grid([["metric", *found], *lines])))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return 0


def read_rows(options: argparse.Namespace):
    """The rows with boxes, their columns, and their classes' names.

    Raises:
        ValueError: neither or both of the two ways to give rows, or rows without boxes or classes.
    """
    import datasets

    from luab_data.constants import IMAGE, OBJECTS
    from luab_trainer.evaluation.boxes import load_boxes
    from luab_trainer.evaluation.ilsvrc_boxes import load_ilsvrc_boxes
    from luab_trainer.inputs import find_columns, is_multi_label, load_splits, pick_split

    if (options.dataset is None) == (options.images is None) or (options.images is None) != (
        options.boxes is None
    ):
        raise ValueError("give either --images and --boxes, or --dataset")
    if options.dataset is None:
        load = load_ilsvrc_boxes if options.boxes.is_dir() else load_boxes
        rows = load(options.images, options.boxes)
    else:
        splits = load_splits(options.dataset, options.config)
        rows = pick_split(splits, options.split, options.dataset, "split")
    columns = find_columns(rows, IMAGE, None, None, None)
    if OBJECTS not in rows.column_names:
        raise ValueError(f"--dataset {options.dataset} has no column {OBJECTS}; give --images and --boxes")
    feature = rows.features[columns.label]
    feature = feature.feature if is_multi_label(rows, columns) else feature
    if not isinstance(feature, datasets.ClassLabel):
        raise ValueError(f"the labels are {feature}, but class numbers with names (ClassLabel) are needed")
    return rows.cast_column(IMAGE, datasets.Image(decode=False)), columns, feature.names


def outputs_for(labels: list[str], classes: list[str]) -> list[int]:
    """For each class of the rows the model's output.

    Raises:
        ValueError: a class that is none of the model's.
    """
    from luab_trainer.evaluation.class_maps import folder_outputs, imagenet_outputs, wnids

    return imagenet_outputs(labels) if list(classes) == list(wnids()) else folder_outputs(labels, classes)


def cell(metric: str, value: float) -> str:
    """A metric's value for people: rates in percent."""
    if metric in COUNTS:
        return f"{value:,}"
    return f"{value:.3f}" if metric in RATIOS else f"{100 * value:.1f} %"
