"""The console script `luab`: `luab COMMAND ...`, one command a file of `luab_trainer/commands/`.

A command is found by its file name and imported only when it is called, so that `luab --help` is instant.
Each command module has a docstring whose first line is its help, and `main(argv: list[str]) -> int | None`.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from pathlib import Path

COMMANDS = Path(__file__).parent / "commands"


def commands() -> dict[str, str]:
    """Name -> first docstring line of each command, read without importing it."""
    files = sorted(path for path in COMMANDS.glob("*.py") if not path.stem.startswith("_"))
    return {
        path.stem: (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        for path in files
    }


def usage() -> str:
    """The text of `luab --help`."""
    known = commands()
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in known.items()]
    closing = "luab COMMAND --help tells a command's options."
    return "\n".join(["usage: luab COMMAND ...", "", *lines, "", closing])


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit status (2: unknown command)."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0
    name, *rest = argv
    if name not in commands():
        print(f"luab: there is no command {name!r}\n\n{usage()}", file=sys.stderr)
        return 2
    command = importlib.import_module(f"luab_trainer.commands.{name}")
    try:
        status = command.main(rest) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # `luab compare ... | head`: nobody reads on
        # What Python writes out when it exits goes to nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
