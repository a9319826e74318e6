"""What a benchmark is: where its images lie, which answer is right, and how answers become its number.

    ROOT --(image_sets)--> ImageSet --(predict)--> Predictions --(score)--> Scores

A benchmark is one class: subclass `Benchmark`, fill in what it says of itself, and list it in
`benchmarks/__init__.py`. It never sees the model: whatever needs the images is said in its image sets, so
that all benchmarks share one way of reading, one pass over the images, and one cache.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from luab_attention.boxes.boxes import ImageBoxes


class Item(NamedTuple):
    """One image.

    Attributes:
        id: The image's path below its set's folder; unique in the set, the same on every machine.
        image: Its file, or a function that returns `datasets.Image(decode=False)`'s `{bytes, path}`.
        target: The right class's number in `ImageSet.classes`; -1: none of them.
        group: What the benchmark tells apart: a severity, a variant. "" where there is nothing.
    """

    id: str
    image: Path | Callable[[], Mapping[str, Any]]
    target: int
    group: str = ""


@dataclass(frozen=True)
class RowImage:
    """An `Item.image`: that of row `row` of a dataset whose `column` of images is not decoded."""

    dataset: Any
    row: int
    column: str = "image"

    def __str__(self) -> str:  # what the cache knows it by
        return f"{self.dataset._fingerprint}:{self.row}"

    def __call__(self) -> Mapping[str, Any]:
        """Reads the image of the row: its bytes or its path."""
        return self.dataset[self.row][self.column]


@dataclass(frozen=True)
class ImageSet:
    """Images that one pass of a model reads.

    Attributes:
        name: Also the folder of its cached predictions.
        classes: The class folders that `Item.target` counts; None: ImageNet's 1000. For other classes the
            model's further outputs stay in the running, as wrong answers.
        whole: The images already are what the model sees (published at 224 x 224): no margin is cut off.
        border: Pixels cut off on all four sides before anything else.
        occlusion: Side of a square of the mean color in the middle of the crop, as a ratio of the crop's
            side.
        keep_logits: False: only the best 5 classes are kept, for sets whose logits would fill a disk.
        upright: Turn images by their EXIF orientation. False: as the files are, which is how the benchmarks'
            authors read them.
        boxes: Of each item, those of its class: then the model is also asked where it looks (`looks`), and
            the whole image is squeezed into its input.
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


@dataclass(frozen=True)
class Predictions:
    """What a model answered on one image set of N images and K classes.

    Attributes:
        ids: `[N]` bytes (UTF-8).
        targets: `[N]` int64.
        groups: `[N]` str.
        top: `[N, min(5, K)]` int64, the best classes, best first.
        logits: `[N, K]` float32, or None (`ImageSet.keep_logits`).
        classes: Names of the classes that `targets` counts: class folders, or ImageNet's wnids.
        looks: Of a set with boxes what `localization.LocalizationScores` reads, `[N, ...]` each; else None.
        pixels: `[N]` int64, a hash of each image as it was decoded.
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
        """`[N]` bool: the right class is among the `best` (1 to 5)."""
        return (self.top[:, :best] == self.targets[:, None]).any(1)

    def answer_among(self, classes: Sequence[int]) -> np.ndarray:
        """`[N]` int64: the class with the highest logit of `classes`; the others do not count."""
        return np.asarray(classes)[self.logits[:, classes].argmax(1)]

    def confidence_among(self, classes: Sequence[int]) -> np.ndarray:
        """`[N]` float64: the highest probability, softmax over `classes` only."""
        logits = self.logits[:, classes].astype(np.float64)
        return 1 / np.exp(logits - logits.max(1, keepdims=True)).sum(1)

    def where(self, chosen: np.ndarray) -> Predictions:
        """Those of the images for which `chosen` `[N]` bool is true."""
        arrays = (self.ids, self.targets, self.groups, self.top, self.logits)
        looks = self.looks and {name: array[chosen] for name, array in self.looks.items()}
        return Predictions(
            *(None if array is None else array[chosen] for array in arrays),
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
        per_image: `[M]` float, what `Benchmark.statistic` makes the primary metric of.
        class_names: Names for `targets` where a value for each class makes sense, else None.
    """

    metrics: dict[str, float]
    ids: np.ndarray
    groups: np.ndarray
    targets: np.ndarray
    per_image: np.ndarray
    class_names: Sequence[str] | None = field(default=None, repr=False)

    def per_class(self) -> dict[str, float]:
        """Class name -> mean of `per_image`; empty where that makes no sense."""
        if self.class_names is None:
            return {}
        present, position = np.unique(self.targets, return_inverse=True)
        means = np.bincount(position, self.per_image) / np.bincount(position)
        return {self.class_names[index]: float(mean) for index, mean in zip(present, means, strict=True)}


