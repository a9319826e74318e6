"""A number that is none never trains, is never logged, and is never written."""

import json

import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.tiny_models import IMAGE_SIZE, tiny_model

from luab_data.errors import SourceError
from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.finite import FiniteSteps, row_names
from luab_trainer.hub.checkpoint import save_checkpoint
from luab_trainer.model import LUABModel
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings


def trainer(folder, evaluation=None, **arguments):
    rows = clicked_dataset(8)
    rows = rows.add_column("image_id", [f"photo {number}" for number in range(8)])
    data = ViewDataset(rows, EvalTransform(ImageSettings(size=IMAGE_SIZE)), byproduct="click")
    arguments = {
        "max_steps": 4, "per_device_train_batch_size": 4, "save_strategy": "steps", "save_steps": 1,
        "logging_steps": 1, "use_cpu": True, "disable_tqdm": True, "report_to": "none",
        "train_sampling_strategy": "sequential", **arguments,
    }  # fmt: skip
    return LUABTrainer(
        tiny_model("vit"), LUABConfig(str(folder), **arguments), train_dataset=data,
        eval_dataset=data if evaluation else None, processing_class=square_processor(IMAGE_SIZE),
    )  # fmt: skip


def poison(run, monkeypatch, step, rows, value=float("nan")):
    """From `step` on the cross-entropy of some rows of each batch is `value`."""
    term = LUABModel._classification_term

    def poisoned(self, logits, labels):
        found = term(self, logits, labels)
        if run.state.global_step + 1 >= step:
            found[rows] *= value
        return found

    monkeypatch.setattr(LUABModel, "_classification_term", poisoned)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_training_stops_at_the_first_loss_that_is_no_number(tmp_path, monkeypatch, value):
    run = trainer(tmp_path)
    poison(run, monkeypatch, step=2, rows=[1, 3], value=value)
    with pytest.raises(
        SourceError, match=rf"in step 2: the loss is {value} \(ce {value}, attention 0\."
    ) as stopped:
        run.train()
    # The second batch of four holds the rows 4 to 7.
    assert "Its batch: rows 5 (photo 5), 7 (photo 7)." in str(stopped.value)
    assert [entry["step"] for entry in run.state.log_history] == [1]
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-1"]
    assert all(torch.isfinite(value).all() for value in run.luab.state_dict().values())


def test_a_learning_rate_that_is_too_high_does_not_end_well(tmp_path):
    run = trainer(tmp_path, learning_rate=1e20, optim="sgd", max_grad_norm=0, lr_scheduler_type="constant")
    with pytest.raises(
        SourceError, match=r"in step [23]: the loss is|in step [23]: the norm|no checkpoint is"
    ):
        run.train()
    assert not (tmp_path / "model.safetensors").exists()


def test_a_gradient_that_is_no_number_changes_no_weight(tmp_path):
    run = trainer(tmp_path)
    run.luab.model.vit.layernorm.weight.register_hook(lambda gradient: gradient * float("inf"))
    before = {name: value.clone() for name, value in run.luab.state_dict().items()}
    with pytest.raises(SourceError, match=r"in step 1: the norm of the gradient is .*rows 0 \(photo 0\), 1"):
        run.train()
    assert all(torch.equal(value, before[name]) for name, value in run.luab.state_dict().items())


def test_an_evaluation_that_gives_no_number_is_not_written(tmp_path, monkeypatch):
    run = trainer(tmp_path, evaluation=True)
    poison(run, monkeypatch, step=1, rows=[0])
    with pytest.raises(SourceError, match="the evaluation after step 0 gives ce nan, loss nan"):
        run.evaluate()
    assert not run.state.log_history


def test_weights_that_are_no_numbers_are_not_written(tmp_path):
    luab = LUABModel(tiny_model("vit"), "point")
    luab.point.head.bias.data[0] = float("inf")
    with pytest.raises(SourceError, match=r"no checkpoint is written to .*point\.head\.bias"):
        save_checkpoint(luab, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_values_that_are_on_their_way_are_read_with_the_next(monkeypatch):
    """As on a GPU: the step's own number is named, one step later."""
    monkeypatch.setattr(FiniteSteps, "_reads_at_once", lambda self, value: False)
    steps = FiniteSteps(row_names(None))
    one = {"ce": torch.ones(3)}
    steps.add_loss(1, torch.tensor(1.0), one, None)
    steps.add_loss(
        2, torch.tensor(float("nan")), {"ce": torch.tensor([1.0, 2.0, torch.nan])}, torch.tensor([7, 8, 9])
    )
    with pytest.raises(SourceError, match=r"in step 2: the loss is nan \(ce nan\).* Its batch: row 9\."):
        steps.add_loss(3, torch.tensor(1.0), one, None)
    steps.check()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
@pytest.mark.parametrize(
    "name",
    ["point_weight", "attention_weight", "attention_radius", "attention_tolerance", "learning_rate"],
)
def test_options_that_are_no_numbers_are_refused(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"^--{name} {value}: "):
        LUABConfig(str(tmp_path), **{name: value})
    if name.endswith("_weight"):
        with pytest.raises(ValueError, match=f"{name}={value}"):
            LUABModel(tiny_model("vit"), "both", **{name: value})


def test_the_filter_that_falsifies_the_log_is_refused(tmp_path):
    assert LUABConfig(str(tmp_path)).logging_nan_inf_filter is False
    with pytest.raises(ValueError, match=r"^--logging_nan_inf_filter True: "):
        LUABConfig(str(tmp_path), logging_nan_inf_filter=True)


def test_no_json_of_a_checkpoint_holds_nan(tmp_path):
    run = trainer(tmp_path, evaluation=True, max_steps=1)
    run.state.log_history = []
    run.train()
    run.log({"loss": 1.0, "grad_norm": float("inf")})
    assert "grad_norm" not in run.state.log_history[-1]

    def refuse(constant):
        raise AssertionError(constant)

    for file in tmp_path.rglob("*.json"):
        json.loads(file.read_text(), parse_constant=refuse)
