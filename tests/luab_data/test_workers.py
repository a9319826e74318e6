"""The ordered map over threads, and what is said where there is no engine to run it."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from imagenet_ab.script import main
from luab_data.build.ordered_map import in_order
from luab_data.build.workers import open_workers
from luab_data.errors import SourceError


def square(number: int) -> int:
    return number**2


def test_threads_keep_the_order_and_work_at_the_same_time():
    second_is_done = threading.Event()

    def task(number: int) -> int:
        if number == 0:
            assert second_is_done.wait(timeout=60)
        elif number == 1:
            second_is_done.set()
        return square(number)

    with open_workers(num_proc=2) as ordered_map:
        assert list(ordered_map(task, range(20))) == [square(number) for number in range(20)]


def test_an_error_of_a_task_is_raised_and_what_waits_is_not_begun():
    begun, threads, error_is_there = [], threading.active_count(), threading.Event()

    def task(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise KeyError(number)
        assert error_is_there.wait(timeout=60)  # the others hold their workers, so that the rest waits

    with pytest.raises(KeyError), open_workers(num_proc=2) as ordered_map:
        try:
            list(ordered_map(task, range(100)))
        finally:
            threading.Timer(0.5, error_is_there.set).start()  # the pool is being closed by then
    assert sorted(begun) == [0, 1, 2], "3 was submitted too, and waited"
    assert threading.active_count() <= threads + 1  # the timer's own


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
    sources = [
        "--images",
        str(tmp_path),
        "--byproducts",
        str(tmp_path),
        "--output-dir",
        str(tmp_path / "out"),
    ]
    with pytest.raises(SystemExit) as ended:
        main([*sources, "--engine", "ray"])
    assert ended.value.code == "error: engine='ray' needs ray: pip install 'luab[ray]'"
    assert not (tmp_path / "out").exists()


def test_wrong_engines_say_what_is_allowed():
    with pytest.raises(SourceError, match=r"engine='spark': allowed are local, ray\."):
        open_workers("spark")
    with pytest.raises(SourceError, match="ray_address='auto' goes with engine='ray'"):
        open_workers(ray_address="auto")


@pytest.mark.parametrize("made_by", ["imagenet_ab.build", "coco_ab.build", "luab_attention.converting"])
def test_the_nodes_of_a_cluster_get_all_packages_that_a_build_imports(made_by):
    code = (
        f"import sys, {made_by}, luab_data.build.ray_workers as sent; ours = set(sys.argv[1:]); "
        "print({name.partition('.')[0] for name in sys.modules} & ours - set(sent.PACKAGES))"
    )
    ours = [path.parent.name for path in Path(__file__).parents[2].glob("*/py.typed")]
    done = subprocess.run(
        [sys.executable, "-c", code, *ours], capture_output=True, text=True, check=True, timeout=300
    )
    assert len(ours) > 5 and done.stdout == "set()\n"
