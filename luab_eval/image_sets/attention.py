"""A dataset's human attention -> an image set, and the people of each of its images.

The columns are those of `luab_attention.columns`, or `click` and `annotations`. An image with several classes
is asked once for each class that attention names. Attention without a class is compared with the map of the
image's only class, or else of the class that the model predicts. Rows of one image are judged together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow.compute as pc

from luab_attention.blur import PEOPLE, fixation_sigma
from luab_attention.boxes.rows import ImageSizes
from luab_attention.columns import ATTENTION_SOURCE
from luab_attention.reading import label_name
from luab_data.constants import HEIGHT, IMAGE_ID, NO_LABEL, WIDTH
from luab_data.errors import SourceError
from luab_data.rows.arrow import has_column
from luab_data.rows.columns import Columns
from luab_data.rows.image_columns import folder_labels
from luab_data.rows.same_classes import class_feature
from luab_data.rows.splits import find_part, part_of
from luab_eval.alignment.people import People, Viewing, people_of, united_areas
from luab_eval.alignment.scores import Alignment
from luab_eval.alignment.viewings import (
    AGAINST,
    COLUMN,
    WITH_FIXATIONS,
    Against,
    ByClass,
    of_row,
    raw_rows,
    read_viewings,
)
from luab_eval.benchmark import ImageSet, Item
from luab_eval.image_sets.class_maps import wnids
from luab_eval.image_sets.own_datasets import DatasetPlace, OwnDataset, OwnRows, label_names, row_images
from luab_eval.image_sets.pictures import same_pictures

EXPECTED = "NAME=DATASET@SPLIT?against=COLUMN"
NO_CLASSES = "classes, as the rows have none: maps are of the class that the model predicts"
NO_HUMANS = "figures of humans, for no image has several annotators who are told apart"
ANY_CLASS = -1  # an item's target: the class that the model predicts
Sigma = tuple[float, float]


class LazyPeople(Sequence[People]):
    """The people of each item; densities are made when they are read, and not kept."""

    def __init__(self, viewings: Sequence[Sequence[Viewing]]):
        self.viewings = viewings

    def __len__(self) -> int:
        return len(self.viewings)

    @property
    def several(self) -> bool:
        """Whether an image has several annotators who are told apart."""
        whose = ({viewing.annotator for viewing in own} for own in self.viewings)
        return any(None not in names and len(names) > 1 for names in whose)

    def __getitem__(self, at: Any) -> Any:
        return people_of(self.viewings[at])


class Judged(NamedTuple):
    """The image set, and what its maps are compared with."""

    images: ImageSet
    alignment: Alignment
    left_out: str


class AttentionDataset(OwnDataset):
    """A dataset with human attention, in the column that the option `against` names.

    `sigma=0.05` sets the deviation of the Gaussian around a fixation, or blurs heat maps: a ratio of the
    image's width. Further options are those of `OwnDataset`.

    Raises:
        ValueError: another form, or a value that is not allowed.
    """

    def __init__(self, own_name: str, place: str | DatasetPlace):
        whole = DatasetPlace.read(place) if isinstance(place, str) else place
        given = dict(whole.options)
        against, sigma = given.pop("against", None), given.pop("sigma", None)
        if against not in AGAINST:
            raise ValueError(
                f"against={against}: what people's attention is read from is one of {', '.join(AGAINST)}; "
                f"write {EXPECTED}"
            )
        super().__init__(own_name, whole._replace(options=tuple(given.items())))
        self.place = whole
        self.against: Against = against
        self.sigma = _sigma(sigma)
        if self.sigma is not None and against in ("masks", "boxes"):
            raise ValueError(f"sigma={sigma}: {against} have edges and are not blurred; leave it out")
        self._judged: dict[Path, Judged] = {}

    @property
    def has_fixations(self) -> bool:
        """Whether the column says where people looked, and not only in which area."""
        return self.against in WITH_FIXATIONS

    def _rows(self, splits: datasets.DatasetDict, source: str) -> OwnRows:
        part = find_part(splits, self.split, self.dataset, "split")
        rows = splits[part.split]
        if not self._without_classes(rows):
            return super()._rows(splits, source)
        label, image = label_name(rows, self.reading), self.reading.image
        rows = part_of(rows, part).cast_column(image, datasets.Image(decode=False))
        return OwnRows(rows, Columns(image, label), list(range(len(rows))), NO_CLASSES)

    def _without_classes(self, rows: datasets.Dataset) -> bool:
        """Whether neither an option, a column nor the images' folders say the class of a row.

        Images in other forms are read as in training, which needs classes.
        """
        label, image = label_name(rows, self.reading), self.reading.image
        return (
            self.reading.label is None
            and not has_column(rows.features, label)
            and isinstance(rows.features.get(image), datasets.Image)
            and folder_labels(rows, image) is None
        )

    def image_set(self, root: Path) -> ImageSet:
        """The images that people looked at."""
        return self.judged(root).images

    def judged(self, root: Path) -> Judged:
        """The images and the people, read once for all models and metrics.

        Raises:
            ValueError: no such column, values that cannot be read, or fewer than two images.
        """
        if root not in self._judged:
            self._judged[root] = self._judge(root)
        self.left_out = self._judged[root].left_out
        return self._judged[root]

    def _judge(self, root: Path) -> Judged:
        rows, columns, numbers, without = self.read(root)
        viewings, left_out, note = read_viewings(rows, columns, self.against, numbers)
        feature = class_feature(rows.features[columns.label]) if columns.label in rows.column_names else None
        names = [] if feature is None else list(label_names(rows, columns))
        labels = rows[columns.label][:] if feature is not None else [None] * len(rows)
        sigmas = self._sigmas(rows, columns, numbers)
        shown = same_pictures(rows, columns.image, numbers)
        found: dict[tuple[int, int], list[Viewing]] = {}  # picture, class
        for at, (of_class, label) in enumerate(zip(viewings, labels, strict=True)):
            for target, own in _asked(of_class, label, left_out):
                of_picture = found.setdefault((shown[at], target), [])
                of_picture += [viewing._replace(sigma=sigmas[at]) for viewing in own]
        if not found:
            raise SourceError(
                f"{self.own_name}: no row has anything usable in column {COLUMN[self.against]!r}"
            )
        if self.against in ("masks", "boxes"):
            found = {key: [united_areas(own)] for key, own in found.items()}
        pictures = [picture for picture, _ in found]
        classes = Counter(pictures)
        ids = _ids(rows, numbers, shown)
        images = list(row_images(rows.select_columns(columns.image), columns.image))
        items = []
        for picture, target in found:
            several = classes[picture] > 1 or isinstance(labels[picture], list)
            suffix = f"/{names[target]}" if several and target != ANY_CLASS else ""
            items.append(Item(f"{ids[picture]}{suffix}", images[picture], target))
        people = LazyPeople(list(found.values()))
        left_out["rows of an image of another row, judged together with it"] += len(rows) - len(set(shown))
        notes = [f"{reason}: {count:,}" for reason, count in left_out.items() if count]
        if not people.several:
            notes.append(NO_HUMANS)
        images_of = ImageSet(
            f"attention-{self.own_name}",
            items,
            None if tuple(names) == wnids() else tuple(names),
            keep_logits=False,
            upright=True,
            maps=True,
            people=people,
        )
        return Judged(
            images_of, Alignment(people, pictures), ", ".join(filter(None, (*notes, note, without)))
        )

    def _sigmas(
        self, rows: datasets.Dataset, columns: Columns, numbers: Sequence[int]
    ) -> Sequence[Sigma | None]:
        """The Gaussian's deviation in x and y of each row. None: its maps are not blurred."""
        if not self.has_fixations and self.sigma is None:
            return [None] * len(rows)
        names = [name for name in (WIDTH, HEIGHT, ATTENTION_SOURCE) if name in rows.column_names]
        if not _states_sizes(rows):
            names.append(columns.image)
        sizes = ImageSizes(columns.image)
        sigmas = []
        for at, row in zip(numbers, raw_rows(rows, names), strict=True):
            size = of_row(partial(_size, row, sizes), f"row {at}")
            sigmas.append(fixation_sigma(row.get(ATTENTION_SOURCE), size, self.sigma, PEOPLE))
        return sigmas


