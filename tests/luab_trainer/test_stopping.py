"""Early stopping: ends a run, counts on when it resumes, and asks for what it needs."""

import json

import pytest
from fixtures.clicked import clicked_dataset
from fixtures.tiny_models import IMAGE_SIZE, tiny_model

from luab_trainer.announcement import stopping_facts
from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings

BEST = {"load_best_model_at_end": True, "eval_strategy": "steps", "save_strategy": "steps"}


def config(folder, **arguments) -> LUABConfig:
    return LUABConfig(
        str(folder), loss="point", max_steps=10, eval_steps=1, save_steps=1, use_cpu=True, disable_tqdm=True,
        report_to="none", learning_rate=0.0, metric_for_best_model="accuracy", **BEST, **arguments,
    )  # fmt: skip


def trainer(folder, **arguments) -> LUABTrainer:
    """Its learning rate is 0, so that only the first evaluation is the best so far."""
    data = ViewDataset(clicked_dataset(8), EvalTransform(ImageSettings(size=IMAGE_SIZE)), byproduct="click")
    return LUABTrainer(
        tiny_model("vit"), config(folder, **arguments), train_dataset=data, eval_dataset=data,
        processing_class=square_processor(IMAGE_SIZE),
    )  # fmt: skip


def test_a_run_that_does_not_improve_ends(tmp_path):
    run = trainer(tmp_path, early_stopping_patience=3)
    run.train()
    assert run.state.global_step == 4
    assert run.state.best_global_step == 1


def test_without_it_the_run_goes_on(tmp_path):
    run = trainer(tmp_path)
    run.train()
    assert run.state.global_step == 10


def test_a_resumed_run_ends_where_the_whole_one_does(tmp_path):
    trainer(tmp_path, early_stopping_patience=3).train()
    state = json.loads((tmp_path / "checkpoint-3" / "trainer_state.json").read_text())
    counted = state["stateful_callbacks"]["EarlyStopping"]["attributes"]
    assert counted == {"early_stopping_patience_counter": 2}
    resumed = trainer(tmp_path, early_stopping_patience=3)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert resumed.state.global_step == 4
    resumed.train()
    assert resumed.state.global_step == 4, "a new training counts from 0"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"early_stopping_patience": 0}, "--early_stopping_patience 0: give a number of evaluations, 1 or"),
        ({"early_stopping_patience": 2}, "--early_stopping_patience 2 needs the best model.*--load_best_mod"),
    ],
)
def test_what_it_needs_is_said(tmp_path, arguments, said):
    with pytest.raises(ValueError, match=said):
        LUABConfig(str(tmp_path), use_cpu=True, report_to="none", **arguments)


def test_the_run_announces_it(tmp_path):
    assert stopping_facts(config(tmp_path)) == []
    assert stopping_facts(config(tmp_path, early_stopping_patience=2)) == [
        ("early stopping", "after 2 evaluations in a row without a better accuracy")
    ]
