"""Each argument that is inherited from transformers is obeyed, or refused by name with the fix."""

import json
import math
import shutil
from dataclasses import fields, replace

import pytest
import torch
from fixtures.small_runs import options, write_config, write_splits
from fixtures.tiny_models import tiny_model
from safetensors.torch import save_file
from transformers import AutoModelForImageClassification, TrainingArguments

from luab_data.errors import SourceError
from luab_trainer.config import LUABConfig
from luab_trainer.model import LUABModel
from luab_trainer.options.inherited import AS_DOCUMENTED, OURS, RANGES, REFUSED
from luab_trainer.preflight import check_output_folder
from luab_trainer.run import main

# A value of each refused argument that transformers itself takes.
REFUSED_VALUES = {
    "do_predict": True, "average_tokens_across_devices": False, "use_liger_kernel": True,
    "liger_kernel_config": {"rope": True}, "use_cache": True, "neftune_noise_alpha": 5.0,
    "include_num_input_tokens_seen": "all", "length_column_name": "size",
    "logging_nan_inf_filter": True, "train_sampling_strategy": "group_by_length",
    "bf16_full_eval": True, "fp16_full_eval": True,
    "eval_do_concat_batches": False, "eval_use_gather_object": True, "batch_eval_metrics": True,
    "include_for_metrics": ["inputs"], "remove_unused_columns": True, "label_names": ["labels", "click"],
    "parallelism_config": object(), "local_rank": 0,
}  # fmt: skip


def config(**values):
    return LUABConfig("unused", use_cpu=True, **values)


def test_every_argument_of_the_installed_transformers_is_in_one_table():
    names = {field.name for field in fields(TrainingArguments)}
    missing = names - AS_DOCUMENTED - OURS.keys() - REFUSED.keys()
    assert not missing, "say in luab_trainer/options/inherited.py who obeys them, or why they are refused"
    assert not AS_DOCUMENTED & OURS.keys()
    assert not (AS_DOCUMENTED | OURS.keys()) & REFUSED.keys()
    assert RANGES.keys() <= names


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_obeyed_is_refused_by_name(name):
    value = REFUSED_VALUES[name]
    with pytest.raises(ValueError) as refused:
        config(**{name: value})
    assert str(refused.value) == f"--{name} {value}: {REFUSED[name][1]}."


@pytest.mark.parametrize("name", sorted(RANGES))
@pytest.mark.parametrize("value", [math.nan, -2])
def test_numbers_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"^--{name} {value}: give "):
        config(**{name: value})


