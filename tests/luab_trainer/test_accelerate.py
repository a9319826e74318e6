"""configs/accelerate/: valid, and several processes train as one does."""

import json
import re
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import datasets
import pytest
import torch
from accelerate import FullyShardedDataParallelPlugin
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DistributedType
from fixtures.clicked import clicked_dataset
from fixtures.launched import TRAINING, launch, launch_forks
from fixtures.processes import ROOT
from fixtures.tiny_models import tiny_model
from fixtures.tiny_timm import process_with_timm
from fixtures.with_timm import needs_timm
from safetensors.torch import load_file
from transformers import AutoModelForImageClassification

from luab_data.errors import SourceError
from luab_trainer.hub.checkpoint import check_fsdp, require_whole_checkpoints
from luab_trainer.run import main
from luab_trainer.sharding import check_sharding

CONFIGS = ROOT / "configs" / "accelerate"
KINDS = {
    "multi-gpu": DistributedType.MULTI_GPU,
    "multi-node": DistributedType.MULTI_GPU,
    "fsdp": DistributedType.FSDP,
    "deepspeed": DistributedType.DEEPSPEED,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """data/: train (24 rows), validation (7: odd for two processes), with boxes. config/: a tiny ViT."""
    folder = tmp_path_factory.mktemp("launched")
    (folder / "data").mkdir()
    for split, count in (("train", 24), ("validation", 7)):
        rows = clicked_dataset(count, seed=count)
        objects = [{"bbox": [[4.0, 8.0, 30.0, 24.0]], "category": [label]} for label in rows["label"]]
        rows.add_column("objects", objects).to_parquet(folder / "data" / f"{split}.parquet")
    datasets.disable_progress_bars()
    tiny_model("vit").config.save_pretrained(folder / "config")
    main(options(folder, "one", 1))
    return folder


def options(folder: Path, out: str, processes: int, **more: object) -> list[str]:
    """Four steps of 8 rows, a checkpoint after each second."""
    values = {
        "from_config": folder / "config", "dataset": folder / "data", "output_dir": folder / out,
        "loss": "both", "max_steps": 4, "logging_steps": 1, "save_strategy": "steps", "save_steps": 2,
        "per_device_train_batch_size": 8 // processes, "per_device_eval_batch_size": 1,
        "learning_rate": 1e-3, "train_sampling_strategy": "sequential", "use_cpu": True,
        "disable_tqdm": True, "report_to": "none",
        "dataloader_drop_last": True,  # of training: the 7 rows of the evaluation are evaluated, also by two
        **more,
    }  # fmt: skip
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


def curve(out: Path) -> list[dict[str, float]]:
    """What each step logged."""
    state = json.loads((out / "checkpoint-4" / "trainer_state.json").read_text())
    names = ("loss", "ce", "point", "attention", "grad_norm", "learning_rate")
    return [{name: entry[name] for name in names} for entry in state["log_history"]]


def require_same_run(one: Path, other: Path) -> None:
    assert len(curve(one)) == 4
    for expected, step in zip(curve(one), curve(other), strict=True):
        assert step == pytest.approx(expected, rel=1e-4)
    expected, metrics = (json.loads((out / "eval_results.json").read_text()) for out in (one, other))
    for name in ("loss", "ce", "point", "attention", "accuracy", "pointing_game", "pointing_game_images"):
        assert metrics[f"eval_{name}"] == pytest.approx(expected[f"eval_{name}"], rel=1e-3), name


@pytest.mark.parametrize("processes", [2, 4])
def test_several_processes_train_like_one(folder, processes, clients):
    """The same global batch in more processes gives the same loss curve and the same evaluation."""
    started = launch if processes == 2 else partial(launch_forks, clients)
    started("multi-gpu", processes, options(folder, f"ddp-{processes}", processes))
    require_same_run(folder / "one", folder / f"ddp-{processes}")
    states = list((folder / f"ddp-{processes}" / "checkpoint-4").glob("rng_state_*.pth"))
    assert len(states) == processes, "as many processes as asked for"


def test_fine_tuning_in_two_processes_is_that_of_one(folder, clients):
    """The average of the weights, learning rates by depth and frozen blocks."""
    more = {"ema_decay": 0.8, "layer_decay": 0.7, "freeze": 1}
    main(options(folder, "fine-1", 1, **more))
    launch_forks(clients, "multi-gpu", 2, options(folder, "fine-2", 2, **more))
    require_same_run(folder / "fine-1", folder / "fine-2")
    one, two = (load_file(folder / name / "model.safetensors") for name in ("fine-1", "fine-2"))
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


@needs_timm
def test_lamb_in_two_processes_is_that_of_one(folder, clients):
    more = {"lamb": True, "weight_decay": 0.1, "max_grad_norm": 0.5}
    with process_with_timm() as process:
        process.submit(main, options(folder, "lamb-1", 1, **more)).result()
    launch_forks(
        clients, "multi-gpu", 2, options(folder, "lamb-2", 2, **more), "tests/fixtures/run_with_timm.py"
    )
    require_same_run(folder / "lamb-1", folder / "lamb-2")
    assert curve(folder / "lamb-1")[-1]["loss"] != curve(folder / "one")[-1]["loss"]


def test_what_does_not_go_with_weights_in_parts_is_refused():
    plain = SimpleNamespace(model=None)
    args = SimpleNamespace(ema_decay=None, layer_decay=0.5, lamb=False, do_train=True)
    parts = {"luab": plain, "is_fsdp_enabled": False, "is_deepspeed_enabled": True, "args": args}
    with pytest.raises(ValueError, match=r"--layer_decay 0.5 does not go with DeepSpeed"):
        check_sharding(SimpleNamespace(**parts))
    args = SimpleNamespace(ema_decay=0.9, layer_decay=None, lamb=False, do_train=True)
    with pytest.raises(ValueError, match=r"--ema_decay 0.9 does not go with FSDP and DeepSpeed"):
        check_sharding(SimpleNamespace(**{**parts, "args": args}))
    args = SimpleNamespace(ema_decay=None, layer_decay=None, lamb=True, do_train=True)
    with pytest.raises(ValueError, match="--lamb does not go with FSDP and DeepSpeed: its steps go by the"):
        check_sharding(SimpleNamespace(**{**parts, "args": args}))
    args = SimpleNamespace(ema_decay=0.9, layer_decay=0.5, lamb=True, do_train=False)
    check_sharding(SimpleNamespace(**{**parts, "args": args}))
    peft = pytest.importorskip("peft")
    model = peft.get_peft_model(tiny_model("vit"), peft.LoraConfig(r=1, target_modules=["q_proj"]))
    with pytest.raises(ValueError, match="does not go with FSDP and DeepSpeed: a checkpoint has it merged"):
        check_sharding(SimpleNamespace(**{**parts, "luab": SimpleNamespace(model=model)}))


def test_two_processes_draw_the_same_augmentation_as_one(folder, clients):
    """Also the repetitions of an image, which are in two processes here."""
    more = {
        "train_sampling_strategy": "random", "repeated_augmentation": 2, "mixup": 0.5, "cutmix": 0.3,
        "augment": "randaugment",
    }  # fmt: skip
    main(options(folder, "augmented-one", 1, **more))
    launch_forks(clients, "multi-gpu", 2, options(folder, "augmented-two", 2, **more))
    require_same_run(folder / "augmented-one", folder / "augmented-two")


def test_each_process_gets_the_images_of_its_labels_from_a_stream(clients):
    launch_forks(clients, "multi-gpu", 2, [], "tests/fixtures/stream_in_processes.py")


def test_sharded_weights_train_like_whole_ones_and_resume(folder, clients):
    """FSDP: the taps, the odd pointing game, plain checkpoints, and going on from one."""
    script = "tests/fixtures/fsdp_on_cpu.py"
    launch_forks(clients, "fsdp", 2, options(folder, "fsdp", 2), script)
    require_same_run(folder / "one", folder / "fsdp")
    assert (folder / "fsdp" / "checkpoint-4" / "pytorch_model_fsdp.bin").is_file(), "not FSDP"
    saved, expected = (
        AutoModelForImageClassification.from_pretrained(folder / out) for out in ("fsdp", "one")
    )
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(saved(pixels).logits, expected(pixels).logits, rtol=1e-3, atol=1e-3)
    assert (folder / "fsdp" / "luab_head.safetensors").is_file()

    (folder / "resumed").mkdir()
    shutil.copytree(folder / "fsdp" / "checkpoint-2", folder / "resumed" / "checkpoint-2")
    launch_forks(
        clients, "fsdp", 2, [*options(folder, "resumed", 2), "--resume_from_checkpoint", "True"], script
    )
    for expected, step in zip(curve(folder / "fsdp"), curve(folder / "resumed"), strict=True):
        assert step == pytest.approx(expected)
    with pytest.raises(SystemExit, match=r"checkpoint-4 is of a run with FSDP: resume it in the same way"):
        main([*options(folder, "resumed", 1), "--resume_from_checkpoint", "True"])
    check_fsdp(folder / "resumed" / "checkpoint-4", fsdp=True)
    with pytest.raises(SourceError, match=r"is of a run without FSDP.* with --model "):
        check_fsdp(folder / "one" / "checkpoint-4", fsdp=True)


@pytest.mark.parametrize("kind", ["multi-gpu", "fsdp"])
def test_each_process_measures_the_batch_statistics_of_the_same_whole_crops(folder, clients, kind):
    """As one process does with these weights, which a learning rate of 0 keeps."""
    tiny_model("resnet").config.save_pretrained(folder / "resnet")
    more = {"loss": "attention", "max_steps": 2, "eval_strategy": "steps", "eval_steps": 1}
    several = options(folder, f"several-{kind}", 2, from_config=folder / "resnet", **more)
    launch_forks(clients, kind, 2, several, "tests/fixtures/fsdp_on_cpu.py" if kind == "fsdp" else TRAINING)
    more |= {"learning_rate": 0.0, "per_device_train_batch_size": 4, "model": folder / f"several-{kind}"}
    one = options(folder, f"one-{kind}", 1, **more)
    main(one[2:])  # without --from_config
    saved, expected = (
        load_file(folder / f"{name}-{kind}" / "model.safetensors") for name in ("several", "one")
    )
    assert sum(name.endswith("running_mean") for name in saved) > 2
    torch.testing.assert_close(saved, expected, rtol=1e-4, atol=1e-5)


def test_fsdp_settings_that_save_no_plain_checkpoint_say_the_fix():
    good = FullyShardedDataParallelPlugin(fsdp_version=2, state_dict_type="FULL_STATE_DICT")
    require_whole_checkpoints(good)
    bad = FullyShardedDataParallelPlugin(fsdp_version=2, state_dict_type="SHARDED_STATE_DICT")
    with pytest.raises(
        ValueError, match=r"SHARDED_STATE_DICT is not supported.*configs/accelerate/fsdp\.yaml"
    ):
        require_whole_checkpoints(bad)


@pytest.mark.parametrize("name", KINDS)
def test_accelerate_takes_the_configuration(name):
    """By its own loader, then by its launcher, which passes each setting to the option of that name."""
    file = CONFIGS / f"{name}.yaml"
    config = load_config_from_file(str(file))
    assert config.distributed_type is KINDS[name]
    assert config.mixed_precision == "no", "YAML's bare no is a boolean"
    parser = launch_command_parser()
    known = {action.dest for action in parser._actions}
    for section in (config.fsdp_config, config.deepspeed_config):
        assert set(section) <= known
    arguments, _, _ = _validate_launch_command(parser.parse_args(["--config_file", str(file), "run.py"]))
    assert arguments.num_processes == config.num_processes
    assert (arguments.use_fsdp, arguments.use_deepspeed) == (name == "fsdp", name == "deepspeed")


def test_no_configuration_goes_untested_and_each_names_its_own_command():
    files = sorted(CONFIGS.glob("*"))
    assert {file.stem for file in files} == KINDS.keys()
    for file in files:
        assert re.search(rf"--config_file configs/accelerate/{re.escape(file.name)} ", file.read_text())
