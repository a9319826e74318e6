"""The control of any run: each row with the byproducts of another one.

A model that gains from byproducts gains from where they are. With the byproducts of other images it learns as
much about where they usually are, and nothing about this image. What is left of the gain came from elsewhere.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from datasets.fingerprint import Hasher

from luab_attention.boxes.boxes import BBOX, CATEGORY
from luab_attention.boxes.rows import RowBoxes, row_size
from luab_data.adapters.hf_datasets import fingerprint_of, stored_order
from luab_data.constants import HEIGHT, LABEL, NO_LABEL, SHUFFLED, WIDTH
from luab_data.rows.arrow import is_list, replace_column
from luab_data.rows.columns import ByproductKind, Columns

AT_ONCE = 1000  # rows
VERSION = 2  # of what a seed gives, for caches of the rows


def shuffle_byproducts(
    rows: datasets.Dataset, kind: ByproductKind, columns: Columns, seed: int = 0
) -> datasets.Dataset:
    """The rows with all columns of a byproduct permuted together, missing byproducts included.

    The places are those of another image, the classes this image's: the first class of this row gets those of
    the first of the other row, and so on, around. So each class gets places, also where the other row has
    fewer classes, and those of further classes are left out. Boxes become ratios of their image: the columns
    width and height are then 1. Masks and heat maps are stretched onto the image, of whatever shape: the
    column byproducts_shuffled says that they may be.

    Args:
        rows: As training reads them.
        kind: The byproduct.
        columns: Names of the rows' columns.
        seed: Of the permutation.
    """
    stored = stored_order(rows)
    base = datasets.Dataset(rows.data, info=datasets.DatasetInfo(features=rows.features))
    positions = np.arange(len(rows)) if stored is None else stored
    source = np.arange(len(base))
    source[positions] = positions[np.random.default_rng(seed).permutation(len(rows))]
    if kind == "boxes":
        found = _boxes(base, columns, source)
    else:
        found = {
            name: (_moved(base, name, columns.label, source), rows.features[name])
            for name in columns.of_byproduct(kind)
        }
    if kind in ("masks", "heatmap"):
        found[SHUFFLED] = (pa.chunked_array([pa.array(np.ones(len(base), bool))]), datasets.Value("bool"))
    for name, (values, feature) in found.items():
        fingerprint = Hasher.hash([VERSION, fingerprint_of(rows), name, kind, seed])  # of no mask's bytes
        base = replace_column(base, name, values, feature, fingerprint)
    return base if stored is None else base.select(stored)


def _moved(rows: datasets.Dataset, name: str, label: str, source: np.ndarray) -> pa.ChunkedArray:
    """The values of a column from the rows `source`, with the classes of their new rows."""
    feature = rows.features[name]
    named = is_list(feature) and isinstance(feature.feature, dict) and LABEL in feature.feature
    # By parts, as Arrow would gather columns of images as one array, whose size is limited.
    others = rows.select_columns([name, label] if named else [name]).with_format("arrow")
    kind = rows.features.arrow_schema.field(name).type
    parts = []
    for start in range(0, len(source), AT_ONCE):
        part = others[source[start : start + AT_ONCE].tolist()]
        if named:
            own = others[start : start + AT_ONCE][label].to_pylist()
            values = zip(part[name].to_pylist(), part[label].to_pylist(), own, strict=True)
            parts.append(pa.array([_of_this_row(*each) for each in values], kind))
        else:
            parts += part[name].chunks
    return pa.chunked_array(parts, kind)


def _of_this_row(entries: Sequence[Mapping[str, Any]] | None, theirs: Any, own: Any) -> Any:
    """Another row's entries, with the classes of this row."""
    if entries is None:
        return None
    numbers = _renumbering(theirs, own)
    kept = []
    for entry in entries:
        label = NO_LABEL if entry is None or entry[LABEL] is None else entry[LABEL]
        if label == NO_LABEL:
            kept.append(entry)
        else:
            kept += [{**entry, LABEL: number} for number in numbers.get(label, ())]
    return kept


def _renumbering(theirs: Any, own: Any) -> dict[int, list[int]]:
    """For each class of another row those of this row that get its places."""
    one = _classes(theirs)
    found: dict[int, list[int]] = {label: [] for label in one}
    for k, label in enumerate(_classes(own) if one else ()):
        found[one[k % len(one)]].append(label)
    return found


def _classes(labels: Any) -> list[int]:
    """The classes of a row's label or labels, in order."""
    if labels is None:
        return []
    return sorted(set(labels)) if isinstance(labels, list) else [labels]


def _boxes(
    rows: datasets.Dataset, columns: Columns, source: np.ndarray
) -> dict[str, tuple[pa.ChunkedArray, Any]]:
    """The columns of the boxes from the rows `source`, in ratios: values and feature of each."""
    reader = RowBoxes(columns.label, rows)
    names = [columns.label, *columns.with_byproduct("boxes", rows.column_names)]
    if not {WIDTH, HEIGHT} <= set(names):
        names.append(columns.image)
        rows = rows.cast_column(columns.image, datasets.Image(decode=False))
    read = []
    for row in rows.select_columns(names):
        found, categories = reader.stated(row, partial(row_size, row, columns.image))
        read.append((row[columns.label], found.ratios(), categories))
    objects = []
    for own, at in zip((label for label, _, _ in read), source, strict=True):
        theirs, boxes, categories = read[at]
        numbers = {NO_LABEL: [NO_LABEL]} | _renumbering(theirs, own)
        # Without categories all boxes are of the row's class.
        first = _classes(own)[:1]
        named = [first] * len(boxes) if categories is None else [numbers.get(int(c), ()) for c in categories]
        kept = [(box, label) for box, labels in zip(boxes.tolist(), named, strict=True) for label in labels]
        objects.append({BBOX: [box for box, _ in kept], CATEGORY: [label for _, label in kept]})
    number, ratio = datasets.Value("int64"), datasets.Value("float64")
    feature = {BBOX: datasets.List(datasets.List(ratio)), CATEGORY: datasets.List(number)}
    kind = datasets.Features({columns.objects: feature}).arrow_schema.field(columns.objects).type
    ones = pa.chunked_array([np.ones(len(read))])
    found = pa.chunked_array([pa.array(objects, kind)])
    return {columns.objects: (found, feature), WIDTH: (ones, ratio), HEIGHT: (ones, ratio)}
