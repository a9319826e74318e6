"""What does LUAB add to a training step? Against transformers' own Trainer, and its way to get attention.

    python benchmarks/step.py [--steps 9] [--models vit convnext] [--json FILE]

Takes training steps (forward, backward, AdamW) on one core with batches of 4 random images at 224 x 224, of a
ViT-S/16 and a ConvNeXt-T, from random weights. In one process the ways take a step in turn, so that noise
meets all alike; memory is each way's own process.

    plain       transformers.Trainer
    none        LUABTrainer without a byproduct loss
    point       LUABTrainer, the paper's loss
    attention   LUABTrainer, the hinge on the model's attention
    eager       (ViT) transformers' way: eager attention, `output_attentions=True`, the same hinge

Prints the median CPU time of a step, the median ratio to `plain` of the steps taken beside each other, with
its quartiles, and the peak memory.
"""

import json
import resource
import statistics
import tempfile
import time

from measuring import in_fresh_process, options

BATCH, SIZE, CLASSES = 4, 224, 1000
WAYS = {
    "vit": ["plain", "none", "point", "attention", "eager"],
    "convnext": ["plain", "none", "point", "attention"],
}


def config_of(name: str):
    from transformers import ConvNextConfig, ViTConfig

    if name == "vit":
        return ViTConfig(
            hidden_size=384,
            num_hidden_layers=12,
            num_attention_heads=6,
            intermediate_size=1536,
            image_size=SIZE,
            num_labels=CLASSES,
        )
    return ConvNextConfig(image_size=SIZE, num_labels=CLASSES, layer_scale_init_value=0.1)


def batch_of(byproduct: bool) -> dict:
    import torch

    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (BATCH,), generator=generator)
    batch = {"pixel_values": torch.randn(BATCH, 3, SIZE, SIZE, generator=generator), "labels": labels}
    if byproduct:
        batch["target_points"] = torch.rand(BATCH, 1, 1, 2, generator=generator)
        batch["target_weights"] = torch.ones(BATCH, 1, 1)
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


def step_of(name: str, way: str, folder: str):
    """A function that takes one training step."""
    import torch
    from transformers import AutoModelForImageClassification, Trainer, TrainingArguments

    from luab_trainer.config import LUABConfig
    from luab_trainer.trainer import LUABTrainer

    torch.manual_seed(0)
    config = config_of(name)
    options = {"attn_implementation": "eager"} if way == "eager" else {}
    model = AutoModelForImageClassification.from_config(config, **options)
    common = {"output_dir": folder, "use_cpu": True, "report_to": "none", "max_steps": 1}
    if way in ("plain", "eager"):
        trainer = Trainer(eager_model(model) if way == "eager" else model, TrainingArguments(**common))
    else:
        trainer = LUABTrainer(model, LUABConfig(loss=way, **common))
    trainer.current_gradient_accumulation_steps = 1  # as `train` sets it
    module, optimizer = trainer.model, trainer.create_optimizer()
    batch = batch_of(byproduct=way not in ("plain", "none"))

    def step() -> None:
        trainer.training_step(module, dict(batch))
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def times(name: str, ways: list[str], steps: int, folder: str) -> dict[str, list[float]]:
    """CPU seconds of each way's steps, taken in turn; the first is not counted."""
    import torch

    torch.set_num_threads(1)
    functions = {way: step_of(name, way, folder) for way in ways}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(steps + 1):
        order = list(functions) if number % 2 else list(reversed(functions))
        for way in order:
            started = time.process_time()
            functions[way]()
            if number:
                seconds[way].append(time.process_time() - started)
    return seconds


def peak_mb(name: str, way: str, folder: str) -> float:
    import torch

    torch.set_num_threads(1)
    step = step_of(name, way, folder)
    for _ in range(2):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = options(__doc__, repeats=9, name="--steps")
    parser.add_argument("--models", nargs="+", choices=list(WAYS), default=list(WAYS), help="(default: both)")
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            seconds = in_fresh_process(times, name, WAYS[name], arguments.steps, folder)
            print(f"{name}: batches of {BATCH} at {SIZE} x {SIZE}, {arguments.steps} steps each")
            for way, own in seconds.items():
                ratios = [one / plain for one, plain in zip(own, seconds["plain"], strict=True)]
                low, middle, high = statistics.quantiles(ratios, n=4) if way != "plain" else (1, 1, 1)
                peak = in_fresh_process(peak_mb, name, way, folder)
                results[f"{name} {way}"] = {
                    "cpu_s": statistics.median(own),
                    "ratio": middle,
                    "quartiles": [low, high],
                    "peak_rss_mb": peak,
                    "steps": own,
                }
                print(
                    f"  {way:10} {statistics.median(own):.3f} s a step, {100 * (middle - 1):+.1f} % "
                    f"({100 * (low - 1):+.1f} to {100 * (high - 1):+.1f}), peak memory {peak:.0f} MB"
                )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
