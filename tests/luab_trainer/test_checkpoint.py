"""A saved run is a plain transformers checkpoint; our head and the card lie beside it."""

import json

import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.tiny_models import IMAGE_SIZE, images, tiny_model
from huggingface_hub import ModelCard
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification, ViTImageProcessor, pipeline
from transformers.utils import logging

from luab_data.errors import SourceError
from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.hub.checkpoint import HEAD_FILE, load_checkpoint, save_checkpoint
from luab_trainer.model import LUABModel
from luab_trainer.trainer import LUABTrainer
from luab_vision.transforms import EvalTransform, ImageSettings

PROCESSOR = ViTImageProcessor(size={"height": 32, "width": 32})


@pytest.fixture
def saved(tmp_path):
    """A finished (untrained) run's folder and its trainer."""
    config = LUABConfig(str(tmp_path / "luab-vit"), loss="both", use_cpu=True, hub_token="hf_secret")
    model = tiny_model("vit", id2label={i: f"animal {i}" for i in range(5)})
    trainer = LUABTrainer(model, config, processing_class=PROCESSOR, dataset_name="you/imagenet_ab")
    trainer.state.log_history = [
        {"eval_accuracy": 0.1, "step": 0},
        {"eval_accuracy": 0.75, "eval_pointing_game": 0.5, "epoch": 1, "step": 0},
    ]
    trainer.save_model()
    return tmp_path / "luab-vit", trainer


@pytest.mark.parametrize("model_type", ["vit", "dinov2_with_registers", "beit", "convnext", "resnet", "swin"])
def test_transformers_loads_it_without_our_code(tmp_path, model_type):
    luab = LUABModel(tiny_model(model_type).eval(), "both")
    save_checkpoint(luab, tmp_path)
    model, info = AutoModelForImageClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    assert torch.equal(model.eval()(images()).logits, luab.model(images()).logits)


def test_pipeline_takes_the_folder(saved):
    folder, _ = saved
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["ViTForImageClassification"]
    assert "auto_map" not in config, "loading must not need code of ours"
    assert "luab" not in json.dumps(config)
    found = pipeline("image-classification", str(folder), device="cpu")(Image.new("RGB", (50, 40)))
    assert found[0]["label"].startswith("animal ")


def test_only_safe_formats_are_written(saved):
    folder, _ = saved
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "SHA256SUMS", "config.json", HEAD_FILE, "model.safetensors",
        "preprocessor_config.json", "training_args.json",
    ]  # fmt: skip
    arguments = json.loads((folder / "training_args.json").read_text())
    assert arguments["loss"] == "both"
    assert "hf_secret" not in "".join(p.read_text() for p in folder.iterdir() if p.suffix in (".json", ".md"))
    assert AutoImageProcessor.from_pretrained(folder).size["height"] == 32


def test_plain_run_has_no_head(tmp_path):
    (tmp_path / HEAD_FILE).touch()  # of an earlier run into the same folder
    save_checkpoint(LUABModel(tiny_model("vit"), "attention"), tmp_path)
    assert not (tmp_path / HEAD_FILE).exists()


def test_another_number_of_classes_is_refused(tmp_path):
    save_checkpoint(LUABModel(tiny_model("convnext", num_labels=7)), tmp_path)
    with pytest.raises(ValueError, match="have another shape"):
        load_checkpoint(LUABModel(tiny_model("convnext")), tmp_path)


@pytest.mark.parametrize("model_type", ["vit", "beit", "convnext", "swin"])
def test_load_brings_back_classifier_and_head(tmp_path, model_type, caplog):
    logging.enable_propagation()
    luab = LUABModel(tiny_model(model_type), "both")
    torch.nn.init.normal_(luab.point.head.weight)
    save_checkpoint(luab, tmp_path)
    other = LUABModel(tiny_model(model_type, seed=5), "both")
    load_checkpoint(other, tmp_path)
    for name, value in luab.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
    assert "newly initialized" not in caplog.text


def test_checkpoint_of_another_loss_is_refused(tmp_path):
    save_checkpoint(LUABModel(tiny_model("vit"), "attention"), tmp_path)
    with pytest.raises(SourceError, match="trained with another --loss"):  # run.py: one line
        load_checkpoint(LUABModel(tiny_model("vit"), "both"), tmp_path)


def test_checkpoint_of_another_model_is_refused(tmp_path):
    save_checkpoint(LUABModel(tiny_model("vit", num_hidden_layers=1)), tmp_path)
    with pytest.raises(ValueError, match="is not a checkpoint of this ViTForImageClassification"):
        load_checkpoint(LUABModel(tiny_model("vit")), tmp_path)


