"""A build -> a release of a dataset repository on the Hub, uploaded while the build runs.

Shards are committed in batches to a separate branch. When all are there, one commit moves them to main
together with the card, and a tag names the version. So main never has an incomplete dataset, uploads survive
a kill, and a shard that is already there, by name and SHA-256, is not uploaded again.
"""

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
)
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile

from luab_data.build.card import PATH_OR_ID
from luab_data.build.manifest import DESCRIPTIONS, REJECTS, SHARDS, Manifest
from luab_data.console.text import counted
from luab_data.errors import SourceError
from luab_data.files.fingerprint import without_states
from luab_data.files.sums import CARD, SUMS, format_sums
from luab_data.hub.retry import patiently, reason

BRANCH = "luab-upload"  # where the shards of an unfinished release are
SHARDS_PER_COMMIT = 25  # about 3 GB with images; as many may wait on disk during an upload
_REFUSED = (401, 403, 404)
_VERSION = re.compile(r"v(\d+)")


def require_publishable(public: bool, with_images: bool, may_publish_images: bool) -> None:
    """Checks that a public dataset with images is intended.

    Raises:
        SourceError: the user has not confirmed the right to redistribute the images.
    """
    if public and with_images and not may_publish_images:
        raise SourceError(
            "ImageNet's and COCO's images may not be given away, so a dataset with images goes to "
            "a private repository. "
            "Leave --public out; publish the configuration `byproducts`, without images, instead; "
            "or, if you have the "
            "right to publish these images, add --i-may-publish-the-images."
        )


