"""`run.py --streaming` in several processes: each reads its own rows, and resumes with the same batches."""

import json
import os
import re
import shutil
import signal
import time
from itertools import chain
from pathlib import Path

import datasets
import pytest
from fixtures.clicked import clicked_dataset
from fixtures.launched import LIMIT, launch_forks
from fixtures.processes import ROOT, run_script
from fixtures.tiny_models import tiny_model
from fixtures.ways_in import FILES, write_images, write_lines

from luab_data.errors import SourceError
from luab_data.rows.splits import load_splits
from luab_trainer.data.stream_inputs import shard_notes
from luab_trainer.data.streaming import StreamedSamples
from luab_vision.transforms import EvalTransform, ImageSettings

ROWS = 24
SCRIPT = "tests/fixtures/recorded_stream.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of the rows in 4, 3 and 1 Parquet files, each row of a class of its own; and a tiny ViT."""
    folder = tmp_path_factory.mktemp("streamed")
    rows = clicked_dataset(ROWS).remove_columns("label").add_column("label", list(range(ROWS)))
    rows = rows.cast_column("label", datasets.ClassLabel(names=[f"c{number:02d}" for number in range(ROWS)]))
    for shards in (4, 3, 1):
        (folder / f"data-{shards}").mkdir()
        for number in range(shards):
            rows.shard(shards, number).to_parquet(folder / f"data-{shards}" / f"train-{number}.parquet")
    tiny_model("vit", num_hidden_layers=1).config.save_pretrained(folder / "config")
    return folder


def options(folder: Path, out: str, shards: int, workers: int, **more: object) -> list[str]:
    """Six steps of 2 x 2 rows: one pass."""
    values = {
        "from_config": folder / "config", "dataset": folder / f"data-{shards}", "output_dir": folder / out,
        "loss": "point", "streaming": True, "max_steps": 6, "logging_steps": 1, "save_steps": 2,
        "per_device_train_batch_size": 2, "shuffle_buffer": 5, "dataloader_num_workers": workers,
        "use_cpu": True, "disable_tqdm": True, "report_to": "none", **more,
    }  # fmt: skip
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


def steps_of(out: Path) -> list[list[list[int]]]:
    """By process, the labels of each step."""
    return [json.loads((out / f"process-{number}.json").read_text()) for number in (0, 1)]


@pytest.mark.parametrize(("shards", "workers"), [(4, 2), (1, 0)])
def test_two_processes_read_each_row_once_and_resume_in_mid_epoch(folder, clients, shards, workers):
    name = f"{shards}-{workers}"
    launch_forks(clients, "multi-gpu", 2, options(folder, name, shards, workers), SCRIPT)
    steps = steps_of(folder / name)
    seen = [sorted(chain(*each)) for each in steps]
    assert [len(each) for each in seen] == [ROWS // 2] * 2
    assert sorted(seen[0] + seen[1]) == list(range(ROWS))
    resumed = f"{name}-resumed"
    (folder / resumed).mkdir()
    shutil.copytree(folder / name / "checkpoint-4", folder / resumed / "checkpoint-4")
    again = options(folder, resumed, shards, workers, resume_from_checkpoint=True)
    launch_forks(clients, "multi-gpu", 2, again, SCRIPT)
    assert steps_of(folder / resumed) == [each[4:] for each in steps]
    logs = [
        json.loads((folder / out / "checkpoint-6" / "trainer_state.json").read_text())["log_history"]
        for out in (name, resumed)
    ]
    assert logs[0] == logs[1]


def test_kill_9_in_mid_epoch_and_the_resumed_run_has_the_batches_of_an_unbroken_one(folder, clients):
    """Killed in step 9 of the 12 of a pass; 16 steps go on into the second pass."""

    def run(out: str, **more: object) -> list[str]:
        return options(folder, out, 4, 2, max_steps=16, save_steps=3, **more)

    def steps(out: str) -> list[list[int]]:
        return json.loads((folder / out / "process-0.json").read_text())

    whole = clients.script(ROOT / SCRIPT, *run("unbroken"))
    assert whole.status == 0, whole.output
    script = (str(ROOT / SCRIPT), run("killed"))
    running = clients.start(run_script, *script, group=True, WAIT_AT="9")
    deadline = time.monotonic() + LIMIT
    while not (folder / "killed" / "waits").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGKILL)
    killed = running.result()
    assert killed.status == -signal.SIGKILL, killed.output
    assert steps("killed") == steps("unbroken")[:9]
    assert sorted(path.name for path in (folder / "killed").glob("checkpoint-*")) == [
        "checkpoint-3",
        "checkpoint-6",
    ]
    resumed = clients.script(ROOT / SCRIPT, *run("killed", resume_from_checkpoint=True))
    assert resumed.status == 0, resumed.output
    assert steps("killed") == steps("unbroken")[6:]
    ends = [folder / out / "checkpoint-16" for out in ("unbroken", "killed")]
    logs = [json.loads((end / "trainer_state.json").read_text())["log_history"] for end in ends]
    assert logs[0] == logs[1]  # the losses too: of the same crops
    assert (ends[0] / "model.safetensors").read_bytes() == (ends[1] / "model.safetensors").read_bytes()


