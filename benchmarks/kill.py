"""What is left after kill -9? Builds and training runs, killed at random moments and run again.

    python benchmarks/kill.py [--kills 20] [--jobs build training] [--seed 0] [--output-dir runs/kill]

Each trial starts a build (two workers, 80 shards) or a training run (a checkpoint at each of 60 steps) into
a fresh folder, kills it with SIGKILL at a random moment between the folder's first sign and the undisturbed
run's end, and runs the same command again, the training with `--resume_from_checkpoint True` where there is
a whole checkpoint. Both are one process: a build's workers are its threads. What came out is compared with
the undisturbed run: every file of a build; of a training run the weights, byte for byte, each step's log and
the evaluation.

Prints a line for each trial and writes kill.json; ends with status 1 when one trial came out differently.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
STEPS = 60
JOBS = ("build", "training")
WEIGHTS = ("model.safetensors", "luab_head.safetensors")


@dataclass(frozen=True)
class Job:
    """Something to kill: `command(out)` runs it, or goes on; `stage(out)` says how far it is; `result(out)`
    is what must be the same in the end.
    """

    name: str
    command: Callable[[Path], list]
    stage: Callable[[Path], str]
    result: Callable[[Path], dict]


@dataclass(frozen=True)
class Trial:
    job: str
    moment: float  # seconds after the folder's first sign
    stage: str
    same: bool


def build_job(raw: Path) -> Job:
    def command(out: Path) -> list:
        return [
            "loading_scripts/imagenet_ab.py", "--images", raw / "images" / "train",
            "--byproducts", raw / "imagenet_ab_v1_0.tar.gz", "--output-dir", out,
            "--rows-per-shard", 100, "--num-proc", 2,
        ]  # fmt: skip

    def stage(out: Path) -> str:
        shards = len(list(out.glob("data/*.parquet")))
        written = len(list(out.glob(".build/[0-9]*.parquet")))
        if (out / ".build").exists():
            return f"{shards} shards{', one half written' if written else ''}"
        return "finished" if (out / "summary.json").exists() else "nothing yet"

    def result(out: Path) -> dict:
        return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if file.is_file()}

    return Job("build", command, stage, result)


def training_job(dataset: Path) -> Job:
    def command(out: Path) -> list:
        resume = ["--resume_from_checkpoint", True] if whole_checkpoints(out) else []
        return [
            "luab_trainer/run.py", "--from_config", "configs/models/vit-64.json", "--dataset", dataset,
            "--output_dir", out, "--loss", "both", "--eval_split", "train[:64]", "--max_steps", STEPS,
            "--per_device_train_batch_size", 8, "--logging_steps", 1, "--save_strategy", "steps",
            "--save_steps", 1, "--save_total_limit", 3, "--use_cpu", True, "--disable_tqdm", True,
            "--report_to", "none", *resume,
        ]  # fmt: skip

    def stage(out: Path) -> str:
        whole = whole_checkpoints(out)
        half = len(list(out.glob("checkpoint-*"))) > len(whole)
        final = ", at the final model" if (out / "config.json").exists() else ""
        return f"step {max(whole, default=0)}{', one half written' if half else ''}{final}"

    def result(out: Path) -> dict:
        state = json.loads((out / f"checkpoint-{STEPS}" / "trainer_state.json").read_text(encoding="utf-8"))
        metrics = json.loads((out / "eval_results.json").read_text(encoding="utf-8"))
        timed = ("runtime", "per_second")
        return {
            **{name: (out / name).read_bytes() for name in WEIGHTS},
            "log": state["log_history"],
            "evaluation": {key: value for key, value in metrics.items() if not key.endswith(timed)},
        }

    return Job("training", command, stage, result)


def whole_checkpoints(out: Path) -> list[int]:
    """Their steps; the sums are written last, and appear whole."""
    from luab_data.files.sums import SUMS

    return [int(sums.parent.name.rpartition("-")[2]) for sums in out.glob(f"checkpoint-*/{SUMS}")]


def start(job: Job, out: Path) -> subprocess.Popen:
    command = [sys.executable, *map(str, job.command(out))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(job: Job, out: Path) -> None:
    process = start(job, out)
    _, errors = process.communicate(timeout=600)
    if process.returncode:
        sys.exit(f"{job.name} in {out} ended with {process.returncode}:\n{errors[-3000:]}")


def wait_for(out: Path, process: subprocess.Popen) -> None:
    while not out.exists() and process.poll() is None:
        time.sleep(0.002)


def undisturbed(job: Job, out: Path) -> tuple[dict, float]:
    """Its result, and the seconds from the folder's first sign to the end."""
    process = start(job, out)
    wait_for(out, process)
    began = time.perf_counter()
    _, errors = process.communicate(timeout=600)
    if process.returncode:
        sys.exit(f"{job.name}: {errors[-3000:]}")
    return job.result(out), time.perf_counter() - began


def trial(job: Job, out: Path, expected: dict, seconds: float, rng: random.Random) -> Trial:
    while True:
        shutil.rmtree(out, ignore_errors=True)
        process = start(job, out)
        wait_for(out, process)
        moment = rng.uniform(0, seconds)
        time.sleep(moment)
        if process.poll() is None:
            break  # else it was over: another moment
        process.communicate()
    process.kill()
    process.communicate(timeout=600)  # comes back when all are gone that hold its pipe
    stage = job.stage(out)
    finish(job, out)
    return Trial(job.name, round(moment, 3), stage, job.result(out) == expected)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, help="of each job (default: %(default)s)")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=JOBS, help="what to kill (default: both)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output-dir", type=Path, default=Path("runs/kill"), help="folder, written anew")
    arguments = parser.parse_args()
    from imagenet_ab.simulate.release import write_release

    out, rng = arguments.output_dir.resolve(), random.Random(arguments.seed)
    shutil.rmtree(out, ignore_errors=True)
    write_release(out / "raw", images_per_class=1000, evaluation_images_per_class=0, progress=False)
    trials = []
    for job in (build_job(out / "raw"), training_job(out / "build")):
        expected, seconds = undisturbed(job, out / job.name)
        print(f"{job.name}, undisturbed: {seconds:.1f} s from the folder's first sign to the end")
        for number in range(arguments.kills if job.name in arguments.jobs else 0):
            trials.append(trial(job, out / "killed", expected, seconds, rng))
            last = trials[-1]
            verdict = "same" if last.same else "DIFFERENT"
            print(f"  {number + 1:3}  {last.moment:6.2f} s  {last.stage:40} {verdict}", flush=True)
    counts = Counter((each.job, each.same) for each in trials)
    for job in arguments.jobs:
        print(f"{job}: {counts[job, True]} of {arguments.kills} came out the same")
    (out / "kill.json").write_text(
        json.dumps([asdict(each) for each in trials], indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )
    sys.exit(not all(each.same for each in trials))


if __name__ == "__main__":
    main()
