"""What a run says of itself before it starts, and that it is so."""

import logging

import pytest
from fixtures.small_runs import options, write_config, write_splits
from fixtures.tiny_models import tiny_model

from luab_attention.facts import RowFacts
from luab_trainer.announcement import (
    announcement,
    augmentation_text,
    data_facts,
    model_facts,
    powerless,
    rows_fact,
    run_facts,
    saving_text,
    steps_and_epochs,
)
from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.hub.model_card import card_splits
from luab_trainer.model import LUABModel
from luab_trainer.run import main
from luab_trainer.trainer import LUABTrainer
from luab_vision.transforms import ColorJitter, EvalTransform, ImageSettings, RandomErasing, TrainTransform

SETTINGS = ImageSettings(size=32)
NAMES = ["ant", "bee", "cat", "dog", "eel"]


def config(**values):
    return LUABConfig("runs/out", use_cpu=True, **values)


@pytest.mark.parametrize(
    ("facts", "byproduct", "text"),
    [
        (RowFacts(1000, 1000, 792, 5), "click", "1,000, 792 of them (79.2%) with a usable click"),
        (RowFacts(24, 20, 0, 5), "trace", "24, 20 with an image, 0 of them (0.0%) with a usable trace"),
        (RowFacts(24, 24, None, 5), "click", "24, without the column of the byproduct (click)"),
        (RowFacts(24, 24, None, 5), None, "24"),
    ],
)
def test_rows_in_words(facts, byproduct, text):
    assert rows_fact(facts, byproduct) == text


def test_data_in_words():
    train, evaluated = RowFacts(24, 24, 19, 5), RowFacts(10, 10, 8, 5)
    assert data_facts(train, evaluated, config(), NAMES) == [
        ("training rows", "24, 19 of them (79.2%) with a usable click"),
        ("rows to evaluate on", "10, 8 of them (80.0%) with a usable click"),
        ("classes", "5: ant; bee; cat; ..."),
    ]
    facts = dict(data_facts(train, None, config(loss="none"), NAMES[:2]))
    assert facts == {
        "training rows": "24",
        "rows to evaluate on": "none: give --eval_split or --eval_share",
        "classes": "2: ant; bee",
    }
    assert dict(data_facts(None, evaluated, config(do_train=False), NAMES))["training rows"] == (
        "none: --do_train False"
    )
    assert dict(data_facts(train, None, config(do_eval=False), NAMES))["rows to evaluate on"] == (
        "none: --do_eval False"
    )


def test_model_in_words():
    luab = LUABModel(tiny_model("vit"), "both")
    every = sum(parameter.numel() for parameter in luab.parameters())
    transform = TrainTransform(SETTINGS, (0.3, 1.0), augmentations=[ColorJitter(0.4), RandomErasing(0.25)])
    assert model_facts(luab, config(loss="both", bf16=True), "base, with a new head", transform) == [
        ("model", "ViTForImageClassification"),
        ("started from", "base, with a new head"),
        ("loss", "cross-entropy + 10 x point + 2 x attention"),
        ("byproduct", "click"),
        ("attention loss", "form=hinge, radius=0.25, tolerance=0.5"),
        (
            "image size, augmentation",
            "32 x 32 pixels, random crops of 30% to 100% of the image, flips, color jitter 0.4, random "
            "erasing 0.25",
        ),
        ("parameters", f"{every:,}, all trained"),
        ("precision", "bfloat16, mixed"),
    ]
    assert model_facts(LUABModel(tiny_model("vit")), config(loss="none", do_train=False), "base") == [
        ("model", "ViTForImageClassification"),
        ("started from", "base"),
        ("loss", "cross-entropy"),
        ("precision", "float32"),
    ]
    assert augmentation_text(EvalTransform(SETTINGS)) == "32 x 32 pixels, no augmentation"


@pytest.mark.parametrize("model_type", ["vit", "convnext", "resnet"])
def test_a_frozen_backbone_makes_the_byproducts_powerless(model_type, tmp_path, caplog):
    model = tiny_model(model_type)
    luab = LUABModel(model, "attention")
    assert powerless(luab) is None
    model.base_model.requires_grad_(False)
    warning = "the backbone is frozen, so the attention loss cannot change where the model looks"
    assert powerless(luab).startswith(warning)
    assert warning in dict(model_facts(luab, config(), "base", EvalTransform(SETTINGS)))["parameters"]
    assert powerless(LUABModel(model, "none")) is None
    if model_type == "vit":  # in Python too
        from fixtures.clicked import clicked_dataset

        rows = ViewDataset(clicked_dataset(4), TrainTransform(SETTINGS), byproduct="click")
        args = LUABConfig(str(tmp_path), use_cpu=True, max_steps=1, report_to="none", disable_tqdm=True)
        logging.getLogger("luab_trainer").propagate = True
        with caplog.at_level("WARNING"):
            LUABTrainer(luab, args, train_dataset=rows).train()
        assert warning in caplog.text


