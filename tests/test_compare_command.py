"""`luab compare`: from the folders of two evaluations to a verdict."""

import json

import pytest
from evaluated import evaluated, right_on, scored

from luab_trainer.commands.compare import main


@pytest.fixture
def results(tmp_path):
    """Two evaluations: on ImageNet the second is right on 60 more images, on ImageNet-R on one more."""
    few = scored("imagenet_r", [1] * 50 + [0] * 50)
    plain = {"imagenet": right_on(400, range(200)), "imagenet_r": few}
    luab = {"imagenet": right_on(400, range(260)), "imagenet_r": scored("imagenet_r", [1] * 51 + [0] * 49)}
    return [
        str(evaluated(tmp_path / "a", {"plain": plain})),
        str(evaluated(tmp_path / "b", {"luab": luab}) / "results.json"),
    ]


def test_verdicts(results, capsys):
    assert main(results) == 0
    shown = capsys.readouterr().out
    lines = {line.split("  ")[0]: line.split() for line in shown.splitlines()}
    assert lines["benchmark"][2:4] == ["plain", "luab"]
    assert lines["ImageNet"][3:6] == ["50.0", "65.0", "+15.0"]
    assert lines["ImageNet"][-1] == "better"
    assert lines["ImageNet-R"][-1] == "no"
    assert "luab is better than plain on 1 and worse on 0 of 2 benchmarks by more than chance." in shown
    assert "One training run of plain, luab" in shown


def test_the_other_way_round_it_is_worse(results, capsys):
    assert main([*results[::-1], "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["comparisons"][0]
    assert (first["baseline"], first["model"], first["verdict"]) == ("luab", "plain", "worse")
    assert first["difference"] == pytest.approx(-0.15)


def test_json(results, capsys):
    assert main([*results, "--json", "--resamples", "500"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["resamples"] == 500
    imagenet, renditions = printed["comparisons"]
    assert imagenet["values"] == {"plain": 0.5, "luab": 0.65}
    assert imagenet["interval"][0] < 0.15 < imagenet["interval"][1]
    assert imagenet["p_holm"] == pytest.approx(2 * imagenet["p"])
    assert imagenet["larger_than_chance"] and not renditions["larger_than_chance"]
    # One image of 100: no such difference in (99/100)^100 = 37% of the resamples.
    assert renditions["p"] == pytest.approx(2 * 0.37, abs=0.1)
    assert renditions["verdict"] == "no difference shown"


def test_training_runs_count(tmp_path, capsys):
    runs = {"plain-seed0": 180, "plain-seed1": 240, "luab-seed0": 230, "luab-seed1": 300}
    folders = [
        evaluated(tmp_path / name, {name: {"imagenet": right_on(400, range(right))}})
        for name, right in runs.items()
    ]
    assert main([*map(str, folders), "--json"]) == 0
    (comparison,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert comparison["training_runs"] == {"plain": 2, "luab": 2}
    # 14 points on the same images would be clear; between runs that differ by as much it is not.
    assert comparison["difference"] == pytest.approx(0.1375)
    assert not comparison["larger_than_chance"]


def test_three_models_are_compared_with_the_first(tmp_path, capsys):
    models = {
        name: {"imagenet": right_on(400, range(right))}
        for name, right in {"a": 200, "b": 100, "c": 300}.items()
    }
    assert main([str(evaluated(tmp_path, models))]) == 0
    shown = capsys.readouterr().out
    assert "b is better than a on 0 and worse on 1 of 1" in shown
    assert "c is better than a on 1 and worse on 0 of 1" in shown


def test_one_model_is_nothing_to_compare(results, capsys):
    assert main(results[:1]) == 1
    assert "luab compare: nothing to compare: the models are plain" in capsys.readouterr().err


def test_missing_results_are_named(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "nowhere: no results of luab evaluate (FileNotFoundError" in capsys.readouterr().err


def test_too_few_resamples(results, capsys):
    assert main([*results, "--resamples", "5"]) == 1
    assert "--resamples 5: at least 100" in capsys.readouterr().err
