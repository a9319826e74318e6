"""The options that `luab show` and `luab byproducts` share: how a dataset's columns are read."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from luab_data.adapters.argument_parser import actions_of
from luab_data.console.text import printable
from luab_data.errors import SourceError

if TYPE_CHECKING:
    from luab_attention.reading import Reading

_OPTION_OF_RUN = re.compile(r"--[a-z]+(?:_[a-z]+)+")


def add_reading_options(options: argparse.ArgumentParser) -> None:
    """Add the options, which are `run.py`'s with hyphens; `reading_options` reads them."""
    add = options.add_argument
    add("--image-column", default="image", help="default: %(default)s")
    add("--label-column", help="default: label or labels, if present")
    add("--point-column", help="clicks, in ratios of the image (default: click or points, if present)")
    add("--x-column", help="instead of --point-column: x of the click, from the left")
    add("--y-column", help="y of the click, from the top")
    add("--point-units", choices=("ratio", "percent", "pixels"), default="ratio", help="default: %(default)s")
    add(
        "--label-format",
        choices=("auto", "indices", "multi_hot"),
        default="auto",
        help="how to read lists of 0 and 1 (default: %(default)s)",
    )
    add("--annotations-column", help="the traces (default: annotations, if present)")


def reading_options(options: argparse.Namespace) -> Reading:
    """The options as a `Reading`.

    Raises:
        SourceError: x without y.
    """
    from luab_attention.reading import reading_of

    if (options.x_column is None) != (options.y_column is None):
        raise SourceError("--x-column and --y-column go together; give both.")
    return reading_of(options)


def in_own_options(message: str, parser: argparse.ArgumentParser) -> str:
    """A message of `run.py`'s readers with a command's options, which have hyphens; others stay."""
    own = {name for action in actions_of(parser) for name in action.option_strings}

    def hyphened(found: re.Match[str]) -> str:
        name = found[0].replace("_", "-")
        return name if name in own else found[0]

    return _OPTION_OF_RUN.sub(hyphened, message)


@contextmanager
def own_options(parser: argparse.ArgumentParser) -> Iterator[None]:
    """Around the reading of a dataset: its errors name the command's options."""
    try:
        yield
    except SourceError as error:
        raise SourceError(in_own_options(str(error), parser)) from error


def say_notes(notes: Iterable[str], parser: argparse.ArgumentParser) -> None:
    """Print how ambiguous columns were read, with the command's options."""
    for note in notes:
        print(printable(f"note: {in_own_options(note, parser)}"), file=sys.stderr)
