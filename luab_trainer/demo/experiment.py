"""Train each arm of the demo with the functions of `run.py`, and evaluate it on the two test sets.

Arms: `plain` is the classifier alone. `luab` adds the attention loss on the clicks and the background mix.
`shuffled` is the control: LUAB with the click of another image, so its gain over `plain` does not come from
the click. `oracle` is the classifier alone, on the same objects where the backgrounds say nothing: the most
that LUAB can reach on swapped backgrounds.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers

from imagenet_ab.build import build_imagenet_ab
from imagenet_ab.byproducts import ARCHIVE
from imagenet_ab.simulate.images import CLASSES
from imagenet_ab.simulate.release import write_release
from luab_attention.boxes.formats import load_boxes
from luab_attention.shuffling import shuffle_byproducts
from luab_data.console.bars import progress
from luab_data.console.text import counted
from luab_data.constants import IMAGE, TRAIN
from luab_data.rows.columns import Columns
from luab_eval.passes import all_cores
from luab_eval.pointing import PointingGameEvaluator
from luab_trainer.arguments import RunArguments
from luab_trainer.config import LUABConfig
from luab_trainer.data.dataset import ViewDataset
from luab_trainer.demo.models import INPUT_SIZE, LEARNING_RATE, save_config
from luab_trainer.run import train
from luab_vision.processors import image_settings
from luab_vision.transforms import EvalTransform

PLAIN, LUAB, SHUFFLED, ORACLE = "plain", "luab", "shuffled", "oracle"
WITHOUT_CLICKS = (PLAIN, ORACLE)
BACKGROUND_RADIUS = 0.35  # a large object's side is 0.44 of the image's; see `BackgroundMix`
TEST, SWAPPED = "test", "test_swapped"
BATCH_SIZE = 32


@dataclass(frozen=True)
class DemoRun:
    """One training run."""

    architecture: str
    arm: str
    seed: int

    @property
    def name(self) -> str:
        """The run's name in tables and folders."""
        return f"{self.architecture}-{self.arm}-seed{self.seed}"


@dataclass(frozen=True)
class DemoScores:
    """The results of a run, shares from 0 to 1: accuracy and pointing game by test set."""

    run: DemoRun
    accuracy: dict[str, float]
    pointing: dict[str, float]


@dataclass(frozen=True)
class World:
    """The folders of a demonstration: raw release, datasets, configs, checkpoints."""

    root: Path

    @property
    def raw(self) -> Path:
        """The folder of the simulated raw files."""
        return self.root / "raw"

    def dataset(self, arm: str) -> Path:
        """The built dataset that an arm trains on."""
        return self.root / (f"dataset_{arm}" if arm in (SHUFFLED, ORACLE) else "dataset")

    @property
    def configs(self) -> Path:
        """The folder of the architectures' configs."""
        return self.root / "configs"

    def checkpoint(self, run: DemoRun) -> Path:
        """The folder that a run saves its model in."""
        return self.root / "checkpoints" / run.name

    def test_rows(self, split: str, classes: list[str]) -> datasets.Dataset:
        """Test images with their true boxes, the labels numbered like the training set's."""
        return load_boxes(self.raw / "images" / split, self.raw / f"boxes_{split}.csv", classes)


def prepare(root: Path, images_per_class: int, test_images_per_class: int, control: bool) -> World:
    """Write the raw release and build the dataset; with `control` also those of control and oracle."""
    world = World(root)
    write_release(
        world.raw, images_per_class=images_per_class, evaluation_images_per_class=test_images_per_class
    )
    _build(world.raw, world.dataset(LUAB))
    if control:
        rows = datasets.load_dataset(str(world.dataset(LUAB)), split=TRAIN)
        world.dataset(SHUFFLED).mkdir()
        shuffle_byproducts(rows, "click", Columns()).to_parquet(world.dataset(SHUFFLED) / f"{TRAIN}.parquet")
        raw = root / "raw_oracle"
        write_release(
            raw,
            images_per_class=images_per_class,
            evaluation_images_per_class=0,
            agreement=1 / len(CLASSES),
        )
        _build(raw, world.dataset(ORACLE))
    return world


def _build(raw: Path, folder: Path) -> None:
    # Not the published file's name: a build expects the published number of files in that file.
    byproducts = (raw / ARCHIVE).rename(raw / "simulated_ab.tar.gz")
    summary = build_imagenet_ab(folder, images=raw / "images" / TRAIN, byproducts=byproducts)
    print(summary.report())


