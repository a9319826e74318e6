"""The classes of a dataset: their numbers and names, and whether a row may have several."""

from collections import Counter

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from luab_data import constants
from luab_data.errors import SourceError
from luab_data.rows.arrow import in_order, is_list, read_column
from luab_data.rows.class_names import WNID
from luab_data.rows.columns import Columns


def is_multi_label(rows: datasets.Dataset, columns: Columns) -> bool:
    """Whether the label column holds a list of classes."""
    return is_list(rows.features[columns.label])


def class_names(rows: datasets.Dataset, columns: Columns) -> list[str]:
    """The class names in the order of the class numbers, from the ClassLabel.

    For our ImageNet rows, whose ClassLabel has wnids, the readable names of the column `class_name`. In other
    datasets a column with that name can mean anything.

    Raises:
        SourceError: labels that are not class numbers.
    """
    feature = rows.features[columns.label]
    if is_multi_label(rows, columns):
        feature = feature.feature
    if not isinstance(feature, datasets.ClassLabel):
        if not (isinstance(feature, datasets.Value) and feature.dtype.startswith("int")):
            raise SourceError(
                f"column {columns.label!r} holds {feature}, but class numbers are needed: "
                f"encode them once with dataset.class_encode_column({columns.label!r})."
            )
        largest = max(classes_of(rows, columns.label), default=None)
        if largest is None:
            raise SourceError(f"column {columns.label!r} holds no label at all.")
        return [str(i) for i in range(largest + 1)]
    ours = constants.CLASS_NAME in rows.column_names and all(map(WNID.fullmatch, feature.names))
    if not ours or is_multi_label(rows, columns):
        return list(feature.names)
    table = rows.select_columns([columns.label, constants.CLASS_NAME]).with_format("arrow")[:]
    pairs = table.group_by([columns.label, constants.CLASS_NAME]).aggregate([]).to_pydict()
    readable = dict(zip(pairs[columns.label], pairs[constants.CLASS_NAME], strict=True))
    names = [readable.get(i) or name for i, name in enumerate(feature.names)]
    # ImageNet has two cranes and two maillots: label2id needs them apart.
    count = Counter(names)
    return [f"{n} ({own})" if count[n] > 1 else n for n, own in zip(names, feature.names, strict=True)]


def classes_of(rows: datasets.Dataset, column: str) -> list[int]:
    """The class numbers that occur, sorted."""
    values = read_column(rows, column)
    if is_list(rows.features[column]):
        flat, place = pc.list_flatten(values), np.zeros(len(values), bool)
        place[in_order(rows, np.arange(len(values)))] = True
        flat = flat.filter(pa.array(np.repeat(place, pc.list_value_length(values).to_numpy())))
    else:
        flat = pa.array(in_order(rows, values.to_numpy()))
    return sorted(pc.unique(flat).drop_null().to_pylist())
