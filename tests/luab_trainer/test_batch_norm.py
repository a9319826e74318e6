"""With a background mix, batch normalization has the running statistics of whole crops wherever it uses them.

The images are of objects larger than the mix's radius on a background of another color, so that mixed crops
have less of the object's color, and other statistics.
"""

import copy
from itertools import islice

import datasets
import numpy as np
import pytest
import torch
from fixtures.factories import image_bytes
from fixtures.tiny_models import IMAGE_SIZE, NUM_LABELS, tiny_model
from PIL import Image as PillowImage
from safetensors.torch import load_file
from torch import nn
from torch.optim.swa_utils import update_bn
from transformers import TrainerCallback

from luab_trainer import batch_norm
from luab_trainer.batch_norm import WholeCropStatistics, measure
from luab_trainer.config import LUABConfig
from luab_trainer.data.background import BackgroundMix
from luab_trainer.data.collator import collate
from luab_trainer.data.dataset import ViewDataset, ViewIterableDataset
from luab_trainer.data.streaming import StreamedSamples
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import ImageSettings, TrainTransform

MIX = BackgroundMix(share=1.0, radius=0.2)
TRANSFORM = TrainTransform(ImageSettings(size=IMAGE_SIZE), scale=(0.7, 1.0))
ROWS, BATCH = 16, 4


def rows(count: int = ROWS) -> datasets.Dataset:
    """Red discs of radius 0.35 around the click, on blue."""
    rng = np.random.default_rng(0)
    at = (np.arange(40) + 0.5) / 40
    table = []
    for number in range(count):
        x, y = rng.uniform(0.35, 0.65, 2)
        pixels = np.zeros((40, 40, 3), np.uint8)
        pixels[..., 2] = rng.integers(100, 250)
        pixels[np.hypot(at - x, at[:, None] - y) <= 0.35] = (rng.integers(100, 250), 0, 0)
        image = {"bytes": image_bytes(PillowImage.fromarray(pixels), "PNG"), "path": None}
        table.append({"image": image, "label": number % NUM_LABELS, "click": {"x": x, "y": y}})
    point = {"x": datasets.Value("float64"), "y": datasets.Value("float64")}
    columns = {"image": datasets.Image(), "label": datasets.Value("int64"), "click": point}
    return datasets.Dataset.from_list(table, features=datasets.Features(columns))


def samples(mix: BackgroundMix | None = MIX, count: int = ROWS) -> ViewDataset:
    return ViewDataset(rows(count), TRANSFORM, byproduct="click", mix=mix)


def trainer(folder, train=None, model="resnet", evaluation=None, callbacks=None, **arguments):
    arguments = {
        "loss": "attention", "max_steps": 3, "per_device_train_batch_size": BATCH, "logging_steps": 1,
        "save_strategy": "no", "learning_rate": 1e-3, "use_cpu": True, "disable_tqdm": True,
        "report_to": "none", **arguments,
    }  # fmt: skip
    return LUABTrainer(
        tiny_model(model) if isinstance(model, str) else model,
        LUABConfig(str(folder), **arguments),
        train_dataset=samples() if train is None else train,
        eval_dataset=evaluation,
        processing_class=square_processor(IMAGE_SIZE),
        callbacks=callbacks,
    )


def layers(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]


def statistics(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items() if "running_" in name}


def mean_over(model: nn.Module, crops: list) -> torch.Tensor:
    """The mean of each channel that the first layer of batch normalization gets, over crops in one batch."""
    seen = []
    watched = layers(model)[0].register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    with torch.no_grad():
        model.eval()(collate(crops)["pixel_values"])
    watched.remove()
    return seen[0].mean((0, 2, 3))


