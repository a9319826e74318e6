"""What does LUAB cost on a GPU? Whole models at 224, in bfloat16 and channels-last, and the real loader.

    python benchmarks/gpu.py [--seconds 450] [--batch 256] [--json FILE]
    python benchmarks/gpu.py --tiny          a CPU and models of two layers: only to see that it works

    steps       ViT-S/16, ConvNeXt-T and ResNet-50 from random weights; a batch that is on the device. plain:
                transformers.Trainer, with normalized batches; point, hinge, kl: LUABTrainer, with bytes;
                eager (ViT): `output_attentions=True` and the same hinge. Forward, backward, clipping, AdamW.
    loader      our training loader alone, with a process for each core: its ceiling
    training    `LUABTrainer.train` with that loader, from JPEGs to weights
    compiled    the steps of plain and hinge again, by torch.compile

It ends within --seconds: each cell has its share of the time that is left, and those for which none is left
are listed. A step's time is the median of groups of five, with the fastest and the slowest group. Memory is
the peak of torch's allocator. Prints Markdown, with the card, the versions and the command.
"""

import argparse
import gc
import json
import os
import platform
import shlex
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import loader  # with `measuring`, which puts the checkout on the path
from step import CLASSES, batch_of, eager_model

WAYS = {
    "ViT-S/16": ["plain", "point", "hinge", "kl", "eager"],
    "ConvNeXt-T": ["plain", "point", "hinge", "kl"],
    "ResNet-50": ["plain", "point", "hinge", "kl"],
}
COMPILED = ["plain", "hinge"]
GROUP, GROUPS = 5, 10  # steps of a group; groups of a cell at most
COMPILING = 60  # seconds that a compilation may take: without them left, none is begun
LONGEST = 6  # seconds of a cell
FEW = 32  # drawn photos with --tiny


@dataclass(frozen=True)
class Setting:
    """How large everything is."""

    tiny: bool
    batch: int

    @property
    def size(self) -> int:
        return 32 if self.tiny else 224

    @property
    def group(self) -> int:
        return 1 if self.tiny else GROUP

    @property
    def workers(self) -> int:
        return 1 if self.tiny else len(os.sched_getaffinity(0))


@dataclass
class Cell:
    """A row of the tables. `figures`: by column; `why`: why there are none."""

    table: str
    names: tuple[str, ...]
    figures: dict[str, float] | None = None
    why: str = ""