def test_a_settled_config_can_be_copied():
    first = config(eval_strategy="steps", metric_for_best_model="accuracy")
    assert replace(first, seed=3).seed == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_steps": 0}, "--max_steps 0: give 1 or more; to evaluate only, give --do_train False"),
        ({"learning_rate": math.inf}, "--learning_rate inf: give a number"),
        ({"per_device_train_batch_size": 0}, "--per_device_train_batch_size 0: give 1 or more"),
        ({"save_total_limit": 0}, "--save_total_limit 0: give 1 or more"),
        ({"do_train": False, "do_eval": False}, "leave nothing to do"),
        ({"do_eval": False, "eval_strategy": "epoch"}, "--do_eval False does not go with --eval_strategy"),
        ({"do_eval": False, "eval_on_start": True}, "--do_eval False does not go with"),
        ({"do_train": False, "resume_from_checkpoint": "true"}, "give its folder as --model"),
        ({"do_train": False, "push_to_hub": True}, "nothing new that --push_to_hub"),
        ({"load_best_model_at_end": True, "save_strategy": "no"}, "give --eval_strategy epoch or steps too"),
        ({"save_strategy": "best"}, "give --eval_strategy epoch or steps too"),
        ({"eval_steps": 100}, "--eval_steps 100 does nothing without --eval_strategy steps"),
        ({"eval_delay": 1}, "--eval_delay 1 does nothing without --eval_strategy"),
        ({"dataloader_persistent_workers": True}, "need --dataloader_num_workers of 1 or more"),
        (
            {"dataloader_num_workers": 1, "dataloader_multiprocessing_context": "thread"},
            "--dataloader_multiprocessing_context thread: take one of",
        ),
        ({"activation_checkpointing_kwargs": {"a": 1}}, "does nothing without --activation_checkpointing"),
        ({"lr_scheduler_type": "constant", "warmup_steps": 5}, "take constant_with_warmup"),
        ({"lr_scheduler_type": "constant", "lr_scheduler_kwargs": {"a": 1}}, "does nothing with"),
        ({"lr_scheduler_kwargs": {"a": 1}}, "unexpected keyword argument 'a'"),
        ({"deepspeed": "ds.json"}, "pip install deepspeed"),
        ({"report_to": "tensorbord"}, "--report_to tensorbord: take one of none, all, azure_ml"),
        ({"report_to": ["none", "dvclive"]}, "--report_to none: take one of"),
        ({"report_to": "swanlab"}, "pip install swanlab"),
        ({"trackio_space_id": "me/space"}, "--trackio_space_id does nothing without --report_to trackio"),
        ({"fp16": True}, "--fp16 is for GPUs, but this run is on the CPU"),
        ({"accelerator_config": {"split_batches": True}}, "--accelerator_config: split_batches"),
        ({"torch_compile_backend": "inductr"}, "--torch_compile_backend inductr: take one of"),
        ({"torch_compile_mode": "fast"}, "--torch_compile_mode fast: take one of default"),
        ({"hub_strategy": "checkpoint"}, "uploads the optimizer's state"),
    ],
)
def test_what_contradicts_or_does_nothing_is_refused(values, message, monkeypatch):
    monkeypatch.setattr("luab_trainer.options.contradictions.get_available_reporting_integrations", list)
    monkeypatch.setattr("luab_trainer.options.contradictions.find_spec", lambda name: None)
    with pytest.raises(ValueError) as refused:
        config(**values)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_bfloat16_without_a_gpu_for_it_says_the_fix(monkeypatch):
    monkeypatch.setattr("luab_trainer.options.contradictions.is_torch_bf16_gpu_available", lambda: False)
    with pytest.raises(ValueError, match=r"--bf16 needs a GPU .*: on a CPU add --use_cpu True"):
        LUABConfig("unused", bf16=True)


