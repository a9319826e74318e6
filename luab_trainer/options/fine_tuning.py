"""Rejects options of fine-tuning that have no meaning, contradict each other, or have no effect."""

from typing import Any

from transformers.training_args import OptimizerNames


def check_fine_tuning(args: Any) -> None:
    """Checks the options of a `LUABConfig` that say what is trained.

    Called before transformers' `__post_init__`.

    Raises:
        ValueError: names the option, its value and the fix.
    """
    if args.freeze is not None:
        args.freeze = str(args.freeze)
        if args.freeze != "backbone" and not (args.freeze.isascii() and args.freeze.isdigit()):
            raise ValueError(
                f"--freeze {args.freeze}: give backbone, or a number of blocks (0: the stem alone)."
            )
    if args.layer_decay is not None:
        name = OptimizerNames(args.optim).value
        if "lomo" in name or name.endswith("layerwise"):
            raise ValueError(
                f"--layer_decay {args.layer_decay:g} does not go with --optim {name}, which updates each "
                "weight by itself, at one rate; take adamw_torch."
            )
        if args.freeze == "backbone":
            raise ValueError(
                f"--layer_decay {args.layer_decay:g} does nothing with --freeze backbone: the head has the "
                "full rate, and nothing else is trained; leave one of them out."
            )
