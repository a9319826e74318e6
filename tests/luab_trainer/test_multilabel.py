"""Several labels an image, from the rows to the checkpoint: label policies, metrics, run.py, COCO's boxes."""

import json
from pathlib import Path

import datasets
import numpy as np
import pytest
import sklearn.metrics
from fixtures.factories import image_bytes, noise_image
from fixtures.launched import launch_forks
from fixtures.tiny_models import tiny_model
from fixtures.views import Through
from PIL import Image
from transformers import AutoModelForImageClassification, EvalPrediction

from coco_ab.classes import COCO_CLASSES
from luab_attention.boxes.coco import load_coco_boxes
from luab_data.errors import SourceError
from luab_data.rows.classes import class_names
from luab_data.rows.columns import Columns
from luab_data.rows.splits import find_part, part_of
from luab_eval.pointing import PointingGameEvaluator
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.metrics.multi_label import MultiLabelMetrics, average_precision, f1_score, write_classes
from luab_trainer.run import main
from luab_vision.geometry import WHOLE_IMAGE, View
from luab_vision.transforms import ImageSettings

NAMES = ["cat", "dog", "cup", "bird"]
COLUMNS = Columns(label="labels", point="points")


def multi_label_rows(count: int, seed: int = 0) -> datasets.Dataset:
    """Noise images with 0 to 2 of the classes cat, dog and cup; points for the first label only, one point of
    a class that is no label, a box for each label. No image has a bird.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        labels = sorted(rng.choice(3, i % 3, replace=False).tolist())
        points = [{"label": label, "x": 0.5, "y": 0.25, "source": "add"} for label in [*labels[:1], 3]]
        boxes = [[4.0 + 10 * label, 8.0, 10.0, 24.0] for label in labels]
        rows.append(
            {
                "image": {"bytes": image_bytes(noise_image(40, 40, seed + i)), "path": None},
                "image_id": i,
                "labels": labels,
                "points": points,
                "objects": {"bbox": boxes, "category": labels},
            }
        )
    label = datasets.ClassLabel(names=NAMES)
    number = datasets.Value("float32")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "image_id": datasets.Value("int64"),
            "labels": datasets.List(label),
            "points": datasets.List(
                {"label": label, "x": number, "y": number, "source": datasets.Value("string")}
            ),
            "objects": {"bbox": datasets.List(datasets.List(number, 4)), "category": datasets.List(label)},
        }
    )
    return datasets.Dataset.from_list(rows, features=features)


# ---- Label policies, worked by hand


whole = Through(WHOLE_IMAGE)


def seen_through(view: View, **options):
    """The sample of an image with the labels 0, 1, 2, points of 0 (two), 1 and 3, none of 2."""
    row = {
        "image": noise_image(40, 40),
        "labels": [0, 1, 2],
        "points": [
            {"label": 0, "x": 0.75, "y": 0.25},
            {"label": 0, "x": 0.1, "y": 0.1},
            {"label": 1, "x": 0.25, "y": 0.75},
            {"label": 3, "x": 0.75, "y": 0.25},
        ],
    }
    options = {"byproduct": "click", "columns": COLUMNS, "num_labels": 4, **options}
    return ViewDataset([row], Through(view), **options)[0]


RIGHT_HALF = View(0.5, 0.0, 0.5, 1.0, flipped=True)


def test_keep_leaves_all_labels():
    sample = seen_through(RIGHT_HALF)
    assert sample["labels"].tolist() == [1, 1, 1, 0]
    assert sample["target_labels"] == [0, 1], "class 3 has an icon, but COCO does not list it"
    np.testing.assert_allclose(sample["target_points"][0], [[0.5, 0.25], [-1, -1]], atol=1e-6)
    assert [weights.tolist() for weights in sample["target_weights"]] == [[1, 0], [0]]


@pytest.mark.parametrize("outside", ["drop", "keep"])
def test_authors_take_the_label_of_a_class_whose_point_is_cropped_away(outside):
    sample = seen_through(RIGHT_HALF, label_policy="authors", outside=outside)
    assert sample["labels"].tolist() == [1, 0, 1, 0], "1 is cropped away, 2 was never placed"
    assert sample["target_labels"] == [0]


def test_authors_keep_the_label_of_a_class_with_one_of_many_points_in_the_crop():
    """One of 25 points is less than a twentieth of the weight, so no target, but the class is there."""
    points = [{"label": 1, "x": 0.1, "y": 0.5}] * 24 + [{"label": 1, "x": 0.9, "y": 0.5}]
    row = {"image": noise_image(40, 40), "labels": [1], "points": points}
    more = {"byproduct": "click", "columns": COLUMNS, "num_labels": 4, "label_policy": "authors"}
    sample = ViewDataset([row], Through(RIGHT_HALF), **more)[0]
    assert sample["labels"].tolist() == [0, 1, 0, 0] and sample["target_labels"] == [1]
    assert not sample["target_weights"][0].any()


def test_authors_labels_do_not_need_a_byproduct_loss():
    sample = seen_through(RIGHT_HALF, label_policy="authors", byproduct=None)
    assert sample["labels"].tolist() == [1, 0, 1, 0]
    assert "target_labels" not in sample
    with pytest.raises(ValueError, match="no column 'points'"):
        ViewDataset(
            multi_label_rows(2).remove_columns("points"), None, columns=COLUMNS, label_policy="authors"
        )


def test_wrong_policies_and_byproducts_say_the_fix():
    with pytest.raises(ValueError, match="take one of keep, authors"):
        seen_through(RIGHT_HALF, label_policy="author")
    with pytest.raises(ValueError, match=r"Row 0: .*take byproduct='click'"):
        rows = [{"image": noise_image(8, 8), "labels": [1], "points": [], "annotations": []}]
        ViewDataset(rows, whole, byproduct="trace", columns=COLUMNS, num_labels=4)[0]
    with pytest.raises(ValueError, match="Row 0: label_policy='authors' is for several labels"):
        rows = [{"image": noise_image(8, 8), "label": 1, "click": None}]
        ViewDataset(rows, whole, label_policy="authors")[0]


# ---- Metrics, worked by hand


def test_metrics_worked_by_hand():
    #        class 0: ranks 1, 2, 3, 4 are images 0, 1, 2, 3, of which 0 and 2 have it.
    #        class 1: images 1 and 3 share the highest score, of which 3 has it.
    #        class 2: no image has it; image 0 is said to.
    logits = np.array([[3.0, -2, 1], [2, 1, -1], [1, -1, -1], [-1, 1, -1]])
    labels = np.array([[1.0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0]])
    metrics = MultiLabelMetrics()
    found = metrics(EvalPrediction(logits, labels))
    # AP of class 0: precision 1/1 at image 0, 2/3 at image 2. Of class 1: 1 of the 2 images of that score.
    ap = [(1 + 2 / 3) / 2, 1 / 2]
    # Class 0: 3 predicted, 2 of them right, 2 there are. Class 1: 2 predicted, 1 right, 1 there is.
    f1 = [2 * 2 / (3 + 2), 2 * 1 / (2 + 1)]
    assert found == {
        "mAP": pytest.approx(np.mean(ap)),
        "f1_macro": pytest.approx(np.mean(f1)),
        "f1_micro": pytest.approx(2 * 3 / (3 + 2 + 1 + 2 + 1)),
        "classes_without_positive": 1,
    }
    np.testing.assert_allclose(metrics.by_class["average_precision"], [*ap, np.nan])
    assert metrics.by_class["positives"].tolist() == [2, 1, 0]


def test_a_perfect_a_diverged_and_an_empty_evaluation():
    labels = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.float32)
    metrics = MultiLabelMetrics()
    assert metrics(EvalPrediction(20 * labels - 10, labels))["mAP"] == 1
    diverged = metrics(EvalPrediction(np.full((4, 2), np.nan), labels))
    assert diverged["mAP"] == pytest.approx(0.5), "all ranked alike: the share of positives"
    assert diverged["f1_micro"] == 0
    nothing = metrics(EvalPrediction(np.zeros((3, 2)), np.zeros((3, 2))))
    assert (nothing["mAP"], nothing["classes_without_positive"]) == (0, 2)


def test_metrics_of_each_class_as_json(tmp_path):
    write_classes(tmp_path / "c.json", ["cat", "dog"], {"f1": np.array([0.5, np.nan]), "n": np.array([2, 0])})
    assert json.loads((tmp_path / "c.json").read_text()) == {
        "cat": {"f1": 0.5, "n": 2},
        "dog": {"f1": None, "n": 0},
    }


@pytest.mark.parametrize("model_type", ["vit", "convnext"])
def test_the_pointing_game_of_each_class(model_type):
    """Classes 0 and 1 are everywhere, 2 is in a corner pixel, 3 in no image; asked at once, or one by one."""
    everywhere, corner = [0, 0, 32, 32], [0, 0, 0.5, 0.5]
    rows = [
        {
            "image": noise_image(32, 32, seed=i),
            "labels": labels,
            "objects": {"bbox": [corner if k == 2 else everywhere for k in labels], "category": labels},
        }
        for i, labels in enumerate(([0, 1], [], [2], [1, 2, 3], [1]))
    ]
    rows[3]["objects"] = {"bbox": [everywhere, corner], "category": [1, 2]}
    model = tiny_model(model_type, num_labels=4).eval()
    settings = ImageSettings(size=32, mean=(0, 0, 0), std=(1, 1, 1), resize=32)
    counts = PointingGameEvaluator(rows, settings, COLUMNS, batch_size=3).counts(model)
    assert counts.tolist() == [[1, 1, 1], [3, 3, 3], [0, 0, 2], [0, 0, 0]]
    assert PointingGameEvaluator.metrics(counts) == {
        "pointing_game": pytest.approx(4 / 6),
        "pointing_game_class_mean": pytest.approx(2 / 3),
        "pointing_game_center": pytest.approx(4 / 6),
        "pointing_game_images": 6,
    }
    assert np.isnan(PointingGameEvaluator.by_class(counts)["pointing_game"]).tolist() == [
        False,
        False,
        False,
        True,
    ]


# ---- run.py


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("multi_label")
    multi_label_rows(24).to_parquet(folder / "train.parquet")
    multi_label_rows(10, seed=50).to_parquet(folder / "validation.parquet")
    return folder


def options(data, out, model="convnext", **more):
    config = Path(out) / f"{model}_config"
    tiny_model(model).config.save_pretrained(config)
    values = {
        "from_config": config, "image_size": 32, "dataset": data, "output_dir": out, "max_steps": 3,
        "logging_steps": 1, "per_device_train_batch_size": 8, "save_strategy": "no", "use_cpu": True,
        "disable_tqdm": True, "learning_rate": 1e-3, "report_to": "none", **more,
    }  # fmt: skip
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


@pytest.mark.parametrize(("model", "policy"), [("convnext", "authors"), ("vit", "keep")])
def test_run_trains_evaluates_prints_and_saves(data, tmp_path, capsys, model, policy):
    main(options(data, tmp_path, model, loss="both", label_policy=policy, disable_tqdm=False))
    metrics = json.loads((tmp_path / "eval_results.json").read_text())
    printed = dict(
        line.replace(" ", "").split("=")
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("  eval_")
    )
    assert float(printed["eval_mAP"]) == pytest.approx(metrics["eval_mAP"], abs=1e-4)
    assert float(printed["eval_pointing_game"]) == pytest.approx(metrics["eval_pointing_game"], abs=1e-4)
    assert metrics["eval_classes_without_positive"] == 1
    assert metrics["eval_pointing_game_images"] == 9, "0, 1 or 2 labels an image"
    assert 0 < metrics["eval_mAP"] < 1
    assert metrics["eval_point"] > 0 and metrics["eval_attention"] > 0
    loss = metrics["eval_ce"] + 0.5 * metrics["eval_point"] + 0.1 * metrics["eval_attention"]
    assert metrics["eval_loss"] == pytest.approx(loss, rel=1e-4)
    classes = json.loads((tmp_path / "eval_classes.json").read_text())
    assert list(classes) == NAMES
    assert classes["bird"] == {
        "positives": 0, "average_precision": None, "f1": None,
        "pointing_game": None, "pointing_game_center": None, "pointing_game_images": 0,
    }  # fmt: skip
    assert np.mean([classes[name]["average_precision"] for name in NAMES[:3]]) == pytest.approx(
        metrics["eval_mAP"]
    )
    saved = AutoModelForImageClassification.from_pretrained(tmp_path)
    assert saved.config.problem_type == "multi_label_classification"
    card = (tmp_path / "README.md").read_text()
    assert f"| mAP | {metrics['eval_mAP']:.4f} |" in card
    assert "| loss | binary cross-entropy + 0.5 x point + 0.1 x attention |" in card
    assert f"| labels in a crop | {policy} |" in card


def test_two_processes_evaluate_like_one(data, tmp_path, clients):
    """10 images in batches of 4: the last batch is filled up, which must count nothing twice."""
    common = {"loss": "none", "learning_rate": 0, "max_steps": 1, "per_device_eval_batch_size": 4}
    main(options(data, tmp_path / "one", **common))
    launch_forks(clients, "multi-gpu", 2, options(data, tmp_path / "two", **common))
    one, two = (json.loads((tmp_path / name / "eval_results.json").read_text()) for name in ("one", "two"))
    for name in ("mAP", "f1_macro", "f1_micro", "ce", "pointing_game", "pointing_game_images"):
        assert two[f"eval_{name}"] == pytest.approx(one[f"eval_{name}"], rel=1e-4), name
    one, two = (json.loads((tmp_path / name / "eval_classes.json").read_text()) for name in ("one", "two"))
    assert [row["positives"] for row in one.values()] == [row["positives"] for row in two.values()]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"byproduct": "trace"}, "take --byproduct click"),
        ({"label_smoothing_factor": 0.1}, "label_smoothing=0.1 (--label_smoothing_factor) is of the cross-"),
        ({"eval_split": "train[90"}, "write it like 'train"),
        ({"train_split": "fit[:50%]"}, "has no split 'fit'; it has train, validation"),
        (
            {"eval_dataset": "/no/val2014", "eval_boxes": "i.json"},
            "eval_dataset='/no/val2014' is not a folder",
        ),
    ],
)
def test_wrong_options_say_the_fix(data, tmp_path, more, message):
    with pytest.raises(SystemExit) as exit_:
        main(options(data, tmp_path, **more))
    assert message in str(exit_.value)


def test_parts_of_a_split():
    rows = datasets.Dataset.from_dict({"n": list(range(10))})
    splits = datasets.DatasetDict(train=rows)
    for text, numbers in {"train[80%:]": [8, 9], "train[:3]": [0, 1, 2], "train": list(range(10))}.items():
        assert part_of(rows, find_part(splits, text, "data", "eval_split"))["n"][:] == numbers


def test_class_numbers_without_names():
    rows = multi_label_rows(4).cast_column("labels", datasets.List(datasets.Value("int64")))
    assert class_names(rows, COLUMNS) == ["0", "1", "2"]


# ---- COCO's own files as the evaluation set


@pytest.fixture
def coco(tmp_path):
    """Three images in val2014's layout, of which the file lists two; a cat (17) and two persons (1)."""
    folder = tmp_path / "val2014"
    folder.mkdir()
    for image_id in (42, 73, 99):
        Image.new("RGB", (64, 48)).save(folder / f"COCO_val2014_{image_id:012d}.jpg")
    (folder / "notes.txt").write_text("not an image")
    annotations = [(73, 17, [1, 2, 30, 40]), (73, 1, [0, 0, 5, 5]), (73, 1, [6, 0, 5, 5])]
    content = {
        "images": [{"id": image_id, "width": 64, "height": 48} for image_id in (42, 73, 1)],
        "categories": [{"id": k, "name": name} for k, name in COCO_CLASSES.items()],
        "annotations": [
            {"id": i, "image_id": image_id, "category_id": k, "bbox": box, "area": 9.0, "iscrowd": 0}
            for i, (image_id, k, box) in enumerate(annotations)
        ],
    }
    file = tmp_path / "instances_val2014.json"
    file.write_text(json.dumps(content))
    return folder, file


