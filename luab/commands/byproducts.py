"""Measure how accurate the clicks and traces of a dataset are, using the true boxes.

    luab byproducts data/imagenet_ab --boxes boxes_train.csv
    luab byproducts data/imagenet_ab --boxes ILSVRC2012_bbox_train_v2     the official XML files, unpacked
    luab byproducts data/coco_ab                                          boxes from its own objects column
    luab byproducts you/photos --point-column tap --label-column species  a dataset of your own

Prints the share of clicks and traces inside the boxes, and the median distance to the box's center (in units
of the box's width and height: 0 is the center, 0.5 the middle of an edge). It does so for all rows, and for
the worst classes and workers. --output writes all classes and workers as JSON. A side is the root of the
share of the image that a box covers; `luab train --background_radius` is 0.8 times that of a large object.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from luab.commands._reading import add_reading_options, own_options, reading_options, say_notes
from luab_data.console.boundary import guarded
from luab_data.console.missing import require_extra
from luab_data.console.options import CommandParser
from luab_data.files.whole import write_json

LEAST = 5  # classes and workers with fewer clicks are not ranked
COLUMNS = {
    "points": "points",
    "points_inside": "inside",
    "points_median_distance": "distance",
    "points_uniform": "anywhere",
    "points_center": "center",
    "clicks": "clicks",
    "clicks_inside": "inside",
    "clicks_median_distance": "distance",
    "traces": "traces",
    "traces_inside": "inside",
    "traces_weighted": "weighted",
}


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = CommandParser("luab byproducts", __doc__)
    add = options.add_argument
    add("dataset", metavar="DIR_OR_ID", help="a folder or a Hub id, ours or your own")
    add("--config", help="the dataset's configuration")
    add("--split", default="train", help="default: %(default)s")
    add(
        "--boxes", type=Path, metavar="CSV_OR_DIR", help="the true boxes, unless the rows have them (objects)"
    )
    add("--id-column", default="image_id", help="<class>/<name>, for boxes in files (default: %(default)s)")
    add_reading_options(options)
    add("--output", type=Path, metavar="FILE", help="write the figures of all classes and workers as JSON")
    add("--lines", type=int, default=5, help="classes and workers to print (default: %(default)s)")
    return options


@guarded("luab byproducts")
def main(argv: list[str]) -> int:
    """Run the command and return the exit status: 0, or 1 with the reason on stderr."""
    command = parser()
    options = command.parse_args(argv)
    require_extra("eval")
    from luab_data.rows.splits import find_part, load_splits, part_of, root_of
    from luab_eval.byproducts.quality import measure, read_byproducts

    splits = load_splits(options.dataset, options.config)
    part = find_part(splits, options.split, options.dataset, "split")
    reading = reading_options(options)
    with own_options(command):
        rows, columns, notes = read_byproducts(
            part_of(splits[part.split], part), reading, root_of(options.dataset)
        )
    say_notes(notes, command)
    summary = measure(rows, options.boxes, columns, options.id_column).summary()
    print(report(summary, options.lines))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.output, summary)
        print(f"\nall classes and workers in {options.output}")
    return 0


def report(summary: dict[str, Any], lines: int) -> str:
    """The figures as text."""
    counted = summary["rows"] - summary["rows_without_boxes"]
    parts = [f"{counted:,} of {summary['rows']:,} rows have boxes"]
    if summary["points_of_classes_without_boxes"]:
        parts[0] += f"; {summary['points_of_classes_without_boxes']:,} points are of classes that have none"
    if summary["points_of_other_classes"]:
        parts[0] += (
            f"; {summary['points_of_other_classes']:,} points are of other classes than their row's, or of "
            "none beside others of it, and left out"
        )
    if summary["left_out"]:
        parts.append(f"left out: {summary['left_out']}")
    if summary["absent_columns"]:
        parts.append(f"not there, and not measured: {', '.join(summary['absent_columns'])}")
    if (side := summary["large_object_side"]) is not None:
        radius = summary["background_radius"]
        parts.append(
            f"nine in ten objects have a side below {side:.2f}: --background_radius {radius:.2f} fits"
        )
    everything = summary["all"]
    for name, meaning in (
        ("points", "what training reads, against a point anywhere and in the center of the image"),
        ("clicks", "what each worker did"),
        ("traces", "positions of the cursor; weighted: as training weighs them"),
    ):
        if everything[name]:
            parts += ["", f"{name} ({meaning})", _table({"all": everything}, name)]
    for kind, by in (("classes", "points"), ("workers", "clicks")):
        groups = {key: each for key, each in summary[kind].items() if each.get(by, 0) >= LEAST}
        worst = sorted(groups, key=lambda key: (groups[key][f"{by}_inside"], key))[:lines]
        if worst:
            heading = f"{kind} with the fewest {by} inside, of {len(groups):,} with at least {LEAST}"
            parts += ["", heading, _table({key: groups[key] for key in worst}, by)]
    return "\n".join(parts)


def _table(groups: dict[str, dict[str, float]], prefix: str) -> str:
    from luab_eval.report.terminal import grid

    shown = [
        key for key in COLUMNS if key.startswith(prefix) and any(key in each for each in groups.values())
    ]
    cells = [["", *(COLUMNS[key] for key in shown)]]
    cells += [[name, *(_cell(key, each.get(key)) for key in shown)] for name, each in groups.items()]
    return "\n".join(f"  {line}" for line in grid(cells))


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    if "_" not in key:
        return f"{value:,}"
    return f"{value:.2f}" if key.endswith("distance") else f"{100 * value:.1f} %"
