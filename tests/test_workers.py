"""The ordered map over processes, and what is said where there is no engine to run it."""

import sys

import pytest

from imagenet_ab.script import main
from luab_data.errors import SourceError
from luab_data.workers import in_order, open_workers


def square(number: int) -> int:
    return number**2


def test_processes_keep_the_order():
    with open_workers(num_proc=2) as ordered_map:
        assert list(ordered_map(square, range(20))) == [square(number) for number in range(20)]


@pytest.mark.parametrize("at_once", [1, 4])
def test_tasks_are_taken_no_faster_than_results_are(at_once):
    taken = []

    def tasks():
        for task in range(20):
            taken.append(task)
            yield task

    results = []
    for result in in_order(lambda task: lambda: square(task), tasks(), at_once):
        results.append(result)
        assert len(taken) <= len(results) - 1 + at_once
    assert results == [square(task) for task in range(20)]


def test_without_ray_the_error_has_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # `import ray` fails, installed or not
    sources = ["--images", str(tmp_path), "--byproducts", str(tmp_path), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        main([*sources, "--engine", "ray"])
    assert ended.value.code == "error: engine='ray' needs Ray: pip install 'luab[ray]'"
    assert not (tmp_path / "out").exists()


def test_wrong_engines_say_what_is_allowed():
    with pytest.raises(SourceError, match=r"engine='spark': allowed are local, ray\."):
        open_workers("spark")
    with pytest.raises(SourceError, match="ray_address='auto' goes with engine='ray'"):
        open_workers(ray_address="auto")
