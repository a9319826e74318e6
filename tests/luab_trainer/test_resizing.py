"""`--image_size` with a checkpoint: the encodings are interpolated once, and the result loads plain."""

import inspect

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
    ViTImageProcessor,
    pipeline,
)

from luab_eval.models import load_classifier
from luab_trainer.resizing import at_size
from luab_trainer.run import main
from luab_vision.processors import image_settings, resized_processor, square_processor
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
        (ConvNextImageProcessor(size={"shortest_edge": 224}, crop_pct=0.875), 384, (384, 384)),
    ],
)
def test_a_processor_keeps_its_margin(processor, size, resize):
    settings = image_settings(resized_processor(processor, size))
    assert settings.size in (size, (size, size))
    assert settings.resize == resize
    assert settings.mean == image_settings(processor).mean
