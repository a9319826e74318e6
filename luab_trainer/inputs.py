"""Which columns of a dataset are read, and what its classes are called."""

from collections import Counter

import datasets

from luab_data import constants
from luab_data.errors import SourceError
from luab_trainer.class_names import WNID
from luab_trainer.columns import is_list
from luab_trainer.facts import classes_of
from luab_trainer.targets import ByproductKind, Columns, LabelPolicy


def is_multi_label(rows: datasets.Dataset, columns: Columns) -> bool:
    """Whether the label column holds a list of classes."""
    return is_list(rows.features[columns.label])


def check_task(
    columns: Columns, multi_label: bool, loss: str, byproduct: ByproductKind, label_policy: LabelPolicy
) -> None:
    """Raises SourceError for options that do not go with the number of labels of an image."""
    if multi_label and loss != "none" and byproduct != "click":
        raise SourceError(
            f"--byproduct {byproduct}: a trace does not say which of an image's labels (column "
            f"{columns.label!r}) it belongs to; take --byproduct click."
        )
    if not multi_label and label_policy != "keep":
        raise SourceError(
            f"--label_policy {label_policy} is for several labels an image, but column {columns.label!r} has "
            "one; leave the option out."
        )


def class_names(rows: datasets.Dataset, columns: Columns) -> list[str]:
    """The classes' names in the order of their numbers, as their ClassLabel has them.

    Of our own ImageNet rows, whose ClassLabel has wnids, the readable ones of the column `class_name`. In
    other datasets a column of that name can mean anything.

    Raises:
        SourceError: labels that are no class numbers.
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
