"""`--ema_decay`: the average is torch's, by hand; it is evaluated and saved, and training does not notice."""

import json

import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.small_runs import options, write_config, write_splits
from fixtures.tiny_models import IMAGE_SIZE, images, tiny_model
from safetensors.torch import load_file
from transformers import AutoModelForImageClassification, TrainerCallback

from luab_data.errors import SourceError
from luab_trainer.averaging import TRAINED_FILE
from luab_trainer.batch_norm import WholeCropStatistics
from luab_trainer.config import LUABConfig
from luab_trainer.data.background import BackgroundMix
from luab_trainer.data.collator import collate
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.hub.checkpoint import load_checkpoint
from luab_trainer.model import LUABModel
from luab_trainer.run import main
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings, TrainTransform

SETTINGS = ImageSettings(size=IMAGE_SIZE)
DECAY = 0.7


class Weights(TrainerCallback):
    """Keeps the model's weights after each step."""

    def __init__(self):
        self.states = []

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.states.append({name: value.clone() for name, value in model.state_dict().items()})


def samples(count=12, mix=None):
    transform = TrainTransform(SETTINGS) if mix else EvalTransform(SETTINGS)
    return ViewDataset(clicked_dataset(count), transform, byproduct="click", mix=mix)


def trainer(folder, model="vit", decay=DECAY, train=None, callbacks=None, **arguments):
    arguments = {
        "loss": "both", "max_steps": 4, "per_device_train_batch_size": 4, "logging_steps": 1,
        "save_strategy": "no", "learning_rate": 1e-2, "lr_scheduler_type": "constant", **arguments,
    }  # fmt: skip
    args = LUABConfig(
        str(folder), ema_decay=decay, use_cpu=True, disable_tqdm=True, report_to="none", **arguments
    )
    return LUABTrainer(
        tiny_model(model) if isinstance(model, str) else model, args, train_dataset=train or samples(),
        eval_dataset=samples(8), processing_class=square_processor(IMAGE_SIZE), callbacks=callbacks,
    )  # fmt: skip


def by_hand(initial, states, decay=DECAY):
    average = {name: value.double() for name, value in initial.items()}
    for state in states:
        for name, value in state.items():
            if value.is_floating_point():
                average[name] = decay * average[name] + (1 - decay) * value.double()
            else:
                average[name] = value.double()
    return {name: value.to(initial[name].dtype) for name, value in average.items()}


def logged(run, name="loss"):
    return [entry[name] for entry in run.state.log_history if name in entry]


