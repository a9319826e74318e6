"""LUABTrainer with a `LUABModel`: the arguments, the plan and the card say what it trains."""

import json

import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.tiny_models import IMAGE_SIZE, tiny_model

from luab_data.errors import SourceError
from luab_trainer.config import LUABConfig
from luab_trainer.data.background import BackgroundMix
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.model import MULTI_LABEL, LUABModel
from luab_trainer.pictures import attention_picture, some_samples
from luab_trainer.trainer import LUABTrainer
from luab_trainer.wrapping import OF_THE_MODEL
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings

DEFAULTS = {name: getattr(LUABConfig, name) for name in OF_THE_MODEL}
TRANSFORM = EvalTransform(ImageSettings(size=IMAGE_SIZE))


def config(folder, **arguments):
    return LUABConfig(
        str(folder), max_steps=1, per_device_train_batch_size=4, save_steps=1, use_cpu=True,
        disable_tqdm=True, report_to="none", **arguments,
    )  # fmt: skip


def boxed(**more):
    rows = clicked_dataset(8)
    objects = [{"bbox": [[4.0, 8.0, 30.0, 24.0]], "category": [label]} for label in rows["label"]]
    return ViewDataset(rows.add_column("objects", objects), TRANSFORM, byproduct="boxes", **more)


def trainer(model, args, data=None, **more):
    data = data or ViewDataset(clicked_dataset(8), TRANSFORM, byproduct="click")
    return LUABTrainer(model, args, train_dataset=data, processing_class=square_processor(IMAGE_SIZE), **more)


@pytest.mark.parametrize(
    ("made", "taken"),
    [
        ({"loss": "none"}, {"loss": "none"}),
        ({"loss": "point", "point_weight": 3.0}, {"loss": "point", "point_weight": 3.0}),
        ({"loss": "none", "label_smoothing": 0.1}, {"loss": "none", "label_smoothing_factor": 0.1}),
        (
            {"loss": "both", "attention_weight": 7.0, "attention_form": "kl", "attention_layers": "last1"},
            {
                "loss": "both", "point_weight": 10.0, "attention_weight": 7.0, "attention_form": "kl",
                "attention_radius": 0.15, "attention_tolerance": 0.0, "attention_layers": "1",
            },
        ),
        (
            {"loss": "attention", "attention_heads": "0,3", "classification_loss": "bce"},
            {
                "attention_weight": 0.1, "attention_radius": 0.25, "attention_tolerance": 0.5,
                "attention_heads": "0,3", "classification_loss": "bce",
            },
        ),
    ],
    ids=str,
)  # fmt: skip
def test_the_arguments_take_the_losses_of_the_model(tmp_path, made, taken):
    run = trainer(LUABModel(tiny_model("vit"), **made), config(tmp_path))
    assert {name: getattr(run.args, name) for name in OF_THE_MODEL} == DEFAULTS | taken
    run.train()
    run.save_model()
    card = (tmp_path / "README.md").read_text()
    assert f"luab-{taken.get('loss', 'attention')}\n" in card
    assert ("label smoothing" in card) == ("label_smoothing" in made)
    for file in ("training_args.json", "checkpoint-1/run_plan.json"):
        saved = json.loads((tmp_path / file).read_text())
        assert saved["loss" if "loss" in saved else "--loss"] == taken.get("loss", "attention")


def test_a_model_of_several_labels_has_binary_cross_entropy_without_an_argument(tmp_path):
    luab = LUABModel(tiny_model("vit", problem_type=MULTI_LABEL), "none")
    assert trainer(luab, config(tmp_path)).args.classification_loss == "ce"


@pytest.mark.parametrize(
    ("made", "given", "has"),
    [
        ({}, {"loss": "both"}, "loss='both', but the model is a LUABModel with loss='none'"),
        ({}, {"attention_weight": 7.0}, "attention_weight=7.0, but .* with loss='none'"),
        ({}, {"attention_layers": "last1"}, "attention_layers='last1', but .* with loss='none'"),
        ({"loss": "attention"}, {"point_weight": 1.0}, "point_weight=1.0, but .* with loss='attention'"),
        ({"loss": "attention"}, {"attention_weight": 7.0}, "=7.0, but .* with attention_weight=2.0"),
        ({"loss": "attention"}, {"attention_form": "kl"}, "='kl', but .* with attention_form='hinge'"),
        ({"loss": "attention"}, {"attention_radius": 0.1}, "=0.1, but .* with attention_radius=0.25"),
        ({"loss": "attention"}, {"attention_layers": "0"}, "='0', but .* with attention_layers='all'"),
        ({}, {"classification_loss": "bce"}, "='bce', but .* with classification_loss='ce'"),
        ({}, {"label_smoothing_factor": 0.1}, "=0.1, but .* with label_smoothing_factor=0.0"),
    ],
)
def test_other_losses_than_the_models_are_refused(tmp_path, made, given, has):
    with pytest.raises(ValueError, match=f"{has}, which is not changed: give both the same"):
        trainer(LUABModel(tiny_model("vit"), **made), config(tmp_path, **given))


@pytest.mark.parametrize("made", [{}, {"byproduct": "boxes", "attention_radius": 0.25}], ids=str)
def test_a_radius_does_not_go_with_boxes_and_the_model_is_what_changes(tmp_path, made):
    luab = LUABModel(tiny_model("vit"), "attention", **made)
    fix = "make it with byproduct='boxes' and no attention_radius"
    with pytest.raises(ValueError, match=f"a LUABModel with attention_radius=0.25, .*: {fix}"):
        trainer(luab, config(tmp_path), data=boxed())
    trainer(LUABModel(tiny_model("vit"), "attention", byproduct="boxes"), config(tmp_path), data=boxed())


