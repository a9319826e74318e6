"""`--image_size` with a checkpoint, and `--eval_crop`: what is saved loads plain and answers the same."""

import inspect
import json

import numpy as np
import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.small_runs import options, write_splits
from fixtures.tiny_models import CONFIGS, images, tiny_model
from transformers import (
    AutoModelForImageClassification,
    BitImageProcessor,
    ConvNextImageProcessor,
    MobileViTImageProcessor,
    ViTImageProcessor,
    pipeline,
)

from luab_eval.models import load_classifier
from luab_trainer.resizing import at_crop, at_size
from luab_trainer.run import main
from luab_vision.processors import (
    PROCESSOR_FILE,
    cropping_processor,
    image_settings,
    load_processor,
    resized_processor,
    square_processor,
)
from luab_vision.transforms import EvalTransform


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_splits(tmp_path_factory.mktemp("data"), train=24, validation=8)


def base(folder, model_type, processor=None, **config):
    model = tiny_model(model_type, **config).eval()
    model.save_pretrained(folder)
    (processor or square_processor(32)).save_pretrained(folder)
    return model


# Their own code cannot interpolate, or takes images in patches.
REFUSED = {
    "hiera": "depends on the image size",
    "levit": "depends on the image size",
    "pvt": "depends on the image size",
    "siglip2": "does not take",
}


@pytest.mark.parametrize("model_type", REFUSED)
def test_a_model_that_cannot_be_interpolated_says_so(model_type):
    with pytest.raises(ValueError, match=f"--image_size 48: .*{REFUSED[model_type]}"):
        at_size(tiny_model(model_type), square_processor(32), 48)


@pytest.mark.parametrize("model_type", [each for each in CONFIGS if each not in REFUSED])
def test_it_answers_as_with_encodings_interpolated_in_each_forward(model_type, tmp_path):
    more = {"use_absolute_position_embeddings": True} if model_type == "beit" else {}
    model = tiny_model(model_type, **more).eval()
    torch.nn.init.normal_(next(model.parameters()))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "position" in name:
                value.normal_()
    resized, processor = at_size(model, square_processor(32), 48)
    assert image_settings(processor).size == (48, 48)
    forward = inspect.signature(model.forward).parameters
    takes = "interpolate_pos_encoding" in forward or model_type == "clip"  # by its keyword arguments
    flag = {"interpolate_pos_encoding": True} if takes else {}
    pixels = images(height=48, width=48)
    expected = model(pixels, **flag).logits
    torch.testing.assert_close(resized(pixels).logits, expected)
    resized.save_pretrained(tmp_path)
    loaded, info = AutoModelForImageClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    torch.testing.assert_close(loaded.eval()(pixels).logits, expected)


def test_a_run_at_another_size_answers_in_transformers_pipeline(data, tmp_path, capsys, caplog):
    base(tmp_path / "base", "vit", num_labels=3)
    out = tmp_path / "out"
    main(options(None, data, out, from_config=None, model=tmp_path / "base", image_size=48, loss="both"))
    assert "encodings are interpolated from 4 x 4 to 6 x 6 patches" in caplog.text
    assert "image size, augmentation  48 x 48 pixels" in capsys.readouterr().out
    image = clicked_dataset(10)[3]["image"]
    scores = pipeline("image-classification", str(out), top_k=None)(image)
    classifier = load_classifier(str(out))
    values, _ = EvalTransform(classifier.settings)(np.array(image))
    assert values.shape == (3, 48, 48)
    answers = classifier.logits(values[None]).softmax(-1)[0].tolist()
    assert {each["label"]: each["score"] for each in scores} == pytest.approx(
        dict(zip(classifier.labels, answers, strict=True)), abs=1e-5
    )


def test_a_run_at_another_size_resumes(data, tmp_path):
    base(tmp_path / "base", "beit")
    more = {"from_config": None, "model": tmp_path / "base", "image_size": 48, "save_strategy": "steps"}
    main(options(None, data, tmp_path / "out", save_steps=1, max_steps=2, **more))
    weights = (tmp_path / "out" / "model.safetensors").read_bytes()
    more |= {"resume_from_checkpoint": tmp_path / "out" / "checkpoint-1"}
    main(options(None, data, tmp_path / "out", save_steps=1, max_steps=2, **more))
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == weights
    with pytest.raises(SystemExit, match="--image_size is 64, the checkpoint's is 48"):
        main(options(None, data, tmp_path / "out", max_steps=2, **{**more, "image_size": 64}))


def test_the_models_own_size_changes_nothing():
    model, processor = tiny_model("vit"), square_processor(32)
    assert at_size(model, processor, 32) == (model, processor)


@pytest.mark.parametrize(
    ("model_type", "config", "size", "message"),
    [
        (
            "vit",
            {},
            34,
            "patches of 8 pixels, and would leave out the last 2. Give a multiple of 8",
        ),
        ("vit", {"image_size": [24, 32]}, 48, "are for images of 24 x 32 pixels"),
        ("swin", {}, 12, "--image_size 12: the model does not take the images of its own image processor"),
    ],
)
def test_sizes_that_a_model_cannot_take_are_refused(model_type, config, size, message):
    with pytest.raises(ValueError, match=message):
        at_size(tiny_model(model_type, **config), square_processor((24, 32) if config else 32), size)


