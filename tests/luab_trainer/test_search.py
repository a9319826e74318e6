"""`hyperparameter_search`: each trial is a run of its own, with our options among those it sets."""

import json
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.tiny_models import IMAGE_SIZE, tiny_model
from transformers.hyperparameter_search import OptunaBackend
from transformers.trainer_utils import BestRun

from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.model import LUABModel
from luab_trainer.search import checked_space
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings

VALUES = [0.5, 3.0, 1.0]  # of --attention_weight, one a trial


class Trial(SimpleNamespace):
    """What transformers uses of optuna's."""


def accuracy(metrics):
    return metrics["eval_accuracy"]


@pytest.fixture
def optuna(monkeypatch):
    """As transformers runs optuna: it trains, and drops the model after each trial. Draws `VALUES`."""

    def run(backend, trainer, n_trials, direction, **kwargs):
        assert direction == "maximize"
        found = []
        for number in range(n_trials):
            trial = Trial(number=number, params={"value": VALUES[number]})
            trainer.objective = None
            trainer.train(trial=trial)
            found.append(trainer.objective)
            trainer.model_wrapped = trainer.model = None
            trainer.accelerator.clear()
        best = max(range(n_trials), key=found.__getitem__)
        return BestRun(str(best), found[best], {"attention_weight": VALUES[best]})

    module = ModuleType("optuna")
    module.__spec__ = ModuleSpec("optuna", None)
    module.trial = SimpleNamespace(BaseTrial=Trial)
    monkeypatch.setitem(sys.modules, "optuna", module)
    monkeypatch.setattr(OptunaBackend, "is_available", staticmethod(lambda: True))
    monkeypatch.setattr(OptunaBackend, "run", run)


class Noting(LUABTrainer):
    """Notes the weight of the attention, and the model's first weights, of each training."""

    def create_optimizer(self, model=None):
        if not hasattr(self, "noted"):
            self.noted = []
        self.noted.append((self.luab.weights["attention"], self.luab.state_dict()))
        self.noted[-1] = (self.noted[-1][0], {k: v.clone() for k, v in self.noted[-1][1].items()})
        return super().create_optimizer(model)


def trainer(folder, model_init=lambda: tiny_model("vit"), **arguments):
    data = ViewDataset(clicked_dataset(8), EvalTransform(ImageSettings(size=IMAGE_SIZE)), byproduct="click")
    args = LUABConfig(
        str(folder), loss="attention", background_mix=0.0, max_steps=3, logging_steps=2, learning_rate=1e-3,
        eval_strategy="steps", eval_steps=3, save_strategy="steps", save_steps=3, load_best_model_at_end=True,
        metric_for_best_model="accuracy", use_cpu=True, disable_tqdm=True, report_to="none", **arguments,
    )  # fmt: skip
    return Noting(
        model_init=model_init, args=args, train_dataset=data, eval_dataset=data,
        processing_class=square_processor(IMAGE_SIZE),
    )  # fmt: skip


def search(run, space, objective=accuracy, trials=3):
    return run.hyperparameter_search(
        space, objective, n_trials=trials, direction="maximize", backend="optuna"
    )


def test_each_trial_starts_anew_with_its_own_values(tmp_path, optuna):
    run = trainer(tmp_path)
    best = search(run, lambda trial: {"attention_weight": trial.params["value"]})
    assert [weight for weight, _ in run.noted] == VALUES, "the model of a trial has the trial's weight"
    first = run.noted[0][1]
    for _, weights in run.noted[1:]:
        torch.testing.assert_close(weights, first, rtol=0, atol=0)
    assert best.hyperparameters["attention_weight"] in VALUES
    for number in range(3):  # each has its whole checkpoint
        files = {file.name for file in (tmp_path / f"run-{number}" / "checkpoint-3").iterdir()}
        assert {"SHA256SUMS", "run_plan.json", "model.safetensors"} <= files
    assert not list(tmp_path.glob("checkpoint-*"))


