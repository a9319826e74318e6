"""COCO's `instances_train2014.json` (318 MB): the labels and boxes of each image, in 30 MB of memory.

The file is read in pieces, like the byproducts; the outlines, which make up most of it, are skipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from coco_ab.classes import COCO_CLASSES
from coco_ab.images import name_of
from coco_ab.json_arrays import read_members
from coco_ab.json_types import JsonInt, JsonList, JsonReal, JsonStruct, JsonText
from luab_data.errors import SourceError
from luab_data.sources.entries import Reject

INSTANCES = "instances"
FILE = "instances_train2014.json"
DOWNLOAD = "http://images.cocodataset.org/annotations/annotations_trainval2014.zip"

_ID = JsonInt(high=10**12 - 1, stored=pa.int64())
_PIXELS = JsonReal(-1.0, 1e6)  # a box may begin a fraction of a pixel outside
_IMAGE = JsonStruct(
    {"id": _ID, "width": JsonInt(low=1), "height": JsonInt(low=1)}, required=("id", "width", "height")
)
_CATEGORY = JsonStruct({"id": JsonInt(), "name": JsonText()}, required=("id", "name"))
_OBJECT = JsonStruct(
    {
        "image_id": _ID,
        "category_id": JsonInt(),
        "bbox": JsonList(_PIXELS, length=4),
        "area": JsonReal(0.0, 1e12),
        "iscrowd": JsonInt(high=1),
    },
    required=("image_id", "category_id", "bbox", "area"),
)


def find_instances(instances: str | Path | None) -> Path:
    """The path of the instances file. Raises `SourceError` that says where to get it."""
    where = f"pass {FILE}, which is in {DOWNLOAD}."
    if instances is None:
        raise SourceError(f"{INSTANCES} is missing: {where}")
    if not Path(instances).is_file():
        raise SourceError(f"{INSTANCES}={str(instances)!r}: there is no such file; {where}")
    return Path(instances)


@dataclass(frozen=True)
class Labeled:
    """COCO's annotation of one image: its size in pixels and its objects, one array entry each."""

    width: int
    height: int
    bbox: np.ndarray  # [N, 4] float32: x, y, width, height in pixels
    category: np.ndarray  # [N] positions among the 80 classes
    area: np.ndarray  # [N] float32, square pixels of the outline
    iscrowd: np.ndarray  # [N] bool: the box holds a group


class Instances:
    """All images of one instances file. `rejects` are the rejected entries.

    Raises SourceError if it is not a COCO instances file.
    """

    def __init__(self, path: Path):
        self.place = path
        self.rejects: list[Reject] = []
        types = {"images": _IMAGE, "annotations": _OBJECT, "categories": _CATEGORY}
        batches: dict[str, list[pa.StructArray]] = {name: [] for name in types}
        for member, item in read_members(self.place, INSTANCES, types):
            (self.rejects if isinstance(item, Reject) else batches[member]).append(item)
        self._require_coco(batches)
        self._sizes: dict[int, tuple[int, int]] = {}
        self._read_images(batches["images"])
        self._read_objects(batches["annotations"])

    def __len__(self) -> int:
        return len(self._sizes)

    def names(self) -> Iterator[str]:
        """The entry ids of all images, in the file's order."""
        return map(name_of, self._sizes)

    def get(self, image_id: int) -> Labeled | None:
        """Size and objects of an image, the objects in the file's order; None for an unknown image."""
        if image_id not in self._sizes:
            return None
        first, last = (np.searchsorted(self._image_ids, image_id, side) for side in ("left", "right"))
        columns = (self._bbox, self._category, self._area, self._iscrowd)
        return Labeled(*self._sizes[image_id], *(column[first:last] for column in columns))

    def _require_coco(self, batches: dict[str, list[pa.StructArray]]) -> None:
        categories = {row["id"]: row["name"] for batch in batches["categories"] for row in batch.to_pylist()}
        if not categories or not categories.items() <= COCO_CLASSES.items():
            foreign = dict(categories.items() - COCO_CLASSES.items())
            raise SourceError(
                f"{INSTANCES}={str(self.place)!r} has other classes than COCO's 80: {foreign}. Pass {FILE}."
            )
        for name in ("images", "annotations"):
            if not batches[name]:
                raise SourceError(f"{INSTANCES}={str(self.place)!r} lists no {name}. Pass {FILE}.")

    def _read_images(self, batches: list[pa.StructArray]) -> None:
        for batch in batches:
            for row in batch.to_pylist():
                if row["id"] in self._sizes:
                    reason = "second image of this id"
                    self.rejects.append(Reject(INSTANCES, name_of(row["id"]), reason))
                else:
                    self._sizes[row["id"]] = (row["width"], row["height"])

    def _read_objects(self, batches: list[pa.StructArray]) -> None:
        column = {
            name: np.concatenate([batch.field(name).to_numpy(zero_copy_only=False) for batch in batches])
            for name in ("image_id", "category_id", "area")
        }
        boxes = [batch.field("bbox").flatten().to_numpy(zero_copy_only=False) for batch in batches]
        crowd = [batch.field("iscrowd").fill_null(0).to_numpy(zero_copy_only=False) for batch in batches]
        position = {category_id: index for index, category_id in enumerate(COCO_CLASSES)}
        category = np.array([position.get(each, -1) for each in column["category_id"].tolist()], np.int64)
        known = np.isin(column["image_id"], np.fromiter(self._sizes, np.int64))
        for row in np.flatnonzero(~known | (category < 0)).tolist():
            what = f"category_id {column['category_id'][row]}" if known[row] else "image"
            entry = f"{self.place.name}, object of {name_of(int(column['image_id'][row]))}"
            self.rejects.append(Reject(INSTANCES, entry, f"the file does not list its {what}"))
        kept = np.flatnonzero(known & (category >= 0))
        kept = kept[np.argsort(column["image_id"][kept], kind="stable")]
        self._image_ids = column["image_id"][kept]
        self._bbox = np.concatenate(boxes).reshape(-1, 4)[kept]
        self._category = category[kept]
        self._area = column["area"][kept]
        self._iscrowd = np.concatenate(crowd).astype(bool)[kept]
