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
    _check_lora(args)
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


def _check_lora(args: Any) -> None:
    given = [name for name in ("lora_alpha", "lora_dropout", "lora_targets") if getattr(args, name)]
    if args.lora_r is None and given:
        raise ValueError(f"--{given[0]} {getattr(args, given[0])} does nothing without --lora_r.")
    if args.lora_r is not None and args.freeze is not None:
        raise ValueError(
            f"--freeze {args.freeze} does not go with --lora_r: LoRA freezes all weights but the head and "
            "its own. To adapt some blocks only, name their modules in --lora_targets."
        )
