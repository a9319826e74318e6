"""Command lines: a mistyped option or value gives one line with a suggestion."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from luab_data.adapters.argument_parser import OpenParser, actions_of
from luab_data.console.text import did_you_mean, printable, redact


class Suggesting(OpenParser):
    """Suggests the nearest option or value. Also a mixin: `class MyParser(Suggesting, OtherParser)`.

    Unknown options are also an error in `parse_known_args`. They are reported before missing ones, because a
    mistyped option is often the missing one.
    """

    def parse_known_args(  # type: ignore[override]  # without the overloads for namespaces of other classes
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses as `ArgumentParser` does, and rejects unknown options with a suggestion."""
        args = list(sys.argv[1:] if args is None else args)
        for option in self._unknown_options(args):
            self.error(f"unknown option {option}{did_you_mean(option, self._long_options())}")
        known, extras = super().parse_known_args(args, namespace)
        if extras:
            self.error(f"unexpected {', '.join(extras)}")
        return known, extras

    def error(self, message: str) -> NoReturn:
        """One line on stderr, exit status 2."""
        self.exit(2, f"{self.prog}: {printable(redact(message))} ({self.prog} --help lists the options)\n")

    def _unknown_options(self, args: Sequence[str]) -> list[str]:
        given = args[: args.index("--")] if "--" in args else args
        names = [arg.partition("=")[0] for arg in given if arg.startswith("--") and " " not in arg]
        return [name for name in names if not self._is_known(name)]

    def _is_known(self, name: str) -> bool:
        if self.allow_abbrev:
            return any(option.startswith(name) for option in self._long_options())
        return name in self._long_options()

    def _long_options(self) -> list[str]:
        return [
            name for action in actions_of(self) for name in action.option_strings if name.startswith("--")
        ]

    def check_value(self, action: argparse.Action, value: Any) -> None:
        """Raises argparse.ArgumentError for an unknown choice, and says which was probably meant."""
        if action.choices is not None and value not in action.choices:
            known = list(map(str, action.choices))
            message = f"{value!r} is unknown{did_you_mean(str(value), known)}; allowed are {', '.join(known)}"
            raise argparse.ArgumentError(action, message)


class CommandParser(Suggesting):
    """The options of one of our commands, with `--debug` for `luab_data.console.boundary`."""

    def __init__(self, prog: str | None, description: str | None, **settings: Any):
        super().__init__(
            prog=prog,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **settings,
        )
        self.add_argument("--debug", action="store_true", help="show Python's traceback of an error")