def test_a_trial_logs_what_the_same_run_alone_logs(tmp_path, optuna):
    """Two trials of the same value: the second has none of the first's rows in its means."""
    run, logs = trainer(tmp_path / "search"), []
    train = run.train

    def noted(*args, **kwargs):
        output = train(*args, **kwargs)
        logs.append([entry["attention"] for entry in run.state.log_history if "attention" in entry])
        return output

    run.train = noted
    search(run, lambda trial: {"attention_weight": 2.0}, trials=2)
    alone = trainer(tmp_path / "alone", attention_weight=2.0)
    alone.train()
    expected = [entry["attention"] for entry in alone.state.log_history if "attention" in entry]
    assert logs == [pytest.approx(expected), pytest.approx(expected)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"weight_of_attention": 1.0}, "'weight_of_attention', which is no option of LUABConfig"),
        ({"attention_weight": -1.0}, "--attention_weight -1.0: give a number of 0 or more"),
        ({"byproduct": "trace"}, "'byproduct', which the datasets have been made with"),
        ({"cutmix": 0.5}, "'cutmix', which the datasets have been made with"),
        ({"background_shape": "object"}, "'background_shape', which the datasets have been made with"),
        ({"attention_sigma": 0.1}, "'attention_sigma', which the datasets have been made with"),
        ({"early_stopping_patience": 2}, "'early_stopping_patience', which the trainer has been made with"),
        ({"bf16": True}, "'bf16', which the trainer has been made with; make one for each"),
        ({"learning_rate": float("nan")}, "--learning_rate nan: give a number of 0 or more"),
        ({"remove_unused_columns": True}, "--remove_unused_columns True: our own dataset reads"),
        ({"check_own": 1}, "'check_own', which is no option of LUABConfig"),
    ],
)
def test_values_that_cannot_be_searched_end_it(tmp_path, optuna, values, said):
    with pytest.raises(ValueError, match=said):
        search(trainer(tmp_path), lambda trial: values)


@pytest.mark.parametrize("nested", [False, True])
def test_distributions_are_checked_by_name(tmp_path, nested):
    space = {"early_stopping_patience": [1, 2], "learning_rate": [1e-4, 1e-3], "wandb": {}}
    checked = checked_space(lambda trial: {"parameters": space} if nested else space, trainer(tmp_path).args)
    with pytest.raises(ValueError, match="'early_stopping_patience', which the trainer"):
        checked(None)
    space["learning_rat"] = space.pop("early_stopping_patience")
    with pytest.raises(ValueError, match=r"'learning_rat', which is no option .* mean .*learning_rate"):
        checked(None)
    del space["learning_rat"]
    assert "learning_rate" in str(checked(None))


def test_a_weight_of_a_ready_model_cannot_be_searched(tmp_path, optuna):
    run = trainer(tmp_path, model_init=lambda: LUABModel(tiny_model("vit"), "attention"))
    with pytest.raises(ValueError, match="'attention_weight', which model_init makes its LUABModel with"):
        search(run, lambda trial: {"attention_weight": trial.params["value"]})
    search(run, lambda trial: {"learning_rate": 1e-3 * trial.params["value"]})
    assert [weight for weight, _ in run.noted] == [2.0, 2.0, 2.0]


def test_a_model_init_may_make_a_ready_model_of_the_trial(tmp_path, optuna):
    def make(trial):
        weight = None if trial is None else trial.params["value"]
        return LUABModel(tiny_model("vit"), "attention", attention_weight=weight)

    run = trainer(tmp_path, model_init=make)
    search(run, lambda trial: {"learning_rate": 1e-3})
    assert [weight for weight, _ in run.noted] == VALUES
    for number, weight in enumerate(VALUES):
        saved = json.loads((tmp_path / f"run-{number}/checkpoint-3/training_args.json").read_text())
        assert saved["attention_weight"] == weight


def test_the_objective_must_be_given(tmp_path, optuna):
    with pytest.raises(ValueError, match="needs compute_objective"):
        search(trainer(tmp_path), None, objective=None)


def test_optuna_itself(tmp_path):
    pytest.importorskip("optuna")
    run = trainer(tmp_path)
    best = search(run, lambda trial: {"attention_weight": trial.suggest_float("attention_weight", 0.1, 5.0)})
    weights = [weight for weight, _ in run.noted]
    assert len(set(weights)) == 3
    assert best.hyperparameters["attention_weight"] == weights[int(best.run_id)]