def test_run_in_words():
    args = config(
        per_device_train_batch_size=8, gradient_accumulation_steps=2, num_train_epochs=2, save_steps=100
    )
    assert run_facts(args, 100, "runs/out/checkpoint-3") == [
        ("device", "cpu; 1 process"),
        ("batch", "16 rows a step: 8 x 1 process x 2 accumulated"),
        ("steps", "14, 2 epochs; learning rate 5e-05, seed 42"),
        ("checkpoints", "every 100 steps"),
        ("saved in", "runs/out"),
        ("resumes from", "runs/out/checkpoint-3"),
    ]
    assert run_facts(args, None, None) == [("device", "cpu; 1 process"), ("results", "runs/out")]
    assert announcement([("a", "1"), ("longer", "2")]) == "a       1\nlonger  2"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"save_strategy": "no"}, "none, only the final model"),
        ({"save_strategy": "epoch"}, "after each epoch"),
        (
            {"save_strategy": "best", "eval_strategy": "epoch"},
            "after each evaluation that is the best so far",
        ),
        ({"save_steps": 0.25}, "after each 25% of the steps"),
    ],
)
def test_saving_in_words(values, text):
    assert saving_text(config(**values)) == text


@pytest.mark.parametrize(
    "values",
    [
        {"num_train_epochs": 0.5},
        {"num_train_epochs": 2, "gradient_accumulation_steps": 2},
        {"num_train_epochs": 1, "dataloader_drop_last": True, "per_device_train_batch_size": 7},
        {"max_steps": 2},
    ],
    ids=str,
)
def test_steps_are_as_the_trainer_counts_them(values, tmp_path):
    from fixtures.clicked import clicked_dataset

    args = LUABConfig(
        str(tmp_path), loss="none", use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="no",
        **values,
    )  # fmt: skip
    rows = ViewDataset(clicked_dataset(20), TrainTransform(SETTINGS))
    trainer = LUABTrainer(tiny_model("vit"), args, train_dataset=rows)
    steps, _ = steps_and_epochs(args, 20)
    trainer.train()
    assert trainer.state.max_steps == steps


def test_a_run_says_it_once_and_its_card_says_the_same(tmp_path, capsys):
    data = write_splits(tmp_path / "data", train=24)
    main(options(write_config(tmp_path / "config"), data, tmp_path / "out", loss="attention"))
    shown = capsys.readouterr().out
    before = shown[: shown.index("{'loss'")]
    assert "\ntraining rows             24, 20 of them (83.3%) with a usable click\n" in f"\n{before}"
    assert "rows to evaluate on       none: give --eval_split or --eval_share\n" in before
    assert "steps                     1, 0.3333 epochs" in before
    assert f"saved in                  {tmp_path / 'out'}\n" in before
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| training rows | 24, 20 of them (83.3%) with a usable click |" in card
    assert "| precision | float32 |" in card
    assert str(tmp_path) not in card

    more = {"from_config": None, "model": tmp_path / "out", "train_split": "train[:12]", "loss": "none"}
    main(options(tmp_path, data, tmp_path / "next", eval_split="train[12:]", **more))
    assert "rows to evaluate on       12\n" in capsys.readouterr().out
    assert "| started from | out |" in (tmp_path / "next" / "README.md").read_text()


def test_small_shares_are_not_0(tmp_path):
    args = LUABConfig(
        str(tmp_path), use_cpu=True, background_mix=0.004, mixup=0.002, cutmix=0.003, save_steps=0.001
    )  # fmt: skip
    facts = dict(model_facts(LUABModel(tiny_model("vit"), "attention"), args, "random weights"))
    assert facts["background mix"].startswith("0.4% of the crops")
    assert facts["mixup"].startswith("0.2% of") and facts["cutmix"].startswith("0.3% of")
    assert saving_text(args) == "after each 0.1% of the steps"
    text = augmentation_text(TrainTransform(SETTINGS, (0.001, 1.0)))
    assert "random crops of 0.1% to 100% of the image" in text
    assert card_splits({"train_split": "train", "eval_share": 0.005})[1] == "train, 0.5% held out"
    assert card_splits({"train_split": "train", "eval_share": 0.07})[1] == "train, 7% held out"
