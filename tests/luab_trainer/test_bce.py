"""Binary cross-entropy for one label per image, as timm's ResNet recipes A1 to A3."""

import importlib.util
from pathlib import Path

import pytest
import torch
from fixtures.small_runs import options, write_config, write_splits
from fixtures.tiny_models import NUM_LABELS, images, tiny_model
from fixtures.with_timm import APART, needs_timm
from torch.nn import functional as F

from luab_trainer.arguments import parse
from luab_trainer.config import LUABConfig
from luab_trainer.losses.point import PointLoss
from luab_trainer.model import MULTI_LABEL, MULTI_LABEL_SHARE, LUABModel
from luab_trainer.run import main, train
from luab_trainer.trainer import LUABTrainer

LABELS = torch.tensor([0, 3, 1, 4])
SHARES = torch.tensor([[0.79, 0.21, 0, 0, 0], [0.81, 0.19, 0, 0, 0], [0, 0, 1, 0, 0], [0.5, 0, 0, 0, 0.5]])


def term(labels):
    luab = LUABModel(tiny_model("vit"), classification_loss="bce").eval()
    output = luab(images(4), labels=labels)
    return output.logits.detach(), output.terms["ce"].detach()


def test_each_class_is_0_or_1():
    logits, found = term(LABELS)
    target = F.one_hot(LABELS, NUM_LABELS).float()
    torch.testing.assert_close(
        found, F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(1)
    )
    torch.testing.assert_close(term(target)[1], found)
    torch.testing.assert_close(term(target.bfloat16())[1], found)
    seen = torch.tensor([[1.0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 1]])
    torch.testing.assert_close(term(SHARES)[1], term(seen)[1])


@needs_timm
def test_it_is_timms():
    spec = importlib.util.find_spec("timm")
    folder = APART / "timm" if spec is None or spec.origin is None else Path(spec.origin).parent
    spec = importlib.util.spec_from_file_location("timms_bce", folder / "loss" / "binary_cross_entropy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    theirs = module.BinaryCrossEntropy(smoothing=0.0, target_threshold=0.2)
    for labels in (LABELS, SHARES):
        logits, found = term(labels)
        torch.testing.assert_close(found.mean(), theirs(logits, labels))


def test_the_byproducts_weigh_as_with_several_labels():
    weight = PointLoss.default_weight
    assert LUABModel(tiny_model("vit"), "point").weights == {"point": weight}
    made = LUABModel(tiny_model("vit"), "point", classification_loss="bce")
    assert made.weights == {"point": MULTI_LABEL_SHARE * weight}
    assert made.point.outputs == 1  # an image still has one point


def test_what_it_is_not_for_is_refused():
    with pytest.raises(ValueError, match="classification_loss='focal' is unknown; take one of ce, bce"):
        LUABModel(tiny_model("vit"), classification_loss="focal")
    with pytest.raises(ValueError, match="is for one label an image"):
        LUABModel(tiny_model("vit", problem_type=MULTI_LABEL), classification_loss="bce")


@pytest.mark.parametrize("of", [{"problem_type": MULTI_LABEL}, {}])
def test_label_smoothing_is_refused_where_it_would_do_nothing(of):
    kind = {} if of else {"classification_loss": "bce"}
    with pytest.raises(ValueError, match=r"label_smoothing=0.1 \(--label_smoothing_factor\) is of the cross"):
        LUABModel(tiny_model("vit", **of), label_smoothing=0.1, **kind)
    for value in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"label_smoothing=.*: give 0 or more and less than 1"):
            LUABModel(tiny_model("vit"), label_smoothing=value)


def test_a_trainer_of_several_labels_does_not_smooth_them(tmp_path):
    args = LUABConfig(str(tmp_path), label_smoothing_factor=0.3, use_cpu=True, report_to="none")
    with pytest.raises(ValueError, match=r"label_smoothing=0.3 .* Leave it out"):
        LUABTrainer(tiny_model("vit", problem_type=MULTI_LABEL), args)


def test_a_run_says_it_and_resumes_only_with_it(tmp_path, capsys):
    data, config = write_splits(tmp_path / "data", train=16, validation=8), write_config(tmp_path / "config")
    given = {"classification_loss": "bce", "mixup": 0.5, "save_strategy": "steps", "save_steps": 1}
    trainer = train(*parse(options(config, data, tmp_path / "out", **given), ""))
    assert "loss                      binary cross-entropy + 0.1 x attention" in capsys.readouterr().out
    logged = trainer.state.log_history
    assert logged[0]["ce"] == pytest.approx(0.7, abs=0.15)  # log(2) at the start
    assert any("eval_accuracy" in each for each in logged)
    again = {**given, "max_steps": 2, "resume_from_checkpoint": True}
    with pytest.raises(SystemExit, match="--classification_loss is not set, the checkpoint's is bce"):
        main(options(config, data, tmp_path / "out", **again | {"classification_loss": "ce"}))
    main(options(config, data, tmp_path / "out", **again))


def test_label_smoothing_does_not_go_with_it(tmp_path, capsys):
    given = {"classification_loss": "bce", "label_smoothing_factor": 0.1}
    with pytest.raises(SystemExit):
        parse(options(tmp_path, tmp_path, tmp_path, **given), "")
    assert "--label_smoothing_factor 0.1 is of the cross-entropy" in capsys.readouterr().err