def config_of(name: str, setting: Setting):
    from transformers import ConvNextConfig, ResNetConfig, ViTConfig

    common = {"num_labels": CLASSES}
    if name == "ViT-S/16":
        size = {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536}
        tiny = {"hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 48, "num_hidden_layers": 2}
        chosen = tiny | {"patch_size": 8} if setting.tiny else size
        return ViTConfig(image_size=setting.size, **chosen, **common)
    if name == "ConvNeXt-T":
        tiny = {"num_stages": 2, "hidden_sizes": [8, 16], "depths": [1, 1]}
        return ConvNextConfig(layer_scale_init_value=0.1, **(tiny if setting.tiny else {}), **common)
    tiny = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    return ResNetConfig(**(tiny if setting.tiny else {}), **common)


def trainer_of(name: str, way: str, setting: Setting, folder: str, compiled: bool = False, **more):
    """A trainer of the model, in channels-last. `more`: its datasets."""
    import torch
    from transformers import AutoModelForImageClassification, Trainer, TrainingArguments

    from luab_trainer.config import LUABConfig
    from luab_trainer.trainer import LUABTrainer
    from luab_vision.processors import square_processor

    torch.manual_seed(0)
    attention = {"attn_implementation": "eager"} if way == "eager" else {}
    model = AutoModelForImageClassification.from_config(config_of(name, setting), **attention)
    model = model.to(memory_format=torch.channels_last)
    common = {
        "output_dir": folder, "report_to": "none", "max_steps": 1_000_000, "save_strategy": "no",
        "disable_tqdm": True, "bf16": True, "use_cpu": setting.tiny, "logging_strategy": "no",
        "per_device_train_batch_size": setting.batch, "dataloader_num_workers": setting.workers,
        "dataloader_persistent_workers": True, "torch_compile": compiled,
        "torch_compile_backend": "eager" if compiled and setting.tiny else None,
    }  # fmt: skip
    if way in ("plain", "eager"):
        return Trainer(eager_model(model) if way == "eager" else model, TrainingArguments(**common), **more)
    loss = {"loss": "point"} if way == "point" else {"loss": "attention", "attention_form": way}
    args = LUABConfig(background_mix=0.0, **loss, **common)
    return LUABTrainer(model, args, processing_class=square_processor(setting.size), **more)


def synchronize() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def steps(name: str, way: str, compiled: bool, setting: Setting, seconds: float, folder: str) -> dict:
    """The figures of one way's training steps."""
    import torch

    trainer = trainer_of(name, way, setting, folder, compiled)
    trainer.current_gradient_accumulation_steps = 1  # as `train` sets it
    optimizer = trainer.create_optimizer()
    module, optimizer = trainer.accelerator.prepare(trainer.model, optimizer)
    trainer.model_wrapped = module
    ours = way not in ("plain", "eager")
    batch = batch_of(setting.batch, ours, byproduct=way != "plain", size=setting.size)
    batch = {key: value.to(trainer.args.device) for key, value in batch.items()}
    if not ours:
        batch["pixel_values"] = batch["pixel_values"].contiguous(memory_format=torch.channels_last)

    def step() -> None:
        trainer.training_step(module, dict(batch))
        trainer.accelerator.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(1 if setting.tiny else 5):  # also compiles
        step()
    synchronize()
    on_gpu = torch.cuda.is_available() and not setting.tiny
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    took, began = [], time.perf_counter()
    while len(took) < (2 if setting.tiny else GROUPS) and (not took or time.perf_counter() - began < seconds):
        started = time.perf_counter()
        for _ in range(setting.group):
            step()
        synchronize()
        took.append((time.perf_counter() - started) / setting.group)
    middle = statistics.median(took)
    figures = {
        "ms": 1e3 * middle,
        "fastest ms": 1e3 * min(took),
        "slowest ms": 1e3 * max(took),
        "images/s": setting.batch / middle,
    }
    return figures | ({"memory GiB": torch.cuda.max_memory_allocated() / 2**30} if on_gpu else {})


def rows_of(setting: Setting, folder: str, max_side: str, mix: bool):
    """A training set of the drawn photos, repeated to twenty batches."""
    import datasets

    from luab_trainer.data.background import BackgroundMix
    from luab_trainer.data.dataset import ViewDataset
    from luab_vision.processors import image_settings, square_processor
    from luab_vision.transforms import TrainTransform

    file = str(Path(folder, f"{max_side}.parquet"))
    rows = datasets.load_dataset("parquet", data_files=file, split="train", cache_dir=folder)
    repeats = -(-20 * setting.batch // len(rows))
    rows = datasets.concatenate_datasets([rows] * repeats)
    transform = TrainTransform(image_settings(square_processor(setting.size)))
    return ViewDataset(rows, transform, byproduct="click", mix=BackgroundMix() if mix else None)


def loading(max_side: str, mix: bool, setting: Setting, seconds: float, folder: str) -> dict:
    """Images per second of the loader alone; its processes have started before."""
    from torch.utils.data import DataLoader

    from luab_trainer.data.collator import collate

    dataset = rows_of(setting, folder, max_side, mix)
    batches = DataLoader(
        dataset, setting.batch, shuffle=True, collate_fn=collate, num_workers=setting.workers,
        pin_memory=not setting.tiny, persistent_workers=True, drop_last=True,
    )  # fmt: skip
    return {"images/s": rate((batch for _ in range(10**9) for batch in batches), setting, seconds)}


def rate(batches, setting: Setting, seconds: float) -> float:
    """Images per second of what yields batches, without the first ones, which start the processes."""
    first = 2 if setting.tiny else 2 * setting.workers
    began, count = 0.0, 0
    for number, _ in enumerate(batches):
        if number == first:
            synchronize()
            began = time.perf_counter()
        elif number > first:
            count += 1
            if time.perf_counter() - began > seconds or (setting.tiny and count == 3):
                break
    synchronize()
    return count * setting.batch / (time.perf_counter() - began)


def training(name: str, way: str, setting: Setting, seconds: float, folder: str) -> dict:
    """Images per second of whole training steps, from the JPEGs of the Parquet file on."""
    from transformers import PrinterCallback, TrainerCallback

    class Meter(TrainerCallback):
        def __init__(self):
            self.began, self.steps, self.rate = 0.0, 0, 0.0

        def on_step_end(self, args, state, control, **kwargs):
            first = 2 if setting.tiny else 2 * setting.workers
            if state.global_step == first:
                synchronize()
                self.began = time.perf_counter()
            elif state.global_step > first:
                self.steps += 1
                late = time.perf_counter() - self.began > seconds
                if late or (setting.tiny and self.steps == 3):
                    synchronize()
                    self.rate = self.steps * setting.batch / (time.perf_counter() - self.began)
                    control.should_training_stop = True

    meter = Meter()
    dataset = rows_of(setting, folder, "384", False)
    trainer = trainer_of(name, way, setting, folder, train_dataset=dataset, callbacks=[meter])
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return {"images/s": meter.rate}


def fresh() -> None:
    """Nothing of a cell stays: neither its memory nor its settings of accelerate."""
    import torch
    from accelerate.state import AcceleratorState

    gc.collect()
    torch.compiler.reset()
    AcceleratorState._reset_state(reset_partial_state=True)
    for variable in [name for name in os.environ if name.startswith("ACCELERATE_DYNAMO")]:
        del os.environ[variable]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def plan(setting: Setting, folder: str) -> list[tuple[Cell, float, Callable[[float], dict]]]:
    """Each cell, the seconds that it needs at least, and what measures it."""
    found: list[tuple[Cell, float, Callable[[float], dict]]] = []

    def add(table: str, names: tuple[str, ...], function: Callable, *given, needs: float = 5) -> None:
        cell = Cell(table, names)
        found.append((cell, needs, lambda seconds: function(*given, setting, seconds, folder)))

    for name, ways in WAYS.items():
        for way in ways:
            add("steps", (name, way), steps, name, way, False)
    for max_side in ("full", "384"):
        add("loader", (max_side, "crops"), loading, max_side, False)
    add("loader", ("384", "crops, background mix"), loading, "384", True)
    for name in WAYS:
        add("training", (name, "hinge"), training, name, "hinge", needs=10)
    for name in WAYS:
        for way in COMPILED:
            add("compiled", (name, way), steps, name, way, True, needs=0 if setting.tiny else COMPILING)
    return found


class OutOfTime(BaseException):
    """The alarm rang; no library catches it."""


def _ring(number: int, frame: object) -> None:
    raise OutOfTime


def measure(setting: Setting, seconds: float, file: Path | None) -> list[Cell]:
    """All cells, within so many seconds; written to the file after each."""
    end = time.monotonic() + seconds
    signal.signal(signal.SIGALRM, _ring)
    with tempfile.TemporaryDirectory() as folder:
        if setting.tiny:
            loader.DRAWN = FEW
        loader.write_tables(None, Path(folder))
        cells = plan(setting, folder)
        for number, (cell, needs, function) in enumerate(cells):
            left = end - time.monotonic()
            if left < needs:
                cell.why = "no time left"
            else:
                try:
                    signal.setitimer(signal.ITIMER_REAL, left)
                    cell.figures = function(min(left / (len(cells) - number) / 2, LONGEST))
                except OutOfTime:
                    cell.why = "no time left"
                except Exception as error:  # the others are worth having
                    cell.why = f"failed: {type(error).__name__}: {str(error).splitlines()[0][:200]}"
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            fresh()
            said = f"{' '.join((cell.table, *cell.names))}: {cell.figures or cell.why}"
            print(said, file=sys.stderr, flush=True)
            if file is not None:
                file.write_text(json.dumps([asdict(one) for one, _, _ in cells], indent=1) + "\n")
    return [cell for cell, _, _ in cells]


def machine() -> str:
    import accelerate
    import torch
    import transformers

    card = torch.cuda.get_device_name() if torch.cuda.is_available() else f"no GPU, {platform.machine()}"
    cuda = f", CUDA {torch.version.cuda}" if torch.version.cuda else ""
    return (
        f"{card}, {len(os.sched_getaffinity(0))} cores; torch {torch.__version__}{cuda}, transformers "
        f"{transformers.__version__}, accelerate {accelerate.__version__}, Python {platform.python_version()}"
    )


def tables(cells: list[Cell]) -> str:
    """The cells as Markdown."""
    plain = {
        (cell.table, cell.names[0]): cell.figures["ms"]
        for cell in cells
        if cell.figures and cell.names[1] == "plain"
    }
    lines = []
    for table, title in (("steps", "A step"), ("compiled", "A step, compiled")):
        lines += [f"| {title} | | ms | against plain | memory, GiB | images/s |", "|---|---|---|---|---|---|"]
        for cell in (cell for cell in cells if cell.table == table):
            if cell.figures is None:
                lines.append(f"| {' | '.join(cell.names)} | {cell.why} | | | |")
                continue
            of = cell.figures
            base = plain.get((table, cell.names[0]))
            against = "" if base is None else f"{100 * (of['ms'] / base - 1):+.1f} %"
            memory = f"{of['memory GiB']:.2f}" if "memory GiB" in of else ""
            spread = f"{of['ms']:.1f} ({of['fastest ms']:.1f} to {of['slowest ms']:.1f})"
            lines.append(
                f"| {' | '.join(cell.names)} | {spread} | {against} | {memory} | {of['images/s']:,.0f} |"
            )
        lines.append("")
    for table, title in (("loader", "The loader alone, photos"), ("training", "Training with the loader")):
        lines += [f"| {title} | | images/s |", "|---|---|---|"]
        for cell in (cell for cell in cells if cell.table == table):
            text = cell.why if cell.figures is None else f"{cell.figures['images/s']:,.0f}"
            lines.append(f"| {' | '.join(cell.names)} | {text} |")
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=450, help="it ends by then (default: %(default)s)")
    parser.add_argument("--batch", type=int, help="images of a batch (default: 256; with --tiny 4)")
    parser.add_argument("--tiny", action="store_true", help="on a CPU, with tiny models")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, after each cell")
    arguments = parser.parse_args()
    import torch

    if not (arguments.tiny or torch.cuda.is_available()):
        sys.exit("there is no GPU that torch can use; --tiny only tries the script out, on the CPU")
    setting = Setting(arguments.tiny, arguments.batch or (4 if arguments.tiny else 256))
    cells = measure(setting, arguments.seconds, arguments.json)
    print(f"{machine()}; batches of {setting.batch}\n\n`{shlex.join(['python', *sys.argv])}`\n")
    print(tables(cells))
    return int(any(cell.why.startswith("failed") for cell in cells))


if __name__ == "__main__":
    sys.exit(main())
