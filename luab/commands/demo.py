"""Run everything on generated images: raw files, dataset, training without and with clicks, a table."""

import argparse
import os
import shutil
from pathlib import Path

from luab_data.console.boundary import guarded
from luab_data.console.missing import require_extra
from luab_data.console.options import CommandParser

# Marks a folder that this command made, and may therefore delete before a new start.
MARKER = ".luab-demo"


@guarded("luab demo")
def main(argv: list[str]) -> None:
    """Runs the command `luab demo`."""
    parser = CommandParser("luab demo", __doc__)
    parser.add_argument("--output-dir", type=Path, default=Path("runs/demo"), help="folder for all files")
    parser.add_argument(
        "--full",
        action="store_true",
        help="3 seeds instead of 2, and two more arms: shuffled clicks, and the oracle",
    )
    parser.add_argument("--seeds", type=_count, help="runs of each arm (default: 2, with --full 3)")
    parser.add_argument("--epochs", type=_count, default=8, help="epochs per run (default: 8)")
    parser.add_argument(
        "--images-per-class", type=_count, default=250, help="training images per class (default: 250)"
    )
    parser.add_argument(
        "--test-images-per-class",
        type=_count,
        default=100,
        help="images per class in each test set (default: 100)",
    )
    parser.add_argument(
        "--models",
        nargs="+",
        choices=["vit", "convnext"],
        default=["vit", "convnext"],
        help="(default: both)",
    )
    arguments = parser.parse_args(argv)
    require_extra("eval")
    if any(arguments.output_dir.glob("*")) and not (arguments.output_dir / MARKER).is_file():
        raise ValueError(f"{arguments.output_dir} holds other files; pass another --output-dir")
    # Set before torch is imported, here and in the workers: each run uses one core.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from luab_trainer.demo.experiment import LUAB, ORACLE, PLAIN, SHUFFLED, DemoRun, prepare, run_all
    from luab_trainer.demo.report import draw_attention, evaluation, table, write_results

    shutil.rmtree(arguments.output_dir, ignore_errors=True)
    arguments.output_dir.mkdir(parents=True)
    (arguments.output_dir / MARKER).touch()
    arms = [PLAIN, LUAB, SHUFFLED, ORACLE] if arguments.full else [PLAIN, LUAB]
    seeds = arguments.seeds or (3 if arguments.full else 2)
    world = prepare(
        arguments.output_dir, arguments.images_per_class, arguments.test_images_per_class, arguments.full
    )
    runs = [DemoRun(model, arm, seed) for model in arguments.models for arm in arms for seed in range(seeds)]
    scores = run_all(world, runs, arguments.epochs)
    write_results(scores, world.root)
    draw_attention(world, arguments.models, world.root / "attention.png")
    print(f"\n{table(scores)}\n")
    print(
        f"In %{f', mean ± standard deviation over {seeds} seeds' if seeds > 1 else ', one seed'}. "
        f"Where the models look: {world.root / 'attention.png'}"
    )
    one_each = [DemoRun(arguments.models[0], arm, seed=0) for arm in arms]
    print(
        "\nWith intervals and galleries, on hidden centers and real boxes too (name the checkpoints of the "
        f"other seeds as well, and the intervals cover them):\n\n{evaluation(world, one_each)}\n"
    )


def _count(text: str) -> int:
    """A count from the command line: 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: it must be 1 or more")
    return number
