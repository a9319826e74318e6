"""examples/collect.py, small: images, project, simulated annotators, review, export, training, table."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--annotators", "3", "--images-per-class", "6", "--test-images-per-class", "2", "--epochs", "1")


def demo(*options):
    command = [sys.executable, ROOT / "examples" / "collect.py", *map(str, options)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_from_images_to_a_table(tmp_path):
    done = demo("--output-dir", tmp_path / "demo", *SMALL)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for step in ("init", "simulate", "review", "status", "export"):
        assert f"\n$ luab collect {step} " in done.stdout
    assert "Nothing was lost." in done.stdout
    assert "Pointing game (test_swapped)" in done.stdout
    for name in ("plain", "luab"):
        assert (tmp_path / "demo" / name / "model.safetensors").is_file()
    review = json.loads((tmp_path / "demo" / "review.json").read_text(encoding="utf-8"))
    assert review["whole"]["pages"] > 0


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    done = demo("--output-dir", tmp_path)
    assert done.returncode != 0 and "holds other files" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "precious"
