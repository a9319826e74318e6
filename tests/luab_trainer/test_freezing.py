"""`--freeze`: what is frozen does not change, neither its weights nor its running statistics."""

import json

import pytest
import torch
from fixtures.small_runs import options, write_config, write_splits
from fixtures.tiny_models import images, tiny_model
from torch import nn

from luab_trainer.announcement import parameters_text, powerless
from luab_trainer.arguments import parse
from luab_trainer.config import LUABConfig
from luab_trainer.freezing import freeze, frozen_parts, frozen_text
from luab_trainer.hub.checkpoint import load_checkpoint
from luab_trainer.model import LUABModel
from luab_trainer.run import main
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_splits(tmp_path_factory.mktemp("data"), train=24, validation=8)


def trained(model) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def roots(names, depth=3) -> set[str]:
    return {".".join(name.split(".")[:depth]) for name in names}


@pytest.mark.parametrize(
    ("model_type", "what", "left"),
    [
        ("vit", "backbone", {"classifier.weight", "classifier.bias"}),
        ("vit", "0", {"vit.layers.0", "vit.layers.1", "vit.layernorm.weight", "vit.layernorm.bias"}),
        ("vit", "1", {"vit.layers.1", "vit.layernorm.weight", "vit.layernorm.bias"}),
        ("vit", "2", {"vit.layernorm.weight", "vit.layernorm.bias"}),
        ("convnext", "backbone", {"classifier.weight", "classifier.bias"}),
        ("convnext", "2", {"convnext.layernorm.weight", "convnext.layernorm.bias"}),
        ("resnet", "2", set()),
        ("poolformer", "backbone", {"norm.weight", "norm.bias"}),
    ],
)
def test_what_is_left_to_train(model_type, what, left):
    model = tiny_model(model_type)
    freeze(model, what)
    found = roots(trained(model))
    head = {name for name in found if name.startswith("classifier")}
    assert head, "the head is always trained"
    assert found - head == left - head


def test_words_name_what_there_is():
    model = tiny_model("vit")
    assert frozen_text(model, "backbone") == "the backbone; only the head is trained"
    assert frozen_text(model, "1") == "the stem and the first 1 of 2 blocks (vit.layers)"
    assert frozen_text(model, "0") == "the stem (what comes before vit.layers)"
    assert "2 of 2 stages (resnet.encoder.stages)" in frozen_text(tiny_model("resnet"), "2")
    with pytest.raises(ValueError, match=r"3: ViTForImageClassification has 2 blocks \(vit.layers\)"):
        freeze(model, "3")
    with pytest.raises(ValueError, match="nothing of PoolFormerForImageClassification comes before"):
        freeze(tiny_model("poolformer"), "0")


@pytest.mark.parametrize("value", ["head", "-1", "1.5", ""])
def test_other_values_are_refused(value, tmp_path):
    with pytest.raises(ValueError, match="give backbone, or a number of blocks"):
        LUABConfig(str(tmp_path), freeze=value)


def test_frozen_batch_normalization_and_dropout_are_those_of_an_evaluation():
    model = tiny_model("resnet")
    freeze(model, "1")
    luab = LUABModel(model).train()
    layers = {name: each for name, each in model.named_modules() if isinstance(each, nn.BatchNorm2d)}
    before = {name: layer.running_mean.clone() for name, layer in layers.items()}
    luab(images())
    moved = {name for name, layer in layers.items() if not torch.equal(layer.running_mean, before[name])}
    assert moved == {name for name in layers if "stages.1" in name}
    assert moved < set(layers)
    luab.eval().train()
    assert not model.resnet.embedder.training
    assert model.resnet.encoder.stages[1].training

    vit = tiny_model("vit", hidden_dropout_prob=0.5)
    freeze(vit, "1")
    LUABModel(vit).train()
    assert [part.training for part in vit.vit.layers] == [False, True]
    assert not any(each.training for each in vit.vit.layers[0].modules())
    assert not vit.vit.embeddings.training
    assert vit.training


