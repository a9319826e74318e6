"""`--lamb`: each step is timm's, clipped once; a run resumes; what it does not go with is refused."""

import json

import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.small_runs import options, write_config, write_splits
from fixtures.tiny_models import IMAGE_SIZE, tiny_model
from fixtures.with_timm import needs_timm
from safetensors.torch import load_file
from transformers import TrainerCallback

from luab_data.console import missing
from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.model import LUABModel
from luab_trainer.plan import run_plan
from luab_trainer.search import check_trial
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import IMAGENET_MEAN, IMAGENET_STD, EvalTransform, ImageSettings

RATE, DECAY, CLIP, BETAS, EPSILON = 0.02, 0.1, 0.05, (0.8, 0.99), 1e-6
LAMB = {
    "lamb": True, "learning_rate": RATE, "weight_decay": DECAY, "max_grad_norm": CLIP, "adam_beta1": BETAS[0],
    "adam_beta2": BETAS[1], "adam_epsilon": EPSILON,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_splits(tmp_path_factory.mktemp("data"), train=16, validation=8)


@pytest.fixture
def with_package(monkeypatch):
    """As if timm were installed: a config only looks whether it is."""
    monkeypatch.setattr(missing, "find_spec", lambda name: name)


class Weights(TrainerCallback):
    """Keeps the model's weights after each step."""

    def __init__(self):
        self.states = []

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.states.append({name: value.clone() for name, value in model.state_dict().items()})


def trainer(folder, callbacks=None, **arguments):
    """Of three steps, each with four of the twelve rows, in their order."""
    arguments = {
        "loss": "both", "num_train_epochs": 1, "per_device_train_batch_size": 4, "logging_steps": 1,
        "save_strategy": "no", "lr_scheduler_type": "constant", "train_sampling_strategy": "sequential",
        "use_cpu": True, "disable_tqdm": True, "report_to": "none", "background_mix": 0.0, **arguments,
    }  # fmt: skip
    rows = ViewDataset(clicked_dataset(12), EvalTransform(ImageSettings(IMAGE_SIZE)), byproduct="click")
    return LUABTrainer(
        tiny_model("vit"), LUABConfig(str(folder), **arguments), train_dataset=rows,
        processing_class=square_processor(IMAGE_SIZE), callbacks=callbacks,
    )  # fmt: skip


def check_steps(folder):
    """Three steps, beside timm's Lamb, which clips by itself here. What is frozen stays."""
    from timm.optim import Lamb

    after = Weights()
    run = trainer(folder, callbacks=[after], freeze="0", **LAMB)
    luab = LUABModel(tiny_model("vit"), "both", mean=IMAGENET_MEAN, std=IMAGENET_STD).train()
    luab.load_state_dict(run.luab.state_dict())
    trained = {name for name, parameter in run.luab.named_parameters() if parameter.requires_grad}
    split = {True: [], False: []}
    for name, parameter in luab.named_parameters():
        if name in trained:
            split["bias" not in name and "norm" not in name].append(parameter)
    groups = [{"params": split[decays], "weight_decay": DECAY if decays else 0.0} for decays in (True, False)]
    by_hand = Lamb(groups, RATE, betas=BETAS, eps=EPSILON, max_grad_norm=CLIP)
    batches = [dict(batch) for batch in run.get_train_dataloader()]
    run.train()
    for batch, state in zip(batches, after.states, strict=True):
        batch.pop("rows", None)
        by_hand.zero_grad()
        luab(**batch).loss.backward()
        assert torch.nn.utils.get_total_norm(p.grad for each in groups for p in each["params"]) > 2 * CLIP
        by_hand.step()
        torch.testing.assert_close(luab.state_dict(), state, rtol=1e-4, atol=1e-5)


@needs_timm
def test_each_step_is_timms(timm, tmp_path):
    timm(check_steps, tmp_path)


def check_groups(folder):
    """Rates by depth, and the decay of `Trainer`, in timm's optimizer without its own clipping."""
    from timm.optim import Lamb

    run = trainer(folder, layer_decay=0.5, **LAMB)
    optimizer = run.create_optimizer()
    assert isinstance(optimizer, Lamb) and optimizer.defaults["max_grad_norm"] is None
    found = {(group["lr"], group["weight_decay"]) for group in optimizer.param_groups}
    assert found == {(RATE * share, decay) for share in (1, 0.5, 0.25, 0.125) for decay in (DECAY, 0.0)}
    assert {(group["betas"], group["eps"]) for group in optimizer.param_groups} == {(BETAS, EPSILON)}


@needs_timm
def test_it_has_the_groups_of_trainer_and_rates_by_depth(timm, tmp_path):
    timm(check_groups, tmp_path)


def check_resumes(data, folder, more):
    import contextlib
    import io

    from luab_trainer.run import main

    config = write_config(folder / "config", "convnext")
    given = {**LAMB, "save_strategy": "steps", "save_steps": 2, "max_steps": 4, **more}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        main(options(config, data, folder / "whole", **given))
    assert "optimizer                 LAMB, of timm; weight decay 0.1" in said.getvalue()
    assert "LAMB, of timm" in (folder / "whole" / "README.md").read_text()
    assert json.loads((folder / "whole" / "checkpoint-2" / "run_plan.json").read_text())["--lamb"] is True
    again = folder / "resumed"
    again.mkdir()
    (folder / "whole" / "checkpoint-2").rename(again / "checkpoint-2")
    main(options(config, data, again, resume_from_checkpoint="true", **given))
    whole, resumed = (load_file(each / "model.safetensors") for each in (folder / "whole", again))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    try:
        main(options(config, data, again, resume_from_checkpoint="true", **given | {"lamb": False}))
    except SystemExit as stopped:
        return str(stopped)
    return "resumed"


@needs_timm
@pytest.mark.parametrize(
    "more",
    [
        {"layer_decay": 0.7, "freeze": 1, "ema_decay": 0.6, "background_mix": 0.5},
        pytest.param(
            {"lora_r": 2, "max_grad_norm": 0},
            marks=pytest.mark.skipif(not missing.find_spec("peft"), reason="peft is not installed"),
        ),
    ],
    ids=["by_depth", "lora"],
)
def test_a_run_resumes_to_the_same_weights(timm, data, tmp_path, more):
    assert "--lamb is not set, the checkpoint's is True" in timm(check_resumes, data, tmp_path, more)


def check_own_optimizer_is_refused(folder):
    model = tiny_model("vit")
    args = LUABConfig(str(folder), use_cpu=True, report_to="none", **LAMB)
    own = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(ValueError, match="lamb=True does not go with optimizers, an optimizer of your own"):
        LUABTrainer(model, args, optimizers=(own, None))


@needs_timm
def test_an_optimizer_of_the_users_own_is_refused(timm, tmp_path):
    timm(check_own_optimizer_is_refused, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optim": "sgd"}, "--lamb does not go with --optim sgd: a run has one optimizer"),
        ({"optim_args": "momentum=0.9"}, "--optim_args momentum=0.9 does nothing with --lamb"),
        ({"weight_decay": 0.0}, "--lamb needs a --weight_decay above 0, such as 0.02"),
    ],
)
def test_what_it_does_not_go_with_is_refused(tmp_path, with_package, arguments, message):
    with pytest.raises(ValueError, match=message):
        LUABConfig(str(tmp_path), **{**LAMB, **arguments})


def test_a_trial_of_a_search_is_checked_too(tmp_path, with_package):
    with pytest.raises(ValueError, match="--lamb needs a --weight_decay above 0"):
        check_trial({"weight_decay": 0.0}, LUABConfig(str(tmp_path), use_cpu=True, **LAMB))


def test_without_timm_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(missing, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^--lamb needs timm: pip install 'luab\[timm\]'$"):
        LUABConfig(str(tmp_path), **LAMB)
    LUABConfig(str(tmp_path), do_train=False, use_cpu=True, **LAMB)  # an evaluation needs no optimizer


def test_a_run_without_it_has_the_plan_of_a_version_without_it(tmp_path):
    args = LUABConfig(str(tmp_path), use_cpu=True, report_to="none")
    plan = run_plan(trainer(tmp_path).luab, args, args.to_dict(), {})
    assert "--optim" in plan and "--lamb" not in plan
