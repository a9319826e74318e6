"""Rows of one image: `luab align` opens its file once, however many annotators have a row."""

import io
from collections import Counter

import datasets
import numpy as np
import pytest
from datasets import Dataset, Features, List, Value
from PIL import Image

from luab_data.rows.columns import Columns
from luab_eval.alignment.viewings import read_viewings
from luab_eval.image_sets.attention import AttentionDataset
from luab_eval.image_sets.pictures import same_pictures
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
