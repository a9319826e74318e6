"""The exported images and views as sources of a build: `luab_data.build` writes the dataset folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from datasets import Features

from luab_collect.export.layouts import ExportLayout
from luab_collect.export.views import ItemView, Spool
from luab_collect.items import ProjectItem
from luab_collect.project import Project
from luab_data.build.batches import Outcome, RowByRow
from luab_data.build.join import Found, LoadedPair, Pair
from luab_data.constants import IMAGE
from luab_data.errors import RejectedRecord
from luab_data.files.regular import read_regular, require_file_inside
from luab_data.sources.entries import BYPRODUCTS, IMAGES, MAX_IMAGE_BYTES, Reject


class ItemImages:
    """The image files by path, checked against the list that `luab collect init` made. A Lookup."""

    role = IMAGES
    ignored = 0

    def __init__(self, project: Project, items: dict[str, ProjectItem]):
        self.place = f"the images of {project.name}"
        self._folder = project.images
        self._items = items

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._items

    def ids(self) -> Iterator[str | Reject]:
        """All paths."""
        yield from self._items

    def get(self, entry_id: str) -> bytes:
        """The bytes of one file; raises RejectedRecord if it is another file now."""
        path = self._folder / entry_id
        require_file_inside(path, self._folder)
        content = read_regular(path, MAX_IMAGE_BYTES)
        if sha256(content).hexdigest() != self._items[entry_id].sha256:
            raise RejectedRecord("the file changed after annotators had been asked about it")
        return content


class ItemViews:
    """The views by path of their image. A Lookup."""

    role = BYPRODUCTS
    ignored = 0

    def __init__(self, place: str, spool: Spool, items: dict[str, ProjectItem]):
        self.place = place
        self._spool = spool
        self._items = items

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._items

    def ids(self) -> Iterator[str | Reject]:
        """All paths."""
        yield from self._items

    def get(self, entry_id: str) -> list[ItemView]:
        """The views of one image."""
        return self._spool.get(self._items[entry_id].id)


@dataclass(frozen=True)
class ItemToRow:
    """Makes the row of an image: what the layout makes of its views, and the file's bytes."""

    layout: ExportLayout
    items: dict[str, ProjectItem]

    def __call__(self, pair: LoadedPair, /) -> Outcome:
        """The outcome of one pair."""
        if isinstance(pair.image, RejectedRecord):
            return self.refused(pair, pair.image.reason)
        made = self.layout.make(self.items[pair.id], pair.byproducts)
        if made.columns is None:
            return self.refused(pair, made.reason)
        row = {IMAGE: {"bytes": pair.image, "path": pair.id.rpartition("/")[2]}, **made.columns}
        return Outcome(row, (), {IMAGES: 1, BYPRODUCTS: len(pair.byproducts)}, made.facts)

    def refused(self, pair: LoadedPair, reason: str, /) -> Outcome:
        """No row: a reject for the image and each of its views."""
        views: Sequence[ItemView] = pair.byproducts
        rejects = [Reject(BYPRODUCTS, f"{pair.id}, page of work {view.work}", reason) for view in views]
        return Outcome(None, (Reject(IMAGES, pair.id, reason), *rejects))


class CollectedDataset:
    """A `BuildableDataset` of the views in a spool."""

    def __init__(
        self, project: Project, items: Sequence[ProjectItem], layout: ExportLayout, spool: Spool, state: str
    ):
        """Opens it; `state` stands for the exported work among the build's arguments."""
        seen = spool.items()
        self._items = {item.file: item for item in items if item.id in seen}
        self.layout = layout
        self.images = ItemImages(project, self._items)
        self.views = ItemViews(state, spool, self._items)
        self._count = spool.count

    @property
    def sources(self) -> list[ItemImages | ItemViews]:
        """The images and the views."""
        return [self.images, self.views]

    def features(self) -> Features:
        """The types of the columns."""
        return self.layout.features()

    def pairs(self, found: Found | None = None) -> Iterator[Pair | Reject]:
        """Each image that has a view, with its views."""
        found = Found() if found is None else found
        found[BYPRODUCTS] = self._count
        found.first[BYPRODUCTS] = list(self._items)[:3]
        for file in self._items:
            found.note(IMAGES, file)
            found.met += 1
            yield Pair(file, self.images, self.views)

    def to_batch(self, max_side: int | None = None) -> RowByRow:
        """The function that makes rows."""
        return RowByRow(ItemToRow(self.layout, self._items))
