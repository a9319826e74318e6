"""A checkpoint is one by its weights, its configuration and its image processor, wherever it is."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from fixtures.with_timm import needs_timm
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from luab_eval.models import fingerprint, load_classifier

PRINT = """
import sys
from luab_eval.models import load_classifier
found = load_classifier(sys.argv[1])
print(found.fingerprint, found.revision)
"""


def small_vit(**changes) -> ViTForImageClassification:
    torch.manual_seed(0)
    names = {0: "ant", 1: "bee", 2: "cow"}
    settings = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    settings |= {"image_size": 32, "patch_size": 8, "id2label": names}
    return ViTForImageClassification(ViTConfig(**(settings | changes))).eval()


@pytest.fixture
def saved(tmp_path):
    small_vit().save_pretrained(tmp_path / "model")
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def changed(saved, **changes):
    """The fingerprint of a copy with another config.json."""
    copy = saved.with_name("copy")
    shutil.copytree(saved, copy, dirs_exist_ok=True)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | changes))
    return load_classifier(str(copy)).fingerprint


@pytest.mark.parametrize(
    "changes", [{"num_attention_heads": 8}, {"hidden_act": "relu"}, {"layer_norm_eps": 0.1}]
)
def test_another_configuration_is_another_model(saved, changes):
    assert changed(saved, **changes) != load_classifier(str(saved)).fingerprint


def test_names_of_classes_are_part_of_a_model(saved):
    """Its answers are matched with classes by them."""
    names = {"0": "bee", "1": "ant", "2": "cow"}
    assert changed(saved, id2label=names) != load_classifier(str(saved)).fingerprint


def test_where_a_configuration_is_from_is_no_part_of_a_model(saved):
    changes = {"transformers_version": "4.0.0", "dtype": "float16", "_name_or_path": "elsewhere"}
    changes |= {"problem_type": "multi_label_classification", "license": "mit", "finetuning_task": "a"}
    assert changed(saved, **changes) == load_classifier(str(saved)).fingerprint


def test_a_model_that_is_saved_and_loaded_is_the_same(saved, tmp_path):
    loaded = load_classifier(str(saved))
    assert loaded.fingerprint == fingerprint(small_vit(), loaded.settings)
    loaded.model.save_pretrained(tmp_path / "again")
    shutil.copy(saved / "preprocessor_config.json", tmp_path / "again")
    assert load_classifier(str(tmp_path / "again")).fingerprint == loaded.fingerprint


@pytest.mark.parametrize("changes", [{"image_mean": [0.1, 0.2, 0.3]}, {"resample": 0}])
def test_another_image_processor_is_another_model(saved, changes):
    before = load_classifier(str(saved)).fingerprint
    file = saved / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    assert load_classifier(str(saved)).fingerprint != before


def test_a_model_of_the_hub_has_its_commit(saved, tmp_path):
    commit = "a" * 40
    repository = tmp_path / "hub" / "models--someone--vit"
    shutil.copytree(saved, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    of_hub = in_another_process("someone/vit", HF_HUB_CACHE=str(tmp_path / "hub"), HF_HUB_OFFLINE="1")
    of_folder = load_classifier(str(saved))
    assert of_hub == [of_folder.fingerprint, commit]
    assert of_folder.revision == ""


def in_another_process(model, **environment):
    found = subprocess.run(
        [sys.executable, "-c", PRINT, model],
        env=os.environ | environment, check=True, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return found.stdout.split()


def test_another_process_finds_the_same(saved):
    assert in_another_process(str(saved)) == [load_classifier(str(saved)).fingerprint]


def prints_of_timm(folder):
    import timm
    from safetensors.torch import save_file

    prints = []
    arguments = {"num_classes": 5}
    save_file(timm.create_model("test_vit", **arguments).state_dict(), folder / "model.safetensors")
    for heads in (None, None, 1):
        model_args = {} if heads is None else {"num_heads": heads}
        config = {"architecture": "test_vit", "num_classes": 5, "model_args": model_args}
        (folder / "config.json").write_text(json.dumps(config | {"pretrained_cfg": {}}))
        prints.append(load_classifier(f"timm:local-dir:{folder}").fingerprint)
    return prints


@needs_timm
def test_arguments_of_timm_are_part_of_a_model(timm, tmp_path):
    one, same, other = timm(prints_of_timm, tmp_path)
    assert one == same != other
