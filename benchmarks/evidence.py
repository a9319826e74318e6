"""Whether a gain is the click's: arms x worlds x models x seeds, with intervals, paired tests and figures.

    python benchmarks/evidence.py --data ../shared/data --mobilenet ../shared/models/mobilenet_v1_imagenet \
        --results benchmarks/evidence.jsonl --output-dir runs/evidence
    python benchmarks/evidence.py --quick ...     # 1 seed, the demo's world

Every run is one process on one core. A finished run is a line of the results file, by all of its settings:
the same command goes on where it was stopped, and with nothing left to train it only writes the table and the
figures (benchmarks/evidence_report.py). Seed s trains in the world of seed s (benchmarks/worlds.py).
Models with `-started` go on from the checkpoint of the plain natural run. Arms:

    plain      cross-entropy alone
    luab       the trainer's defaults
    shuffled   luab with the click of another image
    astray     luab with clicks outside the object's box: the gain that is left is not the clicks'
    oracle     plain, on the same objects where backgrounds say nothing
    cutmix, erasing   plain with an augmentation that needs no byproduct
    attention, mix    one half of luab
    point      the paper's loss: the click regressed from the features
    clicks-50, -10, -1, astray-10, -30, centers, anywhere   luab with fewer or other clicks (worlds.py)
    boxes, masks, heatmaps, traces, gaze   luab with these of the demo's world instead of clicks
        (--byproduct); gaze: the traces as a density, as `--byproduct scanpath` reads them
    shuffled-boxes, shuffled-masks, ...   their controls: each image has those of another one
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from luab_data.rows.columns import AREA_KINDS, ByproductKind

ROOT = Path(__file__).resolve().parents[1]
WORLDS = ("demo", "real", "natural")
MODELS = ("vit", "convnext", "mobilenet", "vit-started", "convnext-started")
CONTROL = "shuffled-"
REGIONS = "regions"  # of regions.py
NOTHING = {"loss": "none", "background_mix": 0.0}
# Dataset, options of the trainer, options of the data.
ARMS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "plain": ("train", NOTHING, {}),
    "luab": ("train", {}, {}),
    "shuffled": ("shuffled", {}, {}),
    "astray": ("astray", {}, {}),
    "oracle": ("oracle", NOTHING, {}),
    "cutmix": ("train", NOTHING | {"cutmix": 0.5}, {}),
    "erasing": ("train", NOTHING, {"random_erasing": 0.5}),
    "attention": ("train", {"background_mix": 0.0}, {}),
    "point": ("train", {"loss": "point", "background_mix": 0.0}, {}),
    "mix": ("train", {"loss": "none", "background_mix": 0.9}, {}),
    **{
        name: (name, {}, {})
        for name in (
            "clicks-50", "clicks-10", "clicks-1", "astray-10", "astray-30", "centers", "anywhere"
        )
    },
}  # fmt: skip
# What other arms learn from instead of clicks, in the demo's world: split of the world, kind of byproduct.
OTHER_BYPRODUCTS: dict[str, tuple[str, ByproductKind]] = {
    "boxes": (REGIONS, "boxes"),
    "masks": (REGIONS, "masks"),
    "heatmaps": (REGIONS, "heatmap"),
    "traces": ("train", "trace"),
    "gaze": (REGIONS, "scanpath"),
}
ARMS |= {
    f"{control}{name}": (split, {"byproduct": kind}, {})
    for name, (split, kind) in OTHER_BYPRODUCTS.items()
    for control in ("", CONTROL)
}
FINAL_ARMS = ("plain", "luab", "shuffled", "astray", "oracle", "cutmix")
WITHOUT_CLICKS = ("plain", "oracle", "cutmix", "erasing")
NO_SHORTCUT = ("natural",)  # worlds without an oracle
# Options of the arms with clicks: 0.8 of the side of a large object. That side, the 90th percentile of the
# roots of the areas of the training images' boxes, is 0.44 in `demo`, 0.58 in `real` and 0.96 in `natural`.
BY_WORLD: dict[str, dict[str, Any]] = {
    "demo": {"background_radius": 0.35},
    "real": {"background_radius": 0.46},
    "natural": {},
}
# Options of the trainer, the same for all arms.
COMMON = {
    "per_device_train_batch_size": 64,
    "weight_decay": 0.05,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.1,
}
MIN_CROP = 0.5
# The same by world and model.
TRAINING: dict[tuple[str, str], dict[str, Any]] = {
    # No gradient is clipped: with the usual norm of 1, LUAB learned less (seed 100).
    ("demo", "vit"): {
        "num_train_epochs": 16,
        "learning_rate": 2e-3,
        "per_device_train_batch_size": 32,
        "max_grad_norm": 1e3,
    },
    ("demo", "convnext"): {"num_train_epochs": 24, "learning_rate": 4e-3, "per_device_train_batch_size": 32},
    ("real", "vit"): {"num_train_epochs": 10, "learning_rate": 1e-3},
    ("real", "convnext"): {"num_train_epochs": 30, "learning_rate": 2e-3},
    ("real", "mobilenet"): {"num_train_epochs": 2, "learning_rate": 5e-4},
    ("real", "vit-started"): {"num_train_epochs": 5, "learning_rate": 5e-4},
    ("real", "convnext-started"): {"num_train_epochs": 10, "learning_rate": 1e-3},
    # With 10 and 30 epochs, LUAB learned less than plain on whole images; with these, more (seed 100).
    ("natural", "vit"): {"num_train_epochs": 30, "learning_rate": 1e-3},
    ("natural", "convnext"): {"num_train_epochs": 60, "learning_rate": 2e-3},
    ("natural", "mobilenet"): {"num_train_epochs": 2, "learning_rate": 5e-4},
}
START_EPOCHS = {"vit": 10, "convnext": 30}  # of the natural runs that others go on from
MOBILENET_SIZE = 128  # pixels
STARTED = "-started"


@dataclass(frozen=True)
class Run:
    """One training, and all that it depends on."""

    world: str
    model: str
    arm: str
    seed: int
    images_per_class: int
    changed: tuple[tuple[str, Any], ...] = ()  # options of the trainer that are not the arm's

    @property
    def key(self) -> str:
        """Name of the run in the results; with other settings or defaults of the trainer it is another."""
        from worlds import VERSION

        start = self.start
        of_start = start and [*start.training.items(), *start.changed]
        settings = [
            VERSION,
            asdict(self),
            ARMS[self.arm],
            self.training,
            of_start,
            MIN_CROP,
            self.of_byproduct(),
        ]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.world}-{self.model}-{self.arm}-{self.seed}-{digest}"

    @property
    def training(self) -> dict[str, Any]:
        """Options of the trainer that all arms have."""
        return COMMON | TRAINING[self.world, self.model]

    @property
    def options(self) -> dict[str, Any]:
        """All options of the trainer."""
        own = ARMS[self.arm][1] | dict(self.changed)
        mixes = self.arm not in WITHOUT_CLICKS and own.get("background_mix") != 0
        radius = BY_WORLD[self.world] if mixes and own.get("byproduct") not in AREA_KINDS else {}
        return self.training | radius | own

    def of_byproduct(self) -> list[Any]:
        """What an arm with a byproduct depends on besides: the defaults of its loss and its mix."""
        from luab_attention.blur import TARGET
        from luab_trainer.config import LUABConfig
        from luab_trainer.data import area_mix, background
        from luab_trainer.losses.attention import defaults
        from luab_trainer.losses.point import PointLoss

        if self.arm in WITHOUT_CLICKS:
            return []
        config = LUABConfig("unused", use_cpu=True, **self.options)
        config.settle_mix(multi_label=False)
        found: list[Any] = []
        if config.loss in ("attention", "both"):
            kind = "cls" if self.model.startswith("vit") else "map"
            found.append(defaults(kind, config.attention_form, config.byproduct))
        if config.loss in ("point", "both"):
            found.append(PointLoss.default_weight)
        if config.background_mix:
            mix = background.BackgroundMix(config.background_mix, config.background_radius)
            found += [asdict(mix), background.COVER, background.EDGE, background.HEAVY, background.MAX_DONORS]
        if config.byproduct in AREA_KINDS:
            found += [area_mix.LEVELS, area_mix.HOLES]
        return [*found, list(TARGET)] if config.byproduct == "scanpath" else found

    @property
    def start(self) -> "Run | None":
        """The run whose checkpoint this one goes on from."""
        if not self.model.endswith(STARTED):
            return None
        model = self.model.removesuffix(STARTED)
        epochs = ("num_train_epochs", START_EPOCHS[model])
        return Run("natural", model, "plain", self.seed, self.images_per_class, (epochs,))


def main() -> None:
    import datasets
    from evidence_report import report

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
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of imagenet_ab_mini and coco_ab_mini"
    )
    parser.add_argument("--mobilenet", type=Path, help="checkpoint to fine-tune; without it, no such runs")
    parser.add_argument("--output-dir", type=Path, required=True, help="for worlds, checkpoints and figures")
    parser.add_argument("--results", type=Path, help="JSON lines, one a run (default: in the output folder)")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(FINAL_ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--images-per-class", type=int, default=250, help="of the demo's world")
    parser.add_argument("--set", type=json.loads, default={}, help="JSON: options of the arms with clicks")
    parser.add_argument("--epochs", type=int, help="of all arms (default: by world and model)")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="1 seed, the demo's world")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.worlds = arguments.seeds[:1], ["demo"]
    if arguments.mobilenet is None:
        arguments.models = [model for model in arguments.models if model != "mobilenet"]
    if arguments.results is None:
        arguments.results = arguments.output_dir / "results.jsonl"
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    return arguments


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """The finished runs by key."""
    if not file.is_file():
        return {}
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {line["key"]: line for line in lines}


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
    from luab_trainer.arguments import RunArguments
    from luab_trainer.config import LUABConfig
    from luab_trainer.data.dataset import ViewDataset
    from luab_trainer.run import train
    from luab_vision.processors import image_settings
    from luab_vision.transforms import EvalTransform

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    world = _world(arguments, run.world, run.seed)
    split, _, of_data = ARMS[run.arm]
    hard = "test" if run.world in NO_SHORTCUT else "swapped"
    folder = _checkpoint(run, arguments)
    values: dict[str, Any] = {
        "per_device_eval_batch_size": 100, "eval_strategy": "epoch", "save_strategy": "no",
        "report_to": "none", "disable_tqdm": True, "use_cpu": True, "dataloader_pin_memory": False,
        "bf16": not run.model.startswith("vit"),  # slower than float32 for such small ViTs
        **run.options,
    }  # fmt: skip
    trainer = train(
        RunArguments(
            **_start(run, arguments),
            dataset=str(world / split),
            eval_dataset=str(world / hard),
            min_crop=MIN_CROP,
            shuffle_byproducts=run.seed if run.arm.startswith(CONTROL) else None,
            **of_data,
        ),
        LUABConfig(output_dir=str(folder), seed=run.seed, **values),
    )
    processor: Any = trainer.processing_class
    settings = image_settings(processor)
    names = list(trainer.luab.config.id2label.values())
    history = [line["eval_accuracy"] for line in trainer.state.log_history if "eval_accuracy" in line]
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
    return {"scores": scores, "accuracy_by_epoch": history, "cpu_seconds": round(time.process_time())}


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