def same(one, two) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("model", ["mobilenet_v1", "resnet"])
def test_after_training_they_are_those_of_whole_crops(tmp_path, model):
    """By hand for the first layer; for the others as by torch's own function, which needs no dropout."""
    run = trainer(tmp_path, model=model)
    run.train()
    mean = layers(run.luab)[0].running_mean.clone()
    mixed, whole = run.train_dataset, samples(None)
    torch.testing.assert_close(mean, mean_over(run.luab, list(whole)), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(mean, mean_over(run.luab, list(mixed)), rtol=0.05)

    order = np.random.default_rng(0).permutation(ROWS)
    batches = [[whole[row] for row in order[start : start + BATCH]] for start in range(0, ROWS, BATCH)]
    expected = copy.deepcopy(run.luab)
    update_bn([collate(batch)["pixel_values"] for batch in batches], expected)
    found = statistics(run.luab)
    assert len(found) > 4
    torch.testing.assert_close(found, statistics(expected), rtol=1e-4, atol=1e-5)
    momenta = [layer.momentum for layer in layers(tiny_model(model))]
    assert [layer.momentum for layer in layers(run.luab)] == momenta


def test_the_views_are_those_of_the_epoch(tmp_path):
    run = trainer(tmp_path, max_steps=5)  # of 4 an epoch
    run.train()
    whole = samples(None)
    first = mean_over(run.luab, list(whole))
    whole.set_epoch(1)
    second = mean_over(run.luab, list(whole))
    torch.testing.assert_close(layers(run.luab)[0].running_mean, second, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(first, second, rtol=1e-3)


@pytest.mark.parametrize(
    ("model", "config", "options"),
    [
        ("mobilenet_v1", {"classifier_dropout_prob": 0.4}, {}),
        ("mobilevit", {"hidden_dropout_prob": 0.4}, {"loss": "none"}),
        ("resnet", {}, {"bf16": True}),
        ("resnet", {}, {"gradient_accumulation_steps": 2}),
    ],
)
def test_training_takes_the_same_course(tmp_path, monkeypatch, model, config, options):
    """Weights and losses to the bit, also with dropout, whose random numbers are the trainer's."""
    arguments = {"eval_strategy": "steps", "eval_steps": 1, "evaluation": samples(None), **options}
    runs = []
    for measured in (True, False):
        if not measured:
            monkeypatch.setattr(WholeCropStatistics, "settle", lambda self: None)
        run = trainer(tmp_path, model=tiny_model(model, **config), **arguments)
        run.train()
        runs.append(run)
    one, two = runs
    assert same(dict(one.luab.named_parameters()), dict(two.luab.named_parameters()))
    logs = [[entry["loss"] for entry in run.state.log_history if "loss" in entry] for run in runs]
    assert len(logs[0]) == 3 and logs[0] == logs[1]
    assert not same(statistics(one.luab), statistics(two.luab))


def test_without_a_mix_they_are_torchs_own(tmp_path, monkeypatch):
    runs = []
    for measured in (True, False):
        if not measured:
            monkeypatch.setattr(WholeCropStatistics, "settle", lambda self: None)
        runs.append(trainer(tmp_path, samples(None)))
        runs[-1].train()
    assert same(*(statistics(run.luab) for run in runs))
    assert all(layer.num_batches_tracked == 3 for layer in layers(runs[0].luab))


@pytest.mark.parametrize(("count", "batch", "used"), [(3, 8, 3), (10, 8, 8), (13, 8, None)])
def test_rows_that_fill_no_batch(tmp_path, count, batch, used):
    """All are measured if there is no other batch; a few left over are not, as they would count too much."""
    run = trainer(tmp_path, samples(count=count), per_device_train_batch_size=batch, max_steps=1)
    run.train()
    whole, order = samples(None, count), np.random.default_rng(0).permutation(count)
    crops = [whole[row] for row in order]
    if used is not None:
        expected = mean_over(run.luab, crops[:used])
    else:
        expected = (mean_over(run.luab, crops[:batch]) + mean_over(run.luab, crops[batch:])) / 2
    torch.testing.assert_close(layers(run.luab)[0].running_mean, expected, rtol=1e-4, atol=1e-5)


def test_of_many_rows_some_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(batch_norm, "ROWS", 8)
    run = trainer(tmp_path)
    run.train()
    crops = [samples(None)[row] for row in np.random.default_rng(0).permutation(ROWS)[:8]]
    torch.testing.assert_close(
        layers(run.luab)[0].running_mean, mean_over(run.luab, crops), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("kind", [ViewIterableDataset, StreamedSamples])
def test_a_stream_is_measured_from_its_start_and_goes_on_where_it_was(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(batch_norm, "ROWS", 8)

    def stream(mix):
        return kind(rows().to_iterable_dataset(num_shards=3), TRANSFORM, byproduct="click", mix=mix)

    arguments = {"eval_strategy": "steps", "eval_steps": 1, "evaluation": samples(None)}
    run = trainer(tmp_path, stream(MIX), **arguments)
    run.train()
    expected = mean_over(run.luab, list(islice(stream(None), 8)))
    torch.testing.assert_close(layers(run.luab)[0].running_mean, expected, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(WholeCropStatistics, "settle", lambda self: None)
    other = trainer(tmp_path, stream(MIX), **arguments)
    other.train()
    assert same(dict(run.luab.named_parameters()), dict(other.luab.named_parameters()))


class Used(TrainerCallback):
    """Compares what each evaluation used with whole crops of that epoch, by the weights of that moment."""

    def __init__(self):
        self.steps = []

    def on_evaluate(self, args, state, control, model, **kwargs):
        whole = samples(None)
        whole.set_epoch(state.global_step > 4)
        found = layers(model)[0].running_mean.clone()
        torch.testing.assert_close(found, mean_over(model, list(whole)), rtol=1e-4, atol=1e-5)
        self.steps.append(state.global_step)


def test_evaluations_and_checkpoints_have_them(tmp_path):
    used = Used()
    run = trainer(
        tmp_path, evaluation=samples(None), callbacks=[used], max_steps=6, eval_strategy="steps",
        eval_steps=2, save_strategy="steps", save_steps=3,
    )  # fmt: skip
    run.train()
    assert used.steps == [2, 4, 6]
    run.save_model()
    name = next(name for name in run.luab.model.state_dict() if name.endswith("running_mean"))
    for folder, epoch in ((tmp_path / "checkpoint-3", 0), (tmp_path, 1)):
        weights = load_file(folder / "model.safetensors")
        run.luab.model.load_state_dict(weights)
        whole = samples(None)
        whole.set_epoch(epoch)
        torch.testing.assert_close(weights[name], mean_over(run.luab, list(whole)), rtol=1e-4, atol=1e-5)


class Saving(TrainerCallback):
    """As a user may save: whenever the weights are of interest."""

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 2:
            self.trainer.save_model(f"{args.output_dir}/mine")


def test_a_model_saved_by_a_users_callback_has_them(tmp_path):
    saving = Saving()
    run = saving.trainer = trainer(tmp_path, callbacks=[saving])
    run.train()
    run.luab.model.load_state_dict(load_file(tmp_path / "mine" / "model.safetensors"))
    found = layers(run.luab)[0].running_mean.clone()
    torch.testing.assert_close(found, mean_over(run.luab, list(samples(None))), rtol=1e-4, atol=1e-5)


def test_a_trainer_that_trains_again_measures_again(tmp_path):
    run = trainer(tmp_path, max_steps=1, learning_rate=0.05)
    for _ in range(2):  # both end at step 1
        run.train()
        found = layers(run.luab)[0].running_mean.clone()
        torch.testing.assert_close(found, mean_over(run.luab, list(samples(None))), rtol=1e-4, atol=1e-5)


def test_the_best_model_keeps_its_own(tmp_path):
    run = trainer(
        tmp_path, evaluation=samples(None), max_steps=5, learning_rate=0.05, eval_strategy="steps",
        eval_steps=2, save_strategy="steps", save_steps=2, load_best_model_at_end=True,
        metric_for_best_model="ce",
    )  # fmt: skip
    run.train()
    best = load_file(f"{run.state.best_model_checkpoint}/model.safetensors")
    assert same({name: best[name] for name in statistics(run.luab.model)}, statistics(run.luab.model))


def test_a_resumed_run_is_the_uninterrupted_run(tmp_path):
    arguments = {"max_steps": 6, "save_strategy": "steps", "save_steps": 1}
    whole = trainer(tmp_path / "whole", **arguments)
    whole.train()
    for step in (3, 5):
        resumed = trainer(tmp_path / "resumed", **arguments)
        resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{step}"))
        torch.testing.assert_close(resumed.luab.state_dict(), whole.luab.state_dict(), rtol=1e-5, atol=1e-6)


def test_a_compiled_model_is_measured(tmp_path):
    plain, compiled = trainer(tmp_path), trainer(tmp_path, torch_compile=True, torch_compile_backend="eager")
    plain.train()
    compiled.train()
    torch.testing.assert_close(statistics(compiled.luab), statistics(plain.luab), rtol=1e-3, atol=1e-4)


class Odd(nn.Module):
    """One layer is frozen, one is not used, one has a cumulative mean, and one has no statistics."""

    def __init__(self):
        super().__init__()
        self.frozen, self.unused, self.other = nn.BatchNorm1d(2), nn.BatchNorm1d(2), nn.BatchNorm1d(2)
        self.cumulative = nn.BatchNorm1d(2, momentum=None)
        self.without = nn.BatchNorm1d(2, track_running_stats=False)
        self.dropout = nn.Dropout(0.5)

    def train(self, mode=True):
        super().train(mode)
        self.frozen.eval()
        return self

    def forward(self, x):
        return self.dropout(self.without(self.cumulative(self.frozen(self.other(x)))))


def test_layers_that_do_not_train_keep_their_own():
    model = Odd()
    for layer in (model.frozen, model.unused):
        layer.running_mean.fill_(3)
        layer.running_var.fill_(5)
    batches = [torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([[4.0, 1.0], [6.0, 3.0]])]
    state = torch.get_rng_state()
    measure(model, batches, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training and not model.frozen.training and model.dropout.training
    for layer in (model.frozen, model.unused):
        assert layer.running_mean.tolist() == [3, 3] and layer.running_var.tolist() == [5, 5]
    assert model.other.running_mean.tolist() == [3, 2]
    assert model.other.running_var.tolist() == [2, 2]  # of two values that differ by 2
    assert [layer.momentum for layer in layers(model)] == [0.1, 0.1, 0.1, None, 0.1]
