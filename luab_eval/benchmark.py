"""The interface of a benchmark: where its images are, which answer is right, and how it computes its metric.

    ROOT --(image_sets)--> ImageSet --(predict)--> Predictions --(score)--> Scores

A benchmark is one class: subclass `Benchmark`, fill in its attributes and methods, and list it in
`benchmarks/__init__.py`. It never sees the model. Its image sets say how to read the images, so all
benchmarks share the reading, the pass over the images, and the cache.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from luab_data.adapters.hf_datasets import fingerprint_of

if TYPE_CHECKING:
    from luab_attention.boxes.boxes import ImageBoxes
    from luab_eval.alignment.people import People


def name_bytes(name: str) -> bytes:
    """A name in UTF-8; of a file name that is not UTF-8 its own bytes."""
    return name.encode("utf-8", "surrogateescape")


class Item(NamedTuple):
    """One image.

    Attributes:
        id: The image's path below its set's folder; unique in the set, the same on every machine.
        image: Its file, or a function that returns `datasets.Image(decode=False)`'s `{bytes, path}`.
        target: Number of the right class in `ImageSet.classes`; -1: none of them.
        group: The benchmark's group of images: a severity, a variant; "" without groups.
    """

    id: str
    image: Path | Callable[[], Mapping[str, Any]]
    target: int
    group: str = ""


@dataclass(frozen=True)
class RowImage:
    """An `Item.image` in row `row` of a dataset whose image column `column` is not decoded."""

    dataset: Any
    row: int
    column: str = "image"

    def __str__(self) -> str:  # the key in the cache
        return f"{fingerprint_of(self.dataset)}:{self.column}:{self.row}"

    def __call__(self) -> Mapping[str, Any]:
        """Reads the image of the row: its bytes or its path."""
        return self.dataset[self.row][self.column]


@dataclass(frozen=True)
class ImageSet:
    """The images of one pass of a model.

    Attributes:
        name: Also the folder of its cached predictions.
        classes: The class folders that `Item.target` numbers; None: ImageNet's 1000. For other classes the
            model's further outputs still count, as wrong answers.
        whole: The images are published in the input size (224 x 224) and are not cropped.
        border: Pixels cut off on all four sides before anything else.
        occlusion: Side of a square of the mean color in the center of the crop, as a ratio of the crop's
            side.
        keep_logits: False: keep only the best 5 classes, for sets whose logits would fill a disk.
        upright: Apply the EXIF orientation. False: read files as stored, as the benchmarks' authors do.
        boxes: For each item, the boxes of its class. With boxes, the pass also computes where the model looks
            (`looks`), and the whole image is resized to the input.
        maps: The pass keeps the model's map of each item's class (`looks`), or of the class that it predicts
            for a target of -1. The whole image is resized to the input.
        people: For each item, where people looked; for the galleries.
        folder: Of published files, which are the same wherever it is, so that predictions are reused after a
            move. None: other files in another place are evaluated again.
    """

    name: str
    items: Sequence[Item]
    classes: tuple[str, ...] | None = None
    whole: bool = False
    border: int = 0
    occlusion: float = 0.0
    keep_logits: bool = True
    upright: bool = False
    boxes: Sequence[ImageBoxes] | None = None
    maps: bool = False
    people: Sequence[People] | None = field(default=None, repr=False)
    folder: Path | None = field(default=None, repr=False)

    @property
    def stretched(self) -> bool:
        """Whether the whole image is resized to the input, so that a map covers the whole image."""
        return self.boxes is not None or self.maps


@dataclass(frozen=True)
class Predictions:
    """A model's predictions on one image set of N images and K classes.

    Attributes:
        ids: `[N]` bytes, see `name_bytes`.
        targets: `[N]` int64.
        groups: `[N]` str.
        top: `[N, min(5, K)]` int64, the best classes, best first.
        logits: `[N, K]` float32, or None (`ImageSet.keep_logits`).
        classes: Names of the classes that `targets` numbers: class folders, or ImageNet's wnids.
        looks: For a set with boxes, the input of `localization.LocalizationScores`, `[N, ...]` each; for one
            with `maps`, what `localization.MapTask` keeps; else None.
        pixels: `[N]` int64, a hash of each decoded image.
    """

    ids: np.ndarray
    targets: np.ndarray
    groups: np.ndarray
    top: np.ndarray
    logits: np.ndarray | None
    classes: Sequence[str] = field(repr=False)
    looks: dict[str, np.ndarray] | None = field(default=None, repr=False)
    pixels: np.ndarray | None = field(default=None, repr=False)

    def right(self, best: int = 1) -> np.ndarray:
        """`[N]` bool: whether the right class is among the `best` (1 to 5)."""
        return (self.top[:, :best] == self.targets[:, None]).any(1)

    def answer_among(self, classes: Sequence[int]) -> np.ndarray:
        """`[N]` int64: the class with the highest logit among `classes`; others are ignored."""
        return np.asarray(classes)[self._logits_of(classes).argmax(1)]

    def confidence_among(self, classes: Sequence[int]) -> np.ndarray:
        """`[N]` float64: the highest probability, softmax over `classes` only."""
        logits = self._logits_of(classes).astype(np.float64)
        return 1 / np.exp(logits - logits.max(1, keepdims=True)).sum(1)

    def _logits_of(self, classes: Sequence[int]) -> np.ndarray:
        if self.logits is None:
            raise ValueError("these predictions have no logits, only the best classes")
        return self.logits[:, classes]

    def where(self, chosen: np.ndarray) -> Predictions:
        """The predictions of the images with `chosen` `[N]` true."""
        looks = self.looks and {name: array[chosen] for name, array in self.looks.items()}
        return Predictions(
            self.ids[chosen],
            self.targets[chosen],
            self.groups[chosen],
            self.top[chosen],
            None if self.logits is None else self.logits[chosen],
            self.classes,
            looks,
            None if self.pixels is None else self.pixels[chosen],
        )


@dataclass(frozen=True)
class Scores:
    """A benchmark's result for one model.

    Attributes:
        metrics: Name -> value, rates 0 to 1 (mCE may exceed 1).
        ids, groups, targets: `[M]` of the images that count.
        per_image: `[M]` float, the input of `Benchmark.statistic` for the primary metric.
        class_names: Names for `targets` if a value per class makes sense, else None.
        references: `[M]` int64, a hash of what each image's score is measured against besides its class: its
            boxes, its people. None: nothing else.
        of_classes: What `per_class` returns, for scores of images of several classes. None: see there.
        weights: `[M]` float of mean 1, where an image counts as often as it has classes: its `per_image` is
            its own score times its weight. None: all count the same.
    """

    metrics: dict[str, float]
    ids: np.ndarray
    groups: np.ndarray
    targets: np.ndarray
    per_image: np.ndarray
    class_names: Sequence[str] | None = field(default=None, repr=False)
    references: np.ndarray | None = field(default=None, repr=False)
    of_classes: dict[str, float] | None = field(default=None, repr=False)
    weights: np.ndarray | None = field(default=None, repr=False)

    def per_class(self) -> dict[str, float]:
        """Class name -> mean of `per_image`; empty if that makes no sense."""
        if self.of_classes is not None:
            return self.of_classes
        if self.class_names is None:
            return {}
        present, position = np.unique(self.targets, return_inverse=True)
        means = np.bincount(position, self.per_image) / np.bincount(position)
        return {self.class_names[index]: float(mean) for index, mean in zip(present, means, strict=True)}


@dataclass(frozen=True)
class Verdicts:
    """A model's answer on each image, and whether it is right; for the galleries.

    Attributes:
        right: `[N]` bool.
        best: `[N]` int64, the predicted class, numbered as in `Predictions.top`.
        truth: `[N]`, name of the true class.
        among: `[N]` bool, the images that may be shown; None: all.
        rivals: The possible classes; None: all.
        mapped: `[N]` int64, the class whose activation map is shown; None: `best`.
        note: A remark on the images, or "".
        words: Words for right and wrong.
        images: `[N]` int64, the same for rows of one image. None: each is an image.
    """

    right: np.ndarray
    best: np.ndarray
    truth: Sequence[str]
    among: np.ndarray | None = None
    rivals: Sequence[int] | None = None
    mapped: np.ndarray | None = None
    note: str = ""
    words: tuple[str, str] = ("right", "wrong")
    images: np.ndarray | None = None


class SumOf(Enum):
    """What a benchmark's figure is a sum of, which decides how its interval is computed."""

    IMAGES = "the mean over all images"
    GROUPS = "a weighted sum of the means of its groups"
    NOTHING = "no such sum, as an area under a curve"


