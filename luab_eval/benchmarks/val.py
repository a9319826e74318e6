"""ImageNet's validation images: in class folders, in one folder with a table of labels, or on the Hub."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from luab_data.console.missing import require_extra
from luab_data.console.names import few
from luab_data.images.files import class_folders, image_files
from luab_eval.benchmark import Benchmark, ImageSet, Item, RowImage
from luab_eval.image_sets.class_maps import imagenet_outputs, wnid_index
from luab_eval.image_sets.folders import labeled_items, wrong_folders

VAL_IMAGES = 50_000
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
NUMBER = re.compile(r"ILSVRC2012_val_(\d{8})")
KAGGLE = "LOC_val_solution.csv"
DEVKIT = "ILSVRC2012_devkit_t12/data"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"


class ValBenchmark(Benchmark):
    """A benchmark that reads ImageNet's validation images."""

    folders = ("imagenet/val", "imagenet", "ILSVRC2012/val", "ILSVRC/Data/CLS-LOC/val", "val")
    download = (
        "https://image-net.org/download.php (after registration), or --val ILSVRC/imagenet-1k from the Hub"
    )
    layout = (
        "imagenet/val/<wnid>/ILSVRC2012_val_<number>.JPEG (1000 folders), or all images in imagenet/val and "
        f"{KAGGLE} or {DEVKIT}/ beside or above it"
    )
    images: int | None = VAL_IMAGES

    def find(self, root: Path) -> Path | None:
        """The images' folder: `val` if given, else below `root`."""
        if self.val is not None:
            return Path(self.val) if Path(self.val).is_dir() else None
        found = super().find(root)
        return found / "val" if found is not None and (found / "val").is_dir() else found

    def missing(self, root: Path, partial: bool = False) -> str | None:
        if self.val is None or self.find(root) is not None:
            return super().missing(root, partial)
        if HUB_ID.fullmatch(self.val):
            return None  # a dataset on the Hub is checked when it is read
        return f"expected {self.layout}\n  found no folder {self.val} (--val)"

    def problem(self, folder: Path, partial: bool) -> str | None:
        if class_folders(folder):
            return wrong_folders(folder, wnid_index(), partial)
        if not (images := image_files(folder)):
            return "neither class folders nor images"
        try:
            labels = flat_labels(folder)
        except ValueError as problem:
            return str(problem)
        strangers = [image for image in images if Path(image).stem not in labels]
        return f"images without a ground truth: {few(strangers)}" if strangers else None

    def val_set(self, root: Path, **changes: Any) -> ImageSet:
        """The validation images; `changes`: further fields of the `ImageSet`."""
        items: Sequence[Item]
        folder: Path | None = None
        if self.val is not None and self.find(root) is None:
            items = hub_items(self.val)
        elif class_folders(folder := self.folder(root)):
            items = labeled_items(folder, wnid_index())
        else:
            labels = flat_labels(folder)
            items = [Item(name, folder / name, labels[Path(name).stem]) for name in image_files(folder)]
        return ImageSet(**{"name": "imagenet_val", "items": items, "folder": folder} | changes)


class Own(Protocol):
    """The user's images, named by an argument; see `ValOrOwn`."""

    own_name: str
    left_out: str  # see `Benchmark.left_out`

    def find(self, root: Path) -> Path | None:
        """Their folder, or None."""

    def missing(self, root: Path, partial: bool = False) -> str | None:
        """As `Benchmark.missing`."""

    def image_set(self, root: Path) -> ImageSet:
        """The images."""


class ValOrOwn(ValBenchmark):
    """A benchmark of ImageNet's validation images, or of the argument's images."""

    own: Own | None = None

    def use(self, own: Own) -> None:
        """Evaluate on these unpublished images."""
        self.own, self.images, self.download = own, None, ""

    @property
    def label(self) -> str:
        return self.own.own_name if self.own else self.argument

    @property
    def own_images(self) -> bool:
        return self.own is not None

    def find(self, root: Path) -> Path | None:
        return self.own.find(root) if self.own else super().find(root)

    def missing(self, root: Path, partial: bool = False) -> str | None:
        return self.own.missing(root, partial) if self.own else super().missing(root, partial)

    def image_set(self, root: Path) -> ImageSet:
        if self.own is None:
            return self.val_set(root)
        images = self.own.image_set(root)
        self.left_out = self.own.left_out
        return images