def test_a_pickled_checkpoint_is_refused(tmp_path):
    luab = LUABModel(tiny_model("convnext"), "none")
    luab.model.config.save_pretrained(tmp_path)
    torch.save(luab.model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(SourceError, match="no file named model"):
        load_checkpoint(luab, tmp_path)


def test_a_gathered_state_dict_is_split(tmp_path):
    luab = LUABModel(tiny_model("vit"), "point")
    gathered = {name: value + 1 for name, value in luab.state_dict().items()}
    save_checkpoint(luab, tmp_path, gathered)
    load_checkpoint(luab, tmp_path)
    for name, value in gathered.items():
        assert torch.equal(luab.state_dict()[name], value), name


def test_the_card_tells_results_and_how_it_was_trained(saved):
    folder, trainer = saved
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "apache-2.0"
    assert card.data.datasets == ["you/imagenet_ab"]
    assert card.data.metrics == ["accuracy"]
    assert "luab" in card.data.tags
    results = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert results == {"accuracy": 0.75, "pointing_game": 0.5}
    for text in (
        "cross-entropy + 10 x point + 2 x attention",
        "radius=0.25",
        HEAD_FILE,
        "| seed | 42 |",
        "Han, Dongyoon",
    ):
        assert text in card.text
    assert str(folder.parent) not in (folder / "README.md").read_text(), (
        "the card is public, this machine is not"
    )
    assert trainer.model.config.id2label[0] == "animal 0"


def test_the_card_names_base_model_and_local_data_without_paths(tmp_path):
    tiny_model("vit").save_pretrained(tmp_path / "base")
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "base")
    config = LUABConfig(str(tmp_path / "run"), loss="none", use_cpu=True)
    trainer = LUABTrainer(model, config, dataset_name=str(tmp_path / "my_clicks"))
    trainer.save_model()
    card = ModelCard.load(tmp_path / "run" / "README.md")
    assert "| started from | base |" in card.text
    assert "trained on my_clicks." in card.text
    assert card.data.base_model is None
    assert card.data.datasets is None
    assert str(tmp_path) not in card.content


def evaluating_trainer(folder, **arguments):
    """A trainer of 8 steps, one row each, on rows that it also evaluates."""
    data = ViewDataset(clicked_dataset(8), EvalTransform(ImageSettings(size=IMAGE_SIZE)), byproduct="click")
    config = LUABConfig(
        str(folder), loss="none", max_steps=8, per_device_train_batch_size=1, learning_rate=1e-2,
        eval_strategy="steps", use_cpu=True, disable_tqdm=True, report_to="none", **arguments,
    )  # fmt: skip
    return LUABTrainer(tiny_model("vit"), config, train_dataset=data, eval_dataset=data)


def results_on_card(folder):
    results = ModelCard.load(folder / "README.md").data.eval_results or []
    return {result.metric_type: result.metric_value for result in results}


def test_a_card_has_the_results_of_its_own_weights(tmp_path):
    run = evaluating_trainer(tmp_path, eval_steps=4, save_steps=3)
    run.train()
    assert results_on_card(tmp_path / "checkpoint-6") == {}
    assert "Not evaluated yet." in (tmp_path / "checkpoint-6" / "README.md").read_text()
    run.save_model()
    logged = [entry for entry in run.state.log_history if "eval_ce" in entry]
    assert [entry["step"] for entry in logged] == [4, 8]
    assert results_on_card(tmp_path)["ce"] == logged[1]["eval_ce"]
    again = run.evaluate()
    assert results_on_card(tmp_path)["ce"] == pytest.approx(again["eval_ce"])


def test_a_card_of_the_best_model_has_its_results(tmp_path):
    run = evaluating_trainer(
        tmp_path, eval_steps=1, save_steps=1, load_best_model_at_end=True,
        metric_for_best_model="ce", greater_is_better=True,  # as the last step is not
    )  # fmt: skip
    run.train()
    best = run.state.best_global_step
    assert best < run.state.global_step
    run.save_model()
    logged = {entry["step"]: entry["eval_ce"] for entry in run.state.log_history if "eval_ce" in entry}
    assert results_on_card(tmp_path)["ce"] == logged[best]
    steps = f"| steps | 8 of 8; the weights are those of step {best}, the best |"
    assert steps in (tmp_path / "README.md").read_text()
    run.log({"eval_pointing_game": 0.5})  # as run.py does once the training is over
    run.save_model()
    assert results_on_card(tmp_path)["pointing_game"] == 0.5
    run.args.load_best_model_at_end = False
    run.train()
    run.save_model()
    assert "| steps | 8 of 8 |" in (tmp_path / "README.md").read_text()
