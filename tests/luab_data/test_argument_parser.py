"""`argparse` has what `luab_data/adapters/argument_parser.py` reads and overrides in it."""

import argparse

import pytest

from luab_data.adapters.argument_parser import OpenParser, actions_of

CHANGED = "Python changed argparse's {what}: change luab_data/adapters/argument_parser.py."


def test_all_arguments_are_listed_those_of_groups_too():
    parser = argparse.ArgumentParser()
    parser.add_argument("--one")
    parser.add_argument_group("more").add_argument("--two")
    parser.add_mutually_exclusive_group().add_argument("--three")
    names = [action.dest for action in actions_of(parser)]
    assert names == ["help", "one", "two", "three"], CHANGED.format(what="_actions")


def test_a_value_is_checked_by_the_public_method():
    class Even(OpenParser):
        def check_value(self, action, value):
            if action.type is int and value % 2:
                raise argparse.ArgumentError(action, "odd")
            super().check_value(action, value)

    parser = Even(exit_on_error=False)
    parser.add_argument("--count", type=int, choices=(1, 2))
    assert parser.parse_args(["--count", "2"]).count == 2
    for wrong in ("1", "4"):  # by ours, and by Python's
        with pytest.raises(argparse.ArgumentError):
            parser.parse_args(["--count", wrong])
            pytest.fail(CHANGED.format(what="_check_value"))
