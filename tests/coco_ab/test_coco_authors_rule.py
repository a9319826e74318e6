"""Our whole line, raw files to labels and points in the crop, against the rule of the authors' dataloader.

The rule (Han et al., ICCV 2023, COCO dataloader notebook), written down here a second time, in its own terms:
whole pixels, y first. The last record of an image counts; of each class the last `add`. Of the classes in
COCO's annotation, one that was not placed keeps its label and has no point; one that was placed keeps label
and point if the point is in the crop, else neither; other placed classes are ignored.

Ours are the samples of training with `label_policy="authors"`. Pixels are rounded down there and ratios kept
here, so that points agree to within two pixels, and labels too unless a point lies that near to the crop's
edge; where icons lie on whole pixels and nothing is rounded, all agree, the crop's edge included.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fixtures.views import Through
from PIL import Image

from coco_ab.pairs import RawCocoAB
from coco_ab.simulate.release import write_release
from luab_data.build.batches import load
from luab_data.rows.columns import Columns
from luab_trainer.data.dataset import ViewDataset
from luab_vision.geometry import View, random_resized_view, to_view

CROPS_EACH = 6
ROUNDING = 2  # pixels
EXACT = 1e-3  # pixels; ratios are stored as float32
COLUMNS = Columns(label="labels", point="points")
BLANK = Image.new("RGB", (1, 1))  # what the image shows does not matter here

Target = dict[int, tuple[float, float] | None]  # category id -> (y, x) in crop ratios, None: no point


class AuthorsRule:
    """`to_pixels`: `int` as in the notebook, which also loses a pixel to floating point; or `round`."""

    def __init__(self, folder: Path, to_pixels: Callable[[float], int] = int):
        self.to_pixels = to_pixels
        coco = json.loads((folder / "annotations" / "instances_train2014.json").read_text())
        self.images = {each["id"]: each for each in coco["images"]}
        ids = {each["name"]: each["id"] for each in coco["categories"]}
        self.categories = sorted(ids.values())
        self.present: dict[int, list[int]] = {}
        for each in coco["annotations"]:
            self.present.setdefault(each["image_id"], []).append(each["category_id"])
        self.placed: dict[int, dict[int, tuple[int, int]]] = {}
        for record in json.loads((folder / "coco_ab_v1_0.json").read_text()):
            points = self.placed[record["image_id"]] = {}
            # Where the record does not know its image's size, the notebook has no point; we take COCO's size.
            image = self.images[record["image_id"]]
            height = record["originalImageHeight"] or image["height"]
            width = record["originalImageWidth"] or image["width"]
            for action in record["actionHistories"]:
                if action["actionType"] == "add":
                    to = action["pointTo"]
                    place = (to_pixels(to["y"] * height), to_pixels(to["x"] * width))
                    points[ids[action["iconType"]]] = place

    def target(self, image_id: int, view: View) -> Target:
        height, width = self.images[image_id]["height"], self.images[image_id]["width"]
        left = 1 - view.left - view.width if view.flipped else view.left
        top, left = self.to_pixels(view.top * height), self.to_pixels(left * width)
        crop_height, crop_width = self.to_pixels(view.height * height), self.to_pixels(view.width * width)
        target: Target = {}
        for category in self.present.get(image_id, ()):
            if category not in self.placed.get(image_id, {}):
                target[category] = None
                continue
            y, x = self.placed[image_id][category]
            if view.flipped:
                x = width - x
            if top <= y <= top + crop_height and left <= x <= left + crop_width:
                target[category] = ((y - top) / crop_height, (x - left) / crop_width)
        return target


def our_target(row: dict, view: View) -> Target:
    """The labels and points of a training sample, by position among the 80 classes."""
    options = {"byproduct": "click", "columns": COLUMNS, "num_labels": 80, "label_policy": "authors"}
    sample = ViewDataset([{**row, "image": BLANK}], Through(view), **options)[0]
    target: Target = dict.fromkeys(sample["labels"].nonzero().flatten().tolist())
    for label, [(x, y)], [weight] in zip(
        sample["target_labels"], sample["target_points"], sample["target_weights"], strict=True
    ):
        assert weight == 1
        target[label] = (y, x)  # theirs are y first, ours x first
    return target


def compare(folder: Path, theirs: AuthorsRule, tolerance: float) -> dict[str, int]:
    """Asserts that ours equals the authors' for random crops of every image -> what was compared.

    `tolerance` in pixels: how far points may be apart, and which are too near to the crop's edge to compare.
    """
    raw = RawCocoAB(
        folder / "train2014",
        folder / "annotations" / "instances_train2014.json",
        folder / "coco_ab_v1_0.json",
        rule="authors",
    )
    rows = raw.to_batch()([load(item) for item in raw.pairs()], raw.features().arrow_schema).table
    rows = rows.select(["image_id", "width", "height", "labels", "points"]).to_pylist()
    rng = np.random.default_rng(0)
    seen = dict.fromkeys(("points", "dropped", "without point", "on the edge"), 0)
    for row in rows:
        size = np.array([row["height"], row["width"]])
        for _ in range(CROPS_EACH):
            view = random_resized_view(row["width"], row["height"], rng)
            crop = size * (view.height, view.width)
            expected = theirs.target(row["image_id"], view)
            ours = our_target(row, view)
            places = {each["label"]: to_view([each["x"], each["y"]], view)[::-1] for each in row["points"]}
            for label in row["labels"]:
                category = theirs.categories[label]
                place = places.get(label, np.array([0.5, 0.5]))
                on_edge = (np.minimum(np.abs(place), np.abs(1 - place)) * crop).min() < tolerance
                if on_edge and tolerance > EXACT:
                    seen["on the edge"] += 1
                    continue
                assert (label in ours) == (category in expected), (row["image_id"], category, view)
                if label not in ours:
                    seen["dropped"] += 1
                elif expected[category] is None:
                    assert ours[label] is None
                    seen["without point"] += 1
                else:
                    gap = np.abs(np.subtract(ours[label], expected[category])) * crop
                    assert gap.max() <= tolerance, (row["image_id"], category, view)
                    seen["points"] += 1
                    seen["on the edge"] += on_edge
    return seen


def snapped(folder: Path, to: Path) -> Path:
    """A copy of a release with every icon's place on a whole pixel of the image."""
    shutil.copytree(folder, to)
    records = json.loads((to / "coco_ab_v1_0.json").read_text())
    images = json.loads((to / "annotations" / "instances_train2014.json").read_text())["images"]
    sizes = {each["id"]: each for each in images}
    for record in records:
        width, height = (sizes[record["image_id"]][side] for side in ("width", "height"))
        for action in record["actionHistories"]:
            if to_ := action.get("pointTo"):
                to_["x"], to_["y"] = round(to_["x"] * width) / width, round(to_["y"] * height) / height
    (to / "coco_ab_v1_0.json").write_text(json.dumps(records))
    return to


def test_simulated_release(tmp_path):
    release = write_release(tmp_path, images=40, sizes=((400, 300), (300, 400)))
    seen = compare(release, AuthorsRule(release), ROUNDING)
    assert min(seen["points"], seen["dropped"], seen["without point"]) > 20
    assert seen["on the edge"] < sum(seen.values()) / 20


def test_icons_on_whole_pixels_agree_exactly(tmp_path):
    """Small images: many crops end at an icon."""
    raw = write_release(tmp_path / "raw", images=150, sizes=((16, 12), (12, 16)))
    release = snapped(raw, tmp_path / "snapped")
    seen = compare(release, AuthorsRule(release, to_pixels=round), EXACT)
    assert min(seen["points"], seen["dropped"], seen["without point"], seen["on the edge"]) > 20


def test_a_whole_release(coco_release):
    release = coco_release.folder
    seen = compare(release, AuthorsRule(release), ROUNDING)
    assert min(seen["points"], seen["dropped"], seen["without point"]) > 50
    assert seen["on the edge"] < coco_release.on_edges * sum(seen.values())
