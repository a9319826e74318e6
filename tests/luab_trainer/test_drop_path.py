"""Drop path: set where a model has it, refused where it would do nothing."""

import pytest
import torch
from fixtures.small_runs import options, write_splits
from fixtures.tiny_models import images, tiny_model
from fixtures.tiny_timm import process_with_timm
from fixtures.with_timm import needs_timm

from luab_data.errors import SourceError
from luab_trainer.arguments import parse
from luab_trainer.classifier import load_start
from luab_trainer.drop_path import drop_path_of
from luab_trainer.run import main, train

NAMES = ["ant", "bee", "cat", "dog", "eel"]
DEPTHS = {"convnext": {"depths": [2, 2]}, "swin": {"depths": [2, 2]}, "beit": {}, "dinov2": {}}


def write(folder, model_type, **config):
    """A config.json, or with `weights` a checkpoint."""
    tiny_model(model_type, **config).config.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("model_type", DEPTHS)
def test_the_last_block_drops_with_the_probability_and_only_in_training(tmp_path, model_type):
    folder = write(tmp_path, model_type, **DEPTHS[model_type])
    torch.manual_seed(0)
    model = load_start(None, str(folder), NAMES, drop_path=0.4).model
    assert model.config.drop_path_rate == 0.4 and drop_path_of(model) == pytest.approx(0.4)
    pixels = images(64)
    with torch.no_grad():
        assert torch.equal(model.eval()(pixels).logits, model(pixels).logits)
        first, second = (model.train()(pixels).logits for _ in range(2))
    assert 0.1 < (first - second).abs().gt(1e-7).any(1).float().mean() < 1


def test_a_checkpoint_gets_it_too_and_keeps_its_weights(tmp_path):
    before = tiny_model("convnext", depths=[2, 2], id2label=dict(enumerate(NAMES)))
    before.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "ConvNextImageProcessor"}')
    after = load_start(str(tmp_path), None, NAMES, drop_path=0.2).model
    assert drop_path_of(after) == pytest.approx(0.2) and drop_path_of(before) == 0
    assert all(torch.equal(value, after.state_dict()[name]) for name, value in before.state_dict().items())


def test_none_leaves_the_configs_own(tmp_path):
    folder = write(tmp_path, "swin", depths=[2, 2], drop_path_rate=0.3)
    assert drop_path_of(load_start(None, str(folder), NAMES).model) == pytest.approx(0.3)
    assert drop_path_of(load_start(None, str(folder), NAMES, drop_path=0.0).model) == 0


@pytest.mark.parametrize(
    ("model_type", "reason"),
    [
        ("vit", "transformers' vit has none, as ViT, DeiT and ResNet; ConvNeXt"),
        ("resnet", "transformers' resnet has none"),
        ("mobilevit", "transformers' mobilevit has none"),
    ],
)
def test_a_model_without_it_is_refused(tmp_path, model_type, reason):
    folder = write(tmp_path, model_type)
    with pytest.raises(SourceError, match=reason):
        load_start(None, str(folder), NAMES, drop_path=0.1)


def test_a_model_that_never_reads_it_is_refused(tmp_path):
    folder = write(tmp_path, "convnext", depths=[1], num_stages=1, hidden_sizes=[8])
    with pytest.raises(SourceError, match="no block of ConvNextForImageClassification drops a path"):
        load_start(None, str(folder), NAMES, drop_path=0.1)


def test_a_run_says_it_and_resumes_only_with_the_same(tmp_path, capsys):
    folder = write(tmp_path / "config", "convnext", depths=[2, 2])
    data = write_splits(tmp_path / "data", train=16)
    given = {"do_eval": False, "save_strategy": "steps", "save_steps": 1, "drop_path": 0.2}
    trainer = train(*parse(options(folder, data, tmp_path / "out", **given), ""))
    assert "drop path                 0 to 0.2 over the blocks" in capsys.readouterr().out
    assert drop_path_of(trainer.luab.model) == pytest.approx(0.2)
    again = {**given, "max_steps": 2, "resume_from_checkpoint": True}
    with pytest.raises(SystemExit, match=r"--drop_path is 0\.1, the checkpoint's is 0\.2"):
        main(options(folder, data, tmp_path / "out", **again | {"drop_path": 0.1}))


def test_a_wrong_rate_is_refused_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        parse(options(tmp_path, tmp_path, tmp_path, drop_path=1.0), "")
    reason = "--drop_path 1.0: a probability, 0 or more and less than 1"
    assert reason in capsys.readouterr().err.splitlines()[-1]


def test_an_evaluation_says_that_it_drops_no_path(tmp_path, capsys):
    """And takes a model that has none, too."""
    config, data = write(tmp_path / "config", "vit"), write_splits(tmp_path / "data", train=16, validation=8)
    train(*parse(options(config, data, tmp_path / "trained"), ""))
    given = {"model": str(tmp_path / "trained"), "from_config": None, "do_train": False, "drop_path": 0.1}
    train(*parse(options(config, data, tmp_path / "out", **given), ""))
    assert "--do_train False trains nothing, so --drop_path 0.1 does nothing" in capsys.readouterr().err


def check_timms_models(folder):
    import json
    from pathlib import Path

    from luab_trainer.classifier import load_start

    models = Path(__file__).parents[2] / "configs" / "models" / "timm"
    for name in ("resnet-50", "deit-s"):
        start = load_start(None, str(models / f"{name}.json"), NAMES, drop_path=0.05)
        assert drop_path_of(start.model) == pytest.approx(0.05)
        assert start.model.config.num_labels == len(NAMES)
        assert start.model.eval()(images(1, 224, 224)).logits.shape == (1, len(NAMES))
        assert drop_path_of(load_start(None, str(models / f"{name}.json"), NAMES).model) == 0
    plain = Path(folder, "config.json")
    plain.write_text(json.dumps({"model_type": "timm_wrapper", "architecture": "vgg11", "num_classes": 5}))
    with pytest.raises(SourceError, match=r"--drop_path 0\.1: this model of timm has none"):
        load_start(None, str(plain), NAMES, drop_path=0.1)


@needs_timm
def test_timms_models_have_it_or_are_refused(tmp_path):
    with process_with_timm() as process:
        process.submit(check_timms_models, tmp_path).result()
