"""A damaged checkpoint, or another run's, is never trained on; `luab verify` names the damage."""

import json
import shutil
import subprocess

import datasets
import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.tiny_models import IMAGE_SIZE, tiny_model

from luab import cli
from luab_data.errors import SourceError
from luab_data.files.sums import damage, remove_listed, write_sums
from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.hub.checkpoint import checkpoint_to_resume
from luab_trainer.hub.upload import published_files
from luab_trainer.plan import fingerprint, require_same_run, write_plan
from luab_trainer.run import main
from luab_trainer.trainer import LUABTrainer
from luab_vision.transforms import EvalTransform, ImageSettings
from luab_vision.weights import WrongWeights, require_as_written

STEP = {"checkpoint-1", "checkpoint-2"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two steps with a checkpoint after each, in out/; its data and config lie beside."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "data").mkdir()
    clicked_dataset(8).to_parquet(folder / "data" / "train.parquet")
    tiny_model("vit").config.save_pretrained(folder / "config")
    main(options(folder, folder / "out"))
    return folder


def options(folder, out, **more):
    values = {
        "from_config": folder / "config", "dataset": folder / "data", "output_dir": out, "loss": "both",
        "max_steps": 2, "per_device_train_batch_size": 4, "save_strategy": "steps", "save_steps": 1,
        "use_cpu": True, "disable_tqdm": True, "report_to": "none", **more,
    }  # fmt: skip
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


@pytest.fixture
def out(finished, tmp_path):
    """A copy of the run's output folder."""
    return shutil.copytree(finished / "out", tmp_path / "out")


def flip(file, at=-1):
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


FILES = (
    "model.safetensors", "luab_head.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth",
    "trainer_state.json", "config.json", "run_plan.json", "training_args.json",
)  # fmt: skip


def test_every_file_of_a_checkpoint_is_listed(out):
    for part in (out, *out.glob("checkpoint-*")):
        assert damage(part) == []
        check = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=part, check=False)
        assert check.returncode == 0
    listed = {line.split()[1] for line in (out / "checkpoint-2" / "SHA256SUMS").read_text().splitlines()}
    there = {path.name for path in (out / "checkpoint-2").iterdir()}
    assert listed == there - {"SHA256SUMS", "README.md"}
    assert set(FILES) <= listed


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_checkpoint_is_passed_over_or_refused(out, name, cut, caplog):
    file = out / "checkpoint-2" / name
    if cut:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        flip(file)
    assert checkpoint_to_resume("True", str(out)) == str(out / "checkpoint-1")
    assert f"checkpoint-2: {name} is damaged" in caplog.text
    with pytest.raises(SourceError, match=rf"checkpoint-2: {name} is damaged.*--resume_from_checkpoint True"):
        checkpoint_to_resume(str(out / "checkpoint-2"), "")


def test_a_run_goes_on_from_the_last_whole_checkpoint_with_the_same_result(finished, out):
    flip(out / "checkpoint-2" / "optimizer.pt")
    (out / "model.safetensors").unlink()
    main(options(finished, out, resume_from_checkpoint="True"))
    assert (out / "model.safetensors").read_bytes() == (finished / "out" / "model.safetensors").read_bytes()
    assert damage(out / "checkpoint-2") == []


def test_without_a_whole_checkpoint_nothing_is_resumed(out):
    for part in out.glob("checkpoint-*"):
        flip(part / "model.safetensors")
    with pytest.raises(
        SourceError, match=r"no whole checkpoint in .*checkpoint-1: model\.safetensors is damaged"
    ):
        checkpoint_to_resume("True", str(out))


def test_a_checkpoint_without_sums_is_half_written_or_of_an_earlier_version(out, caplog):
    (out / "checkpoint-2" / "SHA256SUMS").unlink()
    assert checkpoint_to_resume("True", str(out)) == str(out / "checkpoint-1")
    assert checkpoint_to_resume(str(out / "checkpoint-2"), "") == str(out / "checkpoint-2")
    assert "damage cannot be detected" in caplog.text
    (out / "checkpoint-1" / "SHA256SUMS").write_text("not sums\n")
    with pytest.raises(SourceError, match=r"SHA256SUMS is damaged: line 1"):
        checkpoint_to_resume("True", str(out))


