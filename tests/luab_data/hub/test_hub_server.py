"""The fixture answers the real clients as the Hub does."""

import io
from pathlib import Path

import pytest
from fixtures.hub.served import TOKEN
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    RepoFile,
    hf_hub_download,
)


def write_and_read(repo_id):
    api = HfApi()
    dataset = {"repo_id": repo_id, "repo_type": "dataset"}
    api.create_repo(**dataset, private=True)
    big, small = b"\0" * 1000, b"text"
    files = {"data/a.parquet": big, "data/b.parquet": b"b", "README.md": small, "x/y/z.txt": b"z"}
    adds = [CommitOperationAdd(path, io.BytesIO(content)) for path, content in files.items()]
    first = api.create_commit(**dataset, operations=adds, commit_message="one")
    api.create_branch(**dataset, branch="side")
    api.create_tag(**dataset, tag="v1", revision=first.oid)
    moves = [CommitOperationCopy("data/a.parquet", "c.parquet", src_revision="side")]
    moves.append(CommitOperationDelete("data/b.parquet"))
    api.create_commit(**dataset, operations=moves, commit_message="two")
    again = [CommitOperationAdd("README.md", small)]
    api.create_commit(**dataset, operations=again, commit_message="the same")
    refs = api.list_repo_refs(**dataset)
    infos = api.get_paths_info(**dataset, paths=["c.parquet", "x", "no"])
    downloaded = Path(hf_hub_download(repo_id, "c.parquet", repo_type="dataset"))
    fs = HfFileSystem()
    with fs.open(f"datasets/{repo_id}/c.parquet") as file:
        file.seek(990)
        tail = file.read()
    return {
        "who": api.whoami()["name"],
        "files": sorted(api.list_repo_files(**dataset)),
        "tagged": sorted(api.list_repo_files(**dataset, revision="v1")),
        "infos": [(info.path, isinstance(info, RepoFile)) for info in infos],
        "below": [item.path for item in api.list_repo_tree(**dataset, path_in_repo="x")],
        "tags": {tag.name: tag.target_commit == first.oid for tag in refs.tags},
        "branches": [branch.name for branch in refs.branches],
        "private": api.dataset_info(repo_id).private,
        "content": downloaded.read_bytes() == big,
        "tail": tail,
        "ls": sorted(fs.ls(f"datasets/{repo_id}", detail=False)),
        "exists": api.file_exists(repo_id, "no", repo_type="dataset"),
    }  # fmt: skip


def test_what_is_written_is_read_back(hub, clients):
    hub.page_size = 2
    result = clients.call(write_and_read, "you/things", token=TOKEN)
    assert result.status == 0, result.output
    found = result.value
    now = [".gitattributes", "README.md", "c.parquet", "data/a.parquet", "x/y/z.txt"]
    assert found["files"] == now
    assert set(now) ^ set(found["tagged"]) == {"data/b.parquet", "c.parquet"}
    assert found["infos"] == [("c.parquet", True), ("x", False)]
    assert found["below"] == ["x/y"]
    assert found["tags"] == {"v1": True}
    assert found["branches"] == ["main", "side"]
    assert (found["who"], found["private"], found["content"], found["exists"]) == ("you", True, True, False)
    assert found["tail"] == bytes(10)
    assert found["ls"] == [
        f"datasets/you/things/{name}" for name in (".gitattributes", "README.md", "c.parquet", "data", "x")
    ]
    assert hub.dataset("you/things").titles == ["one", "two"]
    assert hub.count(r"GET .*/tree/") > 6, "the pages were not followed"


def outcome(repo_id, path):
    answers = []
    for ask in (
        lambda: HfApi().dataset_info(repo_id).id,
        lambda: hf_hub_download(repo_id, path, repo_type="dataset"),
        lambda: HfApi().create_tag(repo_id, tag="t", repo_type="dataset"),
    ):
        try:
            ask()
            answers.append("ok")
        except Exception as error:
            answers.append((type(error).__name__, error.response.status_code))
    return answers


@pytest.mark.parametrize(
    ("settings", "token", "answers"),
    [
        ({}, None, ["ok", "ok", ("HfHubHTTPError", 401)]),
        ({"private": True}, None, 3 * [("RepositoryNotFoundError", 401)]),
        ({"private": True}, "hf_reader", 3 * [("RepositoryNotFoundError", 404)]),
        ({"gated": True}, None, ["ok", ("GatedRepoError", 401), ("HfHubHTTPError", 401)]),
        ({"gated": True}, "hf_reader", ["ok", ("GatedRepoError", 403), ("HfHubHTTPError", 403)]),
        ({"gated": True, "accepted": {"reader"}}, "hf_reader", ["ok", "ok", ("HfHubHTTPError", 403)]),
        ({}, "hf_unknown", ["ok", "ok", "ok"]),
    ],
)
def test_who_may_read_and_write(hub, clients, settings, token, answers):
    repo_id = f"you/things-{abs(hash((str(settings), token)))}"  # none that is in the cache
    hub.add("dataset", repo_id, **settings).add(a=b"a")
    if token == "hf_unknown":
        answers = 3 * [("HfHubHTTPError", 401)]
    assert clients.call(outcome, repo_id, "a", token=token).value == answers


def download(repo_id, path):
    listed = [item.path for item in HfApi().list_repo_tree(repo_id, repo_type="dataset")]
    return path in listed, Path(hf_hub_download(repo_id, path, repo_type="dataset")).read_bytes()


def test_failures_on_request(hub, clients):
    hub.add("dataset", "you/flaky").add(**{"a.bin": b"12345"})
    hub.fail("GET .*/tree/", 429, Retry_After="0")
    hub.drop("GET /lfs/download")
    result = clients.call(download, "you/flaky", "a.bin")
    assert result.value == (True, b"12345"), result.output
    assert "Rate limited" in result.output
