"""Write a small raw release of the toy world: the files that a user of the real data would start from.

OUT/imagenet_ab_v1_0.tar.gz                      byproducts of the training images, in the released layout
OUT/images/train/<class>/<class>_<n>.JPEG        backgrounds agree with the class in 95 % of the images
OUT/images/val/<class>/val_<n>.JPEG              as train; for choosing settings
OUT/images/test/<class>/test_<n>.JPEG            as train; for the reported figures
OUT/images/test_swapped/<class>/test_<n>.JPEG    the objects of test on backgrounds of other classes
OUT/boxes_{train,val,test,test_swapped}.csv      the objects' boxes, for checking only, never for training
"""

import csv
import gzip
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imagenet_ab.byproducts import ARCHIVE
from imagenet_ab.simulate.annotators import ANNOTATORS, ImageNetAnnotators, annotate
from imagenet_ab.simulate.images import CLASSES, draw, mask
from imagenet_ab.write import write_xml
from luab_data.console import bars
from luab_data.constants import TRAIN
from luab_data.simulate.drawing import Box

WITHOUT_XML = 0.005  # share of the training images, as a few of ImageNet's have none
APPLE_DOUBLES = 0.01  # share of the XML files with a binary twin, as in the released archive
_APPLE_DOUBLE_BYTES = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(120)


@dataclass(frozen=True)
class Split:
    """`stream` numbers the random numbers of the objects: splits that share it show the same objects."""

    name: str
    stream: int
    prefix: str
    swapped: bool = False


TRAINING = Split(TRAIN, 0, "{}_")
EVALUATION = (
    Split("val", 1, "val_"),
    Split("test", 2, "test_"),
    Split("test_swapped", 2, "test_", swapped=True),
)


def write_release(
    out: str | Path,
    seed: int = 0,
    images_per_class: int = 300,
    evaluation_images_per_class: int = 50,
    size: int = 64,
    agreement: float = 0.95,
    annotators: ImageNetAnnotators = ANNOTATORS,
    progress: bool = True,
) -> Path:
    """Write the release below the folder `out` (overwriting files of the same name) and return its path.

    `images_per_class` is train's count, `evaluation_images_per_class` that of each other split (0: only
    train), `size` the images' width and height in pixels, `agreement` the share of backgrounds that go with
    the class. Equal arguments write equal bytes.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    plan = [(TRAINING, images_per_class), *((split, evaluation_images_per_class) for split in EVALUATION)]
    total = len(CLASSES) * sum(count for _, count in plan)
    with bars.progress(total, "Writing the raw release", "img", disable=not progress) as bar:
        boxes = _write_images(out, TRAINING, seed, images_per_class, size, agreement, bar)
        _write_archive(out / ARCHIVE, boxes, size, np.random.default_rng([seed, 99]), annotators)
        _write_boxes(out, TRAINING, boxes, size)
        for split, count in plan[1:]:
            if count:
                _write_boxes(out, split, _write_images(out, split, seed, count, size, agreement, bar), size)
    return out


def choose_background(label: int, agreement: float, rng: np.random.Generator) -> int:
    """The class's own background with probability `agreement`, else any other with equal chance."""
    if rng.random() < agreement:
        return label
    return (label + 1 + int(rng.integers(len(CLASSES) - 1))) % len(CLASSES)


def training_masks(
    seed: int = 0, images_per_class: int = 300, size: int = 64
) -> Iterator[tuple[str, np.ndarray]]:
    """The id of each training image of `write_release`, and the object's coverage of each pixel, 0 to 1."""
    for image_id, label, rng, _ in _numbered(TRAINING, seed, images_per_class):
        yield image_id, mask(label, size, rng)


def _write_images(
    out: Path, split: Split, seed: int, count: int, size: int, agreement: float, bar: bars.Progress
) -> dict[str, Box]:
    """Write `count` images of each class; the boxes by `<class>/<name>`."""
    boxes = {}
    for image_id, label, rng, background_rng in _numbered(split, seed, count):
        background = choose_background(label, 0.0 if split.swapped else agreement, background_rng)
        image, boxes[image_id] = draw(label, background, size, rng, background_rng)
        path = out / "images" / split.name / f"{image_id}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, "JPEG", quality=95)
        bar.update()
    return boxes


def _numbered(
    split: Split, seed: int, count: int
) -> Iterator[tuple[str, int, np.random.Generator, np.random.Generator]]:
    for label, name in enumerate(CLASSES):
        for n in range(count):
            key = [seed, split.stream, label, n]
            objects, backgrounds = (np.random.default_rng([*key, part]) for part in (0, 1 + split.swapped))
            yield f"{name}/{split.prefix.format(name)}{n}", label, objects, backgrounds


def _write_archive(
    path: Path, boxes: dict[str, Box], size: int, rng: np.random.Generator, annotators: ImageNetAnnotators
) -> None:
    with (
        path.open("wb") as file,
        # No name and time in the header: equal arguments write equal bytes.
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):

        def add(name: str, data: bytes) -> None:
            member = tarfile.TarInfo(f"imagenet_ab_v1_0/train_xml/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

        for image_id, box in boxes.items():
            if rng.random() < WITHOUT_XML:
                continue
            add(f"{image_id}.xml", write_xml(annotate(image_id, box, size, size, rng, annotators)))
            if rng.random() < APPLE_DOUBLES:
                add("{}/._{}.xml".format(*image_id.split("/")), _APPLE_DOUBLE_BYTES)


def _write_boxes(out: Path, split: Split, boxes: dict[str, Box], size: int) -> None:
    with (out / f"boxes_{split.name}.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "x0", "y0", "x1", "y1", "width", "height"])
        for image_id, box in boxes.items():
            table.writerow([f"{image_id}.JPEG", box.x0, box.y0, box.x1, box.y1, size, size])
