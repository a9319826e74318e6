"""What does LUAB add to a training step? Against transformers' own Trainer, and its way to get attention.

    python benchmarks/step.py [--steps 30] [--models vit convnext] [--json FILE]

Takes training steps (forward, backward, clipping, AdamW) on one core with batches of random images at 224 x
224, of a ViT-S/16 and a ConvNeXt-T from random weights, with a quarter and a third of their layers. That
makes room for more steps: costs per layer keep their share, costs per step weigh more than in the whole
model.

    plain       transformers.Trainer, with batches that are normalized before
    again       the same, built a second time: what the two differ in is chance
    point       LUABTrainer, the paper's loss; the model normalizes the batch's bytes
    attention   LUABTrainer, the hinge on the model's attention
    eager       (ViT) transformers' way: eager attention, `output_attentions=True`, the same hinge

Time: all ways live in one process and take a step in turn, in random order. Prints the median of the CPU
time's ratio to the mean of the round's two plain steps, and its 95 % confidence interval: between two order
statistics of the ratios, as the sign test has it, so that no distribution is assumed. The default is to see
in a few minutes that it works; docs/performance.md shows 200 steps.
Memory: the most bytes that torch's allocator had given out at one moment of two steps, of larger batches:
parameters, gradients, AdamW's moments and what the forward keeps. Counted, so it is the same in each run.
"""

import gc
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

from measuring import in_fresh_process, options

SIZE, CLASSES = 224, 1000
BATCH, MEMORY_BATCH = 4, 32
WARM_UP = 2
WAYS = {
    "vit": ["plain", "again", "point", "attention", "eager"],
    "convnext": ["plain", "again", "point", "attention"],
}
# glibc gives large blocks back at once and takes new pages, to be zeroed, for the next: 6 % of a step, whose
# time varies with what else the machine does.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


def config_of(name: str):
    from transformers import ConvNextConfig, ViTConfig

    if name == "vit":
        return ViTConfig(
            hidden_size=384,
            num_hidden_layers=3,
            num_attention_heads=6,
            intermediate_size=1536,
            image_size=SIZE,
            num_labels=CLASSES,
        )
    return ConvNextConfig(
        depths=[1, 1, 3, 1], image_size=SIZE, num_labels=CLASSES, layer_scale_init_value=0.1
    )


def batch_of(rows: int, ours: bool, byproduct: bool, size: int = SIZE) -> dict:
    """Ours in bytes, as our loader gives it; the same normalized, as others do."""
    import torch

    from luab_vision.transforms import IMAGENET_MEAN, IMAGENET_STD, normalize

    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (rows,), generator=generator)
    pixels = torch.randint(256, (rows, size, size, 3), generator=generator).byte()
    if not ours:
        pixels = normalize(pixels, IMAGENET_MEAN, IMAGENET_STD).contiguous()
    batch = {"pixel_values": pixels, "labels": labels}
    if byproduct:
        batch["target_points"] = torch.rand(rows, 1, 1, 2, generator=generator)
        batch["target_weights"] = torch.ones(rows, 1, 1)
        batch["target_labels"] = labels[:, None]
    return batch


