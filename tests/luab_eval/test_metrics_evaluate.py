"""Each metric as its users get it: `evaluate.load` of its folder alone, with values worked out by hand."""

import shutil
from pathlib import Path

import evaluate
import numpy as np
import pytest

from luab_eval import metrics
from luab_eval.metrics.aupr_out_of_distribution.aupr_out_of_distribution import (
    average_precision,
)
from luab_eval.metrics.energy_pointing_game.energy_pointing_game import energy_inside

FOLDER = Path(metrics.__file__).parent
NAMES = sorted(file.parent.name for file in FOLDER.glob("*/__init__.py"))


@pytest.fixture
def load(tmp_path):
    """Loads a metric from a copy of its folder, far from the package."""

    def load(name: str) -> evaluate.EvaluationModule:
        shutil.copytree(FOLDER / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        return evaluate.load(str(tmp_path / name), cache_dir=str(tmp_path / "cache"))

    return load


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_says_what_it_is(load, name):
    metric = load(name)
    assert len(metric.description) > 50
    assert metric.citation.strip().startswith("@")
    assert "predictions:" in metric.inputs_description
    assert "references:" in metric.inputs_description
    assert "Returns:" in metric.inputs_description
    documented = metric.inputs_description.partition("Returns:")[0]
    assert all(f"{column}:" in documented for column in metric.features)
    assert metric.reference_urls


def test_max_box_acc(load):
    scores = np.zeros((224, 224))
    scores[50:100, 50:150] = 1
    reference = {"boxes": [[100, 100, 301, 301]], "width": 448, "height": 448}  # IoU 51 / 101
    found = load("max_box_acc").compute(
        predictions=[scores, scores], references=[reference] * 2, interval=0.1
    )
    assert found == {
        "max_box_acc": 1.0,
        "max_box_acc_v2": pytest.approx(2 / 3),
        "max_box_acc_v2_iou_30": 1.0,
        "max_box_acc_v2_iou_50": 1.0,
        "max_box_acc_v2_iou_70": 0.0,
        "max_box_acc_threshold": 0.0,
    }


def test_energy_pointing_game(load):
    # Two cells of 10 x 20 pixels with the masses 3 and 1; the boxes cover half of the first and a quarter of
    # the second: (3 / 2 + 1 / 4) / 4. The second image's boxes overlap: their union is its left half.
    references = [
        {"boxes": [[5, 0, 5, 20], [10, 5, 5, 10]], "width": 20, "height": 20},
        {"boxes": [[0, 0, 10, 20], [2, 2, 4, 4]], "width": 20, "height": 20},
    ]
    found = load("energy_pointing_game").compute(predictions=[[[3, 1]], [[3, 1]]], references=references)
    assert found["energy_pointing_game"] == pytest.approx(((1.5 + 0.25) / 4 + 3 / 4) / 2)
    assert found["energy_pointing_game_uniform"] == pytest.approx(((100 + 50) / 400 + 1 / 2) / 2)


def test_energy_is_the_sum_over_pixels():
    rng = np.random.default_rng(0)
    for _ in range(30):
        scores = rng.random((4, 6))
        width, height = 6 * rng.integers(1, 4), 4 * rng.integers(1, 4)
        ends = np.sort(rng.integers(-3, 25, (3, 2, 2)), axis=1).reshape(3, 4)
        inside = np.zeros((height, width), bool)
        for x0, y0, x1, y1 in ends.clip(0):
            inside[y0:y1, x0:x1] = True
        pixels = scores.repeat(height // 4, axis=0).repeat(width // 6, axis=1)
        boxes = [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in ends.tolist()]
        share = (pixels * inside).sum() / pixels.sum()
        assert energy_inside(scores, boxes, int(width), int(height)) == pytest.approx(share)


@pytest.mark.parametrize("scores", [[[-1, 1]], [[0, 0]], [[np.nan, 1]], [1, 2]])
def test_energy_needs_a_distribution(scores):
    with pytest.raises(ValueError, match="finite values, none negative, some positive"):
        energy_inside(np.array(scores), [[0, 0, 1, 1]], 10, 10)


def test_pointing_game(load):
    metric = load("pointing_game")
    boxes = [[[10, 10, 20, 20]], [[10, 10, 20, 20], [100, 100, 5, 5]], [[0, 0, 5, 5]], [[0, 0, 5, 5]]]
    # A corner, the second box, 5 pixels from the corner (3 across, 4 down), far away.
    questions = {
        "predictions": [[30, 30], [102, 102], [8, 9], [50, 50]],
        "references": boxes,
        "classes": [0, 0, 0, 1],
    }
    assert metric.compute(**questions) == {
        "pointing_game": 0.5,
        "pointing_game_class_mean": pytest.approx(1 / 3),
    }
    assert metric.compute(**questions, tolerance=5)["pointing_game"] == 0.75
    assert metric.compute(**questions, tolerance=4.9)["pointing_game"] == 0.5


def test_mean_corruption_error(load):
    metric = load("mean_corruption_error")
    # fog: errors 1/2 (severity 1, two images) and 1 (severity 5, one image), so 3/4; snow: 0.
    found = metric.compute(
        predictions=[0, 1, 1, 0],
        references=[0, 0, 0, 0],
        corruptions=["fog", "fog", "fog", "snow"],
        severities=[1, 1, 5, 3],
    )
    assert found["mce"] == pytest.approx(0.75 / 0.819324 / 2)
    assert found["mce_unnormalized"] == pytest.approx(0.75 / 2)
    with pytest.raises(ValueError, match="not defined for rain"):
        metric.compute(predictions=[0], references=[0], corruptions=["rain"], severities=[1])


def test_aupr(load):
    # By falling score: unknown, known and unknown (one threshold), known.
    found = load("aupr_out_of_distribution").compute(
        predictions=[0.1, 0.9, 0.5, 0.5], references=[0, 1, 0, 1]
    )
    assert found == {"aupr": pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3), "aupr_chance": 0.5}


def test_average_precision_is_the_area_under_the_steps():
    rng = np.random.default_rng(0)
    for _ in range(30):
        scores, positive = rng.integers(0, 8, 30), rng.random(30) < 0.3
        positive[0] = True
        area, recall = 0.0, 0.0
        for threshold in sorted(set(scores.tolist()), reverse=True):
            chosen = scores >= threshold
            reached = positive[chosen].sum() / positive.sum()
            area += (reached - recall) * positive[chosen].mean()
            recall = reached
        assert average_precision(scores, positive) == pytest.approx(area)


@pytest.mark.parametrize(("scores", "positive"), [([1.0, np.nan], [1, 0]), ([1.0, 2.0], [0, 0]), ([], [])])
def test_average_precision_needs_positives(scores, positive):
    with pytest.raises(ValueError, match="at least one positive"):
        average_precision(scores, positive)


def test_real_accuracy(load):
    metric = load("real_accuracy")
    found = metric.compute(predictions=[3, 5, 7, 9], references=[[3], [4, 5], [], [1, 2]])
    assert found == {"real_accuracy": pytest.approx(2 / 3), "real_images": 3}
    with pytest.raises(ValueError, match="no image has a label"):
        metric.compute(predictions=[3], references=[[]])


def test_subset_accuracy(load):
    metric = load("subset_accuracy")
    logits = [[9, 1, 2, 0], [9, 3, 2, 0], [0, 0, 1, 5]]  # class 0 and 3 do not count
    assert metric.compute(predictions=logits, references=[2, 1, 1], subset=[2, 1]) == {
        "subset_accuracy": pytest.approx(2 / 3)
    }
    with pytest.raises(ValueError, match=r"classes \[3\]"):
        metric.compute(predictions=logits, references=[2, 1, 3], subset=[2, 1])


def test_bg_gap(load):
    metric = load("bg_gap")
    variants = ["mixed_same", "mixed_same", "mixed_rand", "mixed_rand", "only_bg_t"]
    found = metric.compute(predictions=[1, 2, 1, 0, 2], references=[1, 2, 1, 2, 1], variants=variants)
    assert found == {"bg_gap": 0.5, "mixed_same": 1.0, "mixed_rand": 0.5, "only_bg_t": 0.0}
    with pytest.raises(ValueError, match="no images of mixed_rand"):
        metric.compute(predictions=[1], references=[1], variants=["mixed_same"])
