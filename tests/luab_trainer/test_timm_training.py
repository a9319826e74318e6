"""Models of timm train from their folders and from a configuration, in a process with timm."""

import json
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.small_runs import options, write_splits
from fixtures.tiny_timm import MODEL_ARGS, wrapped
from fixtures.with_timm import needs_timm


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_splits(tmp_path_factory.mktemp("data"), train=16, validation=8)


def write(folder, **config):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def architecture(name):
    return {"model_type": "timm_wrapper", "architecture": name, "model_args": MODEL_ARGS.get(name, {})}


def check_answers(folder):
    """The folder answers in transformers' pipeline and in timm as it does here."""
    import transformers

    from luab_eval.models import load_classifier
    from luab_vision.processors import load_processor
    from luab_vision.transforms import EvalTransform

    image = clicked_dataset(10)[3]["image"]
    classifier = load_classifier(str(folder))
    values, _ = EvalTransform(classifier.settings)(np.array(image))
    answers = classifier.logits(values[None]).softmax(-1)[0].tolist()
    processor = load_processor(str(folder))  # not torchvision's, which rounds in another way
    pipeline = transformers.pipeline(
        "image-classification", str(folder), image_processor=processor, top_k=None
    )
    scores = pipeline(image)
    assert {each["label"]: each["score"] for each in scores} == pytest.approx(
        dict(zip(classifier.labels, answers, strict=True)), abs=1e-5
    )
    return list(classifier.labels)


def check_from_config(data, folder, name):
    from luab_trainer.run import main

    config = write(folder / "config", **architecture(name))
    saved = {"loss": "both", "save_strategy": "steps", "save_steps": 1}
    main(options(config, data, folder / "out", **saved))
    assert check_answers(folder / "out")[3] == "class_3"
    metrics = json.loads((folder / "out" / "eval_results.json").read_text())
    assert {"eval_attention", "eval_point", "eval_pointing_game"} <= metrics.keys()
    card = (folder / "out" / "README.md").read_text()
    assert "attention loss" in card
    main(options(config, data, folder / "out", **saved | {"max_steps": 2}, resume_from_checkpoint=True))
    again = {"from_config": None, "model": folder / "out", "loss": "attention"}
    main(options(None, data, folder / "again", **again))
    check_answers(folder / "again")


@needs_timm
@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "convnext_atto", "poolformer_s12", "deit_tiny_distilled_patch16_224"]
)
def test_a_new_model_trains_resumes_and_goes_on(timm, data, tmp_path, name):
    timm(check_from_config, data, tmp_path, name)


def check_other_classes(data, folder, layout):
    import timm
    from transformers import AutoModelForImageClassification, TimmWrapperConfig

    from luab_trainer.run import main
    from luab_vision.processors import image_settings, load_processor

    source = folder / "source"
    described = {
        "input_size": [3, 64, 64],
        "mean": [0.5, 0.4, 0.3],
        "crop_pct": 0.9,
        "label_names": list("abc"),
    }
    if layout == "timm":
        model = timm.create_model("test_resnet", num_classes=3, pretrained_cfg_overlay=described)
        timm.models.save_for_hf(model, source, safe_serialization=True)
    else:
        config = TimmWrapperConfig.from_dict(
            {"architecture": "test_resnet", "num_classes": 3, "label_names": list("abc"),
             "pretrained_cfg": {**described, "interpolation": "bilinear"}}
        )  # fmt: skip
        model = AutoModelForImageClassification.from_config(config)
        model.save_pretrained(source)
        model = model.timm_model
    settings = image_settings(load_processor(str(source)))
    assert (settings.size, settings.resize, settings.mean) == ((64, 64), 71, (0.5, 0.4, 0.3))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run = {"from_config": None, "model": source, "loss": "attention", "learning_rate": 1e-9}
    main(options(None, data, folder / "out", **run))
    names = check_answers(folder / "out")
    assert names[:2] == ["class_0", "class_1"]
    assert json.loads((folder / "out" / "config.json").read_text())["label_names"] == names
    trained = AutoModelForImageClassification.from_pretrained(folder / "out").timm_model.state_dict()
    assert trained["fc.weight"].shape[0] == len(names)
    torch.testing.assert_close(
        trained["layer4.0.conv1.weight"], before["layer4.0.conv1.weight"], atol=1e-6, rtol=0
    )
    assert image_settings(load_processor(str(folder / "out"))) == settings
    main(options(None, data, folder / "crop", **run, eval_crop=0.8))
    cropped = load_processor(str(folder / "crop"))
    assert image_settings(cropped) == replace(settings, resize=80)
    assert json.loads((folder / "crop" / "config.json").read_text())["pretrained_cfg"]["crop_pct"] == 0.8
    check_answers(folder / "crop")


@needs_timm
@pytest.mark.parametrize("layout", ["timm", "transformers"])
def test_a_checkpoint_gets_a_head_for_other_classes_and_keeps_its_images(timm, data, tmp_path, layout):
    timm(check_other_classes, data, tmp_path, layout)