@pytest.mark.parametrize(
    ("processor", "size", "resize"),
    [
        (ViTImageProcessor(size={"height": 224, "width": 224}), 384, (384, 384)),
        (BitImageProcessor(size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}), 448, 512),
        (ConvNextImageProcessor(size={"shortest_edge": 224}, crop_pct=0.875), 288, 329),
        # ConvNeXT's class crops below 384 pixels, and squeezes from there on: both stay across this border.
        (ConvNextImageProcessor(size={"shortest_edge": 224}, crop_pct=0.875), 384, 438),
        (ConvNextImageProcessor(size={"shortest_edge": 384}, image_mean=[0.1] * 3), 192, (192, 192)),
    ],
)
def test_a_processor_keeps_its_margin(processor, size, resize, tmp_path):
    resized_processor(processor, size).save_pretrained(tmp_path)
    settings, before = image_settings(load_processor(str(tmp_path))), image_settings(processor)
    assert settings.size in (size, (size, size))
    assert settings.resize == resize
    assert (settings.mean, settings.std, settings.resample) == (before.mean, before.std, before.resample)


@pytest.mark.parametrize(
    "processor",
    [
        square_processor(224),
        BitImageProcessor(size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}),
        ConvNextImageProcessor(size={"shortest_edge": 224}, crop_pct=0.875),
        ViTImageProcessor(size={"height": 224, "width": 224}, resample=2, image_mean=[0.5] * 3),
    ],
)
@pytest.mark.parametrize(("share", "resize"), [(0.95, 235), (0.875, 256), (1.0, 224)])
def test_every_processor_can_crop_a_share(processor, share, resize, tmp_path):
    """224 of 235 pixels at 0.95, as timm rounds; all else stays, also when it is saved and loaded."""
    before = image_settings(processor)
    cropping_processor(processor, share).save_pretrained(tmp_path)
    settings = image_settings(load_processor(str(tmp_path)))
    assert (settings.size, settings.resize) == (224, resize)
    assert (settings.mean, settings.std, settings.resample) == (before.mean, before.std, before.resample)
    plain = json.loads((tmp_path / PROCESSOR_FILE).read_text())
    assert plain["size"] == {"shortest_edge": resize} and plain["crop_size"]["height"] == 224


def test_a_run_from_scratch_crops_the_share_and_trains_as_without(data, tmp_path, capsys):
    tiny_model("vit").config.save_pretrained(tmp_path / "config")
    for name, more in (("plain", {}), ("cropped", {"eval_crop": 0.5, "save_strategy": "steps"})):
        main(options(tmp_path / "config", data, tmp_path / name, **more))
    out = tmp_path / "cropped"
    assert "evaluation crop           0.5 of the resized image's side" in capsys.readouterr().out
    assert "evaluation crop" in (out / "README.md").read_text()
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("plain", "cropped")]
    assert weights[0] == weights[1]
    for folder in (out, out / "checkpoint-1"):
        settings = load_classifier(str(folder)).settings
        assert (settings.size, settings.resize) == (32, 64)
    losses = [
        json.loads((tmp_path / name / "eval_results.json").read_text()) for name in ("plain", "cropped")
    ]
    assert losses[0]["eval_ce"] != losses[1]["eval_ce"]
    image = clicked_dataset(10)[3]["image"]
    values, view = EvalTransform(settings)(np.array(image))
    assert max(view.width, view.height) == pytest.approx(0.5)
    expected = load_classifier(str(out)).logits(values[None]).softmax(-1)[0].tolist()
    scores = pipeline("image-classification", str(out), top_k=None, image_processor=load_processor(str(out)))
    assert sorted(each["score"] for each in scores(image)) == pytest.approx(sorted(expected), abs=1e-5)


def test_a_model_is_evaluated_larger_than_it_was_trained(data, tmp_path):
    """As ResNet's A3: --do_train False --model DIR --image_size 224 --eval_crop 0.95."""
    tiny_model("resnet").config.save_pretrained(tmp_path / "config")
    trained, out = tmp_path / "trained", tmp_path / "out"
    main(options(tmp_path / "config", data, trained, image_size=32, eval_crop=0.95))
    before = (trained / PROCESSOR_FILE).read_bytes()
    larger = {"from_config": None, "model": trained, "do_train": False, "loss": "none"}
    main(options(None, data, out, **larger, image_size=48, eval_crop=0.95))
    results = [json.loads((folder / "eval_results.json").read_text())["eval_ce"] for folder in (trained, out)]
    assert results[0] != results[1]
    assert (trained / PROCESSOR_FILE).read_bytes() == before
    processor = at_crop(*at_size(tiny_model("resnet"), load_processor(str(trained)), 48), 0.95)
    assert (image_settings(processor).size, image_settings(processor).resize) == (48, 50)


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        (square_processor((24, 32)), r"--eval_crop 0.9: .* makes images of 24 x 32 pixels: .* Leave it out"),
        (
            MobileViTImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}),
            "makes blue-green-red images",
        ),
    ],
)
def test_processors_that_crop_no_share_are_refused(processor, message):
    with pytest.raises(ValueError, match=message):
        at_crop(tiny_model("vit"), processor, 0.9)


@pytest.mark.parametrize("share", [0.0, 0.09, 1.01, float("nan")])
def test_a_crop_that_is_no_share_is_refused_in_one_line(share, data, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(options(tmp_path, data, tmp_path, eval_crop=share))
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"--eval_crop {share}: a share of the side, 0.1 to 1" in said
