"""The losses of LUAB, without its background mix, on real images: `imagenet_ab_mini`, 20 classes at 64 x 64.

    python benchmarks/real_images.py --data ../shared/data/imagenet_ab_mini --output-dir runs/real_images

Builds the dataset with loading_scripts/imagenet_ab.py, trains configs/models/{vit,convnext}-64.json from
scratch through luab_trainer/run.py, and prints validation accuracy and the pointing game against the true
boxes. This miniature's annotators are simulated, its images and boxes are real.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEARNING_RATE = {"vit": 1e-3, "convnext": 2e-3}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of images/, XML archive and boxes_val.csv"
    )
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--models", nargs="+", default=["vit", "convnext"], choices=["vit", "convnext"])
    parser.add_argument("--losses", nargs="+", default=["none", "point", "attention"])
    arguments = parser.parse_args()
    _run(
        "loading_scripts/imagenet_ab.py",
        "--images", arguments.data / "images" / "train",
        "--byproducts", arguments.data / "imagenet_ab_v1_0.tar.gz",
        "--output-dir", arguments.output_dir / "dataset",
    )  # fmt: skip
    arms = list(product(arguments.models, arguments.losses, range(arguments.seeds)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda arm: _train(arguments, *arm), arms))
    figures = [
        {"model": model, "loss": loss, "seed": seed, **result}
        for (model, loss, seed), result in zip(arms, results, strict=True)
    ]
    (arguments.output_dir / "results.json").write_text(
        json.dumps(figures, indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )
    for model, loss in product(arguments.models, arguments.losses):
        runs = [run for run in figures if (run["model"], run["loss"]) == (model, loss)]
        print(f"{model:9} {loss:10} accuracy {_list(runs, 'eval_accuracy')}  "
              f"pointing game {_list(runs, 'eval_pointing_game')}")  # fmt: skip
    print(f"always pointing at the center: {100 * figures[0]['eval_pointing_game_center']:.1f}")


def _list(runs: list[dict], metric: str) -> str:
    values = [100 * run[metric] for run in runs]
    return f"{sum(values) / len(values):.1f} ({', '.join(f'{value:.1f}' for value in values)})"


def _train(arguments: argparse.Namespace, model: str, loss: str, seed: int) -> dict[str, float]:
    """Metrics of one run, on one core; a run that is finished is read, not run again."""
    out = arguments.output_dir / f"{model}-{loss}-{seed}"
    results = out / "eval_results.json"
    if not results.exists():
        _run(
            "luab_trainer/run.py",
            "--from_config", ROOT / f"configs/models/{model}-64.json",
            "--dataset", arguments.output_dir / "dataset",
            "--eval_dataset", arguments.data / "images" / "val",
            "--eval_boxes", arguments.data / "boxes_val.csv",
            "--loss", loss, "--background_mix", 0, "--seed", seed, "--output_dir", out,
            "--num_train_epochs", arguments.epochs,
            "--learning_rate", LEARNING_RATE[model], "--weight_decay", 0.05, "--warmup_steps", 0.1,
            "--lr_scheduler_type", "cosine", "--per_device_train_batch_size", 64, "--min_crop", 0.3,
            "--save_strategy", "no", "--report_to", "none", "--use_cpu", "True",
        )  # fmt: skip
    return json.loads(results.read_text(encoding="utf-8"))


def _run(script: str, *options) -> None:
    command = [sys.executable, str(ROOT / script), *map(str, options)]
    subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    main()
