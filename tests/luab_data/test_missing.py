"""Commands that need an extra say so at their start, with the command; training and loading need none."""

import sys

import pytest

import luab
from luab.cli import main
from luab_data.console.missing import EXTRAS, require_extra
from luab_data.errors import SourceError


def hide(monkeypatch, *names):
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def test_what_is_installed_is_not_missed():
    require_extra("eval")


def test_all_that_is_missing_is_named_with_the_command(monkeypatch):
    hide(monkeypatch, "scipy", "numba")
    with pytest.raises(SourceError, match=r"this command needs numba, scipy: pip install 'luab\[eval\]'$"):
        require_extra("eval")


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "--model", "m"],
        ["localize", "--model", "m", "--images", "i", "--boxes", "b"],
        ["align", "--model", "m", "--dataset", "d", "--against", "click"],
        ["compare", "results"],
        ["byproducts", "data"],
        ["show", "data"],
        ["demo"],
    ],
    ids=lambda command: command[0],
)
def test_a_command_without_its_extra_ends_before_it_begins(command, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    hide(monkeypatch, *EXTRAS["eval"])
    assert main(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"luab {command[0]}: ") and line.endswith(": pip install 'luab[eval]'")
    assert not any(tmp_path.iterdir())


def test_show_in_python_names_what_to_install(monkeypatch):
    hide(monkeypatch, "jinja2")
    with pytest.raises(ImportError, match=r"luab.show needs jinja2: pip install 'luab\[eval\]'"):
        luab.show  # noqa: B018