def check_adapted(data, folder):
    import timm

    from luab_trainer.run import main

    source = folder / "source"
    model = timm.create_model(
        "test_resnet", num_classes=3, pretrained_cfg_overlay={"input_size": [3, 64, 64]}
    )
    timm.models.save_for_hf(model, source, safe_serialization=True)
    run = {"from_config": None, "model": source, "lora_r": 2, "save_strategy": "steps", "save_steps": 2}
    for name, steps in (("whole", 4), ("parts", 2), ("parts", 4)):
        resumed = {"resume_from_checkpoint": True} if (folder / name).is_dir() else {}
        more = {"loss": "attention", "max_steps": steps, "lr_scheduler_type": "constant", **run, **resumed}
        main(options(None, data, folder / name, **more))
    whole, parts = (
        json.loads((folder / name / "checkpoint-4" / "trainer_state.json").read_text())["log_history"]
        for name in ("whole", "parts")
    )
    losses = [entry["loss"] for entry in whole if "loss" in entry]
    assert [entry["loss"] for entry in parts if "loss" in entry] == pytest.approx(losses, rel=1e-6)
    card = (folder / "whole" / "README.md").read_text()
    assert card.count("```python") == 1, "the base takes no num_labels"
    assert "have the adapter merged in" in card
    check_answers(folder / "whole")


@needs_timm
def test_an_adapter_of_timm_s_own_layout_resumes_and_its_card_points_to_the_merged_model(
    timm, data, tmp_path
):
    pytest.importorskip("peft")
    timm(check_adapted, data, tmp_path)


def check_evaluation(data, folder):
    from luab.commands.models import main as models
    from luab_eval.localization import attention_of, maps_after
    from luab_vision.processors import square_processor

    model = wrapped("vit_base_patch16_gap_224").eval()
    model.save_pretrained(folder / "gap")
    square_processor(64).save_pretrained(folder / "gap")
    assert models(["--model", str(folder / "gap")]) == 0
    images, classes = torch.randn(2, 3, 64, 64), torch.tensor([1, 2])
    found = []
    for each in (model, model.timm_model):
        attention = attention_of(each)
        attention.watch(each)
        each(images)
        found.append(maps_after(each, attention, (64, 64), classes))
    assert found[0].scores.shape == (2, 4, 4)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@needs_timm
def test_evaluations_ask_wrapped_and_plain_models_alike(timm, data, tmp_path):
    timm(check_evaluation, data, tmp_path)


def check_own_size(data, folder):
    import timm

    from luab_trainer.classifier import load_start
    from luab_trainer.config import LUABConfig
    from luab_trainer.trainer import LUABTrainer
    from luab_vision.processors import square_processor

    described = {"mean": [0.5, 0.4, 0.3]}
    model = timm.create_model("test_resnet", num_classes=2, pretrained_cfg_overlay=described)
    timm.models.save_for_hf(model, folder / "source", safe_serialization=True)
    start = load_start(str(folder / "source"), None, ["a", "b"])
    args = LUABConfig(str(folder / "out"), use_cpu=True, report_to="none")
    with pytest.raises(
        ValueError, match=r"normalized in two ways: the processing_class .* the classifier's config"
    ):
        LUABTrainer(start.model, args, processing_class=square_processor(160))


@needs_timm
def test_a_checkpoint_keeps_the_images_of_its_config(timm, data, tmp_path):
    timm(check_own_size, data, tmp_path)


def refusal(folder, config, image_size=None):
    from luab_data.errors import SourceError
    from luab_trainer.classifier import load_start
    from luab_vision.processors import check_fits, image_settings

    try:
        start = load_start(None, str(write(folder, **config)), ["a", "b"], image_size=image_size)
        check_fits(start.model, image_settings(start.processor))
    except (SourceError, ValueError) as error:
        return str(error)
    return "none"


@needs_timm
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_args": {"checkpoint_path": "weights.pth"}}, "model_args may not have checkpoint_path"),
        ({"architecture": "hf-hub:someone/model"}, "is no name of timm's"),
        ({"architecture": "no_such_model"}, "no_such_model"),
        ({"model_args": {"depth": 1_000_000}}, "asks for 1,000,000 layers (depth)"),
        ({"num_classes": 200_000}, "200,000 classes; allowed are 100,000"),
        ({"model_args": [1]}, "model_args is list; needed is an object"),
    ],
)
def test_a_configuration_that_is_refused(timm, tmp_path, config, message):
    assert message in timm(refusal, tmp_path / "config", {**architecture("vit_tiny_patch16_224"), **config})


@needs_timm
def test_a_new_model_has_the_size_that_is_asked_for(timm, tmp_path):
    of_64 = architecture("vit_tiny_patch16_224")
    assert timm(refusal, tmp_path / "own", of_64) == "none"
    assert timm(refusal, tmp_path / "larger", of_64, 96) == "none"
    fixed = {**of_64, "model_args": {"embed_dim": 32, "depth": 2, "num_heads": 4}}
    assert timm(refusal, tmp_path / "fixed", fixed, 96) == "none"
    assert timm(refusal, tmp_path / "any", architecture("resnet18"), 96) == "none"


