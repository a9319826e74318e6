"""`luab show`: rows of a dataset as one HTML file."""

import argparse
from dataclasses import replace

import datasets
import numpy as np

from luab.gallery.rows import ModelLook, ShownRow
from luab.models import load_models
from luab_attention.boxes.rows import RowBoxes
from luab_attention.reading import OTHER_POINTS, Reading, label_name, read_rows
from luab_data import constants
from luab_data.rows.arrow import has_column
from luab_data.rows.classes import class_names
from luab_data.rows.columns import AREA_KINDS, ByproductKind, Columns
from luab_data.rows.image_columns import folder_labels
from luab_data.rows.splits import find_part, load_splits, part_of, root_of
from luab_eval.report.galleries import MAX_BYTES
from luab_eval.report.templates import template
from luab_trainer.data.background import BackgroundMix


def with_labels(rows: datasets.Dataset, reading: Reading) -> datasets.Dataset:
    """The rows; if they have no classes at all, with a column of one class, which is not shown."""
    found = has_column(rows.features, label_name(rows, reading)) or reading.label is not None
    image = rows.features.get(reading.image)
    if found or not isinstance(image, datasets.Image) or folder_labels(rows, reading.image) is not None:
        return rows
    return rows.add_column(constants.LABEL, [0] * len(rows))


def usual_byproduct(rows: datasets.Dataset, points: bool) -> ByproductKind:
    """What to show of a dataset: clicks, or what it has in their place.

    Args:
        rows: The dataset.
        points: Whether points or traces were asked for.
    """
    names = Columns()
    usual = (constants.CLICK, constants.POINTS, *OTHER_POINTS, constants.ANNOTATIONS)
    if not points and not any(has_column(rows.features, name) for name in usual):
        for kind in AREA_KINDS:
            if set(names.of_byproduct(kind)) <= set(rows.column_names):
                return kind
    return "click"


def _mix(options: argparse.Namespace, byproduct: ByproductKind) -> BackgroundMix:
    """The background mix whose part of the images is shown."""
    asked = {"radius": options.background_radius, "shape": options.background_shape}
    given = {name: value for name, value in asked.items() if value is not None}
    if given and byproduct in AREA_KINDS:
        name, value = next(iter(given.items()))
        raise ValueError(
            f"--background-{name} {value} is of points; with --byproduct {byproduct}, what is inside stays, "
            "or what people looked at most. Leave it out."
        )
    try:
        return BackgroundMix(holes=0.0, **given)
    except ValueError as error:
        raise ValueError(f"--background-{error}") from error


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
    stored = with_labels(splits[part.split], reading)
    byproduct = options.byproduct or usual_byproduct(stored, asked_for)
    asked_for |= options.byproduct in AREA_KINDS
    read = read_rows(stored, reading, byproduct, root, required=asked_for)
    some, columns = part_of(read.rows, part), read.columns
    drawn = np.random.default_rng(options.seed).permutation(len(some))[: options.rows]
    rows = some.select(np.sort(drawn))
    unlabeled = stored is not splits[part.split]
    if unlabeled:
        rows = rows.remove_columns(columns.label)
    names = [] if unlabeled else class_names(read.rows, columns)
    models = load_models(options.model)
    boxes = RowBoxes(columns.label, read.rows) if byproduct == "boxes" else None
    mix = _mix(options, byproduct)
    look = ModelLook(columns, byproduct, names, models, options.min_crop, options.seed, boxes, True, mix)
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
