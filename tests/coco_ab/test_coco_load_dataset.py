"""`load_dataset("coco_ab", ...)`: from any folder, streaming, never stale; and the simulated release."""

import json
import os
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import Image

import coco_ab
from coco_ab.build import build_coco_ab
from coco_ab.json_types import snake_case
from coco_ab.rows import features
from coco_ab.simulate.release import write_release
from coco_ab.simulate.sample import OUT, write_sample
from luab_data.errors import SourceError

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_release(tmp_path_factory.mktemp("release"), images=8)


@pytest.fixture
def sources(release, tmp_path, monkeypatch):
    """Where the raw files are; the working folder is empty, and nobody may look for files in it."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setattr(
        datasets.load, "get_data_patterns", lambda *a, **k: pytest.fail("the working folder was searched")
    )
    return {
        "images": release / "train2014",
        "instances": release / "annotations" / "instances_train2014.json",
        "byproducts": release / "coco_ab_v1_0.json",
    }


@pytest.fixture
def load(tmp_path):
    def load(*arguments, **options):
        cache = str(tmp_path / "cache")
        return datasets.load_dataset("coco_ab", *arguments, split="train", cache_dir=cache, **options)

    return load


def plain(rows) -> list[dict]:
    """The rows with the image's bytes instead of the decoded image."""
    if "image" in rows.features:
        rows = rows.cast_column("image", Image(decode=False))
    return [dict(row) for row in rows]


@pytest.mark.parametrize("streaming", [False, True])
def test_the_ways_in_give_the_rows_of_the_build(sources, load, tmp_path, streaming):
    build_coco_ab(tmp_path / "out", **sources)
    built = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    options = {"streaming": streaming, "cache_dir": str(tmp_path / "cache")}
    ours = coco_ab.load_dataset(**sources, split="train", **options)
    others = {key: path for key, path in sources.items() if key != "byproducts"}
    files = load(data_files=str(sources["byproducts"]), streaming=streaming, **others)
    assert ours.features == files.features == built.features
    assert not streaming or ours.num_shards == 16
    found = [plain(ours), plain(files)]
    if streaming:  # part after part
        found = [sorted(rows, key=lambda row: row["image_id"]) for rows in found]
    assert found == [plain(built)] * 2
    assert next(iter(ours))["image"].size in ((96, 72), (72, 96))


@pytest.mark.parametrize("streaming", [False, True])
def test_byproducts_alone_and_the_authors_rule(sources, load, streaming):
    final = load("byproducts", byproducts=sources["byproducts"], streaming=streaming)
    authors = load("byproducts", byproducts=sources["byproducts"], rule="authors", streaming=streaming)
    assert "image" not in final.features
    assert [row["annotations"] for row in final] == [row["annotations"] for row in authors]
    assert [row["points"] for row in final] != [row["points"] for row in authors]


def test_the_cache_follows_the_files(sources, load, tmp_path):
    copy = tmp_path / "coco_ab_v1_0.json"
    copy.write_bytes(sources["byproducts"].read_bytes())
    first = load("byproducts", byproducts=copy)
    assert load("byproducts", byproducts=copy).cache_files == first.cache_files
    copy.write_text(json.dumps(json.loads(copy.read_text())[:3]))
    assert len(load("byproducts", byproducts=copy)) <= 3 < len(first)


@pytest.mark.parametrize("streaming", [False, True])
def test_the_sample_needs_no_arguments(sources, load, streaming):
    rows = load(streaming=streaming)
    assert rows.features == features(images=True)
    assert len(list(rows)) == 40


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        (None, ["byproducts"], "images is missing"),
        (None, ["images", "byproducts"], "instances is missing"),
        ("byproducts", ["images", "byproducts"], "'byproducts' has no images"),
        ("byproducts", ["instances", "byproducts"], "'byproducts' has no instances"),
        ("sample", ["byproducts"], "'sample' ships with the package and takes no arguments"),
        (None, ["rule"], "images is missing"),
        ("byproducts", ["byproducts", "wrong rule"], "take one of final, authors"),
    ],
)
def test_wrong_arguments_say_what_is_allowed(sources, load, name, given, message):
    known = {**sources, "rule": "authors", "wrong rule": "last"}
    arguments = {key.removeprefix("wrong "): known[key] for key in given}
    with pytest.raises(SourceError, match=message):
        load(name, **arguments)


def test_without_the_hub_the_error_says_what_to_pass(tmp_path):
    code = """
import coco_ab
from luab_data.errors import SourceError
try:
    coco_ab.load_dataset("byproducts", split="train", streaming=True)
except SourceError as error:
    print(error)
"""
    result = run_python(code, tmp_path)
    assert "byproducts='coallaoh/COCO-AB' is not on this machine" in result.stdout
    assert "pass byproducts=<coco_ab_v1_0.json, downloaded by hand>" in result.stdout


def test_the_checkout_gives_the_sample_with_nothing_imported(tmp_path):
    code = f"""
import os, sys
import datasets
os.chdir({str(REPOSITORY)!r})
rows = datasets.load_dataset("coco_ab", split="train")
assert "coco_ab" not in sys.modules
print(len(rows), rows.features["labels"].feature.names[-1])
"""
    assert run_python(code, tmp_path).stdout == "40 toothbrush\n"


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess:
    """Runs code in a fresh interpreter, with a cache of its own and no Hub."""
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1"}
    variables["HF_HOME"] = str(folder / "hf")
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=variables, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result


def test_printed_records_load_with_every_visible_field(sources, load, printed_records):
    path = printed_records / "coco_ab_rows.json"
    rows = {row["image_id"]: row for row in load("byproducts", byproducts=path)}
    records = json.loads(path.read_text())
    assert len(rows) == len(records)
    for released in records:
        row = rows[released.pop("image_id")]
        [annotation] = row["annotations"]
        assert_holds(annotation, released)
        assert row["points"], "each of these workers placed an icon that stayed"


def assert_holds(found, released) -> None:
    """All that a released value says; what it leaves out may be null."""
    if isinstance(released, dict):
        for key, value in released.items():
            assert_holds(found[snake_case(key)], value)
    elif isinstance(released, list):
        assert len(found) == len(released)
        for ours, theirs in zip(found, released, strict=True):
            assert_holds(ours, theirs)
    elif isinstance(released, float):
        assert found == np.float32(released)
    else:
        assert found == released


def test_the_sample_is_made_the_same_way_each_time(tmp_path):
    for name in ("one.parquet", "two.parquet"):
        write_sample(tmp_path / name)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    made, shipped = pq.read_table(tmp_path / "one.parquet"), pq.read_table(OUT)
    assert made.schema.equals(shipped.schema, check_metadata=True)
    assert made["image_id"].equals(shipped["image_id"])


def test_a_release_shows_what_the_real_one_does(tmp_path):
    write_release(tmp_path, images=150)
    records = json.loads((tmp_path / "coco_ab_v1_0.json").read_text())
    actions = [action for record in records for action in record["actionHistories"]]
    assert {action["actionType"] for action in actions} == {"add", "move", "remove"}
    ids = [record["image_id"] for record in records]
    assert len(set(ids)) < len(ids)  # an image annotated twice
    assert len(set(ids)) < 150  # and one without a record
    assert {record["originalImageHeight"] for record in records} == {0, 72, 96}
    assert {bool(record["mouseTracking"]) for record in records} == {True, False}
    for record in records:
        times = [action["timeAt"] for action in record["actionHistories"]]
        assert times == sorted(times)
        assert record["timeSpent"] > max(times, default=0)
        assert [each["categoryIndex"] for each in record["categoryHistories"]] == list(range(1, 11))