def check_resized(folder, name, size, described):
    """At another size: processor and config agree, it loads plain, and timm's interpolation is in use."""
    import torch
    from transformers import AutoModelForImageClassification

    from luab_data.errors import SourceError
    from luab_trainer.classifier import load_start
    from luab_vision.processors import check_fits, image_settings, load_processor, square_processor

    model = wrapped(name)
    if described:
        model.config.pretrained_cfg = {"input_size": [3, 64, 64], "mean": [0.5, 0.4, 0.3], "crop_pct": 0.9}
    else:
        square_processor(64).save_pretrained(folder)
    model.save_pretrained(folder)
    names = list(model.config.id2label.values())
    try:
        start = load_start(str(folder), None, names, image_size=size)
    except SourceError as error:
        return str(error)
    assert not start.new_head
    start.model.save_pretrained(folder / "resized")
    start.processor.save_pretrained(folder / "resized")
    plain = AutoModelForImageClassification.from_pretrained(folder / "resized").eval()
    settings = image_settings(load_processor(str(folder / "resized")))
    assert settings.size in (size, (size, size))
    check_fits(plain, settings)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    resized = model.timm_model.eval()
    if hasattr(resized, "set_input_size"):
        more = {"window_size": 7} if name.startswith("swin") else {}  # as a new model of this size has
        resized.set_input_size(img_size=(size, size), **more)
    torch.testing.assert_close(plain(images).logits, resized(images), rtol=1e-4, atol=1e-4)
    return "none"


@needs_timm
@pytest.mark.parametrize("described", [True, False])
@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("vit_tiny_patch16_224", 96, "none"),
        ("vit_base_patch16_rope_224", 96, "none"),
        ("beit_base_patch16_224", 96, "none"),
        ("eva02_tiny_patch14_224", 84, "none"),
        ("swin_tiny_patch4_window7_224", 224, "none"),
        ("convnext_atto", 96, "none"),
        ("resnet18", 96, "none"),
        (
            "vit_tiny_patch16_224",
            90,
            "patches of 16 pixels, and would leave out the last 10. Give a multiple",
        ),
        ("cait_xxs24_224", 96, "--image_size 96: pos_embed of timm's cait_xxs24_224 depends on the image"),
        ("hiera_tiny_224", 96, "--image_size 96: pos_embed of timm's hiera_tiny_224 depends on the image"),
    ],
)
def test_a_checkpoint_is_resized_by_timms_own_code(timm, tmp_path, name, size, message, described):
    assert message in timm(check_resized, tmp_path, name, size, described)


def check_fine_tuned(data, folder):
    """Everything together: other classes, another size, drop path, LoRA, resumed; then plain."""
    from transformers import AutoModelForImageClassification

    from luab_trainer.run import main

    model = wrapped("vit_tiny_patch16_224")
    model.config.pretrained_cfg = {"input_size": [3, 64, 64]}
    model.config.id2label = {number: f"other {number}" for number in range(5)}
    model.save_pretrained(folder / "source")
    run = {"from_config": None, "model": folder / "source", "image_size": 96, "drop_path": 0.1}
    run |= {"lora_r": 2, "loss": "both", "save_strategy": "steps", "save_steps": 1, "max_steps": 2}
    main(options(None, data, folder / "out", **run))
    main(options(None, data, folder / "out", **run | {"max_steps": 3}, resume_from_checkpoint=True))
    assert check_answers(folder / "out")[0] == "class_0"
    plain = AutoModelForImageClassification.from_pretrained(folder / "out")
    assert plain.timm_model.patch_embed.img_size == (96, 96)
    assert plain.config.model_args["drop_path_rate"] == 0.1
    card = (folder / "out" / "README.md").read_text()
    assert "LoRA" in card and "drop path" in card


@needs_timm
def test_size_drop_path_and_lora_go_together(timm, data, tmp_path):
    timm(check_fine_tuned, data, tmp_path)


def check_no_drop_path(folder):
    from luab_data.errors import SourceError
    from luab_trainer.classifier import load_start

    model = wrapped("densenet121")
    model.config.pretrained_cfg = {"input_size": [3, 64, 64]}
    model.save_pretrained(folder)
    with pytest.raises(SourceError, match=r"--drop_path 0\.1: this model of timm has none"):
        load_start(str(folder), None, list(model.config.id2label.values()), drop_path=0.1)


@needs_timm
def test_a_checkpoint_without_drop_path_is_refused(timm, tmp_path):
    timm(check_no_drop_path, tmp_path)


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm is installed")
def test_a_model_of_timm_names_the_extra(tmp_path):
    found = refusal(tmp_path / "config", architecture("resnet18"))
    assert "a model of timm (resnet18) needs timm: pip install 'luab[timm]'" in found
