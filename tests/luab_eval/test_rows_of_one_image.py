"""Rows of one image are one image: of figures with their tests, and `luab align` opens its file once."""

import io
from collections import Counter

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from fixtures.factories import image_bytes
from fixtures.miniatures import COLORS, PLAIN, QUIET, SIDE, ColorClassifier, paint, score
from PIL import Image

from luab_data.rows.columns import Columns
from luab_eval.alignment.viewings import read_viewings
from luab_eval.benchmarks import find_benchmark
from luab_eval.image_sets.attention import AttentionDataset
from luab_eval.image_sets.class_maps import wnids
from luab_eval.image_sets.pictures import same_pictures
from luab_eval.models import Classifier
from luab_eval.report.figures import figures
from luab_eval.suite import run
from luab_vision import images

IMAGES, ANNOTATORS = 2, 3


@pytest.fixture
def opened(monkeypatch):
    """How often each file was read."""
    count = Counter()

    def read(path):
        count[path] += 1
        return images_read(path)

    images_read = images.read_file
    for module in ("luab_vision.images", "luab_attention.boxes.rows", "luab_eval.image_sets.pictures"):
        monkeypatch.setattr(f"{module}.read_file", read)
    return count


def rows(folder, own):
    """A row for each image and annotator, images as paths."""
    features = {"image": datasets.Image(decode=False), "image_id": Value("string")}
    if "heatmaps" in own:
        features["heatmaps"] = List({"annotator": Value("string"), "image": datasets.Image(decode=False)})
    else:
        features["objects"] = {"bbox": List(List(Value("float32")))}
    found = []
    for number in range(IMAGES):
        path = folder / f"{number}.png"
        Image.new("RGB", (60, 40), (number, 0, 0)).save(path)
        found += [{"image": {"path": str(path), "bytes": None}, "image_id": "same", **own}] * ANNOTATORS
    return Dataset.from_list(found, features=Features(features))


@pytest.mark.parametrize("against", ["heatmaps", "boxes"])
def test_a_file_is_read_once(tmp_path, opened, against):
    data = io.BytesIO()
    Image.fromarray(np.full((4, 6), 9, np.uint8)).save(data, "PNG")
    own = {
        "heatmaps": {"heatmaps": [{"annotator": "a", "image": {"bytes": data.getvalue(), "path": None}}]},
        "boxes": {"objects": {"bbox": [[0.0, 0.0, 30.0, 20.0]]}},
    }[against]
    found = rows(tmp_path, own)
    once = {str(tmp_path / f"{number}.png"): 1 for number in range(IMAGES)}
    columns = Columns("image", "label")
    assert same_pictures(found, "image") == [0, 0, 0, 3, 3, 3]
    assert opened == once
    opened.clear()
    viewings = read_viewings(found, columns, against).rows
    assert len(viewings) == IMAGES * ANNOTATORS and all(None in each for each in viewings)
    assert opened == once
    opened.clear()
    if against == "heatmaps":
        sigmas = AttentionDataset("toy", "x@v?against=heatmaps&sigma=.1")._sigmas(found, columns, range(6))
        assert sigmas == [pytest.approx((0.1, 0.15))] * len(found)
        assert opened == once


PICTURES, ROWS = 12, 20


def blind_to(*classes: int) -> ColorClassifier:
    """Never answers with these classes."""
    model = ColorClassifier()
    model.colors[list(classes)] = 9
    return model


@pytest.mark.parametrize("argument", ["dataset:mine={}@test", "occlusion:mine={}@test@0"])
def test_a_difference_on_one_image_is_none(tmp_path, argument):
    """12 images of 20 rows each, which two models classify alike but for one image."""
    species = ClassLabel(names=[wnids()[37 * at] for at in range(PICTURES)])
    features = Features({"image": datasets.Image(), "label": species, "image_id": Value("string")})
    found = []
    for at in range(PICTURES):
        image = Image.new("RGB", (SIDE, SIDE), tuple(COLORS[37 * at].tolist()))
        row = {"image": {"bytes": image_bytes(image), "path": None}, "label": at, "image_id": f"{at}"}
        found += [row] * ROWS
    datasets.DatasetDict(test=Dataset.from_list(found, features=features)).save_to_disk(tmp_path / "own")
    models = [
        Classifier(name, model, wnids(), PLAIN)
        for name, model in (("a", ColorClassifier()), ("b", blind_to(37)))
    ]
    benchmark = find_benchmark(argument.format(tmp_path / "own"))
    run(models, [benchmark], tmp_path, tmp_path / "out", QUIET, load=None)
    (row,) = figures([tmp_path / "out"]).rows
    assert row.images == PICTURES
    assert row.differences["b"].differing == 1 and not row.differences["b"].larger_than_chance
    assert row.differences["b"].estimate.value == pytest.approx(-1 / PICTURES)


def test_rows_of_other_classes_are_one_image(tmp_path):
    """The figure is the mean over rows, and an image's score is the mean over its own."""
    for name, k in (("a", 101), ("b", 101), ("c", 444)):
        paint(tmp_path / "images" / wnids()[101 if name == "a" else 444] / f"{name}.png", k)
    found = score(find_benchmark(f"folder:mine={tmp_path / 'images'}"), tmp_path)
    assert found.metrics["accuracy"] == pytest.approx(2 / 3)
    assert found.ids.tolist() == [f"{wnids()[101]}/a.png".encode(), f"{wnids()[444]}/c.png".encode()]
    np.testing.assert_allclose(found.per_image / found.weights, [1 / 2, 1])
    assert found.per_class() == {wnids()[101]: 1, wnids()[444]: 1 / 2}


def test_published_images_stay_apart(tmp_path):
    for name in ("a", "b"):
        paint(tmp_path / "sketch" / wnids()[101] / f"{name}.png", 101)
    assert len(score(find_benchmark("imagenet_sketch"), tmp_path).per_image) == 2
