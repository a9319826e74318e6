"""What `argparse` keeps private and helpful messages need: a parser's options, and the check of a value.

`tests/luab_data/test_argument_parser.py` says what a new Python changed.
"""

import argparse
from typing import Any


def actions_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """All arguments of a parser, those of its groups too, in their order."""
    return list(parser._actions)


class OpenParser(argparse.ArgumentParser):
    """A parser whose check of a value against an argument's choices is a public method."""

    def check_value(self, action: argparse.Action, value: Any) -> None:
        """Raises argparse.ArgumentError for a value that is none of the choices."""
        super()._check_value(action, value)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        self.check_value(action, value)
