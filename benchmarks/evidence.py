"""Whether a gain is the click's: trains what arms.py lists, with intervals, paired tests and figures.

    python benchmarks/evidence.py --data ../shared/data --mobilenet ../shared/models/mobilenet_v1_imagenet \
        --results benchmarks/evidence.jsonl --output-dir runs/evidence
    python benchmarks/evidence.py --quick --output-dir runs/quick    # the demo, 1 seed; needs no data

Every run is one process on one core. A finished run is a line of the results file, by all of its settings:
the same command goes on where it was stopped, and with nothing left to train it only writes the table and the
figures (evidence_report.py).
"""

import argparse
import json
import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import arms
from arms import (
    ARMS,
    CONTROL,
    FINAL_ARMS,
    JTT,
    MIN_CROP,
    MODELS,
    NO_SHORTCUT,
    TRAINING,
    WITHOUT_CLICKS,
    WORLDS,
    Run,
)
from evidence_report import read_lines, report

if TYPE_CHECKING:
    from luab_trainer.trainer import LUABTrainer

ROOT = Path(__file__).resolve().parents[1]
MINIATURES = ("imagenet_ab_mini", "coco_ab_mini")
MOBILENET_SIZE = 128  # pixels


def main() -> None:
    import datasets

    datasets.disable_progress_bars()
    arguments = _parse()
    epochs = {} if arguments.epochs is None else {"num_train_epochs": arguments.epochs}
    plain, changed = (tuple(sorted({**epochs, **own}.items())) for own in ({}, arguments.set))
    runs = [
        Run(world, model, arm, seed, arguments.images_per_class, plain if arm in WITHOUT_CLICKS else changed)
        for seed in arguments.seeds
        for world in arguments.worlds
        for model in arguments.models
        if (world, model) in TRAINING
        for arm in arguments.arms
        if world not in NO_SHORTCUT or ARMS[arm][0] in ("train", "shuffled")
        if world == "demo" or "byproduct" not in ARMS[arm][1]
    ]
    done = _read(arguments.results)
    missing = [run for run in runs if run.key not in done]
    starts = {run.start for run in missing if run.start and not _checkpoint(run.start, arguments).is_dir()}
    for each in (starts, [run for run in missing if run not in starts]):
        run_all(sorted(each, key=lambda run: run.seed), arguments)
    done = _read(arguments.results)
    print(report([done[run.key] for run in runs], arguments.output_dir))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n{arms.__doc__}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help=f"folder of {' and '.join(MINIATURES)}; demo needs none")
    parser.add_argument("--mobilenet", type=Path, help="checkpoint to fine-tune; without it, no such runs")
    parser.add_argument("--output-dir", type=Path, required=True, help="for worlds, checkpoints and figures")
    parser.add_argument("--results", type=Path, help="JSON lines, one a run (default: in the output folder)")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(FINAL_ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--images-per-class", type=int, default=250, help="of the demo's world")
    parser.add_argument("--set", type=_options, default={}, help="JSON: options of the arms with clicks")
    parser.add_argument("--epochs", type=int, help="of all arms (default: by world and model)")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="1 seed, the demo's world")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.worlds = arguments.seeds[:1], ["demo"]
    miniatures = MINIATURES if set(arguments.worlds) - {"demo"} else ()
    missing = [name for name in miniatures if arguments.data is None or not (arguments.data / name).is_dir()]
    if missing:
        there = "there is no --data" if arguments.data is None else f"--data {arguments.data} has none"
        parser.error(
            f"the worlds real and natural are made of {' and '.join(missing)}: {there}. Name the folder that "
            "has, or take --worlds demo."
        )
    if arguments.mobilenet is None:
        arguments.models = [model for model in arguments.models if model != "mobilenet"]
    if arguments.results is None:
        arguments.results = arguments.output_dir / "results.jsonl"
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    return arguments


def _options(text: str) -> dict[str, Any]:
    options = json.loads(text)
    if not isinstance(options, dict):
        raise argparse.ArgumentTypeError(f"{text} is no JSON object of options.")
    return options


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """The finished runs by key."""
    return {line["key"]: line for line in read_lines(file)} if file.is_file() else {}


def _world(arguments: argparse.Namespace, world: str, seed: int) -> Path:
    from regions import add_regions
    from worlds import make_world

    folder = arguments.output_dir / "worlds" / f"{world}-{seed}-{arguments.images_per_class}"
    make_world(world, folder, arguments.data, seed, arguments.images_per_class)
    if world == "demo":
        add_regions(folder, seed, arguments.images_per_class)
    return folder


def _checkpoint(run: Run, arguments: argparse.Namespace) -> Path:
    return arguments.output_dir / "models" / run.key


