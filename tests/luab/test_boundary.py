"""Whatever is raised in a command becomes one line and an exit status; `--debug` shows the traceback."""

import errno
import importlib
import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

import coco_ab.script
import imagenet_ab.script
import luab_trainer.run
from luab import cli
from luab_data.console.boundary import boundary, guarded
from luab_data.console.explain import explain
from luab_data.errors import SourceError


class Odd(Exception):
    """Of nobody's, without a message, and one that cannot be asked for it."""

    def __str__(self):
        raise AttributeError("no text")


ERRORS = [
    Odd(),
    KeyError("id2label"),
    IndexError("list index out of range"),
    ValueError("array must not contain infs\nor NaNs"),
    RuntimeError("shape '[2]' is invalid\x1b[2J for input"),
    RecursionError("maximum recursion depth exceeded"),
    MemoryError(),
    OSError(errno.ENOSPC, "No space left on device", "out/part-0.npz"),
    PermissionError(errno.EACCES, "Permission denied", "/root/out"),
    BrokenProcessPool("a process was terminated abruptly"),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),  # of a worker, not of stdout
    SourceError("the folder is empty"),
]
# What each command calls first after its options are read, to be replaced by what raises.
CALLS = {
    "align": (
        "luab_data.rows.splits", "load_splits", ["--model", "x", "--dataset", "x", "--against", "click"]
    ),
    "app": ("luab.commands.app", "require_extra", ["--model", "x"]),
    "build": (imagenet_ab.script, "build_imagenet_ab", ["imagenet_ab", "--output-dir", "OUT"]),
    "byproducts": ("luab_data.rows.splits", "load_splits", ["x"]),
    "collect": (
        "luab_collect.setup",
        "init_project",
        ["init", "OUT", "--task", "select", "--images", "FILLED", "--classes", "x"],
    ),
    "compare": ("luab_eval.report.figures", "figures", ["x"]),
    "convert": ("luab_attention.converting", "convert", ["table", "FILLED", "--output-dir", "OUT"]),
    "demo": ("luab_trainer.demo.experiment", "prepare", ["--output-dir", "OUT"]),
    "evaluate": (
        "luab_eval.evaluate", "evaluate", ["--model", "x", "--benchmarks", "folder:f=FILLED"]
    ),
    "localize": (
        "luab_eval.suite", "usable", ["--model", "x", "--dataset", "x"]
    ),
    "models": ("luab_eval.models", "load_classifier", ["--model", "x"]),
    "show": ("luab.gallery.page", "write_page", ["x"]),
    "traces": ("luab.traces.rows", "open_rows", ["report", "x"]),
    "train": ("luab_trainer.run", "parse", []),
    "verify": ("luab.commands.verify", "verify", ["FILLED"]),
}  # fmt: skip


@pytest.fixture
def command(tmp_path, monkeypatch):
    """(name, exception) -> the arguments of `luab` with which it is raised inside that command."""

    def prepare(name: str, error: BaseException) -> list[str]:
        module, function, arguments = CALLS[name]
        module = importlib.import_module(module) if isinstance(module, str) else module
        monkeypatch.setattr(module, function, lambda *_, **__: _raise(error))
        (tmp_path / "filled" / "class").mkdir(parents=True, exist_ok=True)
        (tmp_path / "filled" / "class" / "a.jpg").touch()
        filled = [each.replace("FILLED", str(tmp_path / "filled")) for each in arguments]
        return [name, *(each.replace("OUT", str(tmp_path / "out")) for each in filled)]

    return prepare


def _raise(error: BaseException):
    raise error


def test_every_command_is_here():
    assert set(cli.commands()) == set(CALLS)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("name", CALLS)
def test_any_exception_at_any_command_is_one_line(name, error, command, capsys):
    assert cli.main(command(name, error)) == 1
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert "Traceback" not in shown.err + shown.out
    assert "\x1b" not in shown.err
    assert shown.err.startswith("error: " if name in ("build", "convert") else f"luab {name}: ")
    assert len(shown.err) > len(f"luab {name}: \n")