class Benchmark(ABC):
    """One benchmark.

    Args:
        argument: The text after the colon in `NAME:ARGUMENT`; only some benchmarks accept one.
        val: Where ImageNet's validation images are if not below ROOT: a folder, or a dataset's Hub id. Other
            benchmarks ignore it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    download: str
    layout: ClassVar[str]
    # Possible names of the benchmark's folder below ROOT, the usual one first; none: only the argument's
    # images are read.
    folders: ClassVar[tuple[str, ...]]
    primary: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)  # of the primary metric
    in_percent: ClassVar[bool] = True  # how its metrics are shown
    sum_of: ClassVar[SumOf] = SumOf.IMAGES  # what `statistic` is
    shows_verdicts: ClassVar[bool] = False  # `verdicts` says of its images which are right
    # Why results that do not tell what they were measured against are not compared; "": a remark is enough.
    truths_needed: ClassVar[str] = ""
    truths_options: ClassVar[tuple[str, ...]] = ()  # that change what an image is measured against
    images: int | None = None  # as published, where known
    argument_help: ClassVar[str] = ""
    left_out: str = ""  # skipped files in words; known after `image_sets`

    def __init__(self, argument: str = "", val: str | None = None):
        if argument and not self.argument_help:
            raise ValueError(f"benchmark {self.name!r} takes no argument, and got {argument!r}")
        self.argument, self.val = argument, val

    def __init_subclass__(cls, **kwargs: Any):
        """Raises TypeError where a subclass does not say what a report must know of its methods."""
        super().__init_subclass__(**kwargs)
        if (cls.statistic is Benchmark.statistic) != (cls.sum_of is SumOf.IMAGES):
            raise TypeError(f"{cls.__name__}: set `sum_of` to what its own `statistic` is; got {cls.sum_of}")
        if (cls.verdicts is Benchmark.verdicts) == cls.shows_verdicts:
            raise TypeError(f"{cls.__name__}: set `shows_verdicts` where, and only where, it has `verdicts`")

    @property
    def label(self) -> str:
        """A label that distinguishes it from the same benchmark with another argument."""
        return self.argument

    @property
    def own_images(self) -> bool:
        """Whether it reads only the argument's images, of which a dataset may have several rows each."""
        return not self.folders

    @property
    def key(self) -> str:
        """Its name in tables and results: unique among the benchmarks of one run."""
        return f"{self.name}:{self.label}" if self.label else self.name

    def find(self, root: Path) -> Path | None:
        """The benchmark's folder below `root`, or None: absent."""
        return next((root / name for name in self.folders if (root / name).is_dir()), None)

    def folder(self, root: Path) -> Path:
        """The benchmark's folder below `root`.

        Raises:
            ValueError: it is absent.
        """
        found = self.find(root)
        if found is None:
            raise ValueError(f"{self.key}: {self.missing(root)}")
        return found

    def places(self, root: Path) -> list[Path]:
        """All folders that the benchmark reads."""
        return [folder for folder in [self.find(root)] if folder is not None]

    def absent(self, root: Path) -> bool:
        """Whether `root` has no files of it, so that a suite may skip it."""
        return self.find(root) is None

    def missing(self, root: Path, partial: bool = False) -> str | None:
        """None if complete, else a message on what was expected and what was found.

        `partial`: class folders may be missing.
        """
        folder = self.find(root)
        if folder is None:
            return f"expected {self.layout}\n  found none of {', '.join(self.folders)} in {root}"
        problem = self.problem(folder, partial)
        return problem and f"expected {self.layout}\n  found {problem}\n  in {folder}"

    @abstractmethod
    def problem(self, folder: Path, partial: bool) -> str | None:
        """The problem with the benchmark's folder, or None."""

    @abstractmethod
    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        """The images for the model. Call it only if `missing` is None."""

    @abstractmethod
    def score(self, predictions: Sequence[Predictions]) -> Scores:
        """The model's predictions, one `Predictions` per image set -> the benchmark's metrics."""

    def verdicts(self, answers: Predictions) -> Verdicts:
        """For the galleries of benchmarks with one image set whose images are right or wrong.

        A benchmark that has them sets `shows_verdicts`.
        """
        raise NotImplementedError(f"{self.name} says of no image whether it is right")

    @staticmethod
    def statistic(per_image: np.ndarray, groups: np.ndarray) -> float:
        """The primary metric over some images, also over a resample (bootstrap).

        Args:
            per_image: [M] from `Scores.per_image`.
            groups: [M] from `Scores.groups`.
        """
        return float(per_image.mean())
