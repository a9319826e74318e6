"""`--push-to-hub`: a dataset goes up while it is built, and comes back without code of ours."""

import os
import signal
from hashlib import sha256

import pandas
import pyarrow.dataset
import pytest
from datasets import load_dataset
from fixtures.factories import files_of, raw_byproducts, raw_images
from fixtures.hub.repositories import File
from fixtures.hub.served import TOKEN
from fixtures.hub.server import Rule
from fixtures.processes import ROOT, run_script
from huggingface_hub import HfFileSystem

from coco_ab.simulate.release import write_release
from luab_data.files.fingerprint import without_states
from luab_data.files.sums import parse_sums
from luab_data.hub import publish, retry

try:
    import duckdb
except ImportError:
    duckdb = None

SCRIPT = str(ROOT / "loading_scripts" / "imagenet_ab.py")


@pytest.fixture
def raw(tmp_path):
    """Six images of two classes, with XML for five of them."""
    payloads = raw_images(tmp_path / "train")
    raw_byproducts(tmp_path / "ab.tar.gz", list(payloads)[1:])
    return tmp_path


def push(*arguments, per_commit=2):
    """The loading script, on a scale at which six images fill several shards and commits."""
    publish.SHARDS_PER_COMMIT, retry.WAITS = per_commit, (0.01, 0.01)
    run_script(SCRIPT, list(arguments))


def options(repo_id, out="out", rows=1, *more):
    sources = ["--images", "train", "--byproducts", "ab.tar.gz", "--output-dir", out]
    target = ["--push-to-hub", repo_id] if repo_id else []
    return [*sources, "--rows-per-shard", str(rows), *target, *more]


def read_back(repo_id, **settings):
    """What different readers find: numbers of rows, ids, and the first image's size."""
    rows = load_dataset(repo_id, split="train", **settings)
    streamed = load_dataset(repo_id, split="train", streaming=True, **settings)
    shards = f"hf://datasets/{repo_id}/data/train-*.parquet"
    fs = HfFileSystem()
    paths = [f"datasets/{repo_id}/data/train-0000{n}.parquet" for n in range(len(fs.glob(shards)))]
    return {
        "ids": rows["image_id"][:],
        "streamed": [row["image_id"] for row in streamed],
        "half": load_dataset(repo_id, split="train[:50%]", **settings)["image_id"][:],
        "pandas": pandas.concat(pandas.read_parquet(f"hf://{path}") for path in paths)["image_id"].tolist(),
        "pyarrow": pyarrow.dataset.dataset(paths, filesystem=fs).to_table()["image_id"].to_pylist(),
        "size": rows[0]["image"].size if "image" in rows.column_names else None,
        "labels": rows.features["label"].names if "label" in rows.features else None,
    }


def test_from_raw_files_to_a_private_repository_and_back(hub, clients, raw):
    result = clients.call(push, *options("you/new"), token=TOKEN, cwd=raw)
    assert result.status == 0, result.output
    assert f"{hub.url}/datasets/you/new: version v1" in result.output
    repository = hub.dataset("you/new")
    assert repository.private
    assert repository.titles == ["6 rows"], "readers of main see a whole dataset or none"
    assert list(repository.branches) == ["main"]
    assert repository.tags["v1"] is repository.branches["main"]
    assert not list((raw / "out").glob("data/*")), "uploaded shards are removed"
    assert "open it with" not in result.output

    local = clients.call(push, *options(None, "local"), cwd=raw)
    assert local.status == 0, local.output
    card = repository.files["README.md"].content
    assert b'load_dataset("you/new"' in card
    expected = files_of(raw / "local")
    expected |= {
        name: without_states(expected[name].decode()).encode() for name in ("README.md", "summary.json")
    }
    published = {path: file.content for path, file in repository.files.items()}
    expected.pop("SHA256SUMS")
    sums = parse_sums(published.pop("SHA256SUMS").decode())
    assert sums == {path: sha256(published[path]).hexdigest() for path in expected if path != "README.md"}
    assert published.pop("README.md") == expected.pop("README.md").replace(b"PATH_OR_ID", b"you/new")
    assert published.pop(".gitattributes")
    assert published == expected

    found = clients.call(read_back, "you/new", token=TOKEN)
    assert found.status == 0, found.output
    ids = found.value["ids"]
    assert len(ids) == 6
    assert found.value == {
        "ids": ids, "streamed": ids, "pandas": ids, "pyarrow": ids, "half": ids[:3], "size": (40, 30),
        "labels": ["n01440764", "n02123045"],
    }  # fmt: skip