@dataclass(frozen=True)
class Verdicts:
    """Image by image, what a model answered and whether it is right: what galleries show.

    Attributes:
        right: `[N]` bool.
        best: `[N]` int64, the class that it answered, as `Predictions.top` numbers it.
        truth: `[N]`, what the image shows, in words.
        among: `[N]` bool, the images that may be shown; None: all.
        rivals: The classes that could be answered; None: all.
        mapped: `[N]` int64, the class whose activation map is shown; None: `best`.
        note: What is special about the images; "" for nothing.
        words: For right and for wrong.
    """

    right: np.ndarray
    best: np.ndarray
    truth: Sequence[str]
    among: np.ndarray | None = None
    rivals: Sequence[int] | None = None
    mapped: np.ndarray | None = None
    note: str = ""
    words: tuple[str, str] = ("right", "wrong")


class Benchmark(ABC):
    """One benchmark.

    Args:
        argument: What stood after the colon in `NAME:ARGUMENT`; only some benchmarks take one.
        val: Where to find ImageNet's validation images instead of below ROOT: a folder, or a dataset's id on
            the Hub. Benchmarks that do not read them ignore it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    download: str
    layout: ClassVar[str]
    # Names that the benchmark's folder may have below ROOT, the usual one first; none: only what the argument
    # names is read.
    folders: ClassVar[tuple[str, ...]]
    primary: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)  # of the primary metric
    images: int | None = None  # as published, where known
    argument_help: ClassVar[str] = ""
    left_out: str = ""  # what lies beside the images and is not read, in words; known after `image_sets`

    def __init__(self, argument: str = "", val: str | None = None):
        if argument and not self.argument_help:
            raise ValueError(f"benchmark {self.name!r} takes no argument, and got {argument!r}")
        self.argument, self.val = argument, val

    @property
    def label(self) -> str:
        """What tells it from the same benchmark with another argument."""
        return self.argument

    @property
    def key(self) -> str:
        """Its name in tables and results: unique among the benchmarks of one run."""
        return f"{self.name}:{self.label}" if self.label else self.name

    def find(self, root: Path) -> Path | None:
        """The benchmark's folder below `root`, or None: absent."""
        return next((root / name for name in self.folders if (root / name).is_dir()), None)

    def places(self, root: Path) -> list[Path]:
        """All folders that it reads."""
        return [folder for folder in [self.find(root)] if folder is not None]

    def absent(self, root: Path) -> bool:
        """Nothing of it is below `root`, so that a suite may go on without it."""
        return self.find(root) is None

    def missing(self, root: Path, partial: bool = False) -> str | None:
        """None: complete. Else what was expected and what was found, for people.

        `partial`: class folders may be missing.
        """
        folder = self.find(root)
        if folder is None:
            return f"expected {self.layout}\n  found none of {', '.join(self.folders)} in {root}"
        problem = self.problem(folder, partial)
        return problem and f"expected {self.layout}\n  found {problem}\n  in {folder}"

    @abstractmethod
    def problem(self, folder: Path, partial: bool) -> str | None:
        """What is wrong with the benchmark's own folder, or None."""

    @abstractmethod
    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        """The images that a model must see. Call it only when `missing` is None."""

    @abstractmethod
    def score(self, predictions: Sequence[Predictions]) -> Scores:
        """The model's answers, one `Predictions` for each image set, -> the benchmark's numbers."""

    def verdicts(self, answers: Predictions) -> Verdicts | None:
        """For the galleries, where there is one image set and right and wrong can be said of its images."""
        return None

    def statistic(self, per_image: np.ndarray, groups: np.ndarray) -> float:
        """The primary metric of some images, also of a resample (bootstrap).

        Args:
            per_image: [M] as of `Scores.per_image`.
            groups: [M] as of `Scores.groups`.
        """
        return float(per_image.mean())
