"""A full disk and lost workers: one line with the folder and the fix, and the same command goes on."""

import json
import os
import subprocess
from pathlib import Path

import datasets
import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.factories import files_of, raw_byproducts, raw_images
from fixtures.tiny_models import tiny_model

import imagenet_ab.script
import luab_trainer.trainer
from luab_data.build.ordered_map import WorkerDied
from luab_data.console import disk
from luab_data.console.disk import full_disk_explained
from luab_data.errors import SourceError
from luab_data.files.sums import write_sums
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.hub.checkpoint import checkpoint_to_resume
from luab_trainer.run import main

DEV_FULL = Path("/dev/full")  # every write to it meets a full disk
needs_dev_full = pytest.mark.skipif(not DEV_FULL.exists(), reason="no /dev/full on this system")


class SmallDisk:
    """A file system of its own, in memory."""

    def __init__(self, folder: Path):
        self.folder = folder

    def resize(self, kilobytes: int, action: str = "remount") -> None:
        options = f"{action},size={kilobytes}k".removeprefix("mount,")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path):
    disk = SmallDisk(tmp_path / "disk")
    disk.folder.mkdir()
    try:
        disk.resize(300, "mount")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a tmpfs needs root")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk.folder)], check=True)


def test_a_build_goes_on_when_there_is_space_again(small_disk, tmp_path):
    raw_byproducts(tmp_path / "ab.tar.gz", list(raw_images(tmp_path / "train", per_class=60)))
    sources = ["--images", str(tmp_path / "train"), "--byproducts", str(tmp_path / "ab.tar.gz")]
    more = ["--rows-per-shard", "10"]
    imagenet_ab.script.main([*sources, *more, "--output-dir", str(tmp_path / "whole")])
    out = small_disk.folder / "out"
    with pytest.raises(SystemExit) as exit_:
        imagenet_ab.script.main([*sources, *more, "--output-dir", str(out)])
    message = str(exit_.value)
    assert message.startswith(f"error: '{out}': no space left on its disk (")
    assert message.endswith("Free some and run the same command again: it resumes where it stopped.")
    assert "\n" not in message
    assert 0 < len(list(out.glob("data/*.parquet"))) < 12
    small_disk.resize(20_000)
    imagenet_ab.script.main([*sources, *more, "--output-dir", str(out)])
    assert files_of(out) == files_of(tmp_path / "whole")


@pytest.fixture
def training(tmp_path):
    """Options of a run of four steps, each with a checkpoint of some 370 kB; the output folder comes last."""
    (tmp_path / "data").mkdir()
    clicked_dataset(24).to_parquet(tmp_path / "data" / "train.parquet")
    tiny_model("vit").config.save_pretrained(tmp_path / "config")
    return [
        "--from_config", str(tmp_path / "config"), "--dataset", str(tmp_path / "data"), "--loss", "both",
        "--max_steps", "4", "--save_strategy", "steps", "--save_steps", "1", "--logging_steps", "1",
        "--per_device_train_batch_size", "8", "--use_cpu", "True", "--disable_tqdm", "True",
        "--report_to", "none", "--output_dir",
    ]  # fmt: skip


