"""The option that the commands with classifiers share: which models."""

from __future__ import annotations

import argparse


def add_model_option(options: argparse.ArgumentParser, use: str | None = None) -> None:
    """Add `--model`; `use` ends its help: what the command does with the models."""
    forms = "checkpoint folders, model ids on the Hub, or timm:NAME"
    options.add_argument(
        "--model",
        action="extend",
        nargs="+",
        default=[],
        metavar="DIR_OR_ID",
        help="; ".join(filter(None, (forms, use))),
    )


def required_models(options: argparse.Namespace) -> list[str]:
    """The models of the option.

    Raises:
        ValueError: there is none.
    """
    if not options.model:
        raise ValueError("--model is needed: a checkpoint's folder, a model's id on the Hub, or timm:NAME")
    return options.model