def eager_model(model):
    """The classifier with the hinge, as one writes it with what transformers offers."""
    import torch
    from torch import nn

    from luab_trainer.losses.attention import AttentionLoss

    class Eager(nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.hinge = model, AttentionLoss("hinge", 0.25, 0.5)

        def forward(self, pixel_values, labels, target_points, target_weights, target_labels):
            output = self.model(pixel_values, labels=labels, output_attentions=True)
            attention = torch.stack([layer[:, :, 0, 1:].mean(1) for layer in output.attentions], dim=1)
            side = int(attention.shape[-1] ** 0.5)
            attention = attention / attention.sum(-1, keepdim=True)
            maps = attention.unflatten(-1, (side, side)).unsqueeze(1)
            term = self.hinge(maps, target_points, target_weights)
            return {"loss": output.loss + 2 * term.mean(), "logits": output.logits}

    return Eager()


def step_of(name: str, way: str, rows: int, folder: str):
    """A function that takes one training step with a batch of so many rows."""
    import torch
    from transformers import AutoModelForImageClassification, Trainer, TrainingArguments

    from luab_trainer.config import LUABConfig
    from luab_trainer.trainer import LUABTrainer
    from luab_vision.processors import square_processor

    torch.manual_seed(0)
    config = config_of(name)
    options = {"attn_implementation": "eager"} if way == "eager" else {}
    model = AutoModelForImageClassification.from_config(config, **options)
    common = {"output_dir": folder, "use_cpu": True, "report_to": "none", "max_steps": 1}
    ours = way not in ("plain", "again", "eager")
    if not ours:
        trainer = Trainer(eager_model(model) if way == "eager" else model, TrainingArguments(**common))
    else:
        trainer = LUABTrainer(model, LUABConfig(loss=way, **common), processing_class=square_processor(SIZE))
    trainer.current_gradient_accumulation_steps = 1  # as `train` sets it
    module, optimizer = trainer.model, trainer.create_optimizer()
    batch = batch_of(rows, ours, byproduct=way in ("point", "attention", "eager"))

    def step() -> None:
        trainer.training_step(module, dict(batch))
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def times(name: str, steps: int, folder: str) -> dict[str, list[float]]:
    """CPU seconds of each way's steps, by rounds; the first rounds are not counted."""
    import torch

    torch.set_num_threads(1)
    functions = {way: step_of(name, way, BATCH, folder) for way in WAYS[name]}
    gc.freeze()  # what is there by now is not searched again in the middle of a step
    seconds: dict[str, list[float]] = {way: [] for way in functions}
    shuffle = random.Random(0).shuffle
    order = list(functions)
    for _ in range(WARM_UP + steps):
        shuffle(order)
        for way in order:
            started = time.process_time()
            functions[way]()
            seconds[way].append(time.process_time() - started)
    return {way: own[WARM_UP:] for way, own in seconds.items()}


def median_interval(values: list[float]) -> tuple[float, float, float]:
    """The median and its 95 % confidence interval."""
    values, count = sorted(values), len(values)
    rank = max(int(count / 2 - 1.96 * count**0.5 / 2), 1)  # of fewer than 6 values the extremes: less sure
    return statistics.median(values), values[rank - 1], values[-rank]


def peak_mb(name: str, way: str, folder: str) -> float:
    """The most that torch's allocator had given out, by its own count at each allocation."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    torch.set_num_threads(1)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step = step_of(name, way, MEMORY_BATCH, folder)
        for _ in range(2):
            step()
    trace = Path(folder, "trace.json")
    profiler.export_chrome_trace(str(trace))
    events = json.loads(trace.read_text())["traceEvents"]
    return max(event["args"]["Total Allocated"] for event in events if event["name"] == "[memory]") / 2**20


def main() -> None:
    parser = options(__doc__, repeats=30, name="--steps")
    parser.add_argument("--models", nargs="+", choices=list(WAYS), default=list(WAYS), help="(default: both)")
    arguments = parser.parse_args()
    os.environ.update(KEEP_MEMORY)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            print(f"{name}: {arguments.steps} steps of batches of {BATCH}, memory with {MEMORY_BATCH}")
            seconds = in_fresh_process(times, name, arguments.steps, folder)
            peaks = {way: in_fresh_process(peak_mb, name, way, folder) for way in seconds if way != "again"}
            plain = [statistics.mean(both) for both in zip(seconds["plain"], seconds["again"], strict=True)]
            for way, own in seconds.items():
                ratios = [one / other for one, other in zip(own, plain, strict=True)]
                middle, low, high = median_interval(ratios)
                peak = peaks.get(way, peaks["plain"])
                results[f"{name} {way}"] = {
                    "cpu_s": statistics.median(own),
                    "ratio": middle,
                    "interval": [low, high],
                    "peak_mb": peak,
                    "steps": own,
                }
                print(
                    f"  {way:10} {statistics.median(own):.3f} s a step, {100 * (middle - 1):+.1f} % "
                    f"({100 * (low - 1):+.1f} to {100 * (high - 1):+.1f}), "
                    f"memory {peak:.0f} MB, {100 * (peak / peaks['plain'] - 1):+.1f} %"
                )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