class Entropic(LUABModel):
    """With a term of its own: the entropy of the predictions."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.weights["entropy"] = 0.5

    def forward(self, *args, **inputs):
        out = super().forward(*args, **inputs)
        entropy = torch.distributions.Categorical(logits=out.logits).entropy()
        out.terms["entropy"] = entropy
        out.loss = out.loss + self.weights["entropy"] * entropy.mean()
        return out


class Everywhere(torch.nn.Module):
    """An attention loss of its own, with no radius."""

    def forward(self, attention, *targets):
        return attention.square().sum((-2, -1)).mean((-2, -1))


@pytest.mark.parametrize("loss", ["none", "attention", "both"])
def test_a_model_may_have_terms_and_losses_of_its_own(tmp_path, loss):
    luab = Entropic(tiny_model("vit"), loss)
    if loss != "none":
        luab.attention = Everywhere()
    run = trainer(luab, config(tmp_path, logging_steps=1))
    assert (run.args.loss, run.args.attention_radius) == (loss, None)
    run.train()
    run.save_model()
    assert "entropy" in run.state.log_history[0]
    card = (tmp_path / "README.md").read_text()
    assert "0.5 x entropy" in card
    assert ("| attention loss | Everywhere |" in card) == (loss != "none")
    plan = json.loads((tmp_path / "checkpoint-1/run_plan.json").read_text())
    assert plan["--entropy_weight"] == 0.5
    assert plan.get("the attention loss") == (None if loss == "none" else "Everywhere")
    assert attention_picture(run.luab, some_samples(run.train_dataset)).size


@pytest.mark.parametrize("layers", ["0,1", "last2", "last1", "1"])
def test_the_same_in_other_words_is_the_same(tmp_path, layers):
    made = "all" if layers in ("0,1", "last2") else "last1"
    luab = LUABModel(tiny_model("vit"), "both", point_weight=10, attention_layers=made)
    args = config(tmp_path, loss="both", point_weight=10.0, attention_layers=layers, attention_weight=2)
    assert trainer(luab, args).args.attention_layers == layers


def test_each_model_of_a_model_init_is_said(tmp_path):
    made = iter([("none", None), ("both", 7.0), ("both", 3.0), ("none", None)])

    def make():
        loss, weight = next(made)
        return LUABModel(tiny_model("vit"), loss, attention_weight=weight)

    run = trainer(None, config(tmp_path), model_init=make)
    said = [(run.args.loss, run.args.attention_weight)]
    for _ in range(3):
        run.train()
        said.append((run.args.loss, run.args.attention_weight))
    assert said == [("none", None), ("both", 7.0), ("both", 3.0), ("none", None)]


def test_a_config_serves_several_trainers(tmp_path):
    """What one takes from its model and its dataset is not asked of the next."""
    args = config(tmp_path)
    before = dict(vars(args))
    ready = LUABModel(tiny_model("vit"), "attention", byproduct="boxes")
    found = [trainer(ready, args, data=boxed(mix=BackgroundMix(0.5)))]
    found += [trainer(LUABModel(tiny_model(kind), "attention"), args) for kind in ("vit", "resnet")]
    for loss in ("none", "both"):
        found += [trainer(LUABModel(tiny_model("vit"), loss), args), trainer(tiny_model("vit"), args)]
    found.append(trainer(None, args, model_init=lambda: LUABModel(tiny_model("vit"), "point")))
    losses = ["attention", "attention", "attention", "none", "attention", "both", "attention", "point"]
    assert [run.args.loss for run in found] == losses
    assert [run.args.attention_radius for run in found] == [None, 0.25, 0.35, None, None, 0.25, None, None]
    assert [run.args.background_mix for run in found] == [0.5, *[0.0] * 7]
    assert [run.args.byproduct for run in found] == ["boxes", *["click"] * 7]
    assert vars(args) == before


def older(folder):
    """Makes the checkpoint one of a version whose plan said the losses of the arguments, not of the model."""
    file = folder / "checkpoint-1" / "run_plan.json"
    plan = json.loads(file.read_text()) | {"--loss": "attention", "--attention_form": "hinge"}
    plan |= {"--label_smoothing_factor": 0.0}
    del plan["the version of the plan"]
    plan.pop("--classification_loss", None)
    file.write_text(json.dumps(plan))
    (file.parent / "SHA256SUMS").unlink()
    return str(file.parent)


@pytest.mark.parametrize("init", [False, True])
@pytest.mark.parametrize(
    "made",
    [
        {"loss": "both", "attention_form": "kl", "label_smoothing": 0.1},
        {"loss": "point", "classification_loss": "bce"},
    ],
    ids=str,
)
def test_a_checkpoint_of_an_earlier_version_goes_on(tmp_path, made, init):
    def again(**changed):
        luab = LUABModel(tiny_model("vit"), **made | changed)
        more = {"model_init": lambda: luab} if init else {}
        run = trainer(None if init else luab, config(tmp_path), **more)
        run.args.max_steps = 2
        return run

    again().train()
    checkpoint = older(tmp_path)
    with pytest.raises(SourceError, match=r"--point_weight is 7\.0, the checkpoint's is (10|0\.5)"):
        again(point_weight=7.0).train(resume_from_checkpoint=checkpoint)
    run = again()
    run.train(resume_from_checkpoint=checkpoint)
    assert run.state.global_step == 2


def test_the_losses_of_a_plain_classifier_were_said_in_earlier_versions(tmp_path):
    trainer(tiny_model("vit"), config(tmp_path, attention_form="kl")).train()
    with pytest.raises(SourceError, match="--attention_form is kl, the checkpoint's is hinge"):
        trainer(tiny_model("vit"), config(tmp_path, attention_form="kl")).train(
            resume_from_checkpoint=older(tmp_path)
        )
