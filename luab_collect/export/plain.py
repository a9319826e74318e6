"""The plain layout, for own images and classes: a dataset that `luab train --dataset` reads as it is."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Features, Image, List, Value

from coco_ab.rows import features as coco_features
from imagenet_ab.fields import Annotation
from imagenet_ab.rows import features as imagenet_features
from luab_attention.columns import ANNOTATOR, SCANPATHS, TIME, column_feature
from luab_attention.points import X, Y
from luab_collect.export.annotations import cleaned_records, place_record, select_annotation
from luab_collect.export.consensus import Vote, place_votes, select_votes
from luab_collect.export.details import COLLECTED, FEATURES, collected, description
from luab_collect.export.layouts import Entries, MadeRow, asked_views, collected_card, counted_annotations
from luab_collect.export.views import ItemView
from luab_collect.items import ProjectItem
from luab_collect.project import Project
from luab_data.build.card import CardText
from luab_data.constants import ANNOTATIONS, CLICK, IMAGE, IMAGE_ID, LABEL, LABELS, POINTS

VOTES = "votes"

_POINT = {"x": Value("float32"), "y": Value("float32")}
_RULE = (
    "A class is a label if more than half of the annotators who were asked said that the image shows it; "
    "`votes` has the numbers."
)
_COLUMNS = {
    IMAGE: "the image file's bytes",
    LABEL: "the class that the image was asked about and shows; of several the one that it is a candidate of",
    LABELS: "the classes that the image shows",
    CLICK: "where the annotators clicked, `{x, y}`: the mean of the first selecting clicks of those who "
    "selected the image; null where nobody used a pointer",
    POINTS: "one point for each class, `{label, x, y}`",
    SCANPATHS: "of each annotator who selected the image on a page that asked for `label`: the pointer's way "
    "to the click, ratios of the image; `time`: ms from the first sample. For `--byproduct scanpath`",
    IMAGE_ID: "path of the image below the project's images",
    VOTES: "for each class that was asked about: how many annotators said `yes`, of how many `asked`",
    ANNOTATIONS: "one entry for each time the image was annotated, in the columns of ImageNet-AB or COCO-AB",
}


class PlainLayout:
    """Columns `image`, `label` and `click` (or `labels` and `points`), `annotations`, `collected`."""

    def __init__(self, project: Project, items: Sequence[ProjectItem]):
        """Decides whether images have one class: each is a candidate of at most one."""
        self.project = project
        self.single = project.task == "select" and all(len(item.classes) <= 1 for item in items)
        self.traced = project.task == "select" and not self.single  # each page asks for one class
        self._classes = list(project.class_names)
        self._number = {name: number for number, name in enumerate(self._classes)}

    def features(self) -> Features:
        """The types of the columns."""
        label = ClassLabel(names=self._classes)
        if self.single:
            said: dict[str, Any] = {LABEL: label, CLICK: _POINT}
        else:
            said = {LABELS: List(label), POINTS: List({"label": label} | _POINT)}
        votes = List({"label": label, "yes": Value("int32"), "asked": Value("int32")})
        released = imagenet_features([], False) if self.project.task == "select" else coco_features(False)
        if self.traced:
            said[SCANPATHS] = column_feature(SCANPATHS, (ANNOTATOR, LABEL, TIME), label)
        byproducts = {ANNOTATIONS: released[ANNOTATIONS], COLLECTED: FEATURES[self.project.task]}
        return Features({IMAGE: Image(), **said, IMAGE_ID: Value("string"), VOTES: votes, **byproducts})

    def make(self, item: ProjectItem, views: Sequence[ItemView]) -> MadeRow:
        """The row of an image; an image whose class was not confirmed has none."""
        if self.project.task == "place":
            records = [place_record(view, item, 0, self.project.categories) for view in views]
            return self._several(item, place_votes(views), cleaned_records(records), views)
        own, others = asked_views(item, views)
        if not self.single:
            annotations = [select_annotation(view, item) for view in own]
            several = self._several(
                item, select_votes(own), [asdict(each) for each in annotations], [*own, *others]
            )
            paths = [
                path
                for view, annotation in zip(own, annotations, strict=True)
                if (path := self._path(view, annotation)) is not None
            ]
            return several._replace(columns={**(several.columns or {}), SCANPATHS: paths})
        votes = select_votes(own)
        # Known answers name classes that the image is no candidate of: of these the first in their order.
        confirmed = sorted(
            (vote for vote in votes if vote.shown),
            key=lambda vote: (vote.label not in item.classes, self._number[vote.label]),
        )
        if not confirmed:
            return MadeRow(None, _not_confirmed(votes))
        shown, *besides = confirmed
        own = [view for view in own if view.class_name == shown.label]
        others = [view for view in views if view.class_name != shown.label]
        columns = {
            LABEL: self._number[shown.label],
            CLICK: _point(shown),
            **self._shared(item, votes),
            ANNOTATIONS: [asdict(select_annotation(view, item)) for view in own],
            COLLECTED: collected([*own, *others]),
        }
        facts = counted_annotations(columns, "rows with a click")
        left = {"confirmed classes besides the label, left out": len(besides)} if besides else {}
        return MadeRow(columns, facts=facts | left)

    def write_raw(self, folder: Path, entries: Entries) -> list[str]:
        """Nothing: own classes have no released files."""
        return []

    def card_text(self) -> CardText:
        """The card's texts."""
        columns = {
            name: description(self.project.task) if name == COLLECTED else _COLUMNS[name]
            for name in self.features()
        }
        return collected_card(self.project, columns, _RULE)

    def _several(
        self,
        item: ProjectItem,
        votes: list[Vote],
        annotations: list[dict[str, Any]],
        views: Sequence[ItemView],
    ) -> MadeRow:
        shown = sorted((vote for vote in votes if vote.shown), key=lambda vote: self._number[vote.label])
        columns = {
            LABELS: [self._number[vote.label] for vote in shown],
            POINTS: [
                {"label": self._number[vote.label], **place}
                for vote in shown
                if (place := _point(vote)) is not None
            ],
            **self._shared(item, votes),
            ANNOTATIONS: annotations,
            COLLECTED: collected(views),
        }
        undecided = sum(vote.undecided for vote in votes)
        facts = counted_annotations(columns, "rows with a point")
        return MadeRow(
            columns, facts=facts | ({"undecided labels, left out": undecided} if undecided else {})
        )

    def _path(self, view: ItemView, annotation: Annotation) -> dict[str, Any] | None:
        """The pointer's way to the click that selected the image, as `--byproduct trace` reads it."""
        if not annotation.selected or not annotation.selected_record:
            return None
        click = min(each.time for each in annotation.selected_record)
        before = [each for each in annotation.mouse_tracking if each.time <= click]
        if not before or view.class_name is None:
            return None
        return {
            ANNOTATOR: view.annotator,
            LABEL: self._number[view.class_name],
            X: [each.x for each in before],
            Y: [each.y for each in before],
            TIME: [float(each.time - before[0].time) for each in before],
        }

    def _shared(self, item: ProjectItem, votes: Sequence[Vote]) -> dict[str, Any]:
        counts = [{"label": self._number[vote.label], "yes": vote.yes, "asked": vote.asked} for vote in votes]
        return {IMAGE_ID: item.file, VOTES: counts}


def _not_confirmed(votes: Sequence[Vote]) -> str:
    if not votes:
        return "nobody was asked about a class that it may be of"
    if any(vote.undecided for vote in votes):
        return "undecided: half of the annotators selected it"
    return "not confirmed: less than half of the annotators selected it"


def _point(vote: Vote) -> dict[str, float] | None:
    return None if vote.point is None else dict(zip("xy", vote.point, strict=True))
