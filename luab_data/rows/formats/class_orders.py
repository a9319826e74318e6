"""Refuses files of one dataset that number their classes differently.

`datasets` reads all files of a dataset with the features of the first one. A file whose `ClassLabel` has
other names, or another order, would keep its numbers and silently get the first file's names.
"""

from typing import Any

import datasets
import pyarrow as pa

from luab_data.console.names import few
from luab_data.errors import SourceError
from luab_data.rows.arrow import is_list
from luab_data.rows.class_names import plain


def require_same_classes(schema: pa.Schema, features: datasets.Features | None, file: str) -> None:
    """Checks the class names that a file states for its columns, nested ones too.

    Args:
        schema: The file's schema, with the library's metadata if `datasets` wrote it.
        features: The features that the dataset's rows get. None: the file's own.
        file: Its name, for messages.

    Raises:
        SourceError: names the column, the file, both lists and the fix.
    """
    if features is None or b"huggingface" not in (schema.metadata or {}):
        return
    own = datasets.Features.from_arrow_schema(schema)
    for name in own.keys() & features.keys():
        _compare(own[name], features[name], name, file)


def _compare(own: Any, given: Any, name: str, file: str) -> None:
    if isinstance(own, dict) and isinstance(given, dict):
        for part in own.keys() & given.keys():
            _compare(own[part], given[part], f"{name}.{part}", file)
    elif is_list(own) and is_list(given):
        _compare(own.feature, given.feature, name, file)
    elif (
        isinstance(own, datasets.ClassLabel)
        and isinstance(given, datasets.ClassLabel)
        and list(map(plain, own.names)) != list(map(plain, given.names))
    ):
        raise SourceError(
            f"{file}: the classes of column {name!r} are {few(own.names)}, but the dataset's are "
            f"{few(given.names)}: the numbers in this file would get wrong names. Renumber its rows with "
            "Dataset.align_labels_with_mapping and write it again, or load it as a dataset of its own "
            "(--eval_dataset)."
        )
