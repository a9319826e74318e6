"""Which rows of a dataset show one image: datasets often have a row for each annotator or object."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import datasets

from luab_data.constants import IMAGE_ID
from luab_data.errors import SourceError
from luab_eval.alignment.viewings import raw_rows
from luab_vision.images import read_file


def same_pictures(rows: datasets.Dataset, image: str, numbers: Sequence[int] | None = None) -> list[int]:
    """For each row the first one that shows its image.

    These have the same bytes, and the same `image_id` if rows have one. Only images that may be the same are
    read, and each file once.

    Args:
        rows: The rows; images are not decoded.
        image: The column of the image.
        numbers: What errors call each row. Default: its position.

    Raises:
        SourceError: an image that cannot be read.
    """
    ids = rows[IMAGE_ID][:] if IMAGE_ID in rows.column_names else [None] * len(rows)
    count = Counter(ids)
    if max(count.values(), default=1) == 1:
        return list(range(len(rows)))
    first: dict[tuple[Any, bytes | None], int] = {}
    found = []
    of_path: dict[str, bytes] = {}
    for at, (row, own) in enumerate(zip(raw_rows(rows, [image]), ids, strict=True)):
        named = at if numbers is None else numbers[at]
        content = _digest(row[image], named, of_path) if count[own] > 1 else None
        found.append(first.setdefault((own, content), at))
    return found


def _digest(value: Any, at: int, of_path: dict[str, bytes]) -> bytes:
    """A hash of an image as it is stored, `datasets.Image(decode=False)`'s `{bytes, path}`.

    `of_path`: the hashes of the files so far.
    """
    value = value or {}
    data, path = value.get("bytes"), value.get("path")
    if not (data or path):
        raise SourceError(f"row {at} has no image. Filter these rows out.")
    if not data and path in of_path:
        return of_path[path]
    try:
        found = hashlib.blake2b(data or read_file(path), digest_size=16).digest()
    except ValueError as error:
        raise SourceError(f"row {at}: {error}") from error
    if not data:
        of_path[path] = found
    return found
