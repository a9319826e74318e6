"""The recipes: each starts on our samples, its architecture is the published one, the docs' arithmetic right.

Each starts with a tiny model of its architecture's type in the place of its own, on one process, without
workers. Image sizes other than the model's are 64 pixels. All else is the recipe's.
"""

import io
import json
import re
from contextlib import redirect_stdout
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from fixtures.tiny_models import NUM_LABELS, tiny_model
from fixtures.with_timm import needs_timm
from transformers import AutoConfig, AutoModelForImageClassification

from luab_trainer.arguments import parse
from luab_trainer.drop_path import drop_path_of
from luab_trainer.run import train
from luab_vision.processors import image_settings, load_processor, square_processor
from luab_vision.transforms import IMAGENET_MEAN

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "configs" / "recipes").glob("*.yaml"))
MODELS = ROOT / "configs" / "models" / "imagenet"
TABLE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
# The type of a Hub model, and tiny configs with blocks enough to drop one.
HUB = {
    "google/vit-base-patch16-224-in21k": "vit",
    "facebook/convnext-tiny-224": "convnext",
    "facebook/dinov2-base": "dinov2",
}
NAME = attrgetter("stem")
DEPTHS = {"convnext": {"depths": [2, 2]}, "resnet": {"depths": [2, 2]}}


def values(recipe: Path) -> dict:
    return yaml.safe_load(recipe.read_text(encoding="utf-8"))


def started_from(recipe: Path, folder: Path) -> list[str]:
    """The options that put a tiny model of the same type in the place of the recipe's."""
    said = values(recipe)
    if "model" in said:
        model_type = HUB[said["model"]]
        model = tiny_model(model_type, num_labels=NUM_LABELS, **DEPTHS.get(model_type, {}))
        model.save_pretrained(folder)
        square_processor(32).save_pretrained(folder)
        return ["--model", str(folder)]
    model_type = AutoConfig.from_pretrained(ROOT / said["from_config"]).model_type
    tiny_model(model_type, **DEPTHS.get(model_type, {})).config.save_pretrained(folder)
    return ["--from_config", str(folder)]


@pytest.mark.parametrize("recipe", [each for each in RECIPES if "lamb" not in values(each)], ids=NAME)
def test_a_recipe_starts(recipe, tmp_path):
    """With --max_steps 3 on the samples, which have no split to evaluate on."""
    check_start(recipe, tmp_path)


@needs_timm
@pytest.mark.parametrize("recipe", [each for each in RECIPES if "lamb" in values(each)], ids=NAME)
def test_a_recipe_with_lamb_starts(timm, recipe, tmp_path):
    timm(check_start, recipe, tmp_path)


# As the recipes say themselves: what they lack, timm's model has.
WITH_TIMM = {
    "deit-s": ("deit-s", 0.1),
    "resnet-50-a1": ("resnet-50", 0.05),
    "resnet-50-a2": ("resnet-50", 0.05),
}
SMALL = {"deit-s": {"embed_dim": 32, "depth": 3, "num_heads": 4}, "resnet-50": {"layers": [1, 1, 1, 1]}}


@needs_timm
@pytest.mark.parametrize("name", WITH_TIMM)
def test_a_recipe_starts_with_timms_model_and_its_drop_path(timm, name, tmp_path):
    timm(check_start_with_timm, name, tmp_path)


def check_start_with_timm(name, tmp_path):
    model, drop_path = WITH_TIMM[name]
    recipe = ROOT / "configs" / "recipes" / f"{name}.yaml"
    given = f"--from_config configs/models/timm/{model}.json --drop_path {drop_path}"
    head = " ".join(
        recipe.read_text(encoding="utf-8").partition("\nfrom_config:")[0].replace("\n#", "").split()
    )
    assert given in head or name == "resnet-50-a2", "A2 refers to A1"
    config = json.loads((ROOT / "configs" / "models" / "timm" / f"{model}.json").read_text())
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**config, "model_args": SMALL[model]}))
    processor = ROOT / "configs" / "models" / "timm" / "preprocessor_config.json"
    (folder / processor.name).write_bytes(processor.read_bytes())
    check_start(recipe, tmp_path, ["--from_config", str(folder), "--drop_path", str(drop_path)])


