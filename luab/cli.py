"""The console script `luab`: `luab COMMAND ...`, with one file per command in `luab/commands/`.

A command is found by its file name and imported only when it is called, so that `luab --help` is instant.
Each command module has a docstring whose first line is its help, and `main(argv: list[str]) -> int | None`.
"""

from __future__ import annotations

import importlib
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from luab_data.console.boundary import guarded
from luab_data.console.modules import summaries
from luab_data.console.text import did_you_mean, printable

COMMANDS = Path(__file__).parent / "commands"
LIBRARIES = ("torch", "transformers", "datasets")  # whose versions matter in a bug report


def commands() -> dict[str, str]:
    """Name -> first docstring line of each command, read without importing it."""
    return summaries(COMMANDS)


def usage() -> str:
    """The text of `luab --help`."""
    known = commands()
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in known.items()]
    closing = "`luab COMMAND --help` lists a command's options, `luab --version` the versions."
    return "\n".join(["usage: luab COMMAND ...", "", *lines, "", closing])


def versions() -> str:
    """The text of `luab --version`, read without importing the libraries."""
    others = [*(f"{name} {_version(name)}" for name in LIBRARIES), f"Python {platform.python_version()}"]
    return f"luab {_version('luab')} ({', '.join(others)})"


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit status (2: unknown command)."""
    return _main(sys.argv[1:] if argv is None else argv)


@guarded("luab")
def _main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0
    if argv[0] in ("-V", "--version"):
        print(versions())
        return 0
    name, *rest = argv
    known = commands()
    if name not in known:
        problem = f"there is no command {printable(name)!r}{did_you_mean(name, known)}"
        print(f"luab: {problem}\n\n{usage()}", file=sys.stderr)
        return 2
    return importlib.import_module(f"luab.commands.{name}").main(rest) or 0


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    sys.exit(main())
