"""`luab evaluate` from the shell's arguments to the table, on checkpoints as transformers saves them."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.miniatures import paint, save_checkpoint

from luab.commands.evaluate import main
from luab_eval.benchmarks import SUITES, find_benchmark
from luab_eval.image_sets.class_maps import subset, wnids
from luab_eval.models import load_classifier
from luab_eval.suite import unique_names

OPTIONS = ["--num-workers", "0", "--device", "cpu"]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    save_checkpoint(folder / "straight")
    save_checkpoint(folder / "swapped", flip=True)
    (folder / "swapped" / "training_args.json").write_text('{"seed": 7}')
    return folder


@pytest.fixture
def root(tmp_path) -> Path:
    """Three validation images, of which two look the same with red and blue swapped, and one image of -A."""
    val = tmp_path / "data" / "imagenet" / "val"
    for number, k in enumerate([101, 444, 123], start=1):
        paint(val / wnids()[k] / f"ILSVRC2012_val_{number:08d}.JPEG", k)
    paint(tmp_path / "data" / "imagenet-a" / wnids()[313] / "a.jpg", 313)
    return tmp_path / "data"


def test_two_models_side_by_side(checkpoints, root, tmp_path, capsys):
    models = ["--model", str(checkpoints / "straight"), "--model", str(checkpoints / "swapped")]
    arguments = [
        *models,
        "--suite",
        "robustness",
        "--partial",
        "--data",
        str(root),
        "--output-dir",
        str(tmp_path / "out"),
    ]
    assert main([*arguments, *OPTIONS]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "benchmark metric straight swapped" in shown
    assert re.search(r"ImageNet accuracy ↑ 100\.0 \S+ \S+ 66\.7 ", shown)
    assert re.search(r"ImageNet-A accuracy ↑ 100\.0 \S+ \S+ 100\.0 ", shown)
    assert "Not as many images as are published: ImageNet 3 of 50,000;" in shown
    # What is not there is said, with where to get it.
    ran = {"imagenet", "real", "imagenet_a", "occlusion"}
    for name in set(SUITES["robustness"]) - ran:
        assert name in shown
        assert find_benchmark(name).download in shown

    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(results["benchmarks"]) == ran
    assert set(results["skipped"]) == set(SUITES["robustness"]) - ran
    assert [(model["name"], model["seed"]) for model in results["models"]] == [
        ("straight", None),
        ("swapped", 7),
    ]
    assert "<html" in (tmp_path / "out" / "report.html").read_text()
    entry = results["benchmarks"]["imagenet"]
    assert entry["primary"] == "accuracy" and entry["higher_is_better"]
    assert entry["models"]["swapped"]["metrics"]["accuracy"] == 2 / 3
    assert entry["models"]["swapped"]["per_class"] == {
        wnids()[101]: 1.0,
        wnids()[123]: 0.0,
        wnids()[444]: 1.0,
    }
    for model, expected in (("straight", [1, 1, 1]), ("swapped", [1, 0, 1])):
        with np.load(tmp_path / "out" / entry["models"][model]["per_image"], allow_pickle=False) as kept:
            assert kept["score"].tolist() == expected
            assert kept["ids"][0].decode() == f"{wnids()[101]}/ILSVRC2012_val_00000001.JPEG"
            assert find_benchmark(entry["benchmark"]).statistic(kept["score"], kept["groups"]) == np.mean(
                expected
            )


def test_images_are_read_once_for_all_that_share_them(checkpoints, root, tmp_path):
    arguments = [
        "--model",
        str(checkpoints / "straight"),
        "--benchmarks",
        "imagenet,real,occlusion",
        "--partial",
    ]
    assert main([*arguments, "--data", str(root), "--output-dir", str(tmp_path / "out"), *OPTIONS]) == 0
    sets = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "out" / "predictions").glob("*/*"))
    assert sets == ["imagenet_val", "imagenet_val-occlusion-0.5"]


def test_own_folders(checkpoints, root, tmp_path, capsys):
    folders = f"folder:val={root / 'imagenet' / 'val'},folder:a=imagenet-a"
    arguments = ["--model", str(checkpoints / "straight"), "--benchmarks", folders, "--data", str(root)]
    assert main([*arguments, "--output-dir", str(tmp_path / "out"), *OPTIONS]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Image folder (val) accuracy ↑ 100.0" in shown
    assert "Image folder (a) accuracy ↑ 100.0" in shown


@pytest.mark.parametrize(
    ("named", "rest", "path"),
    [
        ("folder:a=photos,2026", "2026", "a=photos,2026"),
        ("imagenet,dataset:a=my,rows@train", "rows@train", "a=my,rows@train"),
        ("where:a=in,out:boxes.csv,sketch", "out:boxes.csv", "a=in,out:boxes.csv"),
    ],
)
def test_a_comma_in_a_path_is_named(checkpoints, root, capsys, named, rest, path):
    message = refused(capsys, "--model", checkpoints / "straight", "--data", root, "--benchmarks", named)
    assert f"cut at each comma, and '{rest}' is no benchmark. If the path is '{path}'" in message
    typo = refused(
        capsys, "--model", checkpoints / "straight", "--data", root, "--benchmarks", "folder:a=b,occlusio"
    )
    assert "'occlusio' is no benchmark (did you mean occlusion?)." in typo


def test_validation_images_elsewhere(checkpoints, root, tmp_path, capsys):
    (root / "imagenet").rename(tmp_path / "elsewhere")
    arguments = [
        "--model",
        str(checkpoints / "straight"),
        "--benchmarks",
        "imagenet",
        "--data",
        str(root),
        "--partial",
    ]
    assert main([*arguments, "--output-dir", str(tmp_path / "out"), *OPTIONS]) == 1
    assert "imagenet: expected" in capsys.readouterr().err
    val = ["--val", str(tmp_path / "elsewhere" / "val")]
    assert main([*arguments, *val, "--output-dir", str(tmp_path / "out"), *OPTIONS]) == 0
    assert "100.0" in capsys.readouterr().out


def test_list_says_what_is_there_and_where_the_rest_is(root, capsys):
    assert main(["--list", "--data", str(root), "--partial"]) == 0
    shown = capsys.readouterr().out
    for name in SUITES["robustness"]:
        assert name in shown
    assert f"present: {root / 'imagenet-a'}" in shown
    paint(root / "imagenet-o" / wnids()[subset("o")[0]] / "a.jpg", 313)
    assert main(["--list", "--data", str(root), "--partial"]) == 0
    assert f"present: {root / 'imagenet-o'}, {root / 'imagenet' / 'val'}" in capsys.readouterr().out
    assert "https://people.eecs.berkeley.edu/~hendrycks/imagenet-r.tar" in shown
    assert main(["--list", "--data", str(root)]) == 0
    assert "incomplete: expected imagenet-a" in capsys.readouterr().out


def refused(capsys, *arguments: object) -> str:
    assert main([str(argument) for argument in arguments] + OPTIONS) == 1
    return capsys.readouterr().err


def test_partial_files_stop_the_suite_and_are_all_named(checkpoints, root, capsys):
    message = refused(capsys, "--model", checkpoints / "straight", "--data", root)
    assert "3 of 1000 class folders" in message
    assert "1 of 200 class folders" in message


def test_no_benchmark_at_all(checkpoints, tmp_path, capsys):
    message = refused(capsys, "--model", checkpoints / "straight", "--data", tmp_path)
    assert "none of the benchmarks" in message
    assert "imagenet-r.tar" in message


def test_arguments_that_are_missing(tmp_path, capsys):
    assert "--model is needed" in refused(capsys, "--data", tmp_path)
    assert "no such folder" in refused(capsys, "--data", tmp_path / "nothing")
    both = ("--suite", "robustness", "--benchmarks", "imagenet")
    assert "either --suite or --benchmarks" in refused(capsys, "--data", tmp_path, "--model", "x", *both)


def test_weights_in_pickle_are_refused(checkpoints, root, tmp_path, capsys):
    folder = tmp_path / "pickled"
    folder.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (folder / name).write_text((checkpoints / "straight" / name).read_text())
    torch.save(
        load_classifier(str(checkpoints / "straight")).model.state_dict(), folder / "pytorch_model.bin"
    )
    message = refused(
        capsys, "--model", folder, "--data", root, "--partial", "--output-dir", tmp_path / "out"
    )
    assert "safetensors" in message


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm is installed")
def test_timm_is_an_extra(root, capsys):
    message = refused(capsys, "--model", "timm:resnet18", "--data", root, "--partial")
    assert "pip install 'luab[timm]'" in message


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["runs/luab", "runs/plain/"], ["luab", "plain"]),
        (["a/checkpoint-1", "b/checkpoint-1"], ["a/checkpoint-1", "b/checkpoint-1"]),
        (["microsoft/resnet-50"], ["resnet-50"]),
        (["runs/luab", "runs/luab"], ["luab (1)", "luab (2)"]),
        (["runs/plain/seed0", "runs/luab/seed1"], ["plain/seed0", "luab/seed1"]),
        (["runs/plain/seed0", "runs/luab"], ["plain/seed0", "luab"]),
        (["a/plain/seed0", "b/plain/seed0"], ["a/plain/seed0", "b/plain/seed0"]),
        (["seed0", "seed1"], ["seed0", "seed1"]),
    ],
)
def test_names_in_the_table(names, expected):
    assert unique_names(names) == expected
