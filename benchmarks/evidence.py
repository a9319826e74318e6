"""Whether a gain on swapped backgrounds is the click's: arms x worlds x models x seeds, with intervals.

    python benchmarks/evidence.py --data ../shared/data --mobilenet ../shared/models/mobilenet_v1_imagenet \
        --output-dir runs/evidence
    python benchmarks/evidence.py --quick ...     # 1 seed, the demo's world

Every run is one process on one core. Finished runs are kept in OUT/results, by all of their settings: the
same command goes on where it was stopped. Seed s trains in the world of seed s. Arms:

    plain      cross-entropy alone
    oracle     plain, on the same objects where backgrounds say nothing: the most that can be reached
    erasing    plain with random erasing: an augmentation without a byproduct
    attention  the attention loss
    mix        the background mix
    both       both
    ...-shuffled  with the click of another image: the gain that is left is not the click's

`gap closed` is the share of the gap between plain and the oracle, on swapped backgrounds.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
WORLDS = ("demo", "real")
MODELS = ("vit", "convnext", "mobilenet")
NOTHING = {"loss": "none"}
MIX = {"background_mix": 1.0}
# Dataset, options of the trainer, options of the data.
ARMS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "plain": ("train", NOTHING, {}),
    "oracle": ("oracle", NOTHING, {}),
    "erasing": ("train", NOTHING, {"random_erasing": 0.5}),
    "attention": ("train", {}, {}),
    "mix": ("train", NOTHING | MIX, {}),
    "both": ("train", MIX, {}),
    "attention-shuffled": ("shuffled", {}, {}),
    "mix-shuffled": ("shuffled", NOTHING | MIX, {}),
    "both-shuffled": ("shuffled", MIX, {}),
}
WITHOUT_BYPRODUCT = ("plain", "oracle", "erasing")
# Options of the trainer by world and model, for all arms: those of `luab demo`, of benchmarks/real_images.py,
# and a guess for fine-tuning.
TRAINING: dict[tuple[str, str], dict[str, Any]] = {
    ("demo", "vit"): {"num_train_epochs": 8, "learning_rate": 2e-3, "per_device_train_batch_size": 32},
    ("demo", "convnext"): {"num_train_epochs": 8, "learning_rate": 4e-3, "per_device_train_batch_size": 32},
    ("real", "vit"): {"num_train_epochs": 10, "learning_rate": 1e-3, "per_device_train_batch_size": 64},
    ("real", "convnext"): {"num_train_epochs": 10, "learning_rate": 2e-3, "per_device_train_batch_size": 64},
    ("real", "mobilenet"): {"num_train_epochs": 2, "learning_rate": 5e-4, "per_device_train_batch_size": 64},
}
MOBILENET_SIZE = 128  # pixels


@dataclass(frozen=True)
class Run:
    """One training, and all that it depends on."""

    world: str
    model: str
    arm: str
    seed: int
    images_per_class: int
    epochs: float | None = None
    changed: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Name of the result file."""
        text = json.dumps([asdict(self), ARMS[self.arm], TRAINING[self.world, self.model]], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self.world}-{self.model}-{self.arm}-{self.seed}-{digest}"


def main() -> None:
    arguments = _parse()
    runs = [
        Run(world, model, arm, seed, arguments.images_per_class, arguments.epochs, arguments.set)
        for seed in arguments.seeds
        for world in arguments.worlds
        for model in arguments.models
        if (world, model) in TRAINING
        for arm in arguments.arms
    ]
    for world in arguments.worlds:
        for seed in arguments.seeds:
            _make_world(arguments, world, seed)
    for run in runs:
        _start(run, arguments)  # writes its files, before several processes would
    results = run_all(runs, arguments)
    text = table(results, runs)
    (arguments.output_dir / "table.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of imagenet_ab_mini and coco_ab_mini"
    )
    parser.add_argument("--mobilenet", type=Path, help="checkpoint to fine-tune; without it, no such runs")
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", type=float, help="instead of those in TRAINING")
    parser.add_argument("--images-per-class", type=int, default=250, help="of the demo's world")
    parser.add_argument("--set", type=json.loads, default={}, help="JSON: options of the arms with LUAB")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="1 seed, the demo's world, ViT and ConvNeXt")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.worlds = arguments.seeds[:1], ["demo"]
    if arguments.mobilenet is None:
        arguments.models = [model for model in arguments.models if model != "mobilenet"]
    return arguments


def _make_world(arguments: argparse.Namespace, world: str, seed: int) -> Path:
    from worlds import make_world

    folder = arguments.output_dir / "worlds" / f"{world}-{seed}-{arguments.images_per_class}"
    return make_world(world, folder, arguments.data, seed, arguments.images_per_class)


def run_all(runs: list[Run], arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """The results by key; each is read from its file, or made and written there."""
    results, missing = {}, []
    (arguments.output_dir / "results").mkdir(parents=True, exist_ok=True)
    for run in runs:
        file = arguments.output_dir / "results" / f"{run.key}.json"
        if file.is_file():
            results[run.key] = json.loads(file.read_text())["scores"]
        else:
            missing.append(run)
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.processes, context, max_tasks_per_child=1) as pool:
        waiting = {pool.submit(train_and_test, run, arguments): run for run in missing}
        for number, done in enumerate(as_completed(waiting), start=1):
            results[waiting[done].key] = scores = done.result()
            print(f"{number} of {len(missing)}: {waiting[done].key} {scores}", flush=True)
    return results


