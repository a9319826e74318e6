"""What reaches a terminal: no control characters, no secrets, in any encoding; hints for mistyped words."""

import os
import subprocess
import sys
from collections import defaultdict

import pytest
from huggingface_hub.errors import HTTPError

from luab import cli
from luab.commands.byproducts import report
from luab_data.console import bars
from luab_data.console.options import CommandParser
from luab_data.console.text import counted, did_you_mean, printable, redact
from luab_data.hub.retry import reason
from luab_eval.report.terminal import grid


@pytest.mark.parametrize(
    "char", ["\x1b", "\n", "\r", "\x07", "\x9b", "\u202e", "\u2066", "\u200f", "\u2028", "\udce9"]
)
def test_names_cannot_move_the_cursor_or_turn_the_text(char):
    assert printable(f"a{char}b") == "a\N{REPLACEMENT CHARACTER}b"
    assert char not in "".join(grid([["name"], [f"a{char}b"]]))


def test_names_of_workers_are_printable_in_the_table():
    group = defaultdict(int, clicks=9, clicks_inside=0.1, points=9, points_inside=0.1)
    groups = {"all": group, "classes": {"cat\x1b[2J": group}, "workers": {"W\n1": group}}
    summary = defaultdict(int, rows=9, **groups)
    shown = report(summary, lines=5)
    assert "\x1b" not in shown
    assert "cat\N{REPLACEMENT CHARACTER}[2J" in shown and "W\N{REPLACEMENT CHARACTER}1" in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET https://me:secret@hub.example/api failed", "GET https://***@hub.example/api failed"),
        ("https://me:s@cret@hub.example", "https://***@hub.example"),
        ("Invalid token hf_abcdefABCDEF1234", "Invalid token hf_***"),
        ("Authorization: Bearer abcdefgh.1234", "Authorization: Bearer ***"),
        ("my-own-token is wrong", "*** is wrong"),
        ("mail a@b.example about https://hub.example/x", "mail a@b.example about https://hub.example/x"),
    ],
)
def test_secrets_are_not_shown(text, expected, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "my-own-token")
    assert redact(text) == expected
    assert reason(HTTPError(text)) == f"{expected}."


def test_an_error_of_a_command_shows_no_secret(monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "my-own-token")
    assert cli.main(["compare", "https://me:secret@hub.example/my-own-token"]) == 1
    shown = capsys.readouterr().err
    assert "secret" not in shown and "my-own-token" not in shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_output_in_any_encoding_is_no_error(encoding):
    code = (
        "from luab_data.console.boundary import guarded\n"
        "guarded('luab x')(lambda argv: print('\\u2191 76.0 \\u00b1 1.9 \\u732b \\ud800'))([])"
    )
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode(encoding).strip()
    assert shown == {
        "ascii": r"^ 76.0 +- 1.9 \u732b \ud800",
        "latin-1": r"^ 76.0 ± 1.9 \u732b \ud800",
        "utf-8": r"↑ 76.0 ± 1.9 猫 \ud800",
    }[encoding]  # fmt: skip


def test_counts_and_their_words():
    assert [counted(n, "image") for n in (0, 1, 2, 1200)] == [
        "0 images",
        "1 image",
        "2 images",
        "1,200 images",
    ]
    assert counted(2, "class", "classes") == "2 classes"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--modle", "x"], "unknown option --modle (did you mean --model?)"),
        (["--modle=x"], "unknown option --modle (did you mean --model?)"),
        (["--kind", "ligth", "in"], "'ligth' is unknown (did you mean light?); allowed are light, dark"),
        (["in", "more"], "unexpected more"),
        ([], "the following arguments are required: source"),
    ],
)
def test_a_mistyped_word_is_one_line_with_what_was_meant(arguments, message, capsys):
    parser = CommandParser("luab x", "about")
    parser.add_argument("source")
    parser.add_argument("--model")
    parser.add_argument("--kind", choices=["light", "dark"])
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(arguments)
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith("luab x: ") and message in shown and shown.count("\n") == 1


def test_values_and_abbreviations_are_no_unknown_options():
    parser = CommandParser("luab x", "about")
    parser.add_argument("--model")
    parser.add_argument("rest", nargs="*")
    assert parser.parse_args(["--mod", "a", "--", "--other"]).rest == ["--other"]
    assert did_you_mean("zzz", ["model"]) == ""


@pytest.mark.parametrize("name", [*cli.commands(), "evalaute"])
def test_commands_and_their_options(name, capsys):
    subjects = {"build": "imagenet_ab", "collect": "status", "convert": "table", "traces": "report"}
    subject = [subjects[name]] if name in subjects else []
    try:
        status = cli.main([name, *subject, "--debgu"])
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    shown = capsys.readouterr().err
    assert "did you mean evaluate?" in shown if name == "evalaute" else "did you mean --debug?" in shown


def test_version_names_the_libraries_without_importing_them(capsys):
    assert cli.main(["--version"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("luab ") and shown.count("\n") == 1
    assert all(name in shown for name in ("torch ", "transformers ", "datasets ", "Python 3."))


def test_a_bar_in_a_log_file_is_a_few_lines(monkeypatch, capsys):
    with bars.progress(1000, "rows", "rows") as bar:
        for _ in range(1000):
            bar.update()
    assert capsys.readouterr().err == ""  # it was soon over
    monkeypatch.setattr(bars, "LINE_EVERY", 1e-9)
    with bars.progress(3, "rows", "rows") as bar:
        for _ in range(3):
            bar.update()
    shown = capsys.readouterr().err
    assert "\r" not in shown and "\x1b" not in shown
    assert "rows: 3 of 3 rows [" in shown.splitlines()[-1]


def test_names_of_strangers_folders_in_the_list_of_benchmarks(tmp_path, capsys):
    (tmp_path / "imagenet-a" / "n\x1b[2J").mkdir(parents=True)
    assert cli.main(["evaluate", "--list", "--data", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "imagenet_a" in shown