class Release:
    """The next version of a dataset repository; the `ShardStore` of its build. A context manager.

    The repository is created if needed, private unless `public`. An existing one keeps its visibility, which
    must match `public` or `private` if one is given. An uploaded shard is deleted from this disk unless
    `keep`, and unless its build was finished before.

    Raises `SourceError` without access, for images in a public repository (see `require_publishable`), and in
    any later call after an upload failed.
    """

    def __init__(
        self,
        repo_id: str,
        public: bool = False,
        private: bool = False,
        with_images: bool = True,
        may_publish_images: bool = False,
        keep: bool = False,
    ):
        require_publishable(public, with_images, may_publish_images)
        self._api = HfApi()
        self._keep = keep
        self._taken = False
        self._batch: list[_Shard] = []
        self._upload: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1)
        with _upload_errors(repo_id):
            made = self._api.create_repo(repo_id, repo_type="dataset", private=not public, exist_ok=True)
            self._repo: dict[str, Any] = {"repo_id": made.repo_id, "repo_type": "dataset"}
            self._api.auth_check(**self._repo, write=True)  # create_repo does not always ask
            is_public = not self._api.dataset_info(made.repo_id).private
            self._on_main = self._shards("main")
            self._on_branch = self._shards(BRANCH)
        require_publishable(is_public, with_images, may_publish_images)
        if (private and is_public) or (public and not is_public):
            there, asked = ("public", "--private") if is_public else ("private", "--public")
            raise SourceError(
                f"--push-to-hub {repo_id}: this repository is {there} already. Leave {asked} out, change it "
                f"at {self.address}/settings, or name another repository."
            )

    def __enter__(self) -> "Release":
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.shutdown()  # waits for a pending commit

    @property
    def address(self) -> str:
        """The dataset's page on the Hub."""
        return f"{self._api.endpoint}/datasets/{self._repo['repo_id']}"

    def holds(self, name: str, sha256: str) -> bool:
        """Whether this shard is uploaded."""
        return sha256 in (self._on_main.get(name), self._on_branch.get(name))

    def add(self, path: Path, name: str, sha256: str) -> None:
        """Uploads a shard in the background, in a batch with others."""
        self._taken = True
        self._add(_Shard(path, name, sha256))

    def finish(self, out: Path, manifest: Manifest) -> str:
        """Releases a finished build and returns its version. Unchanged content makes no commit."""
        self._send()
        self._wait()
        paths = {name: out / name for name in manifest.shards}
        if not self._taken and all(path.exists() for path in paths.values()):
            self._keep = True
        for name, sha256 in manifest.shards.items():
            if paths[name].exists() or not self.holds(name, sha256):
                self._add(_Shard(paths[name], name, sha256))
        self._send()
        self._wait()
        with _upload_errors(self._repo["repo_id"]):
            version = patiently(lambda: self._release(out, manifest), "release")
            if self._on_branch:
                patiently(self._remove_branch, "release")
        return version

    def _add(self, shard: "_Shard") -> None:
        if self.holds(shard.name, shard.sha256):
            self._remove(shard)
            return
        self._batch.append(shard)
        if len(self._batch) >= SHARDS_PER_COMMIT:
            self._send()

    def _send(self) -> None:
        """Starts the upload of the batch, after the one before."""
        self._wait()
        if self._batch:
            self._upload = self._thread.submit(self._commit, self._batch)
            self._batch = []

    def _wait(self) -> None:
        if self._upload is not None:
            with _upload_errors(self._repo["repo_id"]):
                self._upload.result()

    def _commit(self, batch: list["_Shard"]) -> None:
        title = f"{batch[0].name} to {batch[-1].name}" if len(batch) > 1 else batch[0].name

        def commit() -> None:
            self._api.create_branch(**self._repo, branch=BRANCH, exist_ok=True)
            additions = [_addition(shard) for shard in batch]
            self._api.create_commit(**self._repo, operations=additions, commit_message=title, revision=BRANCH)

        patiently(commit, title)
        for shard in batch:
            self._on_branch[shard.name] = shard.sha256
            self._remove(shard)

    def _remove(self, shard: "_Shard") -> None:
        if not self._keep:
            shard.path.unlink(missing_ok=True)

    def _release(self, out: Path, manifest: Manifest) -> str:
        self._on_main, self._on_branch = self._shards("main"), self._shards(BRANCH)
        changed = [name for name, sha256 in manifest.shards.items() if self._on_main.get(name) != sha256]
        foreign = [name for name in changed if self._on_branch.get(name) != manifest.shards[name]]
        if foreign:
            raise SourceError(
                f"{self.address}: {foreign[0]} on the branch {BRANCH} is not this build's. Another build is "
                "being pushed there: let it end, remove the folder, and run this one again."
            )
        operations: list[CommitOperationCopy | CommitOperationDelete | CommitOperationAdd]
        operations = [CommitOperationCopy(name, name, src_revision=BRANCH) for name in changed]
        old = sorted(self._on_main.keys() - manifest.shards.keys())
        operations += [CommitOperationDelete(name) for name in old]
        sums = dict(manifest.shards)
        for name in DESCRIPTIONS:
            content = (out / name).read_text(encoding="utf-8")
            if name == CARD:
                content = content.replace(PATH_OR_ID, self._repo["repo_id"])
            if name != REJECTS:
                content = without_states(content)
            sums[name] = hashlib.sha256(content.encode()).hexdigest()
            operations.append(CommitOperationAdd(name, content.encode()))
        operations.append(CommitOperationAdd(SUMS, format_sums(sums).encode()))
        commit = self._api.create_commit(
            **self._repo, operations=operations, commit_message=counted(manifest.rows, "row")
        )
        return self._tag(commit.oid)

    def _tag(self, commit: str) -> str:
        """The version of this commit: its tag, or the next number."""
        tags = self._api.list_repo_refs(**self._repo).tags
        numbers = {int(match[1]): tag for tag in tags if (match := _VERSION.fullmatch(tag.name))}
        for number, tag in numbers.items():
            if tag.target_commit == commit:
                return f"v{number}"
        version = f"v{max(numbers, default=0) + 1}"
        self._api.create_tag(**self._repo, tag=version, revision=commit)
        return version

    def _remove_branch(self) -> None:
        if any(branch.name == BRANCH for branch in self._api.list_repo_refs(**self._repo).branches):
            self._api.delete_branch(**self._repo, branch=BRANCH)

    def _shards(self, revision: str) -> dict[str, str]:
        """SHA-256 by name of the shards that a revision has."""
        try:
            entries = list(self._api.list_repo_tree(**self._repo, recursive=True, revision=revision))
        except RevisionNotFoundError:
            return {}
        return {
            entry.path: entry.lfs.sha256
            for entry in entries
            if isinstance(entry, RepoFile) and entry.lfs is not None and SHARDS.fullmatch(entry.path)
        }


class _Shard:
    def __init__(self, path: Path, name: str, sha256: str):
        self.path, self.name, self.sha256 = path, name, sha256


def _addition(shard: _Shard) -> CommitOperationAdd:
    """The upload of a shard; the client reads its file for the hash.

    Raises:
        SourceError: the file is no longer the one that was built.
    """
    addition = CommitOperationAdd(shard.name, shard.path)
    if addition.upload_info.sha256.hex() != shard.sha256:
        raise SourceError(
            f"{shard.path} is damaged (not the bytes that were written), and was not uploaded. Run the same "
            "command again: it is made again."
        )
    return addition


@contextmanager
def _upload_errors(repo_id: str) -> Iterator[None]:
    """Converts the Hub clients' errors into one that says what to do."""
    try:
        yield
    except HFValidationError as error:
        raise SourceError(f"--push-to-hub {repo_id!r} is no name of a repository: {reason(error)}") from error
    except (HTTPError, OSError, RuntimeError) as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code in _REFUSED:
            raise SourceError(
                f"--push-to-hub {repo_id}: the Hub refuses it: {reason(error)} Log in with `hf auth login` "
                "(or set HF_TOKEN) as a user who may write there, with a token that may write."
            ) from error
        raise SourceError(
            f"--push-to-hub {repo_id}: the upload stopped: {reason(error)} What is uploaded stays: run the "
            "same command again to resume."
        ) from error