def run_all(runs: list[Run], arguments: argparse.Namespace) -> None:
    """Trains and tests; each finished run becomes a line of the results."""
    for run in runs:
        _world(arguments, run.world, run.seed)
        _start(run, arguments)  # writes its files, before several processes would
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.processes, context, max_tasks_per_child=1) as pool:
        waiting = {pool.submit(_logged, run, arguments): run for run in runs}
        for number, done in enumerate(as_completed(waiting), start=1):
            line = {"key": waiting[done].key, **asdict(waiting[done]), **done.result()}
            with arguments.results.open("a", encoding="utf-8") as results:
                results.write(json.dumps(line) + "\n")
            print(f"{number} of {len(runs)}: {line['key']} {line['scores']}", flush=True)


def _logged(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """`train_and_test`, with what it prints in a file of its own."""
    file = arguments.output_dir / "logs" / f"{run.key}.log"
    file.parent.mkdir(exist_ok=True)
    with file.open("w") as log, redirect_stdout(log), redirect_stderr(log):
        return train_and_test(run, arguments)


def train_and_test(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains, and measures accuracy and pointing game on the test sets, in %; also CPU seconds, and the
    accuracy after each epoch.
    """
    import time

    import datasets
    import torch
    import transformers

    from luab_eval.pointing import PointingGameEvaluator
    from luab_trainer.data.dataset import ViewDataset
    from luab_vision.processors import image_settings
    from luab_vision.transforms import EvalTransform

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    world = _world(arguments, run.world, run.seed)
    folder = _checkpoint(run, arguments)
    trainer = (_train_twice if run.arm == JTT else _train)(run, arguments, world / ARMS[run.arm][0])
    processor: Any = trainer.processing_class
    settings = image_settings(processor)
    names = list(trainer.luab.config.id2label.values())
    logged = [line["eval_accuracy"] for line in trainer.state.log_history if "eval_accuracy" in line]
    history = logged[:-1]  # `train` evaluates once more
    scores = {}
    for name in ("test", "occluded" if run.world in NO_SHORTCUT else "swapped"):
        rows = datasets.load_dataset(str(world / name), split="train")
        view = ViewDataset(rows, EvalTransform(settings), num_labels=len(names))
        scores[name] = 100 * trainer.evaluate(view)["eval_accuracy"]
        asked = rows.cast_column("image", datasets.Image(decode=False))
        game = PointingGameEvaluator(asked, settings)(trainer.luab.model)
        scores[f"pointing_{name}"] = 100 * game[PointingGameEvaluator.primary_metric]
    if run.world in NO_SHORTCUT and run.arm == "plain":
        processor.save_pretrained(folder)  # others go on from here
    else:
        shutil.rmtree(folder)
    return {
        "scores": scores,
        "accuracy_by_epoch": history,
        "cpu_seconds": round(time.process_time()),
        "bf16": _in_bf16(run),
    }


def _in_bf16(run: Run) -> bool:
    """Whether a run computes in bfloat16: where that is faster, which is not so for such small ViTs."""
    from luab_vision.precision import slow_in_bf16

    return not run.model.startswith("vit") and not slow_in_bf16("cpu")


def _train(run: Run, arguments: argparse.Namespace, split: Path, **options: Any) -> "LUABTrainer":
    """Trains on a split; `options` of the trainer take the place of the run's."""
    from luab_trainer.arguments import RunArguments
    from luab_trainer.config import LUABConfig
    from luab_trainer.run import train

    hard = "test" if run.world in NO_SHORTCUT else "swapped"
    values: dict[str, Any] = {
        "per_device_eval_batch_size": 100, "eval_strategy": "epoch", "save_strategy": "no",
        "report_to": "none", "disable_tqdm": True, "use_cpu": True, "dataloader_pin_memory": False,
        "bf16": _in_bf16(run),
        **run.options, **options,
    }  # fmt: skip
    return train(
        RunArguments(
            **_start(run, arguments),
            dataset=str(split),
            eval_dataset=str(_world(arguments, run.world, run.seed) / hard),
            min_crop=MIN_CROP,
            shuffle_byproducts=run.seed if run.arm.startswith(CONTROL) else None,
            **ARMS[run.arm][2],
        ),
        LUABConfig(output_dir=str(_checkpoint(run, arguments)), seed=run.seed, **values),
    )


def _train_twice(run: Run, arguments: argparse.Namespace, split: Path) -> "LUABTrainer":
    """Trains on a split, and anew on the same with more of what the first model gets wrong."""
    import jtt

    epochs = run.options["num_train_epochs"]
    first = _train(run, arguments, split, num_train_epochs=jtt.FIRST * epochs, eval_strategy="no")
    rows = jtt.rows_with_repeated_errors(first, split)
    repeated = arguments.output_dir / "repeated" / run.key
    shutil.rmtree(repeated, ignore_errors=True)
    repeated.mkdir(parents=True)
    rows.to_parquet(repeated / "train.parquet")
    steps = first.state.max_steps / jtt.FIRST
    try:
        return _train(run, arguments, repeated, max_steps=round(steps))
    finally:
        shutil.rmtree(repeated)


def _start(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """Where the model comes from; its files are written once."""
    if run.start is not None:
        return {"model": str(_checkpoint(run.start, arguments))}
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


if __name__ == "__main__":
    main()