def val_number(name: str) -> int:
    """The number of a validation image, 1 to 50000, from its name."""
    found = NUMBER.search(name)
    if not found or not 1 <= int(found[1]) <= VAL_IMAGES:
        raise ValueError(
            f"ReaL's labels go by the number in the file's name, ILSVRC2012_val_00000001 to "
            f"ILSVRC2012_val_{VAL_IMAGES:08d}; got {name!r}"
        )
    return int(found[1])


def flat_labels(folder: Path) -> dict[str, int]:
    """File stem -> class, for validation images in one folder without class folders.

    Reads Kaggle's `LOC_val_solution.csv`, or the devkit's ground truth, in the images' folder or in one of
    the four folders above (Kaggle's images are in ILSVRC/Data/CLS-LOC/val).

    Raises:
        ValueError: neither is there, or it is unreadable.
    """
    for place in (folder, *folder.resolve().parents[:4]):
        if (table := place / KAGGLE).is_file():
            with table.open(newline="", encoding="utf-8") as file:
                rows = csv.DictReader(file)
                if not {"ImageId", "PredictionString"} <= set(rows.fieldnames or ()):
                    raise ValueError(f"{table}: columns ImageId and PredictionString are needed")
                boxes = {row["ImageId"]: (row["PredictionString"] or "").split() for row in rows}
            strange = sorted({box[0] if box else "" for box in boxes.values()} - wnid_index().keys())
            if strange:
                raise ValueError(f"{table}: PredictionString must start with a wnid, and got {few(strange)}")
            return {stem: wnid_index()[box[0]] for stem, box in boxes.items()}
        for data in (place / DEVKIT, place):
            if (data / GROUND_TRUTH).is_file():
                return _devkit_labels(data)
    raise ValueError(
        f"images without class folders, and neither {KAGGLE} nor {DEVKIT}/{GROUND_TRUTH} beside or above them"
    )


def _devkit_labels(data: Path) -> dict[str, int]:
    """Line n of the ground truth is the devkit's class (1 to 1000) of image n; meta.mat has its wnid."""
    require_extra("eval", "the devkit's meta.mat")
    from scipy.io import loadmat

    if not (data / "meta.mat").is_file():
        raise ValueError(
            f"{data / GROUND_TRUTH} without meta.mat beside it, which says what its numbers mean"
        )
    synsets = loadmat(data / "meta.mat", squeeze_me=True)["synsets"]
    wnid_of = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
    ids = [int(line) for line in (data / GROUND_TRUTH).read_text(encoding="utf-8").split()]
    return {f"ILSVRC2012_val_{n:08d}": wnid_index()[wnid_of[class_id]] for n, class_id in enumerate(ids, 1)}


def hub_items(name: str) -> list[Item]:
    """The validation split of a dataset with `image` and `label`, such as ILSVRC/imagenet-1k.

    Its train files are not downloaded.

    Raises:
        ValueError: there is no such dataset (or it is gated), or it has other columns or classes.
    """
    import datasets

    from luab_data.rows.loading import load_dataset

    files = {"validation": "**/val*"}
    try:
        split = load_dataset(name, data_files=files, split="validation", verification_mode="no_checks")
    except (OSError, ValueError) as error:  # base classes of the errors of datasets and the Hub
        raise ValueError(
            f"--val {name} is no folder, and as a dataset on the Hub it cannot be read: {error}. A gated one "
            "needs its conditions accepted on its page, and `hf auth login`."
        ) from error
    if not {"image", "label"} <= split.features.keys() or not isinstance(
        split.features["label"], datasets.ClassLabel
    ):
        raise ValueError(
            f"--val {name}: columns image and label (ClassLabel) are needed; got {split.features}"
        )
    split = split.cast_column("image", datasets.Image(decode=False))
    target_of = {
        output: index for index, output in enumerate(imagenet_outputs(split.features["label"].names))
    }
    paths = split.select_columns("image").with_format("arrow")
    ids = [
        path
        for batch in paths.iter(1000)
        for path in batch["image"].combine_chunks().field("path").to_pylist()
    ]
    return [
        Item(path or f"{row:05d}", RowImage(split, row), target_of[label])
        for row, (path, label) in enumerate(zip(ids, split["label"], strict=True))
    ]
