"""`luab show`: rows of a dataset as one HTML file."""

import argparse
from dataclasses import replace

import datasets
import numpy as np

from luab.gallery.rows import ModelLook, ShownRow
from luab.models import load_models
from luab_attention.reading import Reading, read_rows
from luab_data import constants
from luab_data.rows.classes import class_names
from luab_data.rows.splits import find_part, load_splits, part_of, root_of
from luab_eval.report.galleries import MAX_BYTES
from luab_eval.report.templates import template


def write_page(options: argparse.Namespace, reading: Reading) -> tuple[int, int, list[str]]:
    """Write the page of `luab show`; return the number of rows shown, of all rows, and how they were read.

    `reading`: how the columns are read.

    Raises:
        SourceError: an unreadable dataset, column or value.
        ValueError: a model that cannot be loaded.
    """
    splits = load_splits(options.dataset, options.config)
    part = find_part(splits, options.split, options.dataset, "split")
    annotations = reading.annotations or constants.ANNOTATIONS
    reading = replace(reading, annotations=annotations)
    asked_for = options.point_column is not None or options.annotations_column is not None
    root = root_of(options.dataset)
    read = read_rows(splits[part.split], reading, options.byproduct, root, required=asked_for)
    some, columns = part_of(read.rows, part), read.columns
    drawn = np.random.default_rng(options.seed).permutation(len(some))[: options.rows]
    rows = some.select(np.sort(drawn))
    names = class_names(read.rows, columns)
    models = load_models(options.model)
    look = ModelLook(columns, options.byproduct, names, models, options.min_crop, options.seed)
    rows = rows.cast_column(columns.image, datasets.Image(decode=False))
    exhibits: list[ShownRow] = []
    left = MAX_BYTES
    for number, row in enumerate(rows):
        exhibit = look.exhibit(row, number)
        left -= sum(len(panel.uri) for panel in exhibit.panels)
        if left < 0:
            break
        exhibits.append(exhibit)
    title = f"{options.dataset}, {options.split}"
    notes = [f"{len(exhibits):,} of {len(some):,} rows, drawn at random (seed {options.seed})", *read.notes]
    html = template("show.html").render(
        title=title, exhibits=exhibits, notes=notes, made_by="luab show", wide=False
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(html, encoding="utf-8")
    return len(exhibits), len(some), read.notes
