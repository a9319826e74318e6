"""COCO-AB's byproducts: a JSON array of 82.8 thousand records (398 MB) -> Arrow columns of 100 MB.

Units: `x`, `y` are ratios of the rendered image, 0 to 1 (the cursor may be outside); sizes are pixels, null
where the release has 0; times are ms since the page opened, `time_spent` ms on the page.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from coco_ab.images import image_id_of, name_of
from coco_ab.json_arrays import read_array
from coco_ab.json_types import JsonFlag, JsonInt, JsonList, JsonReal, JsonStruct, JsonText
from luab_data.errors import SourceError
from luab_data.hub.source import download
from luab_data.sources.entries import BYPRODUCTS, Reject

HUB_REPOSITORY = "coallaoh/COCO-AB"
FILE = "coco_ab_v1_0.json"

# An icon dropped at the image's border may be slightly outside; a value far outside is not a ratio.
_RATIO = JsonReal(-0.5, 1.5)
# The cursor may be anywhere on the page, of which the image takes about 450 pixels. Farther positions are
# left out (`near`): only icons matter, so a number here rejects no record, unless it is absurd.
_MOST_AWAY = 10.0
_CURSOR = JsonReal(-1e9, 1e9)
_TIME = JsonInt(high=10**14, stored=pa.int64())
_SIZE = JsonInt(zero_unknown=True)
_POINT = JsonStruct({"x": _RATIO, "y": _RATIO}, required=("x", "y"))

ACTIONS = ("add", "move", "remove")
MOUSE_TRACKING = "mouse_tracking"

RECORD = JsonStruct(
    {
        "image_id": JsonInt(high=10**12 - 1, stored=pa.int64()),
        "originalImageHeight": _SIZE,
        "originalImageWidth": _SIZE,
        "imageHeight": _SIZE,
        "imageWidth": _SIZE,
        "actionHistories": JsonList(
            JsonStruct(
                {
                    "actionType": JsonText(ACTIONS),
                    "iconType": JsonText(),
                    "pointFrom": _POINT,
                    "pointTo": _POINT,
                    "timeAt": _TIME,
                },
                required=("actionType", "iconType"),
            )
        ),
        "categoryHistories": JsonList(
            JsonStruct(
                {
                    "categoryIndex": JsonInt(),
                    "categoryName": JsonText(),
                    "timeAt": _TIME,
                    "usingKeyboard": JsonFlag(),
                }
            )
        ),
        "mouseTracking": JsonList(
            JsonStruct({"x": _CURSOR, "y": _CURSOR, "timeAt": _TIME}, required=("x", "y"))
        ),
        "timeSpent": _TIME,
        "worker_id": JsonText(),
        "hit_id": JsonText(),
        "page_id": JsonInt(),
    },
    required=("image_id",),
)


def near(records: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """An image's records without positions of the cursor that are on no page, and the number of these."""
    kept = [
        {**record, MOUSE_TRACKING: [each for each in record[MOUSE_TRACKING] if _is_near(each)]}
        for record in records
    ]
    lost = (len(a[MOUSE_TRACKING]) - len(b[MOUSE_TRACKING]) for a, b in zip(records, kept, strict=True))
    return kept, sum(lost)


def _is_near(position: dict[str, Any]) -> bool:
    return abs(position["x"]) <= _MOST_AWAY and abs(position["y"]) <= _MOST_AWAY


def find_byproducts(byproducts: str | Path | None = None) -> Path:
    """The path of the byproducts' file.

    `byproducts`: the file, a folder that holds it, or a Hub repository (`owner/name`, `owner/name@revision`,
    `hf://datasets/...`). Default: the authors' repository. Raises `SourceError` that says what to request or
    pass.
    """
    path = Path(byproducts) if byproducts is not None else None
    if path is not None and path.is_dir():
        path = path / FILE
        if not path.is_file():
            raise SourceError(f"{BYPRODUCTS}={str(byproducts)!r} holds no {FILE}: pass the file itself.")
    if path is not None and path.is_file():
        return path
    return download(BYPRODUCTS, str(byproducts or HUB_REPOSITORY), FILE)


class Byproducts:
    """The records of one file, in memory, looked up by image. A Lookup.

    An id is the image file's name without suffix, `COCO_train2014_000000296169`. A payload is the list
    of the image's records, in the file's order: dicts in the dataset's names, without `image_id`.
    Invalid records are `Reject`s with the file's name and the record's number.
    """

    role = BYPRODUCTS
    ignored = 0

    def __init__(self, path: Path):
        self._batches: list[pa.StructArray] = []
        self._rejects: list[Reject] = []
        for item in read_array(path, BYPRODUCTS, RECORD):
            (self._rejects if isinstance(item, Reject) else self._batches).append(item)
        ids = [batch.field("image_id").to_numpy() for batch in self._batches]
        self._image_ids = np.concatenate([np.empty(0, np.int64), *ids])
        self._starts = np.cumsum([0, *map(len, ids)])  # of the batches, in `_image_ids`
        self._order = np.argsort(self._image_ids, kind="stable")
        self._sorted = self._image_ids[self._order]

    def __contains__(self, entry_id: str) -> bool:
        return bool(len(self._places(entry_id)))

    def get(self, entry_id: str) -> list[dict[str, Any]]:
        """The records of an image, possibly empty."""
        return [self._record(place) for place in self._places(entry_id)]

    def ids(self) -> Iterator[str | Reject]:
        """The id of each record in the file's order, twice for an image with two; then the rejects."""
        yield from (name_of(image_id) for image_id in self._image_ids.tolist())
        yield from self._rejects

    def _places(self, entry_id: str) -> np.ndarray:
        image_id = image_id_of(entry_id)
        if image_id is None:
            return self._order[:0]
        first, last = (np.searchsorted(self._sorted, image_id, side) for side in ("left", "right"))
        return self._order[first:last]

    def _record(self, place: int) -> dict[str, Any]:
        batch = int(np.searchsorted(self._starts, place, "right")) - 1
        record = self._batches[batch][int(place - self._starts[batch])].as_py()
        del record["image_id"]
        return record
