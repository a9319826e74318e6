"""The demonstration runs from raw files to table and picture, and its control arm really is one."""

import json
import shlex

import datasets
import pytest
from PIL import Image

from luab.commands.demo import main
from luab.commands.evaluate import main as evaluate
from luab_attention.shuffling import shuffle_byproducts
from luab_data.rows.columns import Columns
from luab_trainer.demo.experiment import DemoRun, DemoScores
from luab_trainer.demo.report import table


def test_demo_writes_table_figures_and_picture(tmp_path, capsys):
    out = tmp_path / "demo"
    size = ["--images-per-class", "8", "--test-images-per-class", "2", "--epochs", "1", "--seeds", "1"]
    assert main(["--output-dir", str(out), "--models", "convnext", "--full", *size]) == 0
    runs = json.loads((out / "results.json").read_text())
    assert [(each["run"]["arm"], each["run"]["seed"]) for each in runs] == [
        ("plain", 0),
        ("luab", 0),
        ("shuffled", 0),
        ("oracle", 0),
    ]
    assert all(0 <= share <= 1 for each in runs for share in each["accuracy"].values())
    printed = capsys.readouterr().out
    assert (out / "results.md").read_text() in printed
    with Image.open(out / "attention.png") as picture:
        assert picture.width > 300
    assert (out / "checkpoints" / "convnext-luab-seed0" / "model.safetensors").exists()
    # The command that it ends with runs, and reads all that the demo wrote.
    command = printed[printed.index("luab evaluate") :]
    arguments = shlex.split(command.replace("\\\n", " "))[2:]
    assert evaluate([*arguments, "--num-workers", "0", "--device", "cpu"]) == 0
    found = json.loads((out / "evaluation" / "results.json").read_text())
    accuracy = found["benchmarks"]["test_swapped"]["models"]["convnext-luab-seed0"]["metrics"]["accuracy"]
    assert accuracy == pytest.approx(runs[1]["accuracy"]["test_swapped"])
    assert set(found["benchmarks"]) == {
        "test",
        "test_swapped",
        "occlusion:test",
        "localization:test_swapped",
        "pointing_game:test_swapped",
        "energy_pointing_game:test_swapped",
    }
    # The same command again starts afresh; a folder of other things is left alone.
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").touch()
    (other / "raw").mkdir()
    assert main(["--output-dir", str(other), *size]) == 1
    assert "other files" in capsys.readouterr().err
    assert (other / "thesis.tex").exists()


@pytest.fixture
def rows():
    columns = {
        "image_id": [f"circle/circle_{i}" for i in range(50)],
        "click": [None if i % 5 == 0 else {"x": i / 50, "y": 0.5} for i in range(50)],
    }
    return datasets.Dataset.from_dict(columns)


def test_shuffled_clicks_are_the_same_clicks_on_other_images(rows):
    shuffled = shuffle_byproducts(rows, "click", Columns())
    assert shuffled.features == rows.features
    assert shuffled["image_id"][:] == rows["image_id"][:]
    before, after = rows["click"][:], shuffled["click"][:]
    assert sorted(map(str, after)) == sorted(map(str, before))
    moved = sum(one != two for one, two in zip(before, after, strict=True))
    assert moved > 40


def test_table_is_the_mean_and_spread_over_seeds():
    scores = [
        DemoScores(
            DemoRun("vit", "plain", seed), {"test": 0.8, "test_swapped": swapped}, {"test_swapped": 0.5}
        )
        for seed, swapped in enumerate((0.2, 0.4))
    ]
    cells = [cell.strip() for cell in table(scores).splitlines()[-1].strip("|").split("|")]
    # Standard deviation of 0.2 and 0.4: sqrt(2 * 0.1^2 / 1) = 0.1414.
    assert cells == ["ViT", "plain", "80.0 ± 0.0", "30.0 ± 14.1", "50.0 ± 14.1", "50.0 ± 0.0"]
