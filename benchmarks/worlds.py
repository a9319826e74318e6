"""Worlds with a shortcut: in 95 % of the training images the background tells the class.

A world is a folder of datasets. Those to train on have clicks, those to test on have boxes:

    train     the shortcut
    shuffled  the same images, each with the click of another one (the control)
    oracle    the same objects where backgrounds say nothing
    test      new images, with the shortcut
    swapped   new images, each on the background of another class

`demo`: the generated objects of `luab demo`. `real`: objects of a miniature of ImageNet, cut out by a soft
ellipse in their true box, shrunk, and put on scenes of COCO.
"""

import csv
import io
import shutil
from pathlib import Path

import datasets
import numpy as np
from datasets.table import embed_table_storage
from PIL import Image

import imagenet_ab
from imagenet_ab.byproducts import ARCHIVE
from imagenet_ab.simulate.release import write_release
from luab_attention.boxes.formats import load_boxes
from luab_trainer.demo.experiment import shuffle_clicks

SHARE = 0.95  # of the training images whose background goes with the class
SIZE = 64  # pixels
SCENES_PER_CLASS = 6
TRAIN, SHUFFLED, ORACLE, TEST, SWAPPED = "train", "shuffled", "oracle", "test", "swapped"


def make_world(name: str, folder: Path, data: Path, seed: int, images_per_class: int) -> Path:
    """The folder of a world; made if it is not there. `data`: with `imagenet_ab_mini` and `coco_ab_mini`."""
    if not folder.is_dir():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        splits = _demo(unfinished, seed, images_per_class) if name == "demo" else _real(data, seed)
        splits[SHUFFLED] = shuffle_clicks(splits[TRAIN], seed)
        for split, rows in splits.items():
            whole = rows.with_format("arrow").map(embed_table_storage, batched=True)
            (unfinished / split).mkdir()
            whole.to_parquet(unfinished / split / "train.parquet")
        unfinished.rename(folder)
    return folder


def _demo(folder: Path, seed: int, images_per_class: int) -> dict[str, datasets.Dataset]:
    splits = {}
    for split, agreement in ((TRAIN, SHARE), (ORACLE, 1 - SHARE)):
        raw = write_release(
            folder / "raw" / split, seed, images_per_class, 100, agreement=agreement, progress=False
        )
        byproducts = (raw / ARCHIVE).rename(raw / "simulated_ab.tar.gz")
        sources = {"images": raw / "images" / "train", "byproducts": byproducts}
        cache = str(folder / "cache")
        splits[split] = imagenet_ab.load_dataset(**sources, split="train", cache_dir=cache)
    names = splits[TRAIN].features["label"].names
    for split in (TEST, SWAPPED):
        raw = folder / "raw" / TRAIN
        files = f"test{'_swapped' if split == SWAPPED else ''}"
        splits[split] = load_boxes(raw / "images" / files, raw / f"boxes_{files}.csv", names)
    return splits


class _Cutout:
    """An object: its picture of 64 x 64 pixels, its box (x0, y0, x1, y1), its click or None, its class."""

    def __init__(self, picture: Image.Image, box: tuple[int, ...], click: dict | None, label: int):
        self.picture, self.box, self.click, self.label = picture.convert("RGB"), box, click, label


def _real(data: Path, seed: int) -> dict[str, datasets.Dataset]:
    miniature = data / "imagenet_ab_mini"
    boxes = {split: _boxes(miniature / f"boxes_{split}.csv") for split in ("train", "val")}
    names = sorted({file.split("/")[0] for file in boxes["train"]})
    rows = imagenet_ab.load_dataset(
        images=miniature / "images" / "train",
        byproducts=miniature / "imagenet_ab_v1_0.tar.gz",
        split="train",
    )
    train = [
        _Cutout(row["image"], boxes["train"][file], row["click"], names.index(file.split("/")[0]))
        for row in rows
        if (file := f"{row['image_id']}.JPEG") in boxes["train"]
    ]
    test = [
        _Cutout(Image.open(miniature / "images" / "val" / file), box, None, names.index(file.split("/")[0]))
        for file, box in boxes["val"].items()
    ]
    scenes = _scenes(data / "coco_ab_mini" / "train2014", len(names), np.random.default_rng([seed, 0]))
    plan = {TRAIN: (train, SHARE), ORACLE: (train, 1 - SHARE), TEST: (test, SHARE), SWAPPED: (test, 0.0)}
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
    saved = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(saved, "JPEG", quality=95, subsampling=0)
    click = cutout.click
    if click is not None and click["x"] is not None:
        click = {"x": (click["x"] * side + left) / SIZE, "y": (click["y"] * side + top) / SIZE}
    bbox = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
    return {
        "image": {"bytes": saved.getvalue(), "path": None},
        "label": cutout.label,
        "click": click,
        "objects": {"bbox": [bbox], "category": [cutout.label]},
    }


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