@pytest.mark.parametrize("processes", [2, 3, 5])
@pytest.mark.parametrize("shards", [1, 3, 4])
def test_the_processes_of_a_pass_have_all_rows_once(folder, shards, processes, monkeypatch):
    # `datasets` waits 5 s after each shuffled pass for Arrow's threads to end (Arrow's issue 45214).
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0.1)
    rows = datasets.load_dataset(str(folder / f"data-{shards}"), split="train", streaming=True)
    samples = StreamedSamples(rows, EvalTransform(ImageSettings(32)), 1, shuffle_buffer=5)
    seen = [
        [sample["labels"] for sample in samples.of_process(number, processes)._pass(3)]
        for number in range(processes)
    ]
    assert all(seen)
    assert sorted(chain(*seen)) == list(range(ROWS))


@pytest.mark.parametrize("metadata", [None, "metadata.csv", "metadata.jsonl"])
def test_a_folder_of_images_has_shards_of_all_its_rows_in_their_order(tmp_path, metadata):
    """One of its workers read all, and the others nothing."""
    write_images(tmp_path)
    files = sorted(FILES)
    if metadata is not None:
        write_lines(tmp_path / metadata, [{"file_name": file, "x": 0.5} for file in files])
    stream = load_splits(str(tmp_path), streaming=True)["train"].decode(False)
    whole = load_splits(str(tmp_path))["train"].cast_column("image", datasets.Image(decode=False))
    expected = [row["image"]["path"] for row in whole]
    assert stream.num_shards == len(expected) == 8
    assert [row["image"]["path"] for row in stream] == expected
    parts = [[row["image"]["path"] for row in stream.shard(3, number)] for number in range(3)]
    assert sorted(chain(*parts)) == sorted(expected) and min(map(len, parts)) >= 2


@pytest.mark.parametrize(
    ("shards", "processes", "workers", "notes"),
    [
        (4, 2, 2, []),
        (1, 1, 1, []),
        (1, 1, 0, []),
        (3, 2, 2, []),
        (
            1,
            2,
            0,
            [r"has 1 shard \(such as a file\), fewer than the 2 processes: each reads all rows"],
        ),
        (2, 1, 5, [r"has 2 shards .*, so that 3 of the 5 loader processes read nothing: lower --dataloader"]),
        (4, 2, 3, [r"so that 1 of the 3 loader processes of each process read nothing"]),
    ],
)
def test_readers_without_a_shard_are_told(shards, processes, workers, notes):
    found = shard_notes(shards, processes, workers)
    assert len(found) == len(notes)
    assert all(re.search(note, each) for note, each in zip(notes, found, strict=True))


def test_a_process_without_a_row_is_an_error(folder):
    rows = clicked_dataset(2).to_iterable_dataset()
    samples = StreamedSamples(rows, EvalTransform(ImageSettings(32)), byproduct="click")
    with pytest.raises(SourceError, match="process 3 of 3 gets no row: the dataset has fewer rows than"):
        next(iter(samples.of_process(2, 3)))
