"""What a revision of a dataset repository holds: its shards, and the files that describe them."""

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils.sha import git_hash

from luab_data.build.manifest import REJECTS, SHARDS, SUMMARY
from luab_data.build.raw import configuration

MAX_SUMMARY_BYTES = 16 << 20

Files = dict[str, RepoFile]  # by path


def files_of(api: HfApi, repo: dict[str, Any], revision: str) -> Files:
    """The files of a revision; none if there is no such revision."""
    try:
        entries = list(api.list_repo_tree(**repo, recursive=True, revision=revision))
    except RevisionNotFoundError:
        return {}
    return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}


def shards_of(files: Files) -> dict[str, str]:
    """SHA-256 of each shard, by name."""
    return {
        path: file.lfs.sha256
        for path, file in files.items()
        if file.lfs is not None and SHARDS.fullmatch(path)
    }


def content_of(files: Files) -> dict[str, str]:
    """What tells whether the dataset is the same: a hash of each file but the card and the list of sums."""
    described = {path: files[path].blob_id for path in (SUMMARY, REJECTS) if path in files}
    return {**shards_of(files), **described}


def is_same(file: RepoFile | None, content: bytes) -> bool:
    """Whether a file has this content."""
    if file is None:
        return False
    if file.lfs is not None:
        return file.lfs.sha256 == hashlib.sha256(content).hexdigest()
    return file.blob_id == git_hash(content)


def config_of(api: HfApi, repo: dict[str, Any], files: Files) -> str | None:
    """The configuration of the release in `files`, those of main; None if no readable summary names it."""
    if SUMMARY not in files or files[SUMMARY].size > MAX_SUMMARY_BYTES:
        return None
    with TemporaryDirectory() as folder:
        path = api.hf_hub_download(**repo, filename=SUMMARY, local_dir=folder)
        try:
            return configuration(json.loads(Path(path).read_bytes())["arguments"]["config"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