def test_half_precision_from_the_launcher_is_refused_on_a_cpu_too(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    with pytest.raises(ValueError, match="--fp16 is for GPUs"):
        config()


def test_compilation_without_a_compiler_says_so_before_anything_is_loaded(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ValueError, match="--torch_compile needs a C\\+\\+ compiler"):
        config(torch_compile=True)
    assert config(torch_compile_backend="eager").torch_compile


@pytest.mark.parametrize(
    ("metric", "greater"), [("ce", False), ("eval_attention", False), ("loss", False), ("accuracy", True)]
)
def test_less_of_a_term_of_the_loss_is_better(metric, greater):
    assert config(metric_for_best_model=metric).greater_is_better is greater
    assert config(metric_for_best_model=metric, greater_is_better=True).greater_is_better


def test_an_output_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    check_output_folder(tmp_path / "new" / "folder")
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match=r"--output_dir .*/file/out: .* Give another folder"):
        check_output_folder(tmp_path / "file" / "out")
    with pytest.raises(SourceError, match=r"--output_dir .*/file: it is a file"):
        check_output_folder(tmp_path / "file")

    def read_only(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("luab_trainer.preflight.tempfile.TemporaryFile", read_only)
    with pytest.raises(SourceError, match="cannot be written to: Read-only file system"):
        check_output_folder(tmp_path / "out")


# ---- With rows and a model


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """data/: train (24 rows), validation (10). only_train/: train (8). test_only/: test (6). config/: ViT."""
    folder = tmp_path_factory.mktemp("world")
    write_splits(folder / "data", train=24, validation=10)
    write_splits(folder / "only_train", train=8)
    write_splits(folder / "test_only", test=6)
    write_config(folder / "config")
    return folder


@pytest.fixture(scope="module")
def trained(world):
    """A checkpoint after one step, and what its evaluation gave."""
    main(options(world / "config", world / "data", world / "trained"))
    return world / "trained"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"data": "only_train", "eval_strategy": "epoch"}, "--eval_strategy epoch needs rows to evaluate"),
        ({"data": "only_train", "eval_on_start": True}, "--eval_on_start needs rows to evaluate"),
        (
            {"eval_strategy": "epoch", "metric_for_best_model": "acuracy"},
            "--metric_for_best_model acuracy (did you mean accuracy?): an evaluation during training gives "
            "accuracy, loss, ce, attention, runtime, samples_per_second, steps_per_second.",
        ),
        (
            {"eval_strategy": "epoch", "metric_for_best_model": "pointing_game"},
            "an evaluation during training",
        ),
        (
            {"eval_strategy": "epoch", "metric_for_best_model": "accuracy", "prediction_loss_only": True},
            "an evaluation during training gives loss, ce, attention",
        ),
        (
            {"dataloader_drop_last": True, "per_device_train_batch_size": 25},
            "there are 24 rows, and a batch has 25",
        ),
        ({"optim": "adamw_bnb_8bit"}, "--optim adamw_bnb_8bit: "),
        ({"optim_args": "a=1"}, "--optim_args a=1 does nothing with --optim adamw_torch_fused"),
        ({"optim_target_modules": "all-linear"}, "--optim_target_modules all-linear does nothing with"),
        ({"optim": "sgd", "optim_args": "momentum=-1"}, "--optim sgd with --optim_args momentum=-1: Invalid"),
        ({"train_split": "train[:0]"}, "--train_split train[:0] has no rows"),
        ({"eval_split": "validation[:0]"}, "--eval_split validation[:0] has no rows"),
    ],
)
def test_what_would_end_the_run_later_ends_it_before_the_first_step(world, tmp_path, more, message):
    data = world / more.pop("data", "data")
    with pytest.raises(SystemExit) as exit_:
        main(options(world / "config", data, tmp_path / "out", **more))
    assert message in str(exit_.value)


def test_do_train_false_evaluates_and_changes_no_checkpoint(world, trained, tmp_path):
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    more = {"from_config": None, "model": trained, "do_train": False, "max_steps": None}
    main(options(world, world / "data", tmp_path / "out", **more))
    results, expected = (
        json.loads((folder / "eval_results.json").read_text()) for folder in (tmp_path / "out", trained)
    )
    for name in ("eval_accuracy", "eval_loss", "eval_attention", "eval_pointing_game"):
        assert results[name] == pytest.approx(expected[name]), name
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"eval_results.json", ".luab"}
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before


def test_do_train_false_notes_what_this_model_could_not_train_with(world, trained, tmp_path, capsys):
    more = {"from_config": None, "model": trained, "do_train": False, "freeze": 99, "layer_decay": 0.5}
    main(options(world, world / "data", tmp_path / "out", **more))
    said = "--do_train False trains nothing, so --freeze 99, --layer_decay 0.5 do nothing"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("loss", "fix"), [("point", "evaluate with --loss none"), ("both", "evaluate with --loss attention")]
)
def test_an_evaluation_of_the_point_loss_needs_its_head(world, trained, tmp_path, loss, fix):
    more = {"from_config": None, "model": trained, "do_train": False, "max_steps": None, "loss": loss}
    with pytest.raises(SystemExit) as exit_:
        main(options(world, world / "data", tmp_path / "out", **more))
    assert str(exit_.value) == (
        f"run.py: --model {trained}: it has no luab_head.safetensors, and the point loss is that of its own "
        f"head. Give a model that was trained with --loss point or both, or {fix}."
    )