def check_start(recipe, tmp_path, instead=None):
    """`instead`: the options of another model than the tiny one, with a drop path of its own."""
    said = values(recipe)
    given = {
        "dataset": "coco_ab" if "coco" in recipe.stem else "imagenet_ab", "output_dir": tmp_path / "out",
        "eval_share": 0.25,
        "max_steps": 3, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 1,
        "dataloader_num_workers": 0, "save_strategy": "no", "logging_steps": 1, "disable_tqdm": True,
        "report_to": "none", "use_cpu": True,
    }  # fmt: skip
    if "image_size" in said:
        given["image_size"] = 64
    options = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    run, args = parse([str(recipe), *(instead or started_from(recipe, tmp_path / "model")), *options], "")
    for name, value in said.items():
        if name not in given and name not in ("model", "from_config", "lr_scheduler_kwargs"):
            kept = getattr(run, name, getattr(args, name, None))
            assert getattr(kept, "value", kept) == value or str(kept) == str(value), name
    with redirect_stdout(io.StringIO()) as output:
        trainer = train(run, args)
    assert trainer.state.global_step == 3
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 3 and np.isfinite(losses).all()
    assert f"{said['learning_rate']:g}" in output.getvalue()
    assert ("LAMB, of timm" in output.getvalue()) == ("lamb" in said)
    settings = image_settings(load_processor(str(tmp_path / "out")))
    if "eval_crop" in said:
        assert settings.resize == int(settings.size / said["eval_crop"])
    assert (drop_path_of(trainer.luab.model) > 0) == ("drop_path" in said or instead is not None)
    pairer = trainer.train_dataset.to_sample.pairer
    assert (pairer is not None) == ("mixup" in said or "cutmix" in said)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet-18", 11_689_512),
        ("resnet-50", 25_557_032),
        ("resnet-101", 44_549_160),
        ("resnet-152", 60_192_808),
        ("vit-ti", 5_717_416),
        ("vit-s", 22_050_664),
        ("vit-b", 86_567_656),
        ("convnext-t", 28_589_128),
    ],
)
def test_an_architecture_has_the_published_number_of_parameters(name, parameters):
    """Of torchvision's ResNets and timm's DeiT and ConvNeXt, with 1,000 classes."""
    config = AutoConfig.from_pretrained(MODELS / f"{name}.json", num_labels=1000)
    with torch.device("meta"):
        model = AutoModelForImageClassification.from_config(config)
    assert model.num_parameters() == parameters


def test_the_architectures_see_imagenets_evaluation():
    settings = image_settings(load_processor(str(MODELS)))
    assert (settings.size, settings.resize, settings.mean) == (224, 256, IMAGENET_MEAN)


def test_lambs_rates_are_for_the_rows_of_a_step():
    """As published: A1 and A2 0.005, A3 0.008, DeiT III's fine-tuning 0.0003, for 2,048 on 8 GPUs."""
    rates = {}
    for recipe in RECIPES:
        if "lamb" in (said := values(recipe)):
            rows = said["per_device_train_batch_size"] * said.get("gradient_accumulation_steps", 1) * 8
            assert rows == 2048 and said["num_train_epochs"] * said["warmup_steps"] == pytest.approx(
                5, abs=0.02
            )
            rates[recipe.stem] = said["learning_rate"]
    scratch = {f"resnet-50-a{number}": rate for number, rate in enumerate((0.005, 0.005, 0.008), 1)}
    assert rates == {**scratch, "finetune-dinov2-b": 0.0003}


def test_every_recipe_says_its_source_and_is_in_the_docs():
    assert len(RECIPES) >= 12
    for recipe in RECIPES:
        head = recipe.read_text(encoding="utf-8").partition("\nmodel:")[0].partition("\nfrom_config:")[0]
        assert re.search(r"\b(19|20)\d\d\b", head) and re.search(r"(?i)recalled", head), recipe.name
        assert f"`{recipe.name}`" in TABLE
        said = values(recipe)
        assert "from_config" not in said or (ROOT / said["from_config"]).is_file()


HOURS = re.compile(
    r"^\| `([\w.-]+\.yaml)` \|[^|]*\| ([\d.]+) \| ([\d.,]+) ([ke]) \| ([\d.]+) \| ([\d,]+) \|$", re.M
)


def test_the_hours_in_the_docs_are_their_arithmetic():
    """GPU hours = 6 x MACs x images / (operations per second) / 3600; a frozen backbone has 2 for 6."""
    rows = {match[0]: match[1:] for match in HOURS.findall(TABLE)}
    assert set(rows) == {recipe.name for recipe in RECIPES}
    for recipe in RECIPES:
        said = values(recipe)
        macs, shown, unit, speed, hours = rows[recipe.name]
        count = float(shown.replace(",", ""))
        if unit == "e":
            assert said["num_train_epochs"] == count
            images = count * (82_783 if "coco" in recipe.stem else 1_281_167)
        else:
            images = count * 1000
            assert said["max_steps"] * said["per_device_train_batch_size"] * 8 == images
        factor = 2 if said.get("freeze") == "backbone" else 6
        expected = factor * float(macs) * 1e9 * images / (float(speed) * 1e12) / 3600
        assert float(hours.replace(",", "")) == pytest.approx(expected, rel=0.05, abs=0.6), (
            recipe.name,
            expected,
        )