def duckdb_reads(repo_id):
    duckdb.register_filesystem(HfFileSystem())
    shards = f"hf://datasets/{repo_id}/data/*.parquet"
    return duckdb.sql(
        f"SELECT image_id, click.x, len(annotations) FROM '{shards}' WHERE click IS NOT NULL"
    ).fetchall()


@pytest.mark.skipif(duckdb is None, reason="duckdb is not installed")
def test_duckdb_reads_it(hub, clients, raw):
    assert clients.call(push, *options("you/duck"), token=TOKEN, cwd=raw).status == 0
    found = clients.call(duckdb_reads, "you/duck", token=TOKEN)
    assert found.status == 0, found.output
    assert len(found.value) == 5
    assert {row[1:] for row in found.value} == {(0.5, 1)}


def test_the_same_content_makes_no_commit_and_no_upload(hub, clients, raw):
    for out in ("out", "out", "elsewhere", "downloaded anew"):
        if out == "downloaded anew":
            for path in (*raw.glob("train/*/*"), raw / "ab.tar.gz"):
                os.utime(path)
        result = clients.call(push, *options("you/same", out), token=TOKEN, cwd=raw)
        assert result.status == 0, result.output
        assert "version v1" in result.output
    assert hub.dataset("you/same").titles == ["6 rows"]
    assert list(hub.dataset("you/same").tags) == ["v1"]
    assert hub.count("PUT /lfs/upload") == 6


def edit_card(repository, text=b"Ask us at home.\n"):
    """As people do on the Hub's page; the commit's id."""
    card = repository.files["README.md"]
    edited = File(card.content + text, False)
    return repository.commit("main", "Update README.md", {**repository.files, "README.md": edited}).id


def test_a_card_that_was_edited_on_the_hub_stays_without_other_content(hub, clients, raw):
    for out in ("out", "out", "elsewhere"):
        result = clients.call(push, *options("you/edited", out), token=TOKEN, cwd=raw)
        assert result.status == 0, result.output
        assert "version v1" in result.output
        assert "README.md there" not in result.output
        if out == "out":
            edit_card(hub.dataset("you/edited"))
    repository = hub.dataset("you/edited")
    assert repository.titles == ["6 rows", "Update README.md", "Update README.md"]
    assert list(repository.tags) == ["v1"]
    assert repository.files["README.md"].content.endswith(b"Ask us at home.\n" * 2)


@pytest.mark.parametrize("since", ["was edited since v1", "is not of a release"])
def test_a_release_says_which_card_it_replaces(hub, clients, raw, since):
    if since == "is not of a release":
        hub.add("dataset", "you/edited", private=True).add(**{"README.md": b"# Ours\n"})
        commit = hub.dataset("you/edited").branches["main"].id
    else:
        assert clients.call(push, *options("you/edited"), token=TOKEN, cwd=raw).status == 0
        commit = edit_card(hub.dataset("you/edited"))
        (raw / "train" / "n02123045" / "n02123045_2.JPEG").unlink()
    result = clients.call(push, *options("you/edited", "out2"), token=TOKEN, cwd=raw)
    assert result.status == 0, result.output
    [said] = [line for line in result.output.splitlines() if "README.md there" in line]
    address = f"{hub.url}/datasets/you/edited"
    assert f"{address}: README.md there {since}, and this release replaces it." in said
    assert said.endswith(f"{address}/blob/{commit}/README.md")
    assert b"home" not in hub.dataset("you/edited").files["README.md"].content


def test_another_configuration_does_not_replace_the_first(hub, clients, raw):
    assert clients.call(push, *options("you/full"), token=TOKEN, cwd=raw).status == 0
    before = dict(hub.dataset("you/full").files)
    arguments = ["--byproducts", "ab.tar.gz", "--output-dir", "out2", "--push-to-hub", "you/full"]
    result = clients.call(push, *arguments, "--config", "byproducts", token=TOKEN, cwd=raw)
    assert result.status == 1
    assert (
        "error: --push-to-hub you/full: this repository holds the configuration 'full', which 'byproducts' "
        "would replace. Name another repository." in result.output
    )
    assert hub.dataset("you/full").files == before
    assert not (raw / "out2").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "tarin", "--byproducts", "ab.tar.gz"], "images='tarin' is neither"),
        (["--images", "train", "--byproducts", "ab.tra.gz"], "byproducts='ab.tra.gz' is neither"),
        (["--images", "train", "--byproducts", "ab.tar.gz", "--classes", "n1"], "has no class 'n1'"),
    ],
)
def test_a_mistyped_source_leaves_no_empty_repository(hub, clients, raw, arguments, message):
    target = ["--output-dir", "out", "--push-to-hub", "you/typo"]
    result = clients.call(push, *arguments, *target, token=TOKEN, cwd=raw)
    assert result.status == 1
    assert message in result.output
    assert not hub.repositories


