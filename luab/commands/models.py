"""List the models whose attention is tested, or say where a model looks.

    luab models                                         the table
    luab models --model runs/vit timm:resnet18          how each is asked where it looks, or why it cannot be

The attention loss, luab localize, the pointing game and luab show need it. Models that are not in the table
work too if they are built alike; docs/models.md says how.
"""

from __future__ import annotations

import argparse
import textwrap

from luab.commands._models import add_model_option
from luab_data.console.boundary import guarded
from luab_data.console.options import CommandParser
from luab_data.console.text import printable
from luab_vision.tested_models import table

WIDTH = 100  # characters of a line


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = CommandParser("luab models", __doc__)
    add_model_option(options, "default: the table")
    return options


@guarded("luab models")
def main(argv: list[str]) -> int:
    """Run the command; 0: it is known where all the models look, 1: it is not of one, and why.

    Raises:
        ValueError: a model that cannot be loaded.
    """
    options = parser().parse_args(argv)
    if not options.model:
        print("\n".join(lines()))
        return 0
    from luab_eval.models import load_classifier
    from luab_vision.model_attention import where_it_looks
    from luab_vision.readout import NoReadout

    status = 0
    for name in options.model:
        try:
            found = where_it_looks(load_classifier(name).model)
        except NoReadout as error:
            status, found = 1, f"not known: {error.why}"
        print(printable(f"{name}: {found}"))
    return status


def lines() -> list[str]:
    """The table, wrapped."""
    found: list[str] = []
    for library, names, where in table():
        found += textwrap.wrap(f"{library}, {where}:", WIDTH)
        found += textwrap.wrap(names, WIDTH, initial_indent="    ", subsequent_indent="    ")
    return found
