"""Which of our own options go with which byproduct."""

from typing import Any

from luab_data.rows.columns import AREA_KINDS


def check_byproduct(args: Any) -> None:
    """Raises ValueError for options of a `LUABConfig` that its byproduct or form of loss does not have."""
    if args.attention_form != "hinge" and args.attention_tolerance:
        raise ValueError(
            f"--attention_tolerance {args.attention_tolerance:g}: --attention_form {args.attention_form} has "
            "no tolerance; leave it out, or take --attention_form hinge."
        )
    name = args.byproduct
    if args.attention_sigma is not None and name != "scanpath":
        raise ValueError(
            f"--attention_sigma {args.attention_sigma:g} is for --byproduct scanpath; with {name} leave "
            "it out."
        )
    if name not in AREA_KINDS:
        return
    if args.attention_radius is not None:
        raise ValueError(
            f"--attention_radius {args.attention_radius:g} is the distance from a point; with "
            f"--byproduct {name} leave it out."
        )
    if args.background_radius != type(args).background_radius:
        raise ValueError(
            f"--background_radius {args.background_radius:g} is the distance from a point; with --byproduct "
            f"{name}, what is inside stays, or what people looked at most. Leave it out."
        )
    if args.background_shape != type(args).background_shape:
        raise ValueError(
            f"--background_shape {args.background_shape} is what stays around a point; with --byproduct "
            f"{name}, what is inside stays, or what people looked at most. Leave it out."
        )