def test_a_model_without_frozen_parts_trains_as_always():
    luab = LUABModel(tiny_model("resnet"), "both").train()
    assert not list(frozen_parts(luab))
    assert all(module.training for module in luab.modules())


def test_a_linear_probe_changes_the_head_alone(data, tmp_path, capsys):
    model = tiny_model("resnet", num_labels=3)
    model.save_pretrained(tmp_path / "base")
    square_processor(32).save_pretrained(tmp_path / "base")
    more = {"from_config": None, "model": tmp_path / "base", "loss": "none", "freeze": "backbone"}
    main(options(None, data, tmp_path / "out", max_steps=3, **more))
    shown = capsys.readouterr().out
    luab = LUABModel(tiny_model("resnet"))
    load_checkpoint(luab, tmp_path / "out")
    before, after = model.state_dict(), luab.model.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"classifier.1.weight", "classifier.1.bias"}
    assert "frozen                    the backbone; only the head is trained" in shown
    every = sum(parameter.numel() for parameter in luab.parameters())
    assert f"parameters                165 trained of {every:,}\n" in shown
    assert (
        "| frozen | the backbone; only the head is trained |" in (tmp_path / "out" / "README.md").read_text()
    )


def test_a_frozen_run_resumes_and_only_with_the_same_freeze(data, tmp_path, capsys):
    config = write_config(tmp_path / "config", "convnext")
    more = {"freeze": 1, "save_strategy": "steps", "save_steps": 2, "max_steps": 4, "loss": "both"}
    main(options(config, data, tmp_path / "whole", **more))
    assert "note: warning: --freeze 1 with --from_config: the frozen weights" in capsys.readouterr().err
    again = tmp_path / "resumed"
    again.mkdir()
    (tmp_path / "whole" / "checkpoint-2").rename(again / "checkpoint-2")
    main(options(config, data, again, resume_from_checkpoint="true", **more))
    whole, resumed = (
        json.loads((folder / "checkpoint-4" / "trainer_state.json").read_text())["log_history"]
        for folder in (tmp_path / "whole", again)
    )
    assert [entry["loss"] for entry in resumed] == pytest.approx([entry["loss"] for entry in whole], rel=1e-6)
    with pytest.raises(SystemExit, match="--freeze is 2, the checkpoint's is 1"):
        main(options(config, data, again, resume_from_checkpoint="true", **{**more, "freeze": 2}))


def test_all_blocks_frozen_is_a_frozen_backbone():
    model = tiny_model("vit")
    freeze(model, "1")
    assert powerless(LUABModel(model, "attention")) is None
    freeze(model, "2")
    luab = LUABModel(model, "attention")
    assert powerless(luab).startswith("the backbone is frozen")
    assert parameters_text(luab).startswith("229 trained of ")


def test_a_ready_luab_model_is_not_frozen_by_an_option(tmp_path):
    args = LUABConfig(str(tmp_path), freeze="backbone", use_cpu=True, report_to="none")
    with pytest.raises(ValueError, match="freeze='backbone' is about a classifier"):
        LUABTrainer(LUABModel(tiny_model("vit")), args)


def test_too_many_blocks_end_the_run_in_one_line(data, tmp_path):
    config = write_config(tmp_path / "config", "swin")
    with pytest.raises(SystemExit, match=r"--freeze 4: SwinForImageClassification has 2 stages"):
        main(options(config, data, tmp_path / "out", freeze=4))


def test_no_flip_is_one_option(data, tmp_path, capsys):
    config = write_config(tmp_path / "config")
    for given in (["--no_flip"], ["--flip", "False"]):
        run, _ = parse([*options(config, data, tmp_path), *given], "Train.")
        assert run.flip is False
    main([*options(config, data, tmp_path / "out", save_strategy="steps", save_steps=1), "--no_flip"])
    assert "of the image, no flips" in capsys.readouterr().out
    checkpoint = tmp_path / "out" / "checkpoint-1"
    with pytest.raises(SystemExit, match="--flip is not set, the checkpoint's is False"):
        main(options(config, data, tmp_path / "out", resume_from_checkpoint=checkpoint))
