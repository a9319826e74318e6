"""What a layout of the export makes of an image and its views, and the texts that all layouts share."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from datasets import Features

from luab_collect.export.views import ItemView
from luab_collect.items import ProjectItem
from luab_collect.project import Project
from luab_data.build.card import PAPER, CardText
from luab_data.constants import ANNOTATIONS

_PROVENANCE = (
    "Exported were the pages of work that were submitted and that nobody rejected, of annotators who have "
    "not withdrawn; annotators are pseudonyms. Points are ratios of the upright image, x first. Tracks are "
    "thinned to 60 Hz and pause while an image is selected. Of an image that had failed to load in an "
    "annotator's browser there is no answer by that annotator. Image files were kept unchanged."
)

Entries = Iterable[tuple[ProjectItem, Sequence[ItemView]]]

RAW = "raw"  # folder of the released files in an exported dataset


class MadeRow(NamedTuple):
    """The columns of one image besides `image`, or the reason why it has no row."""

    columns: dict[str, Any] | None
    reason: str = ""
    facts: Mapping[str, int] = MappingProxyType({})


class ExportLayout(Protocol):
    """One of the layouts. Making it raises SourceError if the project does not fit it."""

    def features(self) -> Features:
        """The types of the columns, with `image`."""
        ...

    def make(self, item: ProjectItem, views: Sequence[ItemView]) -> MadeRow:
        """The row of an image that somebody was asked about."""
        ...

    def write_raw(self, folder: Path, entries: Entries) -> list[str]:
        """Writes the released files into a folder and reads them back; what was written, in words."""
        ...

    def card_text(self) -> CardText:
        """The card's texts."""
        ...


def collected_card(project: Project, columns: dict[str, str], rule: str) -> CardText:
    """The card of an export with these columns; `rule`: how views become labels and places."""
    what = {
        "select": "clicked all images that show a class",
        "place": "placed an icon onto each class that an image shows",
    }[project.task]
    return CardText(
        pretty_name=project.name,
        introduction=f"Images whose annotators {what}, with the byproducts of their work: clicks, and the "
        "pointer's path. Collected with `luab collect` ([LUAB](https://arxiv.org/abs/2303.17595)).",
        columns=columns,
        provenance=f"{_PROVENANCE} {rule}",
        license="To be set by whoever publishes this dataset: the images are not part of `luab collect`.",
        citation=PAPER,
        metadata={
            "language": [project.language.partition("-")[0].lower()],
            "task_categories": ["image-classification"],
            "tags": ["annotation-byproducts", "mouse-tracking", "click", "luab"],
            "license": "other",
        },
    )


def asked_views(item: ProjectItem, views: Sequence[ItemView]) -> tuple[list[ItemView], list[ItemView]]:
    """The views that asked for a class that the image may be of or is known for, and the others."""
    known = {*item.classes, *(item.gold or ())}
    own = [view for view in views if view.class_name in known]
    return own, [view for view in views if view.class_name not in known]


def counted_annotations(columns: dict[str, Any], point: str) -> dict[str, int]:
    """The counts of a row for the manifest."""
    return {
        "rows with annotations": int(bool(columns[ANNOTATIONS])),
        "annotations": len(columns[ANNOTATIONS]),
        point: int(bool(columns["click"] if "click" in columns else columns["points"])),
    }