def test_a_kill_before_the_sums_leaves_no_whole_checkpoint(finished, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("luab_trainer.hub.checkpoint_folder.write_sums", killed)
    with pytest.raises(SystemExit):
        main(options(finished, tmp_path / "out", save_total_limit=1))
    with pytest.raises(SourceError, match=r"checkpoint-1 has no SHA256SUMS, so it is incomplete"):
        checkpoint_to_resume("True", str(tmp_path / "out"))


def test_files_of_other_people_in_a_checkpoint_outlive_later_runs(finished, out, caplog):
    own = {"notes/my list (1).txt", "predictions.csv", "probe.safetensors"}
    checkpoint = out / "checkpoint-1"
    for name in own:
        (checkpoint / name).parent.mkdir(exist_ok=True)
        (checkpoint / name).write_text("mine")
    for _ in range(2):
        caplog.clear()
        main(options(finished, out, max_steps=1))
        assert {name for name in own if (checkpoint / name).read_text() == "mine"} == own
        assert "checkpoint-1/probe.safetensors is not of this run: move it away" in caplog.text
        assert caplog.text.count("is not of this run") == 1
        assert [problem.partition(" is ")[0] for problem in damage(checkpoint)] == ["probe.safetensors"]
    (checkpoint / "probe.safetensors").unlink()
    assert damage(checkpoint) == []


def test_what_a_killed_run_left_in_a_checkpoint_is_not_of_the_next(finished, tmp_path):
    """It had no list yet."""
    checkpoint = tmp_path / "out" / "checkpoint-1"
    left = {
        "adapter/adapter_config.json", "adapter/adapter_model.safetensors", "rng_state_3.pth", "scaler.pt",
        "luab_trained_weights.safetensors", "model-00001-of-00002.safetensors", "eval_results.json",
        "pytorch_model_fsdp.bin", "model.safetensors", "global_step1/mp_rank_00_model_states.pt",
    }  # fmt: skip
    for name in left:
        (checkpoint / name).parent.mkdir(parents=True, exist_ok=True)
        (checkpoint / name).write_text("of the killed run")
    main(options(finished, tmp_path / "out", max_steps=1))
    assert damage(checkpoint) == []
    assert {name for name in left if (checkpoint / name).exists()} == {"model.safetensors"}
    assert set(published_files(checkpoint)) == {
        "README.md", "config.json", "luab_head.safetensors", "model.safetensors", "training_args.json",
        "preprocessor_config.json",
    }  # fmt: skip


def test_a_model_without_a_processor_has_not_that_of_an_earlier_run(out):
    processor = out / "preprocessor_config.json"
    args = LUABConfig(
        str(out), loss="none", max_steps=1, save_steps=1, use_cpu=True, disable_tqdm=True, report_to="none"
    )  # fmt: skip
    data = ViewDataset(clicked_dataset(8), EvalTransform(ImageSettings(size=IMAGE_SIZE)))
    trainer = LUABTrainer(tiny_model("vit"), args, train_dataset=data)
    assert processor.is_file()
    trainer.train()
    trainer.save_model()
    for folder in (out, out / "checkpoint-1"):
        assert damage(folder) == []
        assert not (folder / processor.name).exists()
    processor.write_text("mine")
    trainer.save_model()
    assert processor.read_text() == "mine"
    assert processor.name not in published_files(out)


OTHERS = {
    "seed": (1, r"--seed is 1, the checkpoint's is 42"),
    "loss": ("attention", r"--loss is attention, the checkpoint's is both; --point_weight is not set"),
    "attention_weight": (7, r"--attention_weight is 7\.0, the checkpoint's is 2\.0"),
    "learning_rate": (0.1, r"--learning_rate is 0\.1, the checkpoint's is 5e-05"),
    "per_device_train_batch_size": (2, r"the rows of a step is 2, the checkpoint's is 4"),
    "train_split": (
        "train[:6]",
        r"--train_split is train\[:6\], .*; the number of training rows is 6",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_run_does_not_go_on(finished, out, name):
    value, message = OTHERS[name]
    before = (out / "README.md").read_text()
    with pytest.raises(SystemExit, match=rf"checkpoint-2 is of another run: .*{message}") as exit_:
        main(options(finished, out, resume_from_checkpoint="True", **{name: value}))
    assert "\n" not in str(exit_.value)
    assert (out / "README.md").read_text() == before


@pytest.mark.parametrize(("seed", "columns"), [(1, {}), (0, {"label": [1] * 8})])
def test_other_rows_under_the_same_name_do_not_go_on(finished, out, tmp_path, seed, columns):
    (tmp_path / "data").mkdir()
    rows = clicked_dataset(8, seed=seed)
    for column, values in columns.items():
        feature = rows.features[column]
        rows = rows.remove_columns(column).add_column(column, values).cast_column(column, feature)
    rows.to_parquet(tmp_path / "data" / "train.parquet")
    arguments = options(finished, out, resume_from_checkpoint="True", dataset=tmp_path / "data")
    with pytest.raises(SystemExit, match="the fingerprint of the training rows is"):
        main(arguments)


def test_one_other_click_is_another_run(tmp_path):
    def plan(clicks, byproduct="click"):
        rows = datasets.Dataset.from_dict({"image": [None] * 5000, "label": [0] * 5000, "click": clicks})
        rows = rows.cast_column("image", datasets.Image())
        return fingerprint(ViewDataset(rows, EvalTransform(ImageSettings(8)), byproduct=byproduct))

    clicks = [{"x": 0.5, "y": 0.5}] * 5000
    others = [*clicks]
    others[1234] = {"x": 0.25, "y": 0.5}
    write_plan(tmp_path, plan(clicks))
    require_same_run(tmp_path, plan(clicks))
    with pytest.raises(SourceError, match="the fingerprint of the training rows is"):
        require_same_run(tmp_path, plan(others))
    assert plan(clicks, None) == plan(others, None), "they are not learned from"


def test_what_does_not_change_the_steps_may_change(finished, out, tmp_path):
    """Longer, with other logs, workers and folders: of the data as well, as long as its rows are the same."""
    data = shutil.copytree(finished / "data", tmp_path / "moved")
    more = {"max_steps": 3, "logging_steps": 1, "save_steps": 3, "dataloader_num_workers": 1, "dataset": data}
    main(options(finished, out, resume_from_checkpoint="True", **more))
    state = json.loads((out / "checkpoint-3" / "trainer_state.json").read_text())
    assert state["global_step"] == 3


def test_verify_names_what_is_damaged(out, capsys):
    assert cli.main(["verify", str(out)]) == 0
    assert capsys.readouterr().out.count("as written") == 3
    flip(out / "checkpoint-1" / "optimizer.pt")
    (out / "config.json").unlink()
    assert cli.main(["verify", str(out)]) == 1
    shown = capsys.readouterr().out
    assert f"{out}: config.json is missing\n" in shown
    assert f"{out / 'checkpoint-1'}: optimizer.pt is damaged: its SHA-256 is not the one" in shown
    assert f"{out / 'checkpoint-2'}: as written" in shown
    (out / "README.md").write_text("edited")
    assert cli.main(["verify", str(out / "checkpoint-2")]) == 0


def test_a_run_may_be_called_as_a_checkpoint(out, tmp_path):
    shutil.copytree(out, tmp_path / "checkpoint-luab")
    assert damage(tmp_path / "checkpoint-luab") == []


@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("part", ["checkpoint-2", "."])
def test_a_list_that_was_cut_off_is_damage(out, part, kept, capsys):
    """Else what it no longer lists could be damaged unseen."""
    sums = out / part / "SHA256SUMS"
    sums.write_text("".join(sums.read_text().splitlines(keepends=True)[:kept]))
    for name in ("model.safetensors", "luab_head.safetensors"):
        flip(out / part / name)
    assert cli.main(["verify", str(out)]) == 1
    problem = (
        "model.safetensors is not listed in SHA256SUMS" if kept else "SHA256SUMS is damaged: it lists no"
    )
    assert f"{out / part}: {problem}" in capsys.readouterr().out
    with pytest.raises(WrongWeights, match="SHA256SUMS"):
        require_as_written(str(out / part))
    if part != ".":
        assert checkpoint_to_resume("True", str(out)) == str(out / "checkpoint-1")


def test_what_lies_beside_the_model_and_what_is_hidden_is_no_damage(out):
    for name in (
        "eval_results.json",
        "trainer_state.json",
        "runs/events",
        ".cache/x",
        "checkpoint-2/.DS_Store",
        "checkpoint-2/desktop.ini",
        "checkpoint-2/notes.txt",
    ):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("x")
    assert damage(out) == damage(out / "checkpoint-2") == []
    (out / "checkpoint-2" / "optimizer.bin").write_text("x")
    assert damage(out / "checkpoint-2") == [
        "optimizer.bin is not listed in SHA256SUMS, cut off or written before it (if it is yours, "
        "move it away)"
    ]


def test_verify_refuses_what_no_tool_of_ours_made(tmp_path, capsys):
    assert cli.main(["verify", str(tmp_path / "nowhere")]) == 1
    assert cli.main(["verify", str(tmp_path)]) == 1
    assert "has no SHA256SUMS" in capsys.readouterr().err


def test_sums_cover_folders_below(tmp_path):
    (tmp_path / "below").mkdir()
    torch.save({}, tmp_path / "below" / "state.pt")
    write_sums(tmp_path)
    flip(tmp_path / "below" / "state.pt")
    assert damage(tmp_path) == ["below/state.pt is damaged: its SHA-256 is not the one in SHA256SUMS"]


def test_what_is_listed_is_removed_and_nothing_else(tmp_path):
    run, others = tmp_path / "run", tmp_path / "others"
    for file in (run / "a", run / "below" / "b", run / "kept" / "c", others / "d"):
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text("x")
    (run / "link").symlink_to(others)
    write_sums(run, ["a", "below/b", "kept/c", "link/d"])
    (run / "kept" / "mine").touch()
    remove_listed(run, ["a"])
    assert not (run / "a").exists()
    (run / "below" / "b").rename(run / "below" / "moved")
    remove_listed(run)
    left = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert left == {"SHA256SUMS", "kept/mine", "below/moved"}
    assert (others / "d").is_file(), "a link is not followed"
