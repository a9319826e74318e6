"""The records of an image, and the image -> one row of the dataset, or rejects with their reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luab_attention.columns import ATTENTION_SOURCE, KINDS, SCANPATHS, ColumnLayout
from luab_attention.convert.check import check_row, count_like_ratios, count_outside
from luab_attention.convert.parts import RowParts, UnknownClass
from luab_attention.convert.paths import common_forms
from luab_attention.convert.records import SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_data.build.batches import Outcome
from luab_data.build.join import LoadedPair
from luab_data.constants import HEIGHT, IMAGE, IMAGE_ID, LABEL, LABELS, OBJECTS, WIDTH
from luab_data.errors import RejectedRecord
from luab_data.images.pillow import checked_image, upright_size
from luab_data.sources.entries import BYPRODUCTS, IMAGES, Reject

Size = tuple[float, float]

NO_CLASS = "no usable record tells the class of its image"
UNFIT = "rows with true boxes that do not fit their image, left out"
UNSIZED = "rows with true boxes whose image has no known size, left out"
NOT_NAMED = "rows with true boxes of a class that --classes does not name, left out"

# How far an image's shape may be from the one that the source states: pixels, and share of the width.
SHAPE_PIXELS, SHAPE_RATIO = 2.0, 0.01


@dataclass(frozen=True)
class AttentionToRow:
    """Makes rows from pairs whose byproducts are lists of records; picklable, so that Ray can run it.

    A record that does not fit is rejected, the others of its image are kept; so is an entry among those of a
    record. An image without a usable record gives no row.

    Attributes:
        layout: the columns.
        source: of the column `attention_source`.
        joined: whether the image is another source's, which must have it.
        max_side: larger images are shrunk to this many pixels.
        left_out: what of the images is not read although it may be meant, for the records without an image.
        role: of the records.
    """

    layout: ColumnLayout
    source: AttentionSource
    joined: bool = False
    max_side: int | None = None
    left_out: str = ""
    role: str = BYPRODUCTS

    def __call__(self, pair: LoadedPair, /) -> Outcome:
        """The outcome of one pair."""
        records: Sequence[SourceRecord] = pair.byproducts
        try:
            found = self._image(pair, records)
            encoded = None if found is None else checked_image(found, self.max_side)
        except RejectedRecord as error:
            rejects = [Reject(IMAGES, pair.id, error.reason)] if pair.image is not None else []
            why = f"its image {pair.id}: {error.reason}"
            return Outcome(None, (*rejects, *self._rejects(records, why)))
        size: Size | None = None if encoded is None else upright_size(encoded)
        measured: Size | None = size if found is None or found is encoded else upright_size(found)
        parts, rejects, kept, left_out = self._parts(records, size, measured)
        if self.layout.single and all(record.label is None for record in kept):
            rejects += self._rejects(kept, NO_CLASS)
            kept = []
        used = sum(record.count for record in kept)
        if not used:
            if self.joined:
                rejects.append(Reject(IMAGES, pair.id, "none of its records can be used"))
            return Outcome(None, tuple(rejects))
        row = self._row(pair.id, encoded, parts)
        counts = {self.role: used} | ({IMAGES: 1} if self.joined else {})
        facts = _facts(row) | count_outside(parts.positions) | count_like_ratios(parts.positions)
        facts |= check_row(parts.positions, parts.truths)
        return Outcome(row, tuple(rejects), counts, facts | dict.fromkeys(left_out, 1))

    def refused(self, pair: LoadedPair, reason: str, /) -> Outcome:
        """No row: a reject for each entry of the pair."""
        image = [Reject(IMAGES, pair.id, reason)] if self.joined and pair.image is not None else []
        return Outcome(None, (*image, *self._rejects(pair.byproducts, reason)))

    def _rejects(self, records: Sequence[SourceRecord], reason: str) -> list[Reject]:
        return [reject for record in records for reject in record.rejects(reason, self.role)]

    def _image(self, pair: LoadedPair, records: Sequence[SourceRecord]) -> bytes | None:
        if not self.layout.images:
            return None
        found: Any = pair.image if self.joined else next((r.image for r in records if r.image), None)
        if isinstance(found, RejectedRecord):
            raise found
        if found is None:
            more = f"; {self.left_out}" if self.left_out else ""
            raise RejectedRecord(f"there is no image of this name{more}")
        return bytes(found)

    def _parts(
        self, records: Sequence[SourceRecord], size: Size | None, measured: Size | None
    ) -> tuple[RowParts, list[Reject], list[SourceRecord], list[str]]:
        """The parts, the rejects, the records that are kept, and the facts about true boxes that are not."""
        stated = next((record.size for record in records if record.size is not None), None)
        forms = common_forms(path for record in records for path in record.paths)
        parts = RowParts(self.layout, size or stated, measured, self.source.pixels_per_degree, forms)
        rejects: list[Reject] = []
        kept: list[SourceRecord] = []
        left_out: list[str] = []
        left = [*records[::-1]]  # the next one is the last
        while left:
            record = left.pop()
            try:
                if record.size is not None and stated is not None:
                    _require_shape(record.size, measured or stated, same=measured is None)
                parts.add(record)
            except RejectedRecord as error:
                if len(record.entries) > 1:
                    left += record.halves()[::-1]
                    continue
                rejects += record.rejects(error.reason, self.role)
                if not record.counted:
                    unplaced = UNSIZED if parts.size is None else UNFIT
                    left_out.append(NOT_NAMED if isinstance(error, UnknownClass) else unplaced)
                elif (lost := record.lost()) is not None:
                    left.append(lost)
                continue
            kept.append(record)
        return parts, rejects, kept, left_out

    def _row(self, image_id: str, encoded: bytes | None, parts: RowParts) -> dict[str, Any]:
        row: dict[str, Any] = {IMAGE_ID: image_id}
        if encoded is not None:
            row[IMAGE] = {"bytes": encoded, "path": None}
        if self.layout.sized:
            width, height = parts.size or (None, None)
            row |= {WIDTH: _rounded(width), HEIGHT: _rounded(height)}
        if self.layout.classes:
            row |= {LABEL: parts.labels[0]} if self.layout.single else {LABELS: sorted(parts.labels)}
        row |= {kind: parts.column(kind) for kind in KINDS if kind in self.layout.fields}
        return row | {ATTENTION_SOURCE: self.source.column(parts.pixels_per_degree)}


def _rounded(side: float | None) -> int | None:
    return None if side is None else round(side)


def _require_shape(stated: Size, size: Size, same: bool) -> None:
    """Raises RejectedRecord if places were measured on an image of another shape. `same`: of another size."""
    shown = f"measured on {stated[0]:g} x {stated[1]:g} pixels, but its image has {size[0]:g} x {size[1]:g}"
    if (stated[0] - stated[1]) * (size[0] - size[1]) < 0:
        raise RejectedRecord(
            f"{shown}: portrait against landscape. Measure on the upright image, or remove its orientation"
        )
    if same and stated != size:
        raise RejectedRecord(f"{shown} in another record")
    width = stated[0] / stated[1] * size[1]
    if abs(width - size[0]) > max(SHAPE_PIXELS, SHAPE_RATIO * size[0]):
        raise RejectedRecord(f"{shown}, which is another shape: it may be another image")


def _facts(row: dict[str, Any]) -> dict[str, int]:
    facts: dict[str, int] = {}
    for kind in KINDS:
        if kind in row:
            number = len(row[kind]["bbox"]) if kind == OBJECTS else len(row[kind])
            if number:
                facts[f"rows with {kind}"] = 1
                facts[kind] = number
    if SCANPATHS in row:
        facts["samples of scanpaths"] = sum(len(path["x"]) for path in row[SCANPATHS])
    return facts