def run_all(world: World, runs: list[DemoRun], epochs: int) -> list[DemoScores]:
    """Train and evaluate all runs, one per core: for tiny models this is faster than several threads."""
    for architecture in {run.architecture for run in runs}:
        save_config(architecture, world.configs)  # once, before several processes read it
    context = multiprocessing.get_context("spawn")
    steps = context.Value("L", 0)
    total = len(runs) * _steps(world, epochs)
    workers = min(all_cores(), len(runs))
    with _workers(workers, context, steps) as pool:
        futures = [pool.submit(run_one, world, run, epochs) for run in runs]
        with progress(total, f"Training {counted(len(runs), 'model')}", "step") as bar:
            for count in _progress(steps, futures):
                bar.update(count - bar.n)
        return [future.result() for future in futures]


@contextmanager
def _workers(number: int, context: SpawnContext, steps: "Synchronized[int]") -> Iterator[ProcessPoolExecutor]:
    """Processes that end with the context: an error or Ctrl-C does not wait for unfinished runs."""
    pool = ProcessPoolExecutor(number, context, initializer=_start_worker, initargs=(steps,))
    earlier = set(multiprocessing.active_children())
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - earlier:
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def run_one(world: World, run: DemoRun, epochs: int) -> DemoScores:
    """Train one run and evaluate it on both test sets."""
    learning: dict[str, Any] = {"loss": "none"}
    if run.arm not in WITHOUT_CLICKS:
        learning = {"background_radius": BACKGROUND_RADIUS}
    trainer = train(
        RunArguments(
            from_config=str(world.configs / run.architecture),
            image_size=INPUT_SIZE,
            dataset=str(world.dataset(run.arm)),
            min_crop=0.5,
        ),
        LUABConfig(
            output_dir=str(world.checkpoint(run)),
            seed=run.seed,
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH_SIZE,
            learning_rate=LEARNING_RATE[run.architecture],
            weight_decay=0.05,
            lr_scheduler_type="cosine",
            warmup_steps=0.15,
            per_device_eval_batch_size=100,
            logging_steps=50,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            dataloader_pin_memory=False,
            **learning,
        ),
        callbacks=[_CountSteps()],
    )
    processor: Any = trainer.processing_class  # an image processor: `train` loaded it
    settings = image_settings(processor)
    classes = list(datasets.load_dataset(str(world.dataset(run.arm)), split=TRAIN).features["label"].names)
    accuracy, pointing = {}, {}
    for split in (TEST, SWAPPED):
        rows = world.test_rows(split, classes)
        dataset = ViewDataset(rows, EvalTransform(settings), columns=Columns(), num_labels=len(classes))
        accuracy[split] = trainer.evaluate(dataset)["eval_accuracy"]
        asked = rows.cast_column(IMAGE, datasets.Image(decode=False))
        pointing[split] = PointingGameEvaluator(asked, settings)(trainer.luab.model)[
            PointingGameEvaluator.primary_metric
        ]
    return DemoScores(run, accuracy, pointing)


_steps_done: "Synchronized[int] | None" = None  # of all workers together; set in each worker


def _steps(world: World, epochs: int) -> int:
    rows = datasets.load_dataset(str(world.dataset(LUAB)), split=TRAIN).num_rows
    return epochs * -(-rows // BATCH_SIZE)


def _start_worker(steps: "Synchronized[int]") -> None:
    global _steps_done
    _steps_done = steps
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches all: the parent ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The trainer prints its logs; several workers share the terminal with the progress bar.
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - open as long as the process
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    datasets.disable_progress_bars()


def _end_with_parent() -> None:
    """Ends this process with its parent, even after kill -9."""
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)


class _CountSteps(transformers.TrainerCallback):
    """Reports the workers' progress to the parent process."""

    def on_step_end(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **kwargs: Any,
    ) -> None:
        if _steps_done is not None:
            with _steps_done.get_lock():
                _steps_done.value += 1


def _progress(steps: "Synchronized[int]", futures: Iterable[Future[DemoScores]]) -> Iterator[int]:
    """The number of finished steps, every half second; raises a worker's error at once."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=0.5)
        for future in done:
            future.result()
        yield steps.value
