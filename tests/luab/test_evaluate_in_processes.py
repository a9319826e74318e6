"""`luab evaluate` in several processes: the numbers, files and messages of one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.factories import noise_image
from fixtures.launched import LIMIT, team_of
from fixtures.processes import ROOT
from fixtures.tiny_models import IMAGE_SIZE, NUM_LABELS, tiny_model

from luab.cli import main
from luab_eval import predict as module
from luab_vision.processors import square_processor

PART = 9  # images: parts of 9, 9 and 4, in batches of 4, 4, 1 and so on


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """22 images of noise with boxes; the checkpoints vit and convnext."""
    folder = tmp_path_factory.mktemp("data")
    lines = ["file,x0,y0,x1,y1,width,height"]
    for number in range(22):
        name = f"c{number % NUM_LABELS}/{number:02d}.png"
        save_noise(folder / "images" / name, number)
        lines.append(f"{name},4,4,20,24,40,40")
    (folder / "boxes.csv").write_text("\n".join(lines))
    for kind in ("vit", "convnext"):
        tiny_model(kind, id2label={k: f"c{k}" for k in range(NUM_LABELS)}).save_pretrained(folder / kind)
        square_processor(IMAGE_SIZE).save_pretrained(folder / kind)
    return folder


def save_noise(file: Path, seed: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise_image(40, 40, seed).save(file)


def options(data: Path, out: Path, *more: str) -> list[str]:
    return [
        *("evaluate", "--model", str(data / "vit"), str(data / "convnext"), "--data", str(data)),
        *("--benchmarks", "folder:a=images,where:a=images:boxes.csv", "--output-dir", str(out)),
        *("--num-workers", "0", "--device", "cpu", "--batch-size", "4", *more),
    ]


def files(out: Path) -> dict[str, bytes]:
    """All that an evaluation leaves and that is no date, command line or process number."""
    left_out = ("report.html", "holder")
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name not in left_out
    }


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PART", PART)
        assert main(options(data, out)) == 0
    return files(out)


@pytest.mark.parametrize("size", [2, 3])
def test_the_files_of_several_processes_are_those_of_one(data, alone, clients, tmp_path, size):
    """Three processes: none of the last part's images are the third's."""
    leader, *others = team_of(clients, size, options(data, tmp_path), PART)
    assert leader.status == 0, leader.output
    assert [(other.status, other.output) for other in others] == [(0, "")] * (size - 1)
    found = files(tmp_path)
    assert sorted(found) == sorted(alone)
    assert len([name for name in found if "predictions" in name]) == 2 * 2 * 3  # models, image sets, parts
    assert [name for name in found if found[name] != alone[name]] == []
    assert leader.output.count("22 images in") == 4, "the images of each pass are counted once"
    assert leader.output.count(" images/s") == 4


def test_accelerate_launches_it(data, alone, tmp_path):
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    done = subprocess.run(
        [*launcher, "--main_process_port", "0", "-m", "luab", *options(data, tmp_path)],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=LIMIT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert files(tmp_path)["results.json"] == alone["results.json"]
    assert files(tmp_path)["report.md"] == alone["report.md"]


def test_what_was_interrupted_goes_on_in_another_number_of_processes(data, alone, clients, tmp_path):
    leader, *_ = team_of(clients, 2, options(data, tmp_path), PART)
    assert leader.status == 0
    for part in tmp_path.rglob("part-00001.npz"):
        part.unlink()
    leader, *_ = team_of(clients, 3, options(data, tmp_path), PART)
    assert files(tmp_path) == alone
    assert leader.output.count(" 9 images in") == 4


def test_an_unreadable_image_of_another_process_is_one_line(data, clients, tmp_path):
    for number in range(22):
        file = tmp_path / "images" / "c0" / f"{number:02d}.png"
        save_noise(file, number)
    (tmp_path / "images" / "c0" / "05.png").write_bytes(b"no image")  # of the second batch
    given = ["evaluate", "--model", str(data / "vit"), "--data", str(tmp_path), "--device", "cpu"]
    given += ["--benchmarks", "folder:a=images", "--num-workers", "0", "--batch-size", "4"]
    leader, other = team_of(clients, 2, [*given, "--output-dir", str(tmp_path / "out")], PART)
    line = leader.output.splitlines()[-1]
    assert leader.output.count("cannot be read") == 1
    assert line.startswith("luab evaluate: benchmark a, model vit: image ")
    assert "c0/05.png cannot be read" in line
    assert leader.status == 1
    assert (other.status, other.output) == (0, "")


def test_a_failure_of_the_first_process_ends_all(data, clients, tmp_path):
    """It cannot write the second part, while the other process predicts the third."""
    leader, *_ = team_of(clients, 2, options(data, tmp_path), PART)
    assert leader.status == 0
    for part in tmp_path.rglob("part-0000*.npz"):
        part.unlink()
        if part.name == "part-00001.npz":
            (part / "in the way").mkdir(parents=True)
    leader, other = team_of(clients, 2, options(data, tmp_path), PART)
    assert leader.status == 1
    assert "part-00001.npz" in leader.output.splitlines()[-1]
    assert (other.status, other.output) == (0, "")


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        (["--batch-size", "0"], 1, "--batch-size 0: give auto, or a number of 1 or more"),
        (["--device", "cuda:1"], 1, "each of the 2 processes has its own device. Give cuda or cpu"),
        (["--device", "cuda"], 1, "2 processes on a machine with 0 GPUs"),
        (["--typo"], 2, "--typo"),
        (["--help"], 0, "--batch-size N"),
    ],
)
def test_options_that_do_not_work_are_said_once(data, clients, tmp_path, more, status, said):
    leader, other = team_of(clients, 2, options(data, tmp_path, *more), PART, CUDA_VISIBLE_DEVICES="")
    assert leader.status == status
    assert said in leader.output
    assert (other.status, other.output) == (0, "")


def test_localize_too(data, clients, tmp_path):
    given = ["localize", "--model", str(data / "vit"), "--images", str(data / "images")]
    given += [
        "--boxes",
        str(data / "boxes.csv"),
        "--num-workers",
        "0",
        "--device",
        "cpu",
        "--batch-size",
        "4",
    ]
    results = []
    for size in (1, 2):
        out = tmp_path / str(size)
        assert team_of(clients, size, [*given, "--output-dir", str(out)], PART)[0].status == 0
        results.append(json.loads((out / "results.json").read_text()))
    assert results[0] == results[1]
    assert results[0]["benchmarks"]["pointing_game:images"]["models"]["vit"]["n"] == 22
