"""Worlds to train and test in. A world is a folder of datasets.

Those to train on have clicks, those to test on have boxes:

    train     a shortcut: in 95 % of the images the background tells the class
    shuffled  the same images, each with the click of another one: a control, but where objects are large or
              in the middle, many of its clicks are on the object
    astray    the same, each click at a random place outside the object's box: a control without such luck
    oracle    the same objects where backgrounds say nothing
    clicks-50, -10, -1     only so many % of the clicks
    astray-10, -30         so many % of the clicks outside the box
    centers, anywhere      clicks at the box's center, or at a random place in it
    test      new images, with the shortcut
    swapped   new images, each on the background of another class

    regions   in `demo`: train with the true boxes and masks of its objects (regions.py)

`demo`: the generated objects of `luab demo`. `real`: objects of a miniature of ImageNet, cut out by a soft
ellipse in their true box, shrunk, and put on scenes of COCO. `natural`: the miniature itself. It has no
shortcut of ours, so no `oracle` and no `swapped`, but `occluded`: the test images with a gray center.

Settings are chosen in the worlds of seeds from `CHOOSING` on, and reported from those before. Of the
miniature's validation images, one half tests in the former and the other half in the latter.
"""

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
from datasets.table import embed_table_storage
from PIL import Image

import imagenet_ab
from imagenet_ab.byproducts import ARCHIVE
from imagenet_ab.simulate.images import CLASSES
from imagenet_ab.simulate.release import write_release
from luab_attention.boxes.formats import load_boxes
from luab_attention.shuffling import shuffle_byproducts
from luab_data.rows.columns import Columns

VERSION = 1  # of the worlds: with another one, all runs are trained again
SHARE = 0.95  # of the training images whose background goes with the class
SIZE = 64  # pixels
SCENES_PER_CLASS = 6
COPIES = 2  # images that are made of a test object
CHOOSING = 100  # the first seed that only settings are chosen in
GRAY = (128, 128, 128)
TRAIN, SHUFFLED, ASTRAY, ORACLE = "train", "shuffled", "astray", "oracle"
KEPT = {"clicks-50": 0.5, "clicks-10": 0.1, "clicks-1": 0.01}
STRAY = {ASTRAY: 1.0, "astray-10": 0.1, "astray-30": 0.3}
TEST, SWAPPED, OCCLUDED = "test", "swapped", "occluded"


def make_world(name: str, folder: Path, data: Path, seed: int, images_per_class: int) -> Path:
    """The folder of a world; made if it is not there. `data`: with `imagenet_ab_mini` and `coco_ab_mini`."""
    if not folder.is_dir():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        if name == "demo":
            splits = _demo(unfinished, seed, images_per_class)
        else:
            splits = (_real if name == "real" else _natural)(data, seed)
        splits[SHUFFLED] = shuffle_byproducts(splits[TRAIN], "click", Columns(), seed)
        if name != "natural":
            splits |= _annotated_otherwise(splits[TRAIN], seed)
        for split, rows in splits.items():
            whole = rows.with_format("arrow").map(embed_table_storage, batched=True)
            (unfinished / split).mkdir()
            whole.to_parquet(unfinished / split / "train.parquet")
        unfinished.rename(folder)
    return folder


def _demo(folder: Path, seed: int, images_per_class: int) -> dict[str, datasets.Dataset]:
    splits = {}
    for split, agreement in ((TRAIN, SHARE), (ORACLE, 1 / len(CLASSES))):
        raw = write_release(
            folder / "raw" / split, seed, images_per_class, 100, agreement=agreement, progress=False
        )
        byproducts = (raw / ARCHIVE).rename(raw / "simulated_ab.tar.gz")
        sources = {"images": raw / "images" / "train", "byproducts": byproducts}
        cache = str(folder / "cache")
        rows = imagenet_ab.load_dataset(**sources, split="train", cache_dir=cache)
        boxes = _boxes(raw / "boxes_train.csv")
        objects = [
            objects_of(boxes[f"{image_id}.JPEG"], label)
            for image_id, label in zip(rows["image_id"], rows["label"], strict=True)
        ]
        splits[split] = rows.add_column("objects", objects)
    names = splits[TRAIN].features["label"].names
    for split in (TEST, SWAPPED):
        raw = folder / "raw" / TRAIN
        files = f"test{'_swapped' if split == SWAPPED else ''}"
        splits[split] = load_boxes(raw / "images" / files, raw / f"boxes_{files}.csv", names)
    return splits