def train_and_test(run: Run, arguments: argparse.Namespace) -> dict[str, float]:
    """Trains, measures accuracy and pointing game on both test sets, in %, and writes the result file."""
    import datasets
    import torch
    import transformers

    from luab_eval.pointing import PointingGameEvaluator
    from luab_trainer.arguments import RunArguments
    from luab_trainer.config import LUABConfig
    from luab_trainer.data.dataset import ViewDataset
    from luab_trainer.run import train
    from luab_vision.processors import image_settings
    from luab_vision.transforms import EvalTransform

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    world = _make_world(arguments, run.world, run.seed)
    split, options, of_data = ARMS[run.arm]
    options = {**TRAINING[run.world, run.model], **options}
    if run.arm not in WITHOUT_BYPRODUCT:
        options |= run.changed
    if run.epochs is not None:
        options["num_train_epochs"] = run.epochs
    folder = arguments.output_dir / "models" / run.key
    trainer = train(
        RunArguments(
            **_start(run, arguments),
            dataset=str(world / split),
            min_crop=0.5,
            **of_data,
        ),
        LUABConfig(
            output_dir=str(folder), seed=run.seed, weight_decay=0.05, lr_scheduler_type="cosine",
            warmup_steps=0.1, save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True,
            bf16=True, per_device_eval_batch_size=100, logging_steps=50, do_eval=False,
            dataloader_pin_memory=False, **options,
        ),
    )  # fmt: skip
    processor: Any = trainer.processing_class
    settings = image_settings(processor)
    names = list(trainer.luab.config.id2label.values())
    scores = {}
    for name in ("test", "swapped"):
        rows = datasets.load_dataset(str(world / name), split="train")
        view = ViewDataset(rows, EvalTransform(settings), num_labels=len(names))
        scores[name] = 100 * trainer.evaluate(view)["eval_accuracy"]
        asked = rows.cast_column("image", datasets.Image(decode=False))
        game = PointingGameEvaluator(asked, settings)(trainer.luab.model)
        scores[f"pointing_{name}"] = 100 * game[PointingGameEvaluator.primary_metric]
    shutil.rmtree(folder)
    result = {"run": asdict(run), "scores": scores, "losses": trainer.state.log_history}
    (arguments.output_dir / "results" / f"{run.key}.json").write_text(json.dumps(result))
    return scores


def _start(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """Where the model comes from; its files are written once."""
    if run.model == "mobilenet":
        return {"model": str(_resized(arguments.mobilenet, arguments.output_dir / "mobilenet"))}
    if run.world == "demo":
        from luab_trainer.demo.models import INPUT_SIZE, save_config

        config = arguments.output_dir / "configs" / run.model
        if not config.is_dir():
            save_config(run.model, config.parent)
        return {"from_config": str(config), "image_size": INPUT_SIZE}
    return {"from_config": str(ROOT / "configs" / "models" / f"{run.model}-64.json")}


def _resized(checkpoint: Path, folder: Path) -> Path:
    """The checkpoint with an image processor for smaller images."""
    if not folder.is_dir():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(checkpoint, unfinished)
        file = unfinished / "preprocessor_config.json"
        size = {"height": MOBILENET_SIZE, "width": MOBILENET_SIZE}
        values = json.loads(file.read_text()) | {"size": size, "do_center_crop": False}
        file.write_text(json.dumps(values))
        unfinished.rename(folder)
    return folder


def table(results: dict[str, dict[str, float]], runs: Iterable[Run]) -> str:
    """Markdown: one line per world, model and arm; means over seeds with 95 % intervals."""
    from luab_eval.statistics.intervals import runs_interval

    def spread(values: list[float]) -> str:
        _, low, high = runs_interval(values)
        mean = float(np.mean(values))
        return f"{mean:.1f} ({mean + low:.1f} to {mean + high:.1f})" if len(values) > 1 else f"{mean:.1f}"

    by_arm: dict[tuple[str, str, str], dict[int, dict[str, float]]] = {}
    for run in runs:
        by_arm.setdefault((run.world, run.model, run.arm), {})[run.seed] = results[run.key]
    head = (
        "world",
        "model",
        "arm",
        "seeds",
        "in distribution",
        "swapped",
        "pointing, swapped",
        "gap closed, %",
    )
    lines = [head, tuple("---" for _ in head)]
    for (world, model, arm), seeds in by_arm.items():
        plain, oracle = (by_arm.get((world, model, name), {}) for name in ("plain", "oracle"))
        closed = [
            100 * (scores["swapped"] - plain[seed]["swapped"])
            / (oracle[seed]["swapped"] - plain[seed]["swapped"])
            for seed, scores in seeds.items()
            if seed in plain and seed in oracle
        ]  # fmt: skip
        figures = [[s[name] for s in seeds.values()] for name in ("test", "swapped", "pointing_swapped")]
        lines.append(
            (world, model, arm, str(len(seeds)), *map(spread, figures), spread(closed) if closed else "")
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