def test_a_head_that_is_no_head_is_refused(world, trained, tmp_path):
    model = shutil.copytree(trained, tmp_path / "model", ignore=shutil.ignore_patterns("SHA256SUMS"))
    more = {"from_config": None, "model": model, "do_train": False, "max_steps": None, "loss": "point"}
    head = LUABModel(tiny_model("vit"), "point").head_state_dict()
    for weights, message in (
        ({"weight": torch.zeros(1)}, "holds weight, but this run's losses need point.head.bias, point."),
        ({name: value[:1] for name, value in head.items()}, "holds weights of other shapes than this run's"),
        ({name: value / 0 for name, value in head.items()}, "its weights hold NaN or infinity"),
    ):
        save_file(weights, model / "luab_head.safetensors")
        with pytest.raises(SystemExit) as exit_:
            main(options(world, world / "data", tmp_path / "out", **more))
        assert message in str(exit_.value)
    (model / "luab_head.safetensors").write_bytes(b"no head")
    with pytest.raises(SystemExit, match=r"luab_head\.safetensors: .* Take another copy\.$"):
        main(options(world, world / "data", tmp_path / "out", **more))


def test_do_train_false_needs_no_training_split(world, trained, tmp_path):
    more = {"from_config": None, "model": trained, "do_train": False}
    main(options(world, world / "test_only", tmp_path / "out", **more))
    assert json.loads((tmp_path / "out" / "eval_results.json").read_text())["eval_pointing_game_images"] == 6
    with pytest.raises(SystemExit, match="--do_train False needs rows to evaluate"):
        main(options(world, world / "only_train", tmp_path / "out", **more))


def test_do_eval_false_evaluates_nothing(world, tmp_path):
    main(options(world / "config", world / "data", tmp_path / "out", do_eval=False))
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert not (tmp_path / "out" / "eval_results.json").exists()
    assert "Not evaluated yet." in (tmp_path / "out" / "README.md").read_text()


def test_drop_last_is_about_training_batches_only(world, tmp_path):
    more = {
        "dataloader_drop_last": True, "per_device_train_batch_size": 16, "per_device_eval_batch_size": 4,
        "max_steps": None, "num_train_epochs": 1,
    }  # fmt: skip
    main(options(world / "config", world / "data", tmp_path / "out", **more))
    state = AutoModelForImageClassification.from_pretrained(tmp_path / "out")
    assert state.config.num_labels == 5
    results = json.loads((tmp_path / "out" / "eval_results.json").read_text())
    assert round(results["eval_accuracy"] * 10, 6).is_integer(), "10 rows in batches of 4"
    assert results["eval_runtime"] * results["eval_samples_per_second"] == pytest.approx(10, rel=0.05)


def test_a_run_cannot_go_on_from_weights_alone(world, tmp_path):
    out = tmp_path / "out"
    main(
        options(
            world / "config", world / "data", out, save_strategy="steps", save_steps=1, save_only_model=True
        )
    )
    with pytest.raises(SystemExit, match="checkpoint-1 was saved with --save_only_model"):
        main(options(world / "config", world / "data", out, max_steps=2, resume_from_checkpoint="true"))


@pytest.mark.parametrize(
    "more",
    [
        {"prediction_loss_only": True},
        {"eval_on_start": True, "eval_accumulation_steps": 1},
        {"full_determinism": True},
        {"data_seed": 7, "torch_empty_cache_steps": 1, "debug": "underflow_overflow"},
        {"activation_checkpointing": True, "optim": "sgd", "bf16": True},
        {"dataloader_num_workers": 1, "dataloader_persistent_workers": True, "dataloader_prefetch_factor": 1},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_is_left_to_transformers_works(world, tmp_path, more):
    try:
        main(options(world / "config", world / "data", tmp_path / "out", loss="both", **more))
    finally:
        torch.use_deterministic_algorithms(False)
    assert "eval_loss" in json.loads((tmp_path / "out" / "eval_results.json").read_text())
