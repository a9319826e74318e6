"""The parts of an image's records -> the values of a row's columns, in ratios of the image."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from types import MappingProxyType
from typing import Any

import numpy as np

from luab_attention.boxes.boxes import BBOX, CATEGORY, REASONS, usable
from luab_attention.columns import (
    ANNOTATOR,
    HEATMAPS,
    HERE,
    MASKS,
    NOT_HERE,
    SCANPATHS,
    TIME,
    ColumnLayout,
)
from luab_attention.convert.check import Positions, Truth
from luab_attention.convert.frames import Region, Size, require_near
from luab_attention.convert.masks import mask_pixels, mask_png
from luab_attention.convert.paths import (
    KEY,
    Form,
    extend,
    finished,
    path_ratios,
    path_value,
    require_form,
)
from luab_attention.convert.records import HeatmapPart, PathPart, SourceRecord
from luab_attention.gray import gray_image
from luab_attention.points import FAR_OUTSIDE, SIGN, WEIGHT, X, Y
from luab_data.constants import IMAGE, LABEL, NO_LABEL, OBJECTS, POINTS
from luab_data.errors import RejectedRecord
from luab_data.images.pillow import checked_image


class UnknownClass(RejectedRecord):
    """A record names a class that is none of the dataset's."""


class RowParts:
    """Collects the values of one row, record by record.

    Args:
        layout: the columns.
        size: width and height of the row's image in pixels, None if unknown.
        measured: width and height of the image that the numbers of records without a size are of: the file
            before it is shrunk.
        degree: pixels in a degree of visual angle for records that do not tell: of the screen that a source
            has, otherwise of the image as measured.
        forms: of the viewings in pieces, by key.

    Attributes:
        labels: numbers of the classes, in order, each once.
        positions: what the check of a conversion reads.
        truths: the boxes and masks that it compares them with.
    """

    def __init__(
        self,
        layout: ColumnLayout,
        size: Size | None,
        measured: Size | None = None,
        degree: float | None = None,
        forms: Mapping[str, Form] = MappingProxyType({}),
    ):
        self.size = size
        self.labels: list[int] = []
        self.positions: list[Positions] = []
        self.truths: list[Truth] = []
        self._layout = layout
        self._measured = measured or size
        self._degree = degree
        self._forms = forms
        self._numbers = {name: number for number, name in enumerate(layout.classes)}
        self._values: dict[str, list[dict[str, Any]]] = {kind: [] for kind in layout.fields}
        self._degrees: list[float] = []
        self._keys: dict[tuple[str, str], dict[str, Any]] = {}  # of viewings in pieces, and repeated boxes
        self._lost: dict[str, list[float]] = {}  # of a viewing's key: times of the samples that it lost

    @property
    def pixels_per_degree(self) -> float | None:
        """Pixels of the row's image in a degree: the median of the records'."""
        return median(self._degrees) if self._degrees else None

    def add(self, record: SourceRecord) -> None:
        """Adds a record as a whole, or raises RejectedRecord and adds nothing of it."""
        size = record.size or self._measured
        region = record.frame.region(size) if record.points or record.paths or record.boxes else None
        labels = [self._number(label) for label in record.present()]
        values: list[tuple[str, dict[str, Any]]] = []
        positions: list[Positions] = []
        truths: list[Truth] = []
        if region is not None:
            for x, y, label, weight, sign in record.points:
                point = np.array([region.ratios(x, y)])
                require_near(point, FAR_OUTSIDE)
                self._number(label)
                value = {X: point[0, 0], Y: point[0, 1], LABEL: label, WEIGHT: weight, SIGN: sign}
                values.append((POINTS, value))
                if sign != NOT_HERE:
                    positions.append(Positions(point, label, record.frame, region, size))
            for path in record.paths:
                if not path.x and path.lost:
                    continue
                require_form(path, self._forms)
                ratios = path_ratios(path, region)
                values.append((SCANPATHS, path_value(path, ratios)))
                positions.append(Positions(ratios, path.label, record.frame, region, size))
            for box in record.boxes:
                place = self._box(box, region)
                bbox = place * np.tile(self.size or (1, 1), 2)
                values.append((OBJECTS, {BBOX: bbox, LABEL: box.label, KEY: box.key}))
                truths.append(Truth(place, box.label))
        for mask in record.masks:
            pixels = mask_pixels(mask.content, size)
            if not pixels.any():
                raise RejectedRecord("its mask is empty")
            values.append((MASKS, {IMAGE: {"bytes": mask_png(pixels), "path": None}, LABEL: mask.label}))
            truths.append(Truth(pixels, mask.label))
        for heatmap in record.heatmaps:
            values.append((HEATMAPS, _heatmap_value(heatmap)))
        self._keep(values, labels)
        for path in record.paths:
            if path.key is not None and path.lost:
                self._lost.setdefault(path.key, []).extend(self._lost_times(path))
        self._note_degree(record, size)
        self.positions += positions
        self.truths += truths

    def column(self, kind: str) -> Any:
        """The value of a column."""
        fields = self._layout.fields[kind]
        found = self._values[kind]
        if kind == OBJECTS:
            objects: dict[str, Any] = {BBOX: [each[BBOX].tolist() for each in found]}
            if self._layout.classes:
                objects[CATEGORY] = [self._number(each[LABEL]) for each in found]
            return objects
        if kind == SCANPATHS:
            found = [finished(each, self._lost.get(each[KEY], [])) for each in found]
        needed = (IMAGE,) if kind in (MASKS, HEATMAPS) else (X, Y)
        return [self._filled({name: each.get(name) for name in (*needed, *fields)}) for each in found]

    def _keep(self, values: list[tuple[str, dict[str, Any]]], labels: Sequence[int]) -> None:
        for kind, value in values:
            key = value.get(KEY)
            if key is None:
                self._values[kind].append(value)
            elif (kind, key) not in self._keys:
                self._keys[kind, key] = value
                self._values[kind].append(value)
            elif kind == SCANPATHS:
                extend(self._keys[kind, key], value)
        self.labels += [label for label in dict.fromkeys(labels) if label not in self.labels]

    def _lost_times(self, path: PathPart) -> list[float]:
        """When a viewing lost samples: where the time is not known, that of its last sample so far."""
        value = self._keys.get((SCANPATHS, path.key or ""), {})
        last = (value.get(TIME) or [math.nan])[-1]
        times = (last if math.isnan(time) else time for time in path.lost)
        return [time for time in times if not math.isnan(time)]

    def _note_degree(self, record: SourceRecord, measured: Size | None) -> None:
        """Pixels of the row's image, which may be a smaller copy of the measured one."""
        degree, across = record.pixels_per_degree, measured
        if degree is None:
            if self._degree is None or not record.count:
                return
            degree, across = self._degree, record.frame.shown(measured)
            if self.size is None and across != measured:
                return  # of a screen, and how many pixels the image has is not known
        scale = 1.0 if self.size is None or across is None else self.size[0] / across[0]
        self._degrees.append(degree * scale)

    def _number(self, label: str | None) -> int:
        if label is None:
            return NO_LABEL
        if label not in self._numbers:
            raise UnknownClass(f"its class {label[:80]!a} is none of the {len(self._numbers):,} classes")
        return self._numbers[label]

    def _filled(self, value: dict[str, Any]) -> dict[str, Any]:
        """A value with numbers for classes, and with the weight and the sign that are not stated."""
        if LABEL in value:
            value[LABEL] = self._number(value[LABEL])
        if WEIGHT in value and value[WEIGHT] is None:
            value[WEIGHT] = 1.0
        if SIGN in value and value[SIGN] is None:
            value[SIGN] = HERE
        return value

    def _box(self, box: Any, region: Region) -> np.ndarray:
        """[x, y, w, h] in ratios."""
        x0, y0 = region.ratios(box.x, box.y)
        place = np.array([x0, y0, box.width / region.width, box.height / region.height])
        size = self.size
        if size is None:
            raise RejectedRecord(
                "boxes are in pixels, and the size of the image is not known: give --images, or the size"
            )
        good, left_out = usable(place[None] * np.tile(size, 2), size)
        if not good.all():
            reason = REASONS[next(iter(left_out))][0]
            raise RejectedRecord(f"{reason}: {box.x:g}, {box.y:g}, {box.width:g}, {box.height:g}")
        return place


def _heatmap_value(heatmap: HeatmapPart) -> dict[str, Any]:
    image = {"bytes": checked_image(heatmap.content), "path": None}
    try:
        gray_image(image, HEATMAPS)
    except ValueError as error:  # training would refuse it
        raise RejectedRecord(str(error)) from error
    return {IMAGE: image, LABEL: heatmap.label, ANNOTATOR: heatmap.annotator}
