"""`accelerate launch` of a training script, as a user types it."""

import os
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]


def launch(
    config: str, processes: int, options: list[str], script: str = "luab_trainer/run.py"
) -> subprocess.CompletedProcess[str]:
    """Launch the script with `configs/accelerate/<config>.yaml`.

    The options hold `--use_cpu True`: `accelerate launch --cpu` would start one process only.
    """
    done = subprocess.run(
        [
            sys.executable, "-m", "accelerate.commands.launch",
            "--config_file", f"configs/accelerate/{config}.yaml", "--num_processes", str(processes),
            "--main_process_port", "0", script, *options,
        ],
        capture_output=True, text=True, check=False, cwd=REPO, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done