def test_other_content_is_a_new_version_without_leftovers(hub, clients, raw):
    assert clients.call(push, *options("you/versions"), token=TOKEN, cwd=raw).status == 0
    before = dict(hub.dataset("you/versions").files)
    (raw / "train" / "n02123045" / "n02123045_2.JPEG").unlink()
    result = clients.call(push, *options("you/versions", "out2"), token=TOKEN, cwd=raw)
    assert "version v2" in result.output
    repository = hub.dataset("you/versions")
    assert repository.titles == ["6 rows", "5 rows"]
    assert sorted(before.keys() - repository.files.keys()) == ["data/train-00004.parquet"]
    assert repository.tags["v1"].files == before
    assert hub.count("PUT /lfs/upload") == 6, "unchanged shards were uploaded again"


@pytest.mark.parametrize(
    ("request_line", "skip", "after"),
    [
        ("POST .*/branch/luab-upload", 0, True),
        ("PUT /lfs/upload", 1, False),
        ("PUT /lfs/upload", 1, True),
        ("POST /lfs/verify", 3, True),
        ("POST .*/commit/luab-upload", 0, True),
        ("POST .*/commit/luab-upload", 1, False),
        ("POST .*/commit/main", 0, False),
        ("POST .*/commit/main", 0, True),
        ("POST .*/tag/", 0, True),
        ("DELETE .*/branch/luab-upload", 0, True),
    ],
)
def test_a_kill_loses_no_shard_and_uploads_none_twice(hub, clients, raw, request_line, skip, after):
    running = clients.start(push, *options("you/killed"), token=TOKEN, cwd=raw)
    killer = Rule(request_line, lambda: os.kill(running.pid, signal.SIGKILL), skip=skip, after=after)
    hub.rules.append(killer)
    assert running.result().status == -signal.SIGKILL
    result = clients.call(push, *options("you/killed"), token=TOKEN, cwd=raw)
    assert result.status == 0, result.output
    assert "version v1" in result.output
    repository = hub.dataset("you/killed")
    shards = sorted(path for path in repository.files if path.startswith("data/"))
    assert shards == [f"data/train-0000{n}.parquet" for n in range(6)]
    assert repository.titles == ["6 rows"]
    assert (list(repository.tags), list(repository.branches)) == (["v1"], ["main"])
    uploads = [line for line in hub.seen if line.startswith("PUT")]
    assert len(set(uploads)) == 6
    assert len(uploads) <= 6 + (not after), "at most the upload that was cut off is made again"
    assert not list((raw / "out").glob("data/*"))


def test_shards_of_another_build_do_not_get_into_the_release(hub, clients, raw):
    def push_of_another() -> None:
        repository = hub.dataset("you/crossed")
        files = {
            **repository.branches[publish.BRANCH].files,
            "data/train-00002.parquet": File(b"other", True),
        }
        repository.commit(publish.BRANCH, "theirs", files)

    hub.rules.append(Rule("GET .*/tree/main", push_of_another, skip=1))
    result = clients.call(push, *options("you/crossed"), token=TOKEN, cwd=raw)
    assert result.status == 1
    assert "data/train-00002.parquet on the branch luab-upload is not this build's" in result.output
    assert not hub.dataset("you/crossed").titles


def test_what_passes_is_waited_for(hub, clients, raw):
    hub.fail("POST .*/commit/luab-upload", 429, Retry_After="0")
    hub.fail("POST .*/commit/main", 503)
    hub.fail("POST .*objects/batch", 500)
    hub.drop("PUT /lfs/upload")
    hub.drop("POST .*/commit/luab-upload", after=True)  # done, but the answer is lost
    hub.drop("POST .*/commit/main", after=True)
    result = clients.call(push, *options("you/flaky"), token=TOKEN, cwd=raw)
    assert result.status == 0, result.output
    retried = [line for line in result.output.splitlines() if "Trying again in" in line]
    assert retried
    assert "signature" not in "".join(retried), "an upload's address is a secret"
    repository = hub.dataset("you/flaky")
    assert repository.titles == ["6 rows"]
    assert len([path for path in repository.files if path.startswith("data/")]) == 6


def test_what_does_not_pass_is_reported_and_the_next_run_goes_on(hub, clients, raw):
    hub.fail("POST .*/commit/luab-upload", 500, times=3)
    result = clients.call(push, *options("you/later"), token=TOKEN, cwd=raw)
    assert result.status == 1
    error = result.output.splitlines()[-1]
    assert error.startswith("error: --push-to-hub you/later: the upload stopped: ")
    assert "500 Internal Server Error" in error
    assert "run the same command again" in error
    assert "README.md" not in hub.dataset("you/later").files
    assert clients.call(push, *options("you/later"), token=TOKEN, cwd=raw).status == 0
    assert hub.dataset("you/later").titles == ["6 rows"]
    assert hub.count("PUT /lfs/upload") == 6


