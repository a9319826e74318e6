"""ImageNet-AB's layout: the released archive of XML files, and the columns of its dataset."""

import gzip
import io
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from datasets import Features

from imagenet_ab.byproducts import ARCHIVE
from imagenet_ab.card import card_text as imagenet_card
from imagenet_ab.fields import Record
from imagenet_ab.record import parse_record
from imagenet_ab.rows import byproduct_columns, features, image_columns
from imagenet_ab.write import write_xml
from luab_collect.export.annotations import select_annotation
from luab_collect.export.details import COLLECTED, FEATURES, collected, description
from luab_collect.export.layouts import Entries, MadeRow, collected_card, counted_annotations
from luab_collect.export.views import ItemView
from luab_collect.items import ProjectItem
from luab_collect.project import Project
from luab_data.build.card import CardText
from luab_data.console.names import few
from luab_data.console.text import counted
from luab_data.errors import RejectedRecord, SourceError
from luab_data.imagenet_classes import class_list
from luab_data.rows.class_names import plain

FOLDER = "imagenet_ab_v1_0/train_xml"  # in the archive
USE_PLAIN = "--layout plain takes any folder and any names."
_RULE = "As in the release, a row's class is its folder, whether the annotators selected the image or not."


class ImageNetLayout:
    """`raw/imagenet_ab_v1_0.tar.gz`, and rows as `luab build imagenet_ab` makes them of it."""

    def __init__(self, project: Project, items: Sequence[ProjectItem]):
        """Checks that the project fits.

        Raises:
            SourceError: another task, or images that are not `<class>/<name>`.
        """
        if project.task != "select":
            raise SourceError(f"--layout imagenet is of the task select, and {project.name!r} has place.")
        self.project = project
        self._folders = {plain(each.folder or each.name): each.name for each in project.classes}
        asked = [item for item in items if item.classes]
        if wrong := [item.file for item in asked if self._class_of(item) is None]:
            raise SourceError(
                "--layout imagenet: images are <folder of their class>/<name>, and "
                f"{counted(len(wrong), 'image')} are not: {few(wrong)}. Put them into class folders, or "
                f"{USE_PLAIN}"
            )
        self._ids = {item.id: str(PurePosixPath(item.file).with_suffix("")) for item in asked}
        twice = [name for name, count in Counter(self._ids.values()).items() if count > 1]
        if twice:
            raise SourceError(
                f"--layout imagenet: several images have the id {few(twice)}, because the release has ids "
                f"without suffix. Rename them, or {USE_PLAIN}"
            )
        self.classes = class_list({each.partition("/")[0] for each in self._ids.values()})
        self._number = {name: number for number, name in enumerate(self.classes)}
        self._refused: dict[str, str] = {}  # item -> why its record cannot be written

    def features(self) -> Features:
        """The types of the columns."""
        return Features({**features(self.classes, True), COLLECTED: FEATURES["select"]})

    def make(self, item: ProjectItem, views: Sequence[ItemView]) -> MadeRow:
        """The row of an image."""
        if item.id not in self._ids:
            return MadeRow(None, "it is no candidate of a class: only its answer is known")
        if item.id in self._refused:
            return MadeRow(None, self._refused[item.id])
        record, name = self.record(item, views), self._class_of(item)
        image_id = self._ids[item.id]
        own = [view for view in views if view.class_name == name]
        others = [view for view in views if view.class_name != name]
        columns = {
            **image_columns(image_id, None, self._number[image_id.partition("/")[0]]),
            **byproduct_columns(image_id, record),
            COLLECTED: collected([*own, *others]),
        }
        return MadeRow(columns, facts=counted_annotations(columns, "rows with a click"))

    def record(self, item: ProjectItem, views: Sequence[ItemView]) -> Record | None:
        """The views that asked for the image's own class, as a record; None without one."""
        own = [view for view in views if view.class_name == self._class_of(item)]
        if not own or item.id not in self._ids:
            return None
        return Record(self._ids[item.id], tuple(select_annotation(view, item) for view in own))

    def write_raw(self, folder: Path, entries: Entries) -> list[str]:
        """Writes the archive; each XML is read back and compared."""
        written = 0
        with (
            (folder / ARCHIVE).open("wb") as file,
            # No name and time in the header: the same work gives the same bytes.
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as compressed,
            tarfile.open(fileobj=compressed, mode="w") as archive,
        ):
            for item, views in entries:
                record = self.record(item, views)
                if record is None:
                    continue
                try:
                    xml = checked_xml(record)
                except RejectedRecord as error:
                    self._refused[item.id] = f"the released layout cannot hold it: {error.reason}"
                    continue
                member = tarfile.TarInfo(f"{FOLDER}/{record.image_id}.xml")
                member.size = len(xml)
                archive.addfile(member, io.BytesIO(xml))
                written += 1
        return [f"{ARCHIVE}: {counted(written, 'XML file')}, each read back and equal"]

    def card_text(self) -> CardText:
        """The card's texts."""
        columns = {**imagenet_card(self.classes, True).columns, COLLECTED: description("select")}
        return collected_card(self.project, columns, _RULE)

    def _class_of(self, item: ProjectItem) -> str | None:
        """The class of the image's folder; None if its path is not `<folder of its class>/<name>`."""
        parts = PurePosixPath(item.file).parts
        name = self._folders.get(plain(parts[0])) if len(parts) == 2 else None
        return name if name in item.classes else None


def checked_xml(record: Record) -> bytes:
    """The XML of a record; raises RejectedRecord unless it is read back as the same record."""
    xml = write_xml(record)
    if parse_record(xml) != record:
        raise RejectedRecord("it is not the same when it is read back")
    return xml
