"""Few of many names for a message, and file names that never collide."""

import json
import unicodedata

import numpy as np
import pytest
from fixtures.evaluated import evaluated, right_on

from luab_data.console.names import few, file_name

ALIKE = [
    "a b", "a_b", "a/b", "a:b", "A_b", "a_B", "a-b", "../a", "..", ".", "", "a.", "con", "nul.txt", "é",
    unicodedata.normalize("NFD", "é"), "中" * 29, "中" * 300, "中" * 301, "x" * 300, "x" * 301, "a\0b",
    "a\nb",
]  # fmt: skip


def test_file_names_do_not_collide_even_where_capitals_and_accents_do_not_count(tmp_path):
    found = {unicodedata.normalize("NFC", file_name(name)).casefold() for name in ALIKE}
    assert len(found) == len(ALIKE)
    for name in ALIKE:
        (tmp_path / f"{file_name(name)}-0123abcd.npz.tmp").touch()
    assert len(list(tmp_path.iterdir())) == len(ALIKE)  # beside each other: none left the folder


@pytest.mark.parametrize("name", ["vit-luab-seed0", "imagenet_v2", "test.swapped", "a~b"[:1]])
def test_a_usual_name_is_its_own_file_name(name):
    assert file_name(name) == name


def test_few():
    assert few(["a", "b"]) == "a, b"
    assert few(list(range(1000))) == "0, 1, 2, 3, 4, ... (1,000 in all)"


def test_results_of_names_that_look_alike_stay_apart(tmp_path):
    one, two = right_on(8, range(2)), right_on(8, range(5))
    benchmarks = {"folder:a b=photos": one, "folder:a_b=photos": two, "folder:A_b=photos": one}
    evaluated(tmp_path, {"中" * 29: benchmarks, "../vit": benchmarks})
    content = json.loads((tmp_path / "results.json").read_text("utf-8"))
    models = [model for entry in content["benchmarks"].values() for model in entry["models"].values()]
    files = {(tmp_path / model["per_image"]).resolve() for model in models}
    assert len(files) == len(models) == 6
    for model in models:
        score = np.load(tmp_path / model["per_image"])["score"]
        assert score.mean() == model["metrics"]["accuracy"]