@pytest.mark.parametrize("model_type", ["vit", "resnet", "swin"])
def test_the_average_is_that_of_the_steps_and_training_does_not_notice(tmp_path, model_type):
    seen = Weights()
    run = trainer(tmp_path / "out", model_type, callbacks=[seen], eval_strategy="steps", eval_steps=1)
    initial = {name: value.clone() for name, value in run.luab.state_dict().items()}
    run.train()
    plain_seen = Weights()
    plain = trainer(tmp_path / "plain", model_type, None, callbacks=[plain_seen])
    plain.train()
    assert logged(run) == logged(plain), "evaluating the average leaves the training as it was"
    torch.testing.assert_close(seen.states, plain_seen.states, rtol=0, atol=0)
    expected = by_hand(initial, seen.states)
    torch.testing.assert_close(dict(run.luab.state_dict()), expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(expected["point.head.weight"], seen.states[-1]["point.head.weight"])

    batch = collate([run.eval_dataset[i] for i in range(8)])
    for step in (1, 4):  # what was evaluated then
        luab = LUABModel(tiny_model(model_type), "both", mean=run.luab.mean, std=run.luab.std)
        luab.load_state_dict(by_hand(initial, seen.states[:step]))
        with torch.no_grad():
            found = luab.eval()(**batch).terms["ce"].mean().item()
        assert logged(run, "eval_ce")[step - 1] == pytest.approx(found, rel=1e-4)
    assert run.evaluate()["eval_ce"] == pytest.approx(logged(run, "eval_ce")[-1], rel=1e-6)


def test_integers_are_copied_and_not_averaged(tmp_path):
    """0.999 * 7 + 0.001 * 7 is 6 if it is cut off."""
    run = trainer(tmp_path, "resnet", decay=0.999, max_steps=7)
    run.train()
    counts = {v.item() for n, v in run.luab.state_dict().items() if n.endswith("num_batches_tracked")}
    assert counts == {7}


def test_a_checkpoint_has_the_average_as_the_plain_model_and_the_weights_beside_it(tmp_path):
    seen = Weights()
    run = trainer(tmp_path, callbacks=[seen], save_strategy="steps", save_steps=2)
    initial = {name: value.clone() for name, value in run.luab.state_dict().items()}
    run.train()
    folder = tmp_path / "checkpoint-2"
    saved = LUABModel(tiny_model("vit"), "both")
    load_checkpoint(saved, folder)
    expected = by_hand(initial, seen.states[:2])
    torch.testing.assert_close(dict(saved.state_dict()), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(load_file(folder / TRAINED_FILE), seen.states[1], rtol=0, atol=0)
    assert f"  {TRAINED_FILE}\n" in (folder / "SHA256SUMS").read_text()
    run.save_model()
    assert not (tmp_path / TRAINED_FILE).exists(), "only a run that resumes needs it"
    last = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    assert torch.equal(last(images()).logits, run.luab.model.eval()(images()).logits)


@pytest.mark.parametrize(
    ("model_type", "more"),
    [
        ("vit", {}),
        ("resnet", {"mix": True}),
        ("convnext", {"lora_r": 2}),
        ("resnet", {"freeze": "1", "layer_decay": 0.5}),
    ],
    ids=["vit", "resnet-mix", "convnext-lora", "resnet-freeze"],
)
def test_a_resumed_run_is_the_uninterrupted_run(tmp_path, model_type, more):
    mix = BackgroundMix(share=1.0) if more.pop("mix", False) else None
    more = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2, **more}

    def made(name):
        return trainer(tmp_path / name, model_type, train=samples(mix=mix), **more)

    whole = made("whole")
    whole.train()
    resumed = made("resumed")
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    assert logged(resumed) == pytest.approx(logged(whole), rel=1e-6)
    assert logged(resumed, "eval_ce") == pytest.approx(logged(whole, "eval_ce"), rel=1e-5)
    torch.testing.assert_close(dict(resumed.luab.state_dict()), dict(whole.luab.state_dict()))


def test_with_a_mix_the_statistics_are_those_of_the_average(tmp_path, monkeypatch):
    measured = []
    settle = WholeCropStatistics.settle

    def noting(self):
        if self.stale:
            measured.append(self.trainer.luab.model.classifier[1].weight.clone())
        settle(self)

    monkeypatch.setattr(WholeCropStatistics, "settle", noting)
    seen = Weights()
    mix = BackgroundMix(share=1.0)
    run = trainer(tmp_path, "resnet", train=samples(mix=mix), callbacks=[seen], max_steps=2)
    first = run.luab.state_dict()["model.classifier.1.weight"].clone()
    run.train()
    key = "model.classifier.1.weight"
    expected = by_hand({key: first}, [{key: state[key]} for state in seen.states])[key]
    torch.testing.assert_close(measured, [expected], rtol=1e-5, atol=1e-6)
    mean = "model.resnet.embedder.embedder.normalization.running_mean"
    assert not torch.equal(run.luab.state_dict()[mean], seen.states[-1][mean])


def test_the_best_model_is_an_average(tmp_path):
    run = trainer(
        tmp_path, learning_rate=0.05, save_strategy="steps", save_steps=1, eval_strategy="steps",
        eval_steps=1, load_best_model_at_end=True, metric_for_best_model="eval_ce",
    )  # fmt: skip
    run.train()
    assert run.evaluate()["eval_ce"] == pytest.approx(min(logged(run, "eval_ce")[:4]), rel=1e-5)


def test_a_checkpoint_without_the_weights_is_refused(tmp_path):
    run = trainer(tmp_path, save_strategy="steps", save_steps=2)
    run.train()
    folder = tmp_path / "checkpoint-2"
    for name in (TRAINED_FILE, "SHA256SUMS"):
        (folder / name).unlink()
    with pytest.raises(SourceError, match="is of a run without --ema_decay"):
        trainer(tmp_path).train(resume_from_checkpoint=str(folder))


def test_a_short_run_says_that_the_initial_weights_remain(tmp_path, caplog):
    trainer(tmp_path, decay=0.999, max_steps=4).train()
    assert "after 4 steps the average still has 100% of the initial weights" in caplog.text
    assert "take 0.316 or less" in caplog.text
    caplog.clear()
    trainer(tmp_path, decay=0.3).train()
    assert "initial weights" not in caplog.text


@pytest.mark.parametrize("value", [0.0, 1.0, float("nan")])
def test_other_decays_are_refused(tmp_path, value):
    with pytest.raises(ValueError, match="give a share, more than 0 and less than 1"):
        LUABConfig(str(tmp_path), ema_decay=value)


def test_a_run_says_it_and_resumes_only_with_it(tmp_path, capsys):
    data = write_splits(tmp_path / "data", train=24, validation=8)
    config = write_config(tmp_path / "config")
    more = {"ema_decay": 0.9, "save_strategy": "steps", "save_steps": 1, "max_steps": 2}
    main(options(config, data, tmp_path / "out", **more))
    assert "average of the weights    exponential, decay 0.9 a step; it is eval" in capsys.readouterr().out
    assert "| average of the weights | exponential, decay 0.9" in (tmp_path / "out" / "README.md").read_text()
    metrics = json.loads((tmp_path / "out" / "eval_results.json").read_text())
    more["resume_from_checkpoint"] = tmp_path / "out" / "checkpoint-1"
    with pytest.raises(SystemExit, match=r"--ema_decay is not set, the checkpoint's is 0.9"):
        main(options(config, data, tmp_path / "out", **{**more, "ema_decay": None}))
    main(options(config, data, tmp_path / "out", **more))
    again = json.loads((tmp_path / "out" / "eval_results.json").read_text())
    assert again["eval_ce"] == pytest.approx(metrics["eval_ce"], rel=1e-6)
