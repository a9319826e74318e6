"""The options that `luab evaluate` and `luab localize` share: which models, and how to run them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from luab.commands._models import add_model_option, required_models
from luab_eval.team import Team, joined

AUTO = "auto"


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
    add(
        "--batch-size",
        default="64",
        metavar="N",
        help="images per batch; auto: the largest that fits into the GPU's memory (default: %(default)s)",
    )
    add("--num-workers", type=int, help="processes that decode images (default: all cores)")
    add("--bf16", action="store_true", help="compute in bfloat16, mixed: faster, other numbers")
    add("--compile", action="store_true", help="compile the models: minutes first, then faster")


def evaluation_options(options: argparse.Namespace) -> dict[str, Any]:
    """The options as the arguments of `evaluate`.

    Raises:
        ValueError: no model, or an invalid number.
    """
    models = required_models(options)
    if options.num_workers is not None and options.num_workers < 0:
        raise ValueError(f"--num-workers {options.num_workers}: it must be 0 (no other processes) or more")
    return {
        "models": models,
        "output_dir": options.output_dir,
        "device": options.device,
        "batch_size": _batch_size(options.batch_size),
        "num_workers": options.num_workers,
        "command": options.command,
        "replace_results": options.replace,
        "bf16": options.bf16,
        "compiled": options.compile,
    }


def dataset_name(dataset: str, split: str, config: str | None, usual: str) -> str:
    """What a dataset is called in keys and titles: NAME, NAME@SPLIT or NAME@CONFIG/SPLIT.

    Its results are told apart from those of another split or configuration.

    Args:
        dataset: A folder or a Hub id.
        split: Of the dataset, or a part of it.
        config: The dataset's configuration, if one is given.
        usual: The split that is not named: the one that is read if none is given.
    """
    name = Path(dataset).name or "dataset"
    if config not in (None, "default"):
        return f"{name}@{config}/{split}"
    return name if split == usual else f"{name}@{split}"


def _batch_size(text: str) -> int | None:
    """The option as a number; None for auto."""
    if text == AUTO:
        return None
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"--batch-size {text}: give {AUTO}, or a number of 1 or more")
    return number


def in_team(lead: Callable[[Team], int]) -> int:
    """Calls `lead` in the first of the processes that a launcher started; the others do what it orders."""
    with joined() as team:
        if team.leads:
            return lead(team)
        from luab_eval.passes import follow

        follow(team)
        return 0