@pytest.mark.parametrize("name", CALLS)
def test_debug_shows_the_traceback_and_the_line(name, command, capsys):
    assert cli.main([*command(name, KeyError("id2label")), "--debug"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert "in _raise" in shown
    assert "unexpected KeyError" in shown.splitlines()[-1]


@pytest.mark.parametrize("name", CALLS)
def test_ctrl_c_is_one_line(name, command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(command(name, KeyboardInterrupt()))
    assert ended.value.code == 130
    shown = capsys.readouterr().err
    assert shown.endswith(": interrupted\n") and shown.count("\n") == 1


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("prepare", [lambda run: run, coco_ab.script])
def test_scripts_and_training_end_in_one_line(prepare, error, monkeypatch, tmp_path):
    if prepare is coco_ab.script:
        monkeypatch.setattr(coco_ab.script, "build_coco_ab", lambda *_, **__: _raise(error))
        with pytest.raises(SystemExit) as ended:
            coco_ab.script.main(["--output-dir", str(tmp_path / "out")])
    else:
        monkeypatch.setattr(luab_trainer.run, "parse", lambda *_: _raise(error))
        with pytest.raises(SystemExit) as ended:
            luab_trainer.run.main([])
    assert isinstance(ended.value.code, str)
    assert "\n" not in ended.value.code


def test_a_command_without_a_guard_of_its_own_is_guarded_all_the_same(monkeypatch, capsys):
    import luab.commands.build as build

    monkeypatch.setattr(build, "main", lambda argv: _raise(Odd()))
    assert cli.main(["build"]) == 1
    assert "unexpected Odd" in capsys.readouterr().err


def test_unexpected_errors_say_what_and_where():
    try:
        importlib.import_module("luab_data.simulate.drawing").__getattr__("x")
    except AttributeError as error:
        assert explain(error).startswith("unexpected AttributeError: ")
    try:
        SourceError()  # Python's own error, on a line of ours
    except TypeError as error:
        assert explain(error) == (
            "unexpected TypeError: SourceError.__init__() missing"
        ) or "unexpected TypeError" in explain(error)


class Fails(torch.utils.data.Dataset):
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 1

    def __getitem__(self, index):
        if self.error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise self.error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, "a worker process died, most often for lack of memory"),
        (KeyError("label"), "unexpected KeyError: 'label' (run again"),
        (ValueError("bad\nimage"), "unexpected ValueError: bad image (run again"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_errors_in_a_loaders_worker_lose_its_traceback(error, expected):
    with pytest.raises(BaseException) as raised:
        list(DataLoader(Fails(error), num_workers=1))
    line = explain(raised.value)
    assert line.startswith(expected)
    assert "Traceback" not in line and "\n" not in line


def test_errors_in_a_pools_worker_lose_its_traceback():
    with ProcessPoolExecutor(1) as pool, pytest.raises(ZeroDivisionError) as raised:
        pool.submit(divmod, 1, 0).result()
    assert explain(raised.value).startswith("unexpected ZeroDivisionError: ")
    assert "Traceback" not in explain(raised.value)


def test_long_messages_are_cut():
    line = explain(RuntimeError("Error(s) in loading state_dict:\n" + "\tsize mismatch\n" * 1000))
    assert len(line) < 800
    assert "more characters" in line and "--debug" in line


def test_the_reason_is_told_where_only_the_cause_has_it():
    try:
        try:
            raise OSError("bad magic")
        except OSError as error:
            raise RuntimeError("An error occurred while generating the dataset") from error
    except RuntimeError as error:
        assert "while generating the dataset: bad magic" in explain(error)


def test_a_torchvision_of_another_build_is_named_with_the_fix():
    error = ModuleNotFoundError("Could not import module 'Trainer'.")
    error.__cause__ = RuntimeError("operator torchvision::nms does not exist")
    assert "Install both from the same index" in explain(error)
    error.__cause__ = RuntimeError("operator own::nms does not exist")
    assert "Install both" not in explain(error)


def test_our_own_message_keeps_its_lines_but_no_line_can_be_faked(capsys):
    main = guarded("luab x")(lambda argv: _raise_ours("no such class: a\nluab x: all is well"))
    assert main([]) == 1
    assert capsys.readouterr().err == "luab x: no such class: a\n  luab x: all is well\n"


def test_closed_streams_end_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert cli.main(["--version"]) == 0
    assert cli.main(["nosuch"]) == 2


def test_what_libraries_log_holds_no_secrets_and_no_control_characters(monkeypatch, caplog):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnop")
    before = logging.getLogRecordFactory()
    with boundary("luab"):
        log = logging.getLogger("huggingface_hub.utils._http")
        log.warning("HEAD %s\n%s", "https://user:passw0rd@127.0.0.1:1/x", "hf_abcdefghijklmnop \x1b[2J")
        log.warning("100% of it")
    assert caplog.messages == ["HEAD https://***@127.0.0.1:1/x\nhf_*** \ufffd[2J", "100% of it"]
    assert logging.getLogRecordFactory() is before


def _raise_ours(text: str):
    """As if our packages had raised it: this folder is none of them."""
    code = compile("raise ValueError(text)", str(Path(cli.__file__)), "exec")
    exec(code, {"text": text})


def test_the_environment_variable_debugs_what_has_no_option(monkeypatch, capsys):
    monkeypatch.setenv("LUAB_DEBUG", "1")
    with pytest.raises(SystemExit), boundary("run.py"):
        raise KeyError("x")
    assert "Traceback" in capsys.readouterr().err


SLEEPER = """
import multiprocessing, time
from luab_data.console.boundary import guarded

@guarded("luab x")
def main(argv):
    workers = [multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    print(*(worker.pid for worker in workers), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    main([])
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_end_the_workers_too(number, status, tmp_path):
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, tmp_path / "sleeper.py"], **pipes) as process:
        workers = list(map(int, process.stdout.readline().split()))
        process.send_signal(number)
        _, shown = process.communicate(timeout=30)
        assert process.returncode == status
        assert shown.count(b"luab x: ") == 1 and b"Traceback" not in shown
        deadline = time.monotonic() + 20
        while any(map(_lives, workers)):
            assert time.monotonic() < deadline, "workers are left"
            time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")
