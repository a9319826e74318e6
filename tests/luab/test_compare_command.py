"""`luab compare`: from the folders of two evaluations to a verdict."""

import json

import numpy as np
import pytest
from fixtures.evaluated import evaluated, right_on, scored

from luab.commands.compare import main


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
    # One image differs: chance alone decides which of the two models is right there.
    assert renditions["p"] == 1 and renditions["differing_images"] == 1
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
    assert "nowhere: there is no such file; give its results.json" in capsys.readouterr().err


def test_too_few_resamples(results, capsys):
    assert main([*results, "--resamples", "5"]) == 1
    assert "--resamples 5: at least 100" in capsys.readouterr().err


def test_digits_that_carry_the_difference(tmp_path, capsys):
    # 57.312 and 57.316 with one decimal are the same number.
    models = {
        "a": {"imagenet": right_on(50_000, range(28_656))},
        "b": {"imagenet": right_on(50_000, range(28_668))},
    }
    assert main([str(evaluated(tmp_path, models))]) == 0
    shown = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("ImageNet")).split()
    assert shown[3:6] == ["57.31", "57.34", "+0.02"]
    assert (shown[-1], shown[-3]) == ("better", "0.00049")  # of 12 images that differ, all for b


@pytest.mark.parametrize(
    ("points", "verdict"), [("0", "better"), ("0.02", "better"), ("0.03", "yes, but too small to name")]
)
def test_the_smallest_difference_worth_naming(tmp_path, capsys, points, verdict):
    models = {
        "a": {"imagenet": right_on(50_000, range(28_656))},
        "b": {"imagenet": right_on(50_000, range(28_668))},
    }
    folder = str(evaluated(tmp_path, models))
    assert main([folder, "--min-difference", points]) == 0
    assert verdict in capsys.readouterr().out
    assert main([folder, "--min-difference", "0.5", "--json"]) == 0
    (comparison,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert comparison["larger_than_chance"] and comparison["verdict"] == "no relevant difference"
    assert comparison["difference"] == pytest.approx(0.00024)
    assert main([folder, "--min-difference", "-1"]) == 1


def test_the_smallest_difference_is_in_the_unit_of_the_figure(tmp_path, capsys):
    """A Spearman that is better by 0.1 on each of 50 images, and an accuracy by 6 points."""
    alignment, rng = "align_spearman:people=gaze@test?against=points", np.random.default_rng(0)
    noise = rng.normal(0, 0.01, 50)
    models = {
        "a": {alignment: scored(alignment, 0.3 + noise), "imagenet": right_on(400, range(200))},
        "b": {alignment: scored(alignment, 0.4 - noise), "imagenet": right_on(400, range(224))},
    }
    folder = str(evaluated(tmp_path / "both", models))
    only = {name: {alignment: of[alignment]} for name, of in models.items()}
    alone = str(evaluated(tmp_path / "alone", only))

    def verdicts(*options):
        assert main([folder, *options, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["comparisons"]
        return {one["metric"]: (one["verdict"], one["min_difference"]) for one in found}

    assert verdicts() == {"spearman": ("better", 0), "accuracy": ("better", 0)}
    points = verdicts("--min-difference", "20")
    assert points == {"spearman": ("better", 0), "accuracy": ("no relevant difference", 0.2)}
    both = verdicts("--min-difference", "spearman=0.5", "--min-difference", "accuracy=7")
    assert both["spearman"] == ("no relevant difference", 0.5)
    assert both["accuracy"][1] == pytest.approx(0.07)
    assert main([folder, "--min-difference", "spearman=0.5", "--min-difference", "2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Differences below 2 points of other figures in %, 0.5 of Spearman are not named" in said
    for wrong, message in (
        ("0.5", "is in percentage points, and no figure here is in %. Name the metric"),
        ("nss=0.1", "no such metric here; there are spearman"),
        ("spearman=-1", "give percentage points, 0 to 100, or METRIC=VALUE"),
        ("much", "give percentage points, 0 to 100, or METRIC=VALUE"),
    ):
        assert main([alone, "--min-difference", wrong]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("images", [1, 5])
def test_few_images_get_no_verdict(tmp_path, capsys, images):
    models = {
        "a": {"imagenet": right_on(images)},
        "b": {"imagenet": right_on(images, range(images))},
    }
    assert main([str(evaluated(tmp_path, models))]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "b is better than a on 0 and worse on 0 of 1 benchmark by more than chance." in shown
    assert f"No verdict where the scores differ on fewer than 6 images (ImageNet, b: {images})." in shown
    assert "[100.0, 100.0]" not in shown