@pytest.mark.parametrize(("token", "exists"), [(None, True), ("hf_reader", True), ("hf_wrong", False)])
def test_no_right_to_write_is_said_before_anything_is_built(hub, clients, raw, token, exists):
    if exists:
        hub.add("dataset", "you/mine")
    arguments = options("you/mine", "out", 1, "--i-may-publish-the-images")
    result = clients.call(push, *arguments, token=token, cwd=raw)
    assert result.status == 1
    assert "error: --push-to-hub you/mine: the Hub refuses it" in result.output
    assert "hf auth login" in result.output
    assert not (raw / "out").exists()


def test_images_do_not_go_into_a_repository_that_is_already_public(hub, clients, raw):
    hub.add("dataset", "you/open")
    result = clients.call(push, *options("you/open"), token=TOKEN, cwd=raw)
    assert result.status == 1
    assert "may not be given away" in result.output
    assert not (raw / "out").exists()
    may = options("you/open", "out", 1, "--i-may-publish-the-images")
    assert clients.call(push, *may, token=TOKEN, cwd=raw).status == 0


@pytest.mark.parametrize(("there", "asked"), [("public", "--private"), ("private", "--public")])
def test_a_repository_that_is_there_is_not_of_another_visibility_than_asked_for(
    hub, clients, raw, there, asked
):
    hub.add("dataset", "you/there", private=there == "private")
    arguments = ["--byproducts", "ab.tar.gz", "--output-dir", "out", "--push-to-hub", "you/there", asked]
    result = clients.call(push, *arguments, "--config", "byproducts", token=TOKEN, cwd=raw)
    assert result.status == 1
    assert (
        f"error: --push-to-hub you/there: this repository is {there} already. Leave {asked}" in result.output
    )
    assert not (raw / "out").exists()
    assert not hub.dataset("you/there").titles


@pytest.mark.parametrize("name", ["you/too/many", "you/two words"])
def test_a_name_that_cannot_be_one_is_said(hub, clients, raw, name):
    result = clients.call(push, *options(name), token=TOKEN, cwd=raw)
    assert result.status == 1
    assert f"error: --push-to-hub '{name}' is no name of a repository" in result.output
    assert "Traceback" not in result.output


def test_byproducts_are_for_everyone(hub, clients, raw):
    more = ("--config", "byproducts", "--public", "--keep-shards")
    arguments = ["--byproducts", "ab.tar.gz", "--output-dir", "out", "--push-to-hub", "you/byproducts", *more]
    result = clients.call(push, *arguments, token=TOKEN, cwd=raw)
    assert result.status == 0, result.output
    assert not hub.dataset("you/byproducts").private
    found = clients.call(read_back, "you/byproducts")
    assert found.status == 0, found.output
    assert len(found.value["ids"]) == 5
    assert found.value["size"] is None
    assert [path.name for path in (raw / "out" / "data").iterdir()] == ["train-00000.parquet"]
    assert "open it with" in result.output


def test_a_build_that_was_there_before_stays_and_removed_shards_are_missed(hub, clients, raw):
    assert clients.call(push, *options(None), cwd=raw).status == 0
    before = files_of(raw / "out")
    assert clients.call(push, *options("you/old"), token=TOKEN, cwd=raw).status == 0
    assert files_of(raw / "out") == before
    assert len(hub.dataset("you/old").files) == 1 + len(before)
    (raw / "out" / "data" / "train-00003.parquet").unlink()
    result = clients.call(push, *options(None), cwd=raw)
    assert "data/train-00003.parquet is not there" in result.output
    assert result.status == 1


def test_coco_goes_the_same_way(hub, clients, tmp_path):
    write_release(tmp_path, images=6)
    arguments = ["--images", "train2014", "--instances", "annotations/instances_train2014.json"]
    arguments += ["--byproducts", "coco_ab_v1_0.json", "--output-dir", "out", "--push-to-hub", "you/coco_ab"]
    result = clients.script(ROOT / "loading_scripts" / "coco_ab.py", *arguments, token=TOKEN, cwd=tmp_path)
    assert result.status == 0, result.output
    assert hub.dataset("you/coco_ab").private
    found = clients.call(read_back, "you/coco_ab", token=TOKEN)
    assert found.status == 0, found.output
    assert len(found.value["streamed"]) == 6