def _annotated_otherwise(rows: datasets.Dataset, seed: int) -> dict[str, datasets.Dataset]:
    """The rows with fewer or other clicks; `[x0, y0, width, height]` of the boxes are in pixels of `SIZE`."""
    clicks = [click if click is not None and click["x"] is not None else None for click in rows["click"]]
    corners = np.array([objects["bbox"][0] for objects in rows["objects"]]) / SIZE
    corners[:, 2:] += corners[:, :2]
    rng = np.random.default_rng([seed, 100])
    rank = rng.permutation(len(rows)) / len(rows)
    stray = [_outside(box, rng) for box in corners]
    variants = {
        name: [c if r < kept else None for c, r in zip(clicks, rank, strict=True)]
        for name, kept in KEPT.items()
    }
    for name, share in STRAY.items():
        variants[name] = [
            c and (far if r < share else c) for c, r, far in zip(clicks, rank, stray, strict=True)
        ]
    centers = (corners[:, :2] + corners[:, 2:]) / 2
    variants["centers"] = [c and _point(center) for c, center in zip(clicks, centers, strict=True)]
    anywhere = rng.uniform(corners[:, :2], corners[:, 2:])
    variants["anywhere"] = [c and _point(place) for c, place in zip(clicks, anywhere, strict=True)]
    column = rows.features["click"]
    return {
        name: rows.remove_columns("click").add_column("click", values, feature=column)
        for name, values in variants.items()
    }


