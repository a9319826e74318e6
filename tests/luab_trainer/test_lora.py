"""`--lora_r`: an adapter of every family trains, resumes, and is saved merged and alone."""

import json
import re

import pytest
import torch
from fixtures.adapting import check_learns_and_merges, settle
from fixtures.clicked import clicked_dataset
from fixtures.small_runs import options, write_splits
from fixtures.tiny_models import ADAPTED, images, images_for, tiny_model
from safetensors.torch import load_file
from torch import nn
from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline

from luab_data.errors import SourceError
from luab_data.files.sums import damage
from luab_trainer.arguments import parse
from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.hub.upload import published_files
from luab_trainer.lora import (
    adapted,
    adapter_text,
    check_adapter,
    frozen_fingerprint,
    merged,
    merged_size,
    merges,
)
from luab_trainer.model import LUABModel
from luab_trainer.run import main
from luab_trainer.trainer import LUABTrainer
from luab_vision.hooks import output_linear
from luab_vision.processors import square_processor
from luab_vision.tested_models import TRANSFORMERS, names_of
from luab_vision.transforms import EvalTransform, ImageSettings

peft = pytest.importorskip("peft")

LINEAR = {
    "convnext": {"pwconv1", "pwconv2"}, "convnextv2": {"pwconv1", "pwconv2"},
    "resnet": {"convolution"}, "mobilenet_v1": {"convolution"},
    "swin": {"q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2", "reduction"},
    "swinv2": {"query", "key", "value", "dense", "reduction"},
}  # fmt: skip
OF_VIT = {"q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_splits(tmp_path_factory.mktemp("data"), train=24, validation=8)


def settled(model_type, pixels=None):
    """A tiny model whose batch normalization has statistics, without which deep ones answer 0."""
    return settle(tiny_model(model_type), images(16) if pixels is None else pixels)


def base(folder, model_type="vit", **config):
    tiny_model(model_type, **config).save_pretrained(folder)
    square_processor(32).save_pretrained(folder)
    return folder


def run_options(data, folder, out, **more):
    more = {"lora_r": 2, "loss": "both", "max_steps": 4, "learning_rate": 1e-2, **more}
    return options(None, data, out, from_config=None, model=folder, **more)


def trainer(folder, model, loss="both", **arguments):
    args = LUABConfig(
        str(folder), loss=loss, max_steps=3, per_device_train_batch_size=4, save_strategy="no",
        logging_steps=1, learning_rate=1e-2, use_cpu=True, disable_tqdm=True, report_to="none", **arguments,
    )  # fmt: skip
    rows = ViewDataset(clicked_dataset(8), EvalTransform(ImageSettings(size=32)), byproduct="click")
    return LUABTrainer(model, args, train_dataset=rows, processing_class=square_processor(32))


def history(folder):
    return json.loads((folder / "trainer_state.json").read_text())["log_history"]


@pytest.mark.parametrize("model_type", ADAPTED)
def test_every_family_trains_and_its_merged_checkpoint_loads_plain(model_type, tmp_path):
    start = {name: value.clone() for name, value in settled(model_type).named_parameters()}
    run = trainer(tmp_path, settled(model_type), lora_r=2, lora_dropout=0.1)
    text = adapter_text(run.luab.model)
    assert set(re.search(r"modules \((.*?)\)", text)[1].split(", ")) == LINEAR.get(model_type, OF_VIT), text
    assert text.startswith("LoRA, r 2, alpha 4, dropout 0.1, on ")
    assert text.endswith("; classifier in full")
    run.train()
    run.save_model()
    model, info = AutoModelForImageClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    pixels = images()
    torch.testing.assert_close(
        model.eval()(pixels).logits, run.luab.model.eval()(pixels).logits, rtol=1e-4, atol=1e-5
    )
    changed = {n for n, value in model.named_parameters() if not torch.allclose(value, start[n], atol=1e-7)}
    ends = {".".join(name.split(".")[-2:-1]) for name in changed}
    assert ends - {"classifier", "1"} == LINEAR.get(model_type, OF_VIT) - {"1"}
    assert merged_size(run.luab.model) == sum(value.numel() for value in start.values())

    alone = peft.PeftModel.from_pretrained(settled(model_type), str(tmp_path), subfolder="adapter").eval()
    if model_type == "mobilenet_v1":  # TensorFlow's padding asks for it: the card says nothing of PEFT alone
        with pytest.raises(AttributeError, match="no attribute 'stride'"):
            alone(pixels)
        check_adapter(alone)
    torch.testing.assert_close(
        alone(pixels).logits, run.luab.model.eval()(pixels).logits, rtol=1e-4, atol=1e-5
    )


MERGED = sorted({*names_of(TRANSFORMERS, "cls"), *names_of(TRANSFORMERS, "map")} - {"bit"})  # refused


@pytest.mark.parametrize("model_type", MERGED)
def test_every_model_of_the_table_merges(model_type):
    pixels = images_for(model_type)
    args = LUABConfig("unused", lora_r=2, use_cpu=True, report_to="none")
    check_learns_and_merges(adapted(settled(model_type, pixels), 2, args), pixels)


@pytest.mark.parametrize(
    ("model_type", "head"),
    [("clip", "classifier"), ("siglip", "classifier"), ("hgnet_v2", "fc"), ("poolformer", "classifier")],
)
def test_heads_of_other_kinds_are_trained_in_full(model_type, head, tmp_path):
    """Without a backbone of their own, or with a norm before the head of the name of those in the blocks."""
    run = trainer(tmp_path, tiny_model(model_type), "none", lora_r=2)
    assert adapter_text(run.luab.model).endswith(f"; {head} in full")
    trained = {name for name, value in run.luab.named_parameters() if value.requires_grad}
    rest = {name for name in trained if ".lora_" not in name}
    kept = f"model.base_model.model.{head}.modules_to_save.default"
    assert rest == {f"{kept}.weight", f"{kept}.bias"}
    assert not any(f".{head}." in name for name in trained - rest)
    run.train()
    run.save_model()
    whole = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    found = run.luab.eval()(images()).logits
    torch.testing.assert_close(whole(images()).logits, found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model_type", ["vit", "convnext", "resnet", "mobilenet_v1"])
def test_a_run_resumes_with_the_same_losses(data, tmp_path, model_type):
    folder = base(tmp_path / "base", model_type, num_labels=3)
    more = {"save_strategy": "steps", "save_steps": 2, "lora_dropout": 0.1}
    main(run_options(data, folder, tmp_path / "whole", **more))
    again = tmp_path / "again"
    again.mkdir()
    (tmp_path / "whole" / "checkpoint-2").rename(again / "checkpoint-2")
    main(run_options(data, folder, again, resume_from_checkpoint="true", **more))
    whole, resumed = (history(each / "checkpoint-4") for each in (tmp_path / "whole", again))
    assert [entry["loss"] for entry in resumed] == pytest.approx([entry["loss"] for entry in whole], rel=1e-6)
    assert len({round(entry["loss"], 5) for entry in whole if "loss" in entry}) == 4
    one, two = (load_file(each / "model.safetensors") for each in (tmp_path / "whole", again))
    torch.testing.assert_close(one, two)


def test_another_base_or_rank_is_another_run(data, tmp_path):
    folder = base(tmp_path / "base")
    more = {"save_strategy": "steps", "save_steps": 1, "max_steps": 1}
    main(run_options(data, folder, tmp_path / "out", **more))
    more = {"resume_from_checkpoint": tmp_path / "out" / "checkpoint-1", "max_steps": 2}
    with pytest.raises(SystemExit, match="--lora_r is 3, the checkpoint's is 2"):
        main(run_options(data, folder, tmp_path / "out", lora_r=3, **more))
    base(tmp_path / "base", seed=7)
    with pytest.raises(SystemExit, match="fingerprint of the weights that the adapter is for"):
        main(run_options(data, folder, tmp_path / "out", **more))


def test_the_folder_the_announcement_and_the_card(data, tmp_path, capsys, monkeypatch):
    folder = base(tmp_path / "base", num_labels=3)
    out = tmp_path / "out"
    main(run_options(data, folder, out, lora_targets="q_proj"))
    shown = capsys.readouterr().out
    assert "model                     ViTForImageClassification\n" in shown
    assert (
        "adapter                   LoRA, r 2, alpha 4, on 2 modules (q_proj); classifier in full\n" in shown
    )
    assert sorted(path.name for path in (out / "adapter").iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip
    config = json.loads((out / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "base", "without this machine's folders"
    assert str(tmp_path) not in "".join(path.read_text() for path in out.rglob("*.json"))
    assert config["target_modules"] == [f"vit.layers.{i}.attention.q_proj" for i in (0, 1)]
    sums = (out / "SHA256SUMS").read_text()
    assert "  adapter/adapter_model.safetensors\n" in sums

    snippets = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    assert len(snippets) == 2
    monkeypatch.chdir(out)
    (out / "base").symlink_to(folder)
    clicked_dataset(1)[0]["image"].save("image.jpg")
    names: dict = {}
    for snippet in snippets:
        exec(snippet, names)
    found = names["classifier"](str(out / "image.jpg"), top_k=None)
    processor = AutoImageProcessor.from_pretrained(out, backend="pil")
    pixels = processor(clicked_dataset(1)[0]["image"], return_tensors="pt").pixel_values
    logits = AutoModelForImageClassification.from_pretrained(out).eval()(pixels).logits
    torch.testing.assert_close(names["model"].eval()(pixels).logits, logits, rtol=1e-4, atol=1e-5)
    assert len(found) == 5
    assert pipeline("image-classification", str(out)).model.config.num_labels == 5


def test_a_later_model_without_an_adapter_is_not_published_with_it(data, tmp_path):
    folder, out = base(tmp_path / "base"), tmp_path / "out"
    main(run_options(data, folder, out, save_strategy="steps", save_steps=4))
    (out / "adapter" / "notes.txt").write_text("mine")
    main(run_options(data, folder, out, lora_r=None, save_strategy="steps", save_steps=4))
    assert [path.name for path in (out / "adapter").iterdir()] == ["notes.txt"]
    assert not (out / "checkpoint-4" / "adapter").exists()
    for part in (out, out / "checkpoint-4"):
        assert damage(part) == []
        assert not [name for name in published_files(part) if name.startswith("adapter")]


def test_an_adapter_of_other_programs_stays_and_is_not_published(data, tmp_path):
    own = tmp_path / "out" / "adapter" / "adapter_model.safetensors"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    main(run_options(data, base(tmp_path / "base"), tmp_path / "out", lora_r=None))
    assert own.read_text() == "mine"
    assert "adapter" not in (tmp_path / "out" / "SHA256SUMS").read_text()
    assert "model.safetensors" in published_files(tmp_path / "out")
    assert "adapter/adapter_model.safetensors" not in published_files(tmp_path / "out")


def test_at_another_size_the_card_only_points_to_the_merged_model(data, tmp_path):
    folder = base(tmp_path / "base")
    main(run_options(data, folder, tmp_path / "out", image_size=48, max_steps=1))
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.count("```python") == 1
    assert "have the adapter merged in" in card


@pytest.mark.parametrize(
    ("model_type", "snippets"), [("convnext", 2), ("mobilenet_v1", 1), ("mobilenet_v2", 1)]
)
def test_what_the_card_says_runs(data, tmp_path, monkeypatch, model_type, snippets):
    folder, out = base(tmp_path / "base", model_type, num_labels=3), tmp_path / "out"
    main(run_options(data, folder, out))
    card = (out / "README.md").read_text()
    monkeypatch.chdir(out)
    (out / "base").symlink_to(folder)
    clicked_dataset(1)[0]["image"].save("image.jpg")
    names: dict = {}
    found = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(found) == snippets
    for snippet in found:
        exec(snippet, names)
    if snippets == 2:
        whole = AutoModelForImageClassification.from_pretrained(out).eval()
        torch.testing.assert_close(
            names["model"].eval()(images()).logits, whole(images()).logits, rtol=1e-4, atol=1e-5
        )
    else:
        assert "have the adapter merged in" in card


def test_frozen_batch_normalization_keeps_its_statistics(tmp_path):
    run = trainer(tmp_path, tiny_model("resnet"), lora_r=2)
    before = {n: value.clone() for n, value in run.luab.named_buffers()}
    run.train()
    assert all(torch.equal(value, before[n]) for n, value in run.luab.named_buffers())


def test_merging_changes_nothing(tmp_path):
    run = trainer(tmp_path, tiny_model("vit"), lora_r=2)
    run.train()
    before = {name: value.clone() for name, value in run.luab.state_dict().items()}
    print_ = frozen_fingerprint(run.luab.model)
    whole = merged(run.luab.model)
    assert not any("lora_" in name for name in whole.state_dict())
    assert all(torch.equal(value, before[name]) for name, value in run.luab.state_dict().items())
    assert frozen_fingerprint(run.luab.model) == print_


def test_layer_decay_goes_with_an_adapter(tmp_path):
    run = trainer(tmp_path, tiny_model("vit"), lora_r=2, layer_decay=0.5)
    optimizer = run.create_optimizer()
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    trained = {n: rates[id(p)] for n, p in run.luab.named_parameters() if p.requires_grad}
    assert {rate for name, rate in trained.items() if "layers.0" in name} == {0.0025}
    assert {rate for name, rate in trained.items() if "layers.1" in name} == {0.005}
    assert {rate for name, rate in trained.items() if "lora_" not in name} == {0.01}


@pytest.mark.parametrize(
    ("model_type", "arguments", "message"),
    [
        (
            "vit",
            {"lora_targets": ["query"]},
            "--lora_targets query: no Linear .* are fc1, fc2, k_proj",
        ),
        (
            "vit",
            {"lora_targets": ["classifier"]},
            "--lora_targets classifier: no Linear or convolution",
        ),
    ],
)
def test_what_cannot_be_adapted_is_refused(tmp_path, model_type, arguments, message):
    with pytest.raises(ValueError, match=message):
        trainer(tmp_path, tiny_model(model_type), "none", lora_r=2, **arguments)


STANDARDIZED = "LoRA does not merge into .*conv1.* [(]WeightStandardizedConv2d[)]"


def test_convolutions_that_standardize_their_weights_are_refused(tmp_path):
    """Their output is not linear in the weight: the merged model would answer otherwise."""
    with pytest.raises(ValueError, match=STANDARDIZED):
        trainer(tmp_path, tiny_model("bit"), "none", lora_r=2)
    with pytest.raises(ValueError, match=STANDARDIZED):
        trainer(tmp_path, tiny_model("bit"), "none", lora_r=2, lora_targets=["conv1"])
    config = peft.LoraConfig(r=2, target_modules=["conv1"], modules_to_save=["classifier"])
    with pytest.raises(ValueError, match=STANDARDIZED):
        trainer(tmp_path, peft.get_peft_model(tiny_model("bit"), config), "none")


class OwnPadding(nn.Conv2d):
    """Another type, and linear in its weight, as timm's `Conv2dSame`."""

    def __init__(self, channels, out, kernel, stride=1, padding=0, **more):
        super().__init__(channels, out, kernel, stride, 0, **more)
        self.around = padding if isinstance(padding, int) else padding[0]

    def forward(self, features):
        return super().forward(nn.functional.pad(features, [self.around] * 4))


def test_the_type_does_not_decide_whether_a_convolution_merges():
    assert merges(OwnPadding(3, 4, 3, padding=1))
    assert merges(nn.Conv2d(3, 4, 3, padding=1)) and merges(nn.Linear(3, 4))
    assert not merges(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)))


class WeightAlone(nn.Module):
    """Computes with the weight of a Linear without running it, as timm's BEiT and Swin V2 do."""

    def __init__(self, within):
        super().__init__()
        self.within = within

    def forward(self, hidden):
        return nn.functional.linear(hidden, self.within.weight, self.within.bias)


def test_an_adapter_on_a_module_that_never_runs_is_refused(tmp_path):
    """The model reads its weight alone: the adapter would learn nothing."""

    def reads_a_weight():
        model = tiny_model("vit")
        attention = model.vit.layers[1].attention
        attention.q_proj = WeightAlone(attention.q_proj)
        return model

    config = peft.LoraConfig(r=2, target_modules=["within", "k_proj"], modules_to_save=["classifier"])
    with pytest.raises(ValueError, match=r"on vit.layers.1.attention.q_proj.within would learn nothing"):
        trainer(tmp_path, peft.get_peft_model(reads_a_weight(), config), "none")
    run = trainer(tmp_path, reads_a_weight(), "none", lora_r=2)
    assert "on 11 modules (fc1, fc2, k_proj, o_proj, q_proj, v_proj)" in adapter_text(run.luab.model)


def test_an_adapter_that_cannot_be_merged_is_refused_before_the_training(tmp_path, monkeypatch):
    def fails(self):
        raise AttributeError("'Sequential' object has no attribute 'merge'")

    monkeypatch.setattr(peft.tuners.tuners_utils.BaseTuner, "merge_and_unload", fails)
    with pytest.raises(ValueError, match=r"PEFT cannot merge its adapter into ViTForImage.* 'merge'"):
        trainer(tmp_path, tiny_model("vit"), "none", lora_r=2)


def test_a_model_whose_blocks_are_not_known_needs_targets(tmp_path):
    model = tiny_model("resnet")
    model.resnet.encoder = nn.ModuleDict({"one": nn.Sequential(nn.Linear(9, 9)), "two": nn.ModuleList()})
    model.resnet.encoder["two"].extend([nn.Linear(9, 9), nn.Linear(9, 9)])
    with pytest.raises(ValueError, match=r"LoRA: .* not in one list .* with --lora_targets: 0, 1, conv"):
        trainer(tmp_path, model, "none", lora_r=2)


def test_a_rank_above_that_of_every_weight_is_refused(tmp_path):
    model = tiny_model("vit")
    most = model.config.hidden_size  # the smaller side of the largest Linear, as of all others
    trainer(tmp_path, model, "none", lora_r=most)
    with pytest.raises(ValueError, match=f"--lora_r {most + 1}: no weight to adapt has a rank above {most};"):
        trainer(tmp_path, tiny_model("vit"), "none", lora_r=most + 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lora_r": 0}, "--lora_r 0: give a rank"),
        ({"lora_alpha": 4}, "--lora_alpha 4 does nothing without --lora_r"),
        ({"lora_targets": ["fc1"]}, "does nothing without --lora_r"),
        ({"lora_r": 2, "lora_dropout": 1.0}, "--lora_dropout 1.0: give a probability"),
        ({"lora_r": 2, "freeze": "1"}, "--freeze 1 does not go with --lora_r"),
    ],
)
def test_options_without_effect_are_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        LUABConfig(str(tmp_path), **arguments)


def test_several_targets_on_the_command_line(tmp_path):
    arguments = [
        "--model",
        "a",
        "--dataset",
        "b",
        "--output_dir",
        str(tmp_path),
        "--lora_r",
        "4",
        "--use_cpu",
    ]
    _, args = parse([*arguments, "--lora_targets", "q_proj", "v_proj"], "Train.")
    assert (args.lora_r, args.lora_targets) == (4, ["q_proj", "v_proj"])


def test_adapters_from_python_are_checked(tmp_path):
    def adapter(**settings):
        return peft.get_peft_model(tiny_model("vit"), peft.LoraConfig(r=2, **settings))

    with pytest.raises(ValueError, match="the adapter is on the head"):
        trainer(tmp_path, adapter(target_modules=["q_proj", "classifier"]))
    two = adapter(target_modules=["q_proj"])
    two.add_adapter("second", peft.LoraConfig(r=2, target_modules=["v_proj"]))
    with pytest.raises(ValueError, match="with default, second: one adapter"):
        trainer(tmp_path, two)
    luab = LUABModel(adapter(target_modules=["q_proj"], modules_to_save=["classifier"]), "both")
    assert isinstance(output_linear(luab.model), nn.Linear)
    with pytest.raises(ValueError, match="lora_r=2 is about a classifier"):
        trainer(tmp_path, luab, lora_r=2)


def test_without_peft_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("luab_data.console.missing.find_spec", lambda name: None)
    with pytest.raises(SourceError, match=r"--lora_r 2 needs peft: pip install 'luab\[peft\]'"):
        trainer(tmp_path, tiny_model("vit"), lora_r=2)