@lru_cache(8)
def attention_dataset(own_name: str, place: str | DatasetPlace) -> AttentionDataset:
    """`AttentionDataset`, the same one for all metrics of one argument, so that it is read once."""
    return AttentionDataset(own_name, place)


def _asked(of_class: ByClass, label: Any, left_out: Counter[str]) -> Iterator[tuple[int, list[Viewing]]]:
    """The classes to ask the model for, with the viewings of each."""
    several = isinstance(label, list)
    classes = [one for one in dict.fromkeys(label if several else [label]) if one not in (None, NO_LABEL)]
    of_classes = [(one, of_class[one]) for one in classes if of_class.get(one)]
    others = (own for one, own in of_class.items() if one is not None and one not in classes)
    left_out["entries of other classes than the image's"] += sum(map(_entries, others))
    if of_classes:
        unnamed = _entries(of_class.get(None, ()))
        left_out["entries without a class, beside others of the image's class"] += unnamed
        yield from of_classes
    elif of_class.get(None):
        yield (classes[0] if len(classes) == 1 else ANY_CLASS), of_class[None]
    elif any(of_class.values()):
        left_out["rows whose attention is of other classes"] += 1
    else:
        left_out["rows without attention"] += 1


def _entries(viewings: Sequence[Viewing]) -> int:
    return sum(viewing.entries for viewing in viewings)


def _ids(rows: datasets.Dataset, numbers: Sequence[int], shown: Sequence[int]) -> list[str]:
    """A name for each row: its id, with its number in front where other images have that id too."""
    if IMAGE_ID not in rows.column_names:
        return [str(number) for number in numbers]
    ids = [str(one) for one in rows[IMAGE_ID][:]]
    if len({ids[picture] for picture in shown}) == len(set(shown)):
        return ids
    return [f"{number} {one}" for number, one in zip(numbers, ids, strict=True)]


def _states_sizes(rows: datasets.Dataset) -> bool:
    """Whether the columns `width` and `height` have a value in every row, so that no image is needed."""
    if not {WIDTH, HEIGHT} <= set(rows.column_names):
        return False
    sizes = rows.select_columns([WIDTH, HEIGHT]).with_format("arrow")[:]
    return all(pc.all(pc.fill_null(pc.greater(sizes[name], 0), False)).as_py() for name in (WIDTH, HEIGHT))


def _size(row: Any, sizes: ImageSizes) -> tuple[float, float]:
    width, height = row.get(WIDTH) or 0, row.get(HEIGHT) or 0
    return (width, height) if width > 0 and height > 0 else sizes(row)


def _sigma(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        sigma = float(text)
    except ValueError:
        sigma = np.nan
    if not 0 < sigma <= 1:
        raise ValueError(
            f"sigma={text}: it is a ratio of the image's width, above 0 and at most 1, such as 0.03"
        )
    return sigma