def _outside(box: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """A random place outside a box of (x0, y0, x1, y1) in ratios."""
    while True:
        place = rng.random(2)
        if not ((box[:2] <= place) & (place <= box[2:])).all():
            return _point(place)


def _point(place: np.ndarray) -> dict[str, float]:
    x, y = place.clip(0, 1).tolist()
    return {"x": x, "y": y}


def objects_of(box: Sequence[float], label: int) -> dict[str, list]:
    """The column `objects` of a row with one box, (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = map(float, box)
    return {"bbox": [[x0, y0, x1 - x0, y1 - y0]], "category": [label]}


class _Cutout:
    """An object: its picture of 64 x 64 pixels, its box (x0, y0, x1, y1), its click or None, its class."""

    def __init__(self, picture: Image.Image, box: tuple[int, ...], click: dict | None, label: int):
        self.picture, self.box, self.click, self.label = picture.convert("RGB"), box, click, label


class _Miniature:
    """The miniature of ImageNet: its training rows, and the half of the validation images that tests."""

    def __init__(self, data: Path, seed: int):
        folder = data / "imagenet_ab_mini"
        self.boxes = _boxes(folder / "boxes_train.csv")
        self.names = sorted({file.split("/")[0] for file in self.boxes})
        self.rows = imagenet_ab.load_dataset(
            images=folder / "images" / "train",
            byproducts=folder / "imagenet_ab_v1_0.tar.gz",
            split="train",
        )
        half = sorted(_boxes(folder / "boxes_val.csv").items())[seed < CHOOSING :: 2]
        self.tests = [
            (Image.open(folder / "images" / "val" / file).convert("RGB"), box, self._label(file))
            for file, box in half
        ]

    def _label(self, file: str) -> int:
        return self.names.index(file.split("/")[0])

    def cutouts(self) -> list[_Cutout]:
        """The objects of the training images that have a box."""
        return [
            _Cutout(row["image"], self.boxes[file], row["click"], self._label(file))
            for row in self.rows
            if (file := f"{row['image_id']}.JPEG") in self.boxes
        ]


def _natural(data: Path, seed: int) -> dict[str, datasets.Dataset]:
    miniature = _Miniature(data, seed)
    splits = {TRAIN: miniature.rows.select_columns(["image", "label", "click"])}
    for split in (TEST, OCCLUDED):
        rows = []
        for image, box, label in miniature.tests:
            if split == OCCLUDED:
                image = image.copy()
                image.paste(GRAY, tuple(round(side * part) for part in (1 / 4, 3 / 4) for side in image.size))
            rows.append(
                {"image": _jpeg(image), "label": label, "click": None, "objects": objects_of(box, label)}
            )
        splits[split] = datasets.Dataset.from_list(rows, features=_features(miniature.names))
    return splits


def _real(data: Path, seed: int) -> dict[str, datasets.Dataset]:
    miniature = _Miniature(data, seed)
    names, train = miniature.names, miniature.cutouts()
    test = [_Cutout(image, box, None, label) for image, box, label in miniature.tests] * COPIES
    scenes = _scenes(data / "coco_ab_mini" / "train2014", len(names), np.random.default_rng([seed, 0]))
    plan = {TRAIN: (train, SHARE), ORACLE: (train, 1 / len(names)), TEST: (test, SHARE), SWAPPED: (test, 0.0)}
    splits = {}
    for number, (split, (cutouts, share)) in enumerate(plan.items(), start=1):
        rng = np.random.default_rng([seed, number])
        composed = [_compose(cutout, scenes, share, rng) for cutout in cutouts]
        splits[split] = datasets.Dataset.from_list(composed, features=_features(names))
    return splits


def _boxes(file: Path) -> dict[str, tuple[int, ...]]:
    with file.open(encoding="utf-8") as lines:
        return {
            line["file"]: tuple(int(line[name]) for name in ("x0", "y0", "x1", "y1"))
            for line in csv.DictReader(lines)
        }


def _scenes(folder: Path, classes: int, rng: np.random.Generator) -> list[list[Image.Image]]:
    """The scenes of each class, which no other class has."""
    files = rng.permutation(sorted(folder.glob("*.jpg")))[: classes * SCENES_PER_CLASS]
    scenes = [Image.open(file).convert("RGB") for file in files]
    return [scenes[start : start + SCENES_PER_CLASS] for start in range(0, len(scenes), SCENES_PER_CLASS)]


def _compose(
    cutout: _Cutout, scenes: list[list[Image.Image]], share: float, rng: np.random.Generator
) -> dict[str, object]:
    """A row: the object at a random place and size, on a scene of its class with probability `share`."""
    other = int(rng.integers(len(scenes) - 1))
    label = cutout.label if rng.random() < share else other + (other >= cutout.label)
    scene = np.asarray(_part(scenes[label][rng.integers(SCENES_PER_CLASS)], rng), np.float64)
    side = int(rng.integers(30, 45))
    left, top = rng.integers(SIZE - side + 1, size=2)
    pasted = Image.new("RGB", (SIZE, SIZE))
    pasted.paste(cutout.picture.resize((side, side), Image.Resampling.BICUBIC), (int(left), int(top)))
    box = np.array(cutout.box) * side / SIZE + (left, top, left, top)
    half = np.maximum((box[2:] - box[:2]) / 2, 4)
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    distance = ((x - box[[0, 2]].mean()) / half[0]) ** 2 + ((y - box[[1, 3]].mean()) / half[1]) ** 2
    inside = (x > left) & (x < left + side) & (y > top) & (y < top + side)
    mask = (((1.15 - distance) / 0.3).clip(0, 1) * inside)[..., None]
    pixels = np.asarray(pasted, np.float64) * mask + scene * (1 - mask)
    click = cutout.click
    if click is not None and click["x"] is not None:
        click = {"x": (click["x"] * side + left) / SIZE, "y": (click["y"] * side + top) / SIZE}
    return {
        "image": _jpeg(Image.fromarray(pixels.astype(np.uint8))),
        "label": cutout.label,
        "click": click,
        "objects": objects_of(box, cutout.label),
    }


def _jpeg(image: Image.Image) -> dict[str, bytes | None]:
    return encoded(image, "JPEG", quality=95, subsampling=0)


def encoded(image: Image.Image, kind: str, **options: int) -> dict[str, bytes | None]:
    saved = io.BytesIO()
    image.save(saved, kind, **options)
    return {"bytes": saved.getvalue(), "path": None}


def _part(scene: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A random square of a scene, mirrored or not."""
    shorter = min(scene.size)
    side = int(rng.integers(shorter // 2, shorter + 1))
    left, top = (int(rng.integers(length - side + 1)) for length in scene.size)
    part = scene.resize((SIZE, SIZE), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else part


def _features(names: list[str]) -> datasets.Features:
    number = datasets.Value("float32")
    return datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=names),
            "click": {"x": number, "y": number},
            "objects": {
                "bbox": datasets.List(datasets.List(number)),
                "category": datasets.List(datasets.Value("int64")),
            },
        }
    )
