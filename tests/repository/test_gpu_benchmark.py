"""benchmarks/gpu.py runs to its end where there is no GPU, with tiny models, so that it is ready for one."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_cell_is_measured(tmp_path):
    command = [sys.executable, "benchmarks/gpu.py", "--tiny", "--seconds", "400"]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "figures.json")],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=450,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads((tmp_path / "figures.json").read_text())
    assert {cell["table"] for cell in cells} == {"steps", "loader", "training", "compiled"}
    assert len(cells) == 13 + 3 + 3 + 6
    for cell in cells:
        assert cell["why"] == "", cell
        assert all(value > 0 for value in cell["figures"].values()), cell
    first, *lines = done.stdout.splitlines()
    assert "torch" in first and "transformers" in first and "batches of 4" in first
    assert "`python benchmarks/gpu.py --tiny --seconds 400" in done.stdout
    assert len([line for line in lines if line.startswith("| ViT-S/16 |")]) == 5 + 1 + 2


def test_what_has_no_time_is_listed(tmp_path):
    command = [sys.executable, "benchmarks/gpu.py", "--tiny", "--seconds", "0"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=200,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("no time left") == 25