@pytest.mark.parametrize("kilobytes", [400, 620])  # the second checkpoint breaks off in its weights, or after
def test_training_goes_on_when_there_is_space_again(small_disk, tmp_path, training, kilobytes):
    main([*training, str(tmp_path / "whole")])
    small_disk.resize(kilobytes)
    out = small_disk.folder / "run"
    with pytest.raises(SystemExit) as exit_:
        main([*training, str(out)])
    message = str(exit_.value)
    assert message.startswith(f"run.py: '{out}': no space left on its disk (")
    assert "--resume_from_checkpoint True" in message
    small_disk.resize(20_000)
    main([*training, str(out), "--resume_from_checkpoint", "True"])
    for name in ("model.safetensors", "luab_head.safetensors"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    logs = [
        json.loads((folder / "checkpoint-4" / "trainer_state.json").read_text())["log_history"]
        for folder in (out, tmp_path / "whole")
    ]
    assert logs[0] == logs[1]


def test_a_full_cache_is_named_with_its_own_fix(small_disk, tmp_path, training, monkeypatch):
    small_disk.resize(16)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", small_disk.folder)
    with pytest.raises(SystemExit) as exit_:
        main([*training, str(tmp_path / "out")])
    assert str(exit_.value).startswith(f"run.py: '{small_disk.folder}': no space left on its disk (")
    assert "HF_HOME" in str(exit_.value)


@needs_dev_full
def test_another_disk_that_is_full_is_not_taken_for_the_output_folders(tmp_path):
    with pytest.raises(SourceError, match=f"^no space left on a disk, not on that of '{tmp_path}': "), \
        full_disk_explained(tmp_path, "Free some."):  # fmt: skip
        DEV_FULL.write_text("something")


@needs_dev_full
def test_an_error_that_does_not_speak_of_the_disk_is_explained_by_a_full_one(tmp_path, monkeypatch):
    """torch says nothing of the reason; then it is the folder's disk that tells."""
    with pytest.raises(RuntimeError, match=r"iostream|unexpected pos|write failed"), \
        full_disk_explained(tmp_path, "Free some."):  # fmt: skip
        torch.save(torch.zeros(1000), DEV_FULL)
    monkeypatch.setattr(disk.tempfile, "TemporaryFile", lambda dir: DEV_FULL.open("wb"))
    with pytest.raises(SourceError, match=r"no space left on its disk \(.*\)\. Free some\."), \
        full_disk_explained(tmp_path / "not" / "there", "Free some."):  # fmt: skip
        torch.save(torch.zeros(1000), DEV_FULL)


def test_other_errors_pass(tmp_path):
    for error in (SourceError("mine"), KeyError("a bug"), FileNotFoundError("x")):
        with pytest.raises(type(error)) as raised, full_disk_explained(tmp_path, "Free some."):
            raise error
        assert raised.value is error


def test_lost_workers_of_a_build_are_one_line(tmp_path, monkeypatch):
    def build(out, **arguments):
        raise WorkerDied("Ray gave up on a task. Run the same command again to go on.")

    monkeypatch.setattr(imagenet_ab.script, "build_imagenet_ab", build)
    with pytest.raises(SystemExit, match=r"^error: Ray gave up on a task.* Run the same command again"):
        imagenet_ab.script.main(["--output-dir", str(tmp_path)])


def test_a_dead_process_of_the_data_loader_is_one_line(tmp_path, training, monkeypatch):
    monkeypatch.setattr(ViewDataset, "__getitems__", lambda self, indices: os._exit(1))
    with pytest.raises(SystemExit, match=r"^run\.py: a process of the data loader died"):
        main([*training, str(tmp_path / "out"), "--dataloader_num_workers", "1"])


def test_a_checkpoint_that_is_being_replaced_is_not_whole(tmp_path, training, monkeypatch):
    """A run started afresh where an earlier one left checkpoints is not resumed from a mixture of both."""

    def interrupted(*_):
        raise KeyboardInterrupt

    main([*training, str(tmp_path / "out"), "--max_steps", "1"])
    assert checkpoint_to_resume("true", str(tmp_path / "out"))
    monkeypatch.setattr(luab_trainer.trainer, "save_checkpoint", interrupted)
    with pytest.raises(SystemExit) as ended:
        main([*training, str(tmp_path / "out"), "--max_steps", "1"])
    assert ended.value.code == 130
    with pytest.raises(SourceError, match="there is no checkpoint"):
        checkpoint_to_resume("true", str(tmp_path / "out"))


def test_a_half_written_state_is_no_whole_checkpoint(tmp_path):
    for step, state in ((1, "{}"), (2, '{"epoch": 1'), (3, "")):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    write_sums(tmp_path / "checkpoint-1")
    assert checkpoint_to_resume("true", str(tmp_path)) == str(tmp_path / "checkpoint-1")
    with pytest.raises(SourceError, match="there is no whole checkpoint there"):
        checkpoint_to_resume(str(tmp_path / "checkpoint-2"), str(tmp_path))