def test_coco_validation_images(coco, caplog, monkeypatch):
    monkeypatch.setattr(datasets.logging.get_logger("datasets"), "propagate", True)
    rows = load_coco_boxes(*coco)
    assert "val2014 has not 1 of the 3 images that" in caplog.text
    assert rows["image_id"][:] == [42, 73]
    cat = list(COCO_CLASSES.values()).index("cat")
    assert rows["labels"][:] == [[], [0, cat]]
    assert rows[1]["objects"] == {
        "bbox": [[1, 2, 30, 40], [0, 0, 5, 5], [6, 0, 5, 5]],
        "category": [cat, 0, 0],
    }
    assert rows[1]["image"].size == (64, 48)
    import coco_ab  # noqa: F401  registers the dataset

    sample = datasets.load_dataset("coco_ab", split="train")
    assert rows.features["labels"] == sample.features["labels"], "run.py compares them"


def test_wrong_coco_files_say_the_fix(coco, tmp_path):
    folder, file = coco
    with pytest.raises(SourceError, match=r"is not a file; give COCO's instances_val2014\.json"):
        load_coco_boxes(folder, tmp_path / "none.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="are they of the same year"):
        load_coco_boxes(tmp_path / "empty", file)


@pytest.mark.parametrize("seed", range(20))
def test_average_precision_and_f1_are_those_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    positive = random.random(50) < random.uniform(0.05, 0.9)
    positive[random.integers(50)] = True
    scores = np.float32(random.normal(size=50).round(seed % 3))  # of which many are equal
    wanted = sklearn.metrics.average_precision_score(positive, scores)
    assert average_precision(positive, scores) == pytest.approx(wanted, rel=1e-14)
    assert f1_score(positive, scores > 0) == sklearn.metrics.f1_score(positive, scores > 0, zero_division=0)
    assert f1_score(positive & False, positive & False) == 0
