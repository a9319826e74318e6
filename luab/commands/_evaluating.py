"""The options that `luab evaluate` and `luab localize` share: which models, and how to run them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from luab.commands._models import add_model_option, required_models


def add_evaluation_options(options: argparse.ArgumentParser, output_dir: str) -> None:
    """Add them; `evaluation_options` reads them."""
    add = options.add_argument
    add_model_option(options, "several are compared")
    add(
        "--output-dir",
        type=Path,
        default=Path(output_dir),
        metavar="DIR",
        help="results of other models and benchmarks in it stay (default: %(default)s)",
    )
    add(
        "--replace",
        action="store_true",
        help="delete results in --output-dir of a model with the same name and other weights",
    )
    add("--device", help="cpu, cuda, cuda:1, mps (default: cuda if available, else cpu)")
    add("--batch-size", type=int, default=64, help="images per batch (default: %(default)s)")
    add("--num-workers", type=int, help="processes that decode images (default: all cores)")


def evaluation_options(options: argparse.Namespace) -> dict[str, Any]:
    """The options as the arguments of `evaluate`.

    Raises:
        ValueError: no model, or an invalid number.
    """
    models = required_models(options)
    if options.batch_size < 1:
        raise ValueError(f"--batch-size {options.batch_size}: it must be 1 or more")
    if options.num_workers is not None and options.num_workers < 0:
        raise ValueError(f"--num-workers {options.num_workers}: it must be 0 (no other processes) or more")
    return {
        "models": models,
        "output_dir": options.output_dir,
        "device": options.device,
        "batch_size": options.batch_size,
        "num_workers": options.num_workers,
        "command": options.command,
        "replace_results": options.replace,
    }
