"""Trackers get each term of the loss, and at each evaluation a picture of where the model looks."""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.tiny_models import IMAGE_SIZE, tiny_model
from PIL import Image
from transformers.integrations import TensorBoardCallback, TrackioCallback, WandbCallback, integration_utils

from luab_eval.pointing import attention_maps
from luab_eval.report.galleries import lit_by, overlay
from luab_trainer.config import LUABConfig
from luab_trainer.data.collator import collate
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.pictures import attention_picture, log_picture, some_samples, target_light
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings, normalize


def dataset(byproduct="click", rows=9):
    return ViewDataset(
        clicked_dataset(rows), EvalTransform(ImageSettings(size=IMAGE_SIZE)), byproduct=byproduct
    )


def trainer(folder, model="vit", callbacks=(), byproduct="click", **arguments):
    args = LUABConfig(
        str(folder), max_steps=4, eval_strategy="steps", eval_steps=2, logging_steps=2, save_strategy="no",
        **{"loss": "both", "background_mix": 0.0, "use_cpu": True, "disable_tqdm": True, "report_to": "none"},
        **arguments,
    )  # fmt: skip
    return LUABTrainer(
        tiny_model(model), args, train_dataset=dataset(), eval_dataset=dataset(byproduct),
        processing_class=square_processor(IMAGE_SIZE), callbacks=list(callbacks),
    )  # fmt: skip


class Writer:
    """What TensorBoard's SummaryWriter is told."""

    def __init__(self):
        self.scalars, self.images = [], []

    def add_scalar(self, name, value, step):
        self.scalars.append((name, step))

    def add_image(self, name, image, step, dataformats):
        assert dataformats == "HWC" and image.dtype == np.uint8
        self.images.append((name, step, image))

    def add_text(self, *args):
        pass

    def flush(self):
        pass

    def close(self):
        pass


@pytest.fixture
def tensorboard(monkeypatch):
    writer = Writer()
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = lambda log_dir: writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(integration_utils, "is_tensorboard_available", lambda: True)
    return TensorBoardCallback(writer), writer


@pytest.mark.parametrize("ema", [None, 0.9])
def test_each_evaluation_has_terms_and_a_picture(tmp_path, tensorboard, ema):
    callback, writer = tensorboard
    run = trainer(tmp_path, callbacks=[callback], ema_decay=ema)
    run.train()
    run.evaluate()
    assert {name for name, _, _ in writer.images} == {"eval/attention"}
    assert [step for _, step, _ in writer.images] == [2, 4, 4]
    for term in ("ce", "point", "attention"):
        for step in (2, 4):
            assert (f"train/{term}", step) in writer.scalars
            assert (f"eval/{term}", step) in writer.scalars
    first, last, again = (image for _, _, image in writer.images)
    assert first.shape == (4 * IMAGE_SIZE, 2 * IMAGE_SIZE, 3)
    crops = [image[:, :IMAGE_SIZE] for image in (first, last)]
    np.testing.assert_array_equal(*crops, err_msg="other images, or other crops")
    assert (first != last).any(), "the model has not learned"
    np.testing.assert_array_equal(last, again, err_msg="not the weights that are evaluated and saved")


def test_the_picture_is_of_the_targets_and_of_the_models_map():
    rows = dataset()
    samples = some_samples(rows)
    assert [sample["row"] for sample in samples] == [0, 3, 5, 8]
    run = trainer("unused")
    picture = np.asarray(attention_picture(run.luab.train(), samples))
    assert run.luab.training

    batch = collate(samples)
    values = normalize(batch["pixel_values"], run.luab.mean, run.luab.std)
    model = run.luab.eval().model
    with torch.no_grad():
        maps = attention_maps(model, values, batch["labels"][:, None])[:, 0].numpy()
    for number in range(4):
        own = picture[number * IMAGE_SIZE :][:IMAGE_SIZE]
        crop = Image.fromarray(batch["pixel_values"][number].numpy())
        targets = [(batch["target_points"][number][0], batch["target_weights"][number][0])]
        light = target_light(targets, run.luab.attention.radius)
        expected = crop if light is None else lit_by(crop, light)
        np.testing.assert_array_equal(own[:, :IMAGE_SIZE], np.asarray(expected))
        np.testing.assert_array_equal(own[:, IMAGE_SIZE:], np.asarray(overlay(crop, maps[number])))


def test_rows_without_a_byproduct_are_shown_as_they_are():
    run = trainer("unused", byproduct=None)
    samples = some_samples(dataset(None))
    picture = np.asarray(attention_picture(run.luab, samples))
    np.testing.assert_array_equal(picture[:IMAGE_SIZE, :IMAGE_SIZE], samples[0]["pixel_values"].numpy())


@pytest.mark.parametrize(("name", "kind"), [("wandb", WandbCallback), ("trackio", TrackioCallback)])
def test_other_trackers_get_their_own_kind_of_picture(monkeypatch, name, kind):
    logged, module = [], ModuleType(name)
    module.Image, module.log = (lambda pixels: ("picture", pixels.shape)), logged.append
    monkeypatch.setitem(sys.modules, name, module)
    log_picture(kind.__new__(kind), Image.new("RGB", (8, 6)), 7)
    assert logged == [{"eval/attention": ("picture", (6, 8, 3)), "train/global_step": 7}]


def test_without_a_tracker_nothing_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr("luab_trainer.pictures.attention_picture", lambda *_: pytest.fail("it was"))
    trainer(tmp_path).train()


def test_why_there_is_no_picture_is_said_once(tmp_path, tensorboard, caplog):
    callback, writer = tensorboard
    run = trainer(tmp_path, callbacks=[callback])
    run.eval_dataset = list(run.eval_dataset)
    run.train()
    assert writer.images == []
    said = [text for text in caplog.messages if text.startswith("no picture of the attention is logged:")]
    assert said == [
        "no picture of the attention is logged: the evaluation dataset is a list, no ViewDataset."
    ]


def test_tensorboard_itself(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer(tmp_path, callbacks=[TensorBoardCallback()]).train()
    (file,) = (tmp_path / "runs").rglob("events*")
    events = EventAccumulator(str(file)).Reload()
    assert [event.step for event in events.Images("eval/attention")] == [2, 4]
    assert [event.step for event in events.Scalars("eval/attention")] == [2, 4]
