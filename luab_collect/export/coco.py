"""COCO-AB's layout: the released JSON, and the columns of its dataset (without COCO's own annotation)."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from datasets import ClassLabel, Features, Image, List, Value

from coco_ab.byproducts import FILE, RECORD, Byproducts
from coco_ab.card import card_text as coco_card
from coco_ab.classes import COCO_LABELS
from coco_ab.images import image_id_of, name_of
from coco_ab.points import DEFAULT_RULE, point_column
from coco_ab.rows import FILE_NAME, features
from luab_collect.export.annotations import cleaned_records, place_record
from luab_collect.export.details import COLLECTED, FEATURES, collected, description
from luab_collect.export.layouts import Entries, MadeRow, collected_card, counted_annotations
from luab_collect.export.views import ItemView
from luab_collect.items import ProjectItem
from luab_collect.project import Project
from luab_data.build.card import CardText
from luab_data.console.names import few
from luab_data.console.text import counted
from luab_data.constants import ANNOTATIONS, HEIGHT, IMAGE, IMAGE_ID, LABELS, POINTS, WIDTH
from luab_data.errors import SourceError

USE_PLAIN = "--layout plain takes any classes and names."
_RULE = "As in the release, `points` and `labels` are those of the last annotation of an image."


class CocoLayout:
    """`raw/coco_ab_v1_0.json`, and rows as `luab build coco_ab` makes them, with labels as placed."""

    def __init__(self, project: Project, items: Sequence[ProjectItem]):
        """Checks that the project fits.

        Raises:
            SourceError: another task, classes that are not COCO's, or images without COCO's ids.
        """
        if project.task != "place":
            raise SourceError(f"--layout coco is of the task place, and {project.name!r} has select.")
        if other := [name for name in project.class_names if name not in COCO_LABELS]:
            raise SourceError(f"--layout coco has COCO's 80 classes only, not {few(other)}: {USE_PLAIN}")
        found = {item.id: image_id_of(PurePosixPath(item.file).stem) for item in items}
        if wrong := [item.file for item in items if found[item.id] is None]:
            raise SourceError(
                f"--layout coco: images are named as COCO's, such as {name_of(9)}.jpg, and "
                f"{counted(len(wrong), 'image')} are not: {few(wrong)}. {USE_PLAIN}"
            )
        self.project = project
        self._ids = {item: number for item, number in found.items() if number is not None}
        if len(set(self._ids.values())) < len(self._ids):
            raise SourceError(f"--layout coco: several images have one of COCO's ids. {USE_PLAIN}")
        self._refused: dict[str, str] = {}  # item -> why its record cannot be written

    def features(self) -> Features:
        """The types of the columns."""
        released = features(False)
        said = {
            WIDTH: Value("int32"),
            HEIGHT: Value("int32"),
            LABELS: List(ClassLabel(names=list(COCO_LABELS))),
        }
        names = {name: released[name] for name in (IMAGE_ID, FILE_NAME)}
        byproducts = {name: released[name] for name in (POINTS, ANNOTATIONS)}
        return Features({IMAGE: Image(), **names, **said, **byproducts, COLLECTED: FEATURES["place"]})

    def make(self, item: ProjectItem, views: Sequence[ItemView]) -> MadeRow:
        """The row of an image."""
        if item.id in self._refused:
            return MadeRow(None, self._refused[item.id])
        image_id = self._ids[item.id]
        annotations = cleaned_records(self._records(item, views))
        points = point_column(annotations, DEFAULT_RULE)
        columns: dict[str, Any] = {
            IMAGE_ID: image_id,
            FILE_NAME: f"{name_of(image_id)}.jpg",
            WIDTH: item.width,
            HEIGHT: item.height,
            LABELS: sorted({point["label"] for point in points}),
            POINTS: points,
            ANNOTATIONS: annotations,
            COLLECTED: collected(views),
        }
        return MadeRow(columns, facts=counted_annotations(columns, "rows with a point"))

    def write_raw(self, folder: Path, entries: Entries) -> list[str]:
        """Writes the JSON, reads it back with our own reader, and compares."""
        written: dict[int, list[dict[str, Any]]] = {}
        with (folder / FILE).open("w", encoding="utf-8") as file:
            separator = "["
            for item, record in self._checked(entries):
                file.write(separator + json.dumps(record, allow_nan=False))
                separator = ",\n"
                written.setdefault(self._ids[item.id], []).append(record)
            file.write("]" if separator != "[" else "[]")
        back = Byproducts(folder / FILE)
        for image_id, records in written.items():
            if back.get(name_of(image_id)) != cleaned_records(records):
                raise RuntimeError(f"{FILE}: image {image_id} is not the same when it is read back: a bug.")
        count = sum(map(len, written.values()))
        return [f"{FILE}: {counted(count, 'record')}, each read back and equal"]

    def card_text(self) -> CardText:
        """The card's texts."""
        texts = coco_card(True, DEFAULT_RULE).columns | {
            LABELS: "the classes that have a point",
            COLLECTED: description("place"),
        }
        return collected_card(self.project, {name: texts[name] for name in self.features()}, _RULE)

    def _records(self, item: ProjectItem, views: Sequence[ItemView]) -> list[dict[str, Any]]:
        return [place_record(view, item, self._ids[item.id], self.project.categories) for view in views]

    def _checked(self, entries: Entries) -> Iterator[tuple[ProjectItem, dict[str, Any]]]:
        """The records that the released layout can hold; an image with another one is left out."""
        for item, views in entries:
            records = self._records(item, views)
            faults = [fault for record in records if (fault := RECORD.fault(record, ""))]
            if faults:
                self._refused[item.id] = f"the released layout cannot hold it: {faults[0]}"
                continue
            yield from ((item, record) for record in records)
