"""A checkpoint's weights are all there, finite and float32, or it says so: in training and in evaluation."""

import json
import re
import shutil

import pytest
import torch
from fixtures.tiny_models import IMAGE_SIZE, images, tiny_model
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForImageClassification

from luab_data.errors import SourceError
from luab_eval.models import Classifier, NotFinite
from luab_eval.models import load_classifier as load_to_evaluate
from luab_trainer.classifier import load_start
from luab_trainer.config import LUABConfig
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import square_processor
from luab_vision.transforms import ImageSettings

ONE = torch.zeros(1)
NAMES = [f"animal {number}" for number in range(5)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A checkpoint of a tiny ViT of five named classes."""
    folder = tmp_path_factory.mktemp("whole")
    tiny_model("vit", id2label=dict(enumerate(NAMES))).save_pretrained(folder)
    square_processor(IMAGE_SIZE).save_pretrained(folder)
    return folder


def changed(whole, folder, rename=lambda name: name, config=None, **more):
    """A copy of a checkpoint with its weights renamed (None: left out), others added, its config changed."""
    shutil.copytree(whole, folder)
    weights = {rename(name): value for name, value in load_file(whole / "model.safetensors").items()}
    weights = {name: value for name, value in weights.items() if name is not None}
    weights |= {name: value.clone() for name, value in more.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    content = json.loads((whole / "config.json").read_text()) | (config or {})
    (folder / "config.json").write_text(json.dumps(content))
    return str(folder)


def without(part):
    return lambda name: None if part in name else name


WRONG = {
    "prefix": ({"rename": "module.{}".format}, r"names begin with 'module\.'"),
    "missing layer": ({"rename": without("layer.1.")}, r"are missing \(.*\.layers\.1\..*different models"),
    "extra layer": ({"config": {"num_hidden_layers": 1}}, "are of no part of it .*describes a smaller model"),
    "wider": ({"config": {"hidden_size": 48}}, "have another shape .*different models"),
    "nan": ({"classifier.bias": torch.full((5,), torch.nan)}, r"hold NaN or infinity, in classifier\.bias"),
    "int8": (
        {"classifier.weight": torch.ones(5, 32, dtype=torch.int8)},
        r"quantized: classifier\.weight in I8",
    ),
    "adapter": ({}, "an adapter .*merge_and_unload"),
    "layers": ({"config": {"num_hidden_layers": 10**6}}, "asks for 1,000,000 layers"),
    "names": ({"config": {"id2label": {"1": "a", "7": "b"}}}, "must name the outputs 0 to 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_weights_of_another_model_are_refused(whole, tmp_path, name):
    change, message = WRONG[name]
    folder = changed(whole, tmp_path / "model", **change)
    if name == "adapter":
        (tmp_path / "model" / "adapter_config.json").write_text("{}")
    with pytest.raises(SourceError, match=message) as refused:
        load_start(folder, None, NAMES)
    assert str(refused.value).count(".weight") <= 10, "a few of the names"
    with pytest.raises(ValueError, match=message):
        load_to_evaluate(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rename": without("classifier")}, "2 are missing .*It has no head for these classes"),
        ({"config": {"id2label": {"0": "a", "1": "b"}}}, "have another shape .*It has no head for these"),
        (
            {"vit.pooler.dense.bias": torch.zeros(32)},
            r"1 is of no part of it \(vit.*leftovers of its pretraining",
        ),
    ],
)
def test_evaluation_needs_the_whole_classifier(whole, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        load_to_evaluate(changed(whole, tmp_path / "model", **change))
    assert len(load_to_evaluate(str(whole)).labels) == 5


def test_a_checkpoint_older_than_the_counter_of_batches_is_whole(tmp_path):
    """What batch normalization counts takes no part in any answer."""
    model = tiny_model("resnet", id2label=dict(enumerate(NAMES))).eval()
    model.save_pretrained(tmp_path / "new")
    square_processor(IMAGE_SIZE).save_pretrained(tmp_path / "new")
    old = changed(tmp_path / "new", tmp_path / "old", rename=without("num_batches_tracked"))
    torch.testing.assert_close(load_to_evaluate(old).model(images()).logits, model(images()).logits)
    load_start(old, None, NAMES)
    with pytest.raises(ValueError, match="running_mean"):
        load_to_evaluate(changed(tmp_path / "new", tmp_path / "odd", rename=without("running_mean")))


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.name.startswith("luab")]


def head_of(model):
    return model.state_dict()["classifier.weight"]


def test_training_keeps_a_head_of_the_same_classes(whole, caplog):
    model, _, _ = load_start(str(whole), None, NAMES)
    assert torch.equal(head_of(model), load_file(whole / "model.safetensors")["classifier.weight"])
    assert not said(caplog)


def test_training_puts_a_head_into_the_datasets_order(whole, caplog):
    names = [NAMES[at] for at in (3, 0, 4, 1, 2)]
    model, _, _ = load_start(str(whole), None, names)
    before = AutoModelForImageClassification.from_pretrained(whole).eval()
    logits = before(images()).logits[:, [3, 0, 4, 1, 2]]
    torch.testing.assert_close(model.eval()(images()).logits, logits)
    assert model.config.id2label[0] == "animal 3"
    assert "in another order" in said(caplog)[0]


@pytest.mark.parametrize(
    ("change", "names", "message"),
    [
        (
            {},
            ["a", "b", "c", "d", "e"],
            r"its 5 classes \(animal 0, .*\) are not the dataset's 5 \(a, .* new head",
        ),
        (
            {},
            ["a", "b", "c"],
            r"its 5 classes \(animal 0, .*\) are not the dataset's 3 \(a, b, c\), so a new head",
        ),
        ({"rename": without("classifier")}, NAMES, "it has no head, so a new one of 5 classes"),
        (
            {"rename": without("classifier"), "decoder.0.weight": ONE, "vit.pooler.dense.bias": ONE},
            NAMES,
            r"not used are parts of its pretraining: decoder, vit\.pooler",
        ),
    ],
)
def test_training_says_that_the_head_is_new(whole, tmp_path, caplog, change, names, message):
    folder = changed(whole, tmp_path / "model", **change)
    model, _, _ = load_start(folder, None, names)
    old = load_file(whole / "model.safetensors")
    assert model.config.num_labels == len(head_of(model)) == len(names)
    assert len(head_of(model)) != 5 or not torch.equal(head_of(model), old["classifier.weight"])
    (line,) = said(caplog)
    assert re.search(message, line), line


@pytest.mark.parametrize("names", [["a", "b", "c", "d", "e"], ["a", "b", "c"]])
def test_an_evaluation_names_the_classes_of_both_sides(whole, names):
    message = (
        rf"cannot be evaluated here: its 5 classes \(animal 0, .*\) are not the dataset's {len(names)} \(a, b"
    )
    with pytest.raises(ValueError, match=message) as error:
        load_start(str(whole), None, names, trained=False)
    assert "new head" not in str(error.value)


@pytest.mark.parametrize("kind", ["vit", "beit", "convnext", "swin", "dinov2", "poolformer", "resnet"])
def test_training_starts_from_a_backbone_without_a_head(tmp_path, kind, caplog):
    classifier = tiny_model(kind)
    AutoModel.from_config(classifier.config).save_pretrained(tmp_path)
    square_processor(IMAGE_SIZE).save_pretrained(tmp_path)
    load_start(str(tmp_path), None, NAMES)
    assert "it has no head" in said(caplog)[0]


def test_a_head_without_names_is_kept_and_that_is_said(tmp_path, caplog):
    tiny_model("vit").save_pretrained(tmp_path)
    square_processor(IMAGE_SIZE).save_pretrained(tmp_path)
    model, _, _ = load_start(str(tmp_path), None, NAMES)
    assert torch.equal(head_of(model), head_of(tiny_model("vit")))
    assert "does not name its 5 classes" in said(caplog)[0]


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_weights_train_in_float32(tmp_path, precision):
    model = tiny_model("vit", id2label=dict(enumerate(NAMES))).to(getattr(torch, precision))
    model.save_pretrained(tmp_path / "half")
    square_processor(IMAGE_SIZE).save_pretrained(tmp_path / "half")
    for arguments in ((str(tmp_path / "half"), None), (None, str(tmp_path / "half"))):
        loaded, _, _ = load_start(*arguments, NAMES)
        assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path / "half")
    assert loaded.dtype == getattr(torch, precision), "transformers keeps the checkpoint's"
    trainer = LUABTrainer(loaded, LUABConfig(str(tmp_path / "out"), loss="both", use_cpu=True))
    assert {value.dtype for value in trainer.luab.parameters()} == {torch.float32}
    trainer.save_model()
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float32"


def test_a_checkpoint_does_not_choose_how_attention_is_computed(whole, tmp_path):
    config = {"attn_implementation": "someone/kernel", "_attn_implementation": "someone/kernel"}
    folder = changed(whole, tmp_path / "model", config=config)
    for model in (
        load_start(folder, None, NAMES)[0],
        load_start(None, folder, NAMES)[0],
        load_to_evaluate(folder).model,
    ):
        assert model.config._attn_implementation == "sdpa"


def test_outputs_that_are_no_numbers_are_no_answer():
    model = torch.nn.Flatten()
    evaluated = Classifier("m", model, ["a"] * 3, ImageSettings(size=1))
    values = torch.tensor([[1.0, 2, 3], [1, torch.nan, 3], [1, 2, torch.inf]])[..., None, None]
    assert evaluated.logits(values[:1]).tolist() == [[1, 2, 3]]
    with pytest.raises(NotFinite) as raised:
        evaluated.logits(values)
    assert raised.value.positions == [1, 2]
