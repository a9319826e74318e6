"""A run's work is never lost: not to an evaluation that fails, not to a second run, not to the disk."""

import json

import datasets
import pytest
from filelock import FileLock
from fixtures.clicked import clicked_dataset
from fixtures.tiny_models import IMAGE_SIZE, tiny_model
from transformers import AutoModelForImageClassification

from luab_data.errors import SourceError
from luab_data.files.sums import write_sums
from luab_data.files.whole import LOCK, sole_writer, to_json, write_json
from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.run import main
from luab_trainer.trainer import LUABTrainer
from luab_vision.transforms import EvalTransform, ImageSettings


@pytest.fixture
def run(tmp_path):
    """Options of a run of one step without checkpoints; the dataset has a validation split."""
    (tmp_path / "data").mkdir()
    for split, count in (("train", 8), ("validation", 4)):
        clicked_dataset(count).to_parquet(tmp_path / "data" / f"{split}.parquet")
    tiny_model("vit").config.save_pretrained(tmp_path / "config")
    values = {
        "from_config": tmp_path / "config", "dataset": tmp_path / "data", "output_dir": tmp_path / "out",
        "max_steps": 1, "per_device_train_batch_size": 8, "save_strategy": "no", "use_cpu": True,
        "disable_tqdm": True, "report_to": "none",
    }  # fmt: skip
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


def test_an_evaluation_image_that_is_cut_off_does_not_cost_the_model(run, tmp_path):
    images = clicked_dataset(4).cast_column("image", datasets.Image(decode=False))["image"][:]
    images[2]["bytes"] = images[2]["bytes"][:100]
    whole = clicked_dataset(4)
    cut = whole.from_dict({**whole.to_dict(), "image": images}, features=whole.features)
    cut.to_parquet(tmp_path / "data" / "validation.parquet")
    with pytest.raises((SystemExit, ValueError), match="Evaluation row 2"):
        main(run)
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "out")
    assert model.config.num_labels == 5
    assert "Not evaluated yet." in (tmp_path / "out" / "README.md").read_text()


def test_a_second_run_into_the_same_folder_is_refused(run, tmp_path):
    (tmp_path / "out" / LOCK).parent.mkdir(parents=True)
    with FileLock(tmp_path / "out" / LOCK):
        with pytest.raises(SystemExit, match=r"^run\.py: --output_dir .*/out: another process is writing"):
            main(run)
        trainer = LUABTrainer(tiny_model("vit"), LUABConfig(str(tmp_path / "out"), use_cpu=True))
        with pytest.raises(SourceError, match="another process is writing"):
            trainer.train()
    main(run)
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_a_new_model_does_not_lie_beside_the_results_of_an_earlier_one(run, tmp_path):
    out = tmp_path / "out"
    main(run)
    (out / "eval_classes.json").write_text("{}")  # of a run with several labels
    (out / "all_results.json").write_text("{}")
    main([*run, "--do_eval", "False"])
    assert "Not evaluated yet." in (out / "README.md").read_text()
    assert sorted(path.name for path in out.glob("*results.json")) == ["all_results.json"]
    assert not (out / "eval_classes.json").exists()


def test_results_that_are_written_before_the_model_stay(tmp_path):
    data = ViewDataset(clicked_dataset(8), EvalTransform(ImageSettings(size=IMAGE_SIZE)), byproduct="click")
    args = LUABConfig(str(tmp_path), max_steps=1, save_strategy="no", use_cpu=True, report_to="none")
    trainer = LUABTrainer(tiny_model("vit"), args, train_dataset=data, eval_dataset=data)
    (tmp_path / "eval_results.json").write_text("{}")
    (tmp_path / "eval_classes.json").write_text("{}")
    trainer.train()
    trainer.save_metrics("eval", trainer.evaluate())
    for _ in range(2):
        trainer.save_model()
        assert "eval_loss" in (tmp_path / "eval_results.json").read_text()
        assert not (tmp_path / "eval_classes.json").exists()


def test_an_evaluation_removes_the_classes_of_an_earlier_one(run, tmp_path):
    main(run)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "eval_classes.json").write_text("{}")
    evaluated = [*run[2:], "--do_train", "False", "--model", str(tmp_path / "out")]
    main([*evaluated, "--output_dir", str(tmp_path / "other")])
    assert sorted(path.name for path in (tmp_path / "other").glob("*.json")) == ["eval_results.json"]


@pytest.mark.parametrize("more", [[], ["--save_only_model", "True"]])
def test_a_checkpoint_holds_nothing_of_an_earlier_run(run, tmp_path, more):
    saved = [*run, "--save_strategy", "steps", "--save_steps", "1"]
    main(saved)
    checkpoint = tmp_path / "out" / "checkpoint-1"
    (checkpoint / "state").mkdir()
    (checkpoint / "state" / "optimizer_1.pt").touch()
    write_sums(checkpoint)
    (checkpoint / "notes.txt").write_text("mine")
    main([*saved, *more])
    assert (checkpoint / "optimizer.pt").exists() is not bool(more)
    assert not (checkpoint / "state").exists()
    assert (checkpoint / "notes.txt").read_text() == "mine"


def test_a_folder_is_ones_own_again_and_again(tmp_path):
    with sole_writer(tmp_path, "--output-dir"), sole_writer(tmp_path, "--output-dir"):
        pass
    with sole_writer(tmp_path, "--output-dir"):
        pass


def test_json_holds_finite_numbers_only(tmp_path):
    with pytest.raises(ValueError, match=r"^metrics\.loss, scores\[1\]: not a finite number"):
        to_json({"metrics": {"loss": float("nan")}, "scores": [1.0, float("-inf")]})
    file = tmp_path / "results.json"
    write_json(file, {"loss": 1.0})
    with pytest.raises(ValueError, match="loss: not a finite"):
        write_json(file, {"loss": float("inf")})
    assert json.loads(file.read_text()) == {"loss": 1.0}
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
