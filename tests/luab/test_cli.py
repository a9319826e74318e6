"""Every command of `luab` is found by its file name and explains itself."""

import subprocess
import sys

import pytest

from luab.cli import commands, main
from luab_data.console.missing import EXTRAS


def test_help_lists_every_command_with_its_summary(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, summary in commands().items():
        assert summary, f"{name} has no docstring to show"
        assert summary in shown


def test_unknown_command_says_which_there_are(capsys):
    assert main(["trian"]) == 2
    assert "there is no command 'trian'" in (shown := capsys.readouterr().err)
    assert all(name in shown for name in commands())


# The options of `luab train` are those of transformers' TrainingArguments: test_dependencies.py shows them.
@pytest.mark.parametrize("name", [name for name in commands() if name != "train"])
def test_command_help_is_instant_and_needs_no_extra(name):
    extras = [module for modules in EXTRAS.values() for module in modules]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({extras}))\n"
        "from luab.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, name, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()


def test_listing_commands_does_not_import_torch():
    code = "import sys; from luab.cli import usage; usage(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_leaves_gets_no_traceback(lines):
    """As in `luab compare ... | head`, for what fits into a buffer and what does not."""
    code = (
        "import sys\n"
        "from luab import cli\n"
        "from luab.commands import build\n"
        f"build.main = lambda argv: print('line\\n' * {lines})\n"
        "sys.stdin.read()\n"
        "sys.exit(cli.main(['build']))"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize("name", ["imagenet_ab", "coco_ab"])
def test_build_has_the_options_of_the_loading_script(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["build", name, "--help"])
    assert ended.value.code == 0
    assert f"luab build {name} --images" in (shown := capsys.readouterr().out)
    assert "--max-side" in shown


def test_build_of_an_unknown_dataset_says_which_there_are(capsys):
    assert main(["build", "imagenet"]) == 2
    assert "imagenet_ab,coco_ab" in capsys.readouterr().err
