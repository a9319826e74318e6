"""The commands of `luab collect`, one module each, found by its file name and imported when it is called.

A module has a docstring, whose first line is its help; `add_options(options)`, which adds its arguments to an
`ArgumentParser`; and `run(options)`, which may return an exit status. It imports what belongs to the extra
inside of `run`, so that its help needs none of it.
"""

import importlib
from pathlib import Path

from luab_data.console.missing import require_extra
from luab_data.console.modules import summaries
from luab_data.console.options import CommandParser


def commands() -> dict[str, str]:
    """Name -> first docstring line of each command, read without importing it."""
    return summaries(Path(__file__).parent)


def run(name: str, argv: list[str]) -> int:
    """Runs the command of this name, one of `commands()`; returns the exit status."""
    module = importlib.import_module(f"{__name__}.{name}")
    options = CommandParser(f"luab collect {name}", module.__doc__)
    module.add_options(options)
    given = options.parse_args(argv)
    require_extra("collect", f"luab collect {name}")
    return module.run(given) or 0
