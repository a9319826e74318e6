"""The demo's output: a table of means over seeds, and a picture of where the models look."""

import os
import shlex
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import datasets
import matplotlib
import torch
from matplotlib.patches import Rectangle
from transformers import AutoModelForImageClassification

from luab_data.constants import IMAGE, LABEL, OBJECTS
from luab_data.files.whole import write_json
from luab_eval.pointing import attention_maps
from luab_trainer.demo.experiment import LUAB, PLAIN, SWAPPED, TEST, DemoRun, DemoScores, World
from luab_trainer.demo.models import INPUT_SIZE
from luab_vision.images import decode
from luab_vision.processors import image_settings, square_processor
from luab_vision.transforms import EvalTransform

ARM_TITLES = {
    "plain": "plain",
    "luab": "LUAB",
    "shuffled": "LUAB, clicks shuffled (control)",
    "oracle": "plain, backgrounds that say nothing (oracle)",
}
ARCHITECTURE_TITLES = {"vit": "ViT", "convnext": "ConvNeXt"}
COLUMNS = ("model", "training", "accuracy", "accuracy, backgrounds swapped", "gap", "pointing game, swapped")


def table(scores: Sequence[DemoScores]) -> str:
    """A Markdown table, one line per architecture and arm: mean over seeds ± standard deviation, in %."""
    by_arm: dict[tuple[str, str], list[DemoScores]] = defaultdict(list)
    for each in scores:
        by_arm[each.run.architecture, each.run.arm].append(each)
    lines = [COLUMNS, tuple("---" for _ in COLUMNS)]
    for (architecture, arm), runs in by_arm.items():
        figures = (
            [run.accuracy[TEST] for run in runs],
            [run.accuracy[SWAPPED] for run in runs],
            [run.accuracy[TEST] - run.accuracy[SWAPPED] for run in runs],
            [run.pointing[SWAPPED] for run in runs],
        )
        lines.append((ARCHITECTURE_TITLES[architecture], ARM_TITLES[arm], *map(_spread, figures)))
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def _spread(values: list[float]) -> str:
    return f"{100 * mean(values):.1f}" + (f" ± {100 * stdev(values):.1f}" if len(values) > 1 else "")


def write_results(scores: Sequence[DemoScores], folder: Path) -> None:
    """`results.md`, the table, and `results.json`, the figures of each run."""
    (folder / "results.md").write_text(table(scores) + "\n", encoding="utf-8")
    write_json(folder / "results.json", [asdict(each) for each in scores])


def evaluation(world: World, runs: Sequence[DemoRun]) -> str:
    """The `luab evaluate` command that evaluates the checkpoints of `runs` on all test sets of the demo."""
    benchmarks = [
        f"folder:{TEST}=images/{TEST}",
        f"folder:{SWAPPED}=images/{SWAPPED}",
        f"occlusion:{TEST}=images/{TEST}",
        f"where:{SWAPPED}=images/{SWAPPED}{os.pathsep}boxes_{SWAPPED}.csv",
    ]
    models = [shlex.quote(str(world.checkpoint(run))) for run in runs]
    lines = [
        "luab evaluate",
        f"--data {shlex.quote(str(world.raw))}",
        f"--model {' '.join(models)}",
        f"--benchmarks {shlex.quote(','.join(benchmarks))}",
        f"--output-dir {shlex.quote(str(world.root / 'evaluation'))}",
    ]
    return " \\\n    ".join(lines)


def draw_attention(world: World, architectures: Sequence[str], path: Path, images: int = 3) -> None:
    """Draw where the plain and the LUAB model of seed 0 look, on test images with swapped backgrounds.

    Each image is a row; the two models of an architecture are side by side. The images are the first of each
    of the first classes, not hand-picked.
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    models = {
        (architecture, arm): AutoModelForImageClassification.from_pretrained(
            world.checkpoint(DemoRun(architecture, arm, 0))
        ).eval()
        for architecture in architectures
        for arm in (PLAIN, LUAB)
    }
    names = next(iter(models.values())).config.id2label
    rows = _first_of_each_class(world.test_rows(SWAPPED, list(names.values())), images)
    transform = EvalTransform(image_settings(square_processor(INPUT_SIZE)))
    pixel_values = torch.stack([transform(decode(row[IMAGE]))[0] for row in rows])
    labels = torch.tensor([[row[LABEL]] for row in rows])

    gap = 0.12  # before each pair, in widths of a picture
    widths = [1.0, *(width for _ in architectures for width in (gap, 1.0, 1.0))]
    figure, grid = plt.subplots(
        len(rows), len(widths), figsize=(1.7 * sum(widths), 1.85 * len(rows)), layout="constrained",
        gridspec_kw={"width_ratios": widths},
    )  # fmt: skip
    for axis in grid.flat:
        axis.set_axis_off()
    axes = grid[:, [column for column, width in enumerate(widths) if width != gap]]
    for axis, row in zip(axes[:, 0], rows, strict=True):
        axis.imshow(row[IMAGE])
        (x, y, w, h) = row[OBJECTS]["bbox"][0]
        axis.add_patch(Rectangle((x - 0.5, y - 0.5), w, h, fill=False, edgecolor="white"))
        axis.set_title(names[row[LABEL]], fontsize=8)
    axes[0, 0].set_title(f"image, true box\n{names[rows[0][LABEL]]}", fontsize=8)
    for column, ((architecture, arm), model) in enumerate(models.items(), start=1):
        with torch.no_grad():
            maps = attention_maps(model, pixel_values, labels)[:, 0]
            predicted = model(pixel_values).logits.argmax(-1).tolist()
        for i, (axis, row) in enumerate(zip(axes[:, column], rows, strict=True)):
            axis.imshow(row[IMAGE].convert("L"), cmap="gray")
            axis.imshow(maps[i], cmap="inferno", alpha=0.6, extent=(-0.5, row[IMAGE].width - 0.5,
                        row[IMAGE].height - 0.5, -0.5), interpolation="bilinear")  # fmt: skip
            right = predicted[i] == row[LABEL]
            title = f"{ARCHITECTURE_TITLES[architecture]}, {ARM_TITLES[arm]}\n" if i == 0 else ""
            verdict = names[predicted[i]] + ("" if right else f" (not {names[row[LABEL]]})")
            axis.set_title(title + verdict, fontsize=8, color="green" if right else "firebrick")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _first_of_each_class(rows: datasets.Dataset, count: int) -> list[dict[str, Any]]:
    labels = rows[LABEL][:]
    return [rows[labels.index(label)] for label in sorted(set(labels))[:count]]
