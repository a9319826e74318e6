"""Class folders of images, and the benchmark on any such folder."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from luab_data.console.names import few
from luab_data.images.files import Listing, class_folders, image_files, list_images
from luab_data.images.pillow import SUFFIXES
from luab_eval.benchmark import Benchmark, ImageSet, Item, Predictions, Scores, Verdicts
from luab_eval.by_image import by_image


def labeled_items(folder: Path, targets: Mapping[str, int], group: str = "", prefix: str = "") -> list[Item]:
    """The images of the class folders in `targets` that exist, in order of their paths.

    Args:
        folder: Holds the class folders.
        targets: Class folder name -> class number.
        group: Group of all items.
        prefix: Prefix of all items' ids.
    """
    return [
        Item(f"{prefix}{name}/{image}", folder / name / image, targets[name], group)
        for name in class_folders(folder)
        if name in targets
        for image in image_files(folder / name)
    ]


def wrong_folders(
    folder: Path, expected: Collection[str], partial: bool, also: Collection[str] = ()
) -> str | None:
    """How the class folders in `folder` differ from `expected`, or None. With `partial`, some may be missing.

    `also`: names of folders that are ignored.
    """
    found = class_folders(folder)
    strangers = sorted(set(found) - set(expected) - set(also))
    present = set(expected).intersection(found)
    absent = sorted(set(expected) - present)
    if strangers:
        return f"{len(strangers)} folders that belong to no class: {few(strangers)}"
    if absent and not (partial and present):
        hint = "" if partial or not present else " (--partial evaluates on what is there)"
        return f"{len(present)} of {len(expected)} class folders; missing are {few(absent)}{hint}"
    if not any(image_files(folder / name) for name in present):
        return f"class folders without images ({', '.join(SUFFIXES)}), such as {few(sorted(present))}"
    return None


def own_name(benchmark: str, argument: str, expected: str) -> tuple[str, str]:
    """`NAME=REST` of the user's images -> both parts.

    Raises:
        ValueError: another form; `expected` shows the right one.
    """
    name, equals, rest = argument.partition("=")
    if not (name and equals and rest):
        raise ValueError(f"benchmark {benchmark!r} is written {benchmark}:{expected}; got {argument!r}")
    return name, rest


def existing(path: Path, root: Path) -> Path | None:
    """`path` as given or below `root`, whichever exists."""
    return next((place for place in (path, root / path) if place.exists()), None)


class Top1(Benchmark):
    """A benchmark of one image set: the model's best class must be the image's class."""

    shows_verdicts = True

    def score(self, predictions: Sequence[Predictions]) -> Scores:
        """Top-1 (primary) and top-5 accuracy."""
        (answers,) = predictions
        right = answers.right().astype(float)
        metrics = {"accuracy": float(right.mean())}
        if answers.top.shape[1] >= 5:
            metrics["top5_accuracy"] = float(answers.right(5).mean())
        rows = Scores(metrics, answers.ids, answers.groups, answers.targets, right, answers.classes)
        return by_image(rows, answers.pixels, self) if self.own_images else rows

    def verdicts(self, answers: Predictions) -> Verdicts:
        """An image is right if the best class is its target."""
        truth = [answers.classes[k] for k in answers.targets]
        images = answers.pixels if self.own_images else None
        return Verdicts(answers.right(), answers.top[:, 0], truth, images=images)


class Folder(Top1):
    """Any folder `<class>/<image>`: top-1 accuracy of a model whose labels are the folder names."""

    name = "folder"
    title = "Image folder"
    summary = "top-1 accuracy on any folder of images by class; the folders are called as the model's labels"
    paper = ""
    download = "your own images: --benchmarks folder:NAME=PATH"
    layout = "PATH/<class>/<image>, or folders of images in the class folders"
    folders = ()
    argument_help = "NAME=PATH"

    def __init__(self, argument: str = "", val: str | None = None):
        super().__init__(argument, val)
        self.own_name, path = own_name(self.name, argument, self.argument_help)
        self.path = Path(path).expanduser()
        self._listings: dict[Path, Listing] = {}

    @property
    def label(self) -> str:
        """The folder's name in tables."""
        return self.own_name

    @property
    def key(self) -> str:
        """The folder's name in results."""
        return self.own_name

    def find(self, root: Path) -> Path | None:
        """PATH as given, or below `root`."""
        found = existing(self.path, root)
        return found if found is not None and found.is_dir() else None

    def missing(self, root: Path, partial: bool = False) -> str | None:
        """A message on what is missing, or None."""
        if self.find(root) is None:
            return (
                f"expected {self.layout}\n  found no folder {self.path}, neither as it stands nor in {root}"
            )
        return super().missing(root, partial)

    def problem(self, folder: Path, partial: bool) -> str | None:
        """A message on the problem; None if the folder has images in class folders."""
        listing = self._listing(folder)
        if len(listing):
            return None
        empty = f"class folders without images ({', '.join(SUFFIXES)})"
        found = empty if listing.classes else "no class folders"
        return f"{found}; left out: {listing.note()}" if listing.note() else found

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        """The one image set of the folder."""
        yield self.image_set(root)

    def image_set(self, root: Path) -> ImageSet:
        """All images in class folders; skipped files are noted."""
        folder = self.folder(root)
        listing = self._listing(folder)
        self.left_out = listing.note()
        items = [
            Item(f"{name}/{image}", folder / name / image, index)
            for index, name in enumerate(listing.classes)
            for image in listing.images[name]
        ]
        return ImageSet(f"folder-{self.own_name}", items, classes=tuple(listing.classes), upright=True)

    def _listing(self, folder: Path) -> Listing:
        """The folder's listing, read once for all models."""
        if folder not in self._listings:
            self._listings[folder] = list_images(folder)
        return self._listings[folder]
