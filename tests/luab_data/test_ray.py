"""The build on a Ray cluster: the local build's files, whatever worker or node is lost on the way.

The cluster's nodes are processes of this machine. The first one does no tasks: results lie on the others.
"""

import errno
import importlib.util
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures.factories import files_of, raw_byproducts, raw_images, record_xml

from imagenet_ab.build import build_imagenet_ab
from luab_data.build.ordered_map import WorkerDied
from luab_data.build.workers import open_workers
from luab_data.errors import SourceError

if importlib.util.find_spec("ray") is None:
    pytest.skip("pip install 'luab[ray]'", allow_module_level=True)
# Ray reads these when it is imported. The clusters listen on loopback alone, as they do by themselves on a
# Mac, and ask for a token that is in no file.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
import ray
from ray.cluster_utils import Cluster

REPOSITORY = Path(__file__).resolve().parents[2]
BYTES = 1 << 20  # more than what Ray sends along with a message: such results stay on the node that made them


@pytest.fixture(scope="module")
def cluster():
    with pytest.MonkeyPatch.context() as patch:
        of_tests = (
            Path(__file__).parent,
            Path(__file__).parents[1],
        )
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, of_tests)))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster
        cluster.shutdown()


@pytest.fixture
def raw(tmp_path):
    """The arguments of a build with rejects and more than one shard, and the files that it gives."""
    ids = list(raw_images(tmp_path / "train", per_class=40))
    (tmp_path / "train" / f"{ids[3]}.JPEG").write_bytes(b"<html>not found</html>")
    twice = (f"imagenet_ab_v1_0/train_xml/{ids[5]}.xml", record_xml(ids[5]))
    raw_byproducts(tmp_path / "ab.tar.gz", ids[1:], more=[twice])
    arguments = {
        "images": tmp_path / "train",
        "byproducts": tmp_path / "ab.tar.gz",
        "max_side": 20,
        "rows_per_shard": 7,
    }
    build_imagenet_ab(tmp_path / "expected", **arguments)
    return arguments, files_of(tmp_path / "expected")


def test_a_cluster_builds_the_same_files(raw, tmp_path, cluster):
    arguments, expected = raw
    build_imagenet_ab(tmp_path / "out", **arguments, engine="ray", ray_address=cluster.address)
    assert files_of(tmp_path / "out") == expected
    assert expected["rejects.jsonl"].count(b"\n") == 3


def run_script(arguments: dict, home: Path, without: str) -> subprocess.CompletedProcess:
    """The loading script, in an environment without one of the variables."""
    given = {**arguments, "engine": "ray", "num_proc": 2}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    script = REPOSITORY / "loading_scripts" / "imagenet_ab.py"
    environment = {**os.environ, "HOME": str(home)}
    environment.pop(without, None)
    return subprocess.run(
        [sys.executable, str(script), *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_script_starts_a_cluster_of_its_own_and_ends_it(raw, tmp_path):
    arguments, expected = raw
    done = run_script({**arguments, "out": tmp_path / "out"}, home=tmp_path, without="RAY_ADDRESS")
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "out") == expected


def test_a_token_that_is_not_there_is_named_in_one_line(tmp_path, cluster):
    arguments = {"output_dir": tmp_path / "out", "ray_address": cluster.address}
    done = run_script(arguments, home=tmp_path, without="RAY_AUTH_TOKEN")
    assert done.returncode == 1
    *warnings, line = done.stderr.splitlines()
    assert "Traceback" not in "".join(warnings)
    assert line.startswith(f"error: ray_address='{cluster.address}': no Ray cluster can be reached (Token")
    assert line.endswith("wants RAY_AUTH_MODE=token and that token, here and on each node.")


def dies_once(task: tuple[Path, int]) -> bytes:
    """Kills its process the first time that any process comes here with task 5."""
    marker, number = task
    if number == 5 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return bytes([number]) * BYTES


def test_a_killed_worker_costs_nothing(cluster, tmp_path):
    marker = tmp_path / "killed"
    with open_workers("ray", ray_address=cluster.address) as ordered_map:
        results = list(ordered_map(dies_once, [(marker, number) for number in range(20)]))
    assert marker.exists()
    assert results == [bytes([number]) * BYTES for number in range(20)]


def makes_a_file(task: tuple[Path, int, bytes]) -> bytes:
    folder, number, _ = task
    (folder / str(number)).touch()
    return bytes([number]) * BYTES


def test_a_lost_node_costs_nothing_even_with_results_on_it(cluster, tmp_path):
    with open_workers("ray", num_proc=5, ray_address=cluster.address) as ordered_map:
        results = ordered_map(makes_a_file, [(tmp_path, number, bytes(BYTES)) for number in range(12)])
        first = next(results)
        waited_until = time.monotonic() + 60
        while len(list(tmp_path.iterdir())) < 10 and time.monotonic() < waited_until:
            time.sleep(0.1)
        time.sleep(1)  # the last one's result is on its way
        for node in list(cluster.worker_nodes):
            node.kill_all_processes(check_alive=False, allow_graceful=False)
        for marker in tmp_path.iterdir():
            marker.unlink()
        cluster.add_node(num_cpus=2)
        assert [first, *results] == [bytes([number]) * BYTES for number in range(12)]
    assert len(list(tmp_path.iterdir())) > 2  # of those that were done, some were done again


def dies(task: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_task_that_kills_each_worker_ends_the_build_with_what_to_do(cluster):
    with (
        pytest.raises(WorkerDied, match="Run the same command again to go on"),
        open_workers("ray", ray_address=cluster.address) as ordered_map,
    ):
        list(ordered_map(dies, [0]))


def test_a_cluster_of_another_version_is_named(cluster, monkeypatch):
    monkeypatch.setattr(ray, "__version__", "2.0.0")
    with (
        pytest.raises(
            SourceError, match=r"no Ray cluster can be reached \(Version mismatch: (.|\n)*Ray: 2\.0\.0"
        ),
        open_workers("ray", ray_address=cluster.address),
    ):
        pass


def fill_the_disk(task: str) -> None:
    raise OSError(errno.ENOSPC, "full", task)


def test_an_error_of_the_function_comes_back_as_it_was_raised(cluster):
    with (
        pytest.raises(OSError, match=rf"^\[Errno {errno.ENOSPC}\] full: 'x'$") as raised,
        open_workers("ray", ray_address=cluster.address) as ordered_map,
    ):
        list(ordered_map(fill_the_disk, ["x"]))
    assert raised.type is OSError
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere"])
def test_an_address_without_a_cluster_is_named_at_once(tmp_path, address):
    with pytest.raises(SourceError, match=f"ray_address='{address}': no Ray cluster can be reached"):
        build_imagenet_ab(tmp_path / "out", engine="ray", ray_address=address)
