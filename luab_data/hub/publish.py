"""A build -> a release of a dataset repository on the Hub, uploaded while the build runs.

Shards are committed in batches to a separate branch. When all are there, one commit moves them to main
together with the card, and a tag names the version. So main never has an incomplete dataset, uploads survive
a kill, and a shard that is already there, by name and SHA-256, is not uploaded again.
"""

import hashlib
import re
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from datasets.utils.logging import get_logger
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
)
from huggingface_hub.hf_api import RepoFile

from luab_data.build.card import PATH_OR_ID
from luab_data.build.manifest import DESCRIPTIONS, REJECTS, SUMMARY, Manifest
from luab_data.build.raw import FULL
from luab_data.console.text import counted
from luab_data.errors import SourceError
from luab_data.files.fingerprint import without_states
from luab_data.files.sums import CARD, SUMS, format_sums
from luab_data.hub.retry import patiently
from luab_data.hub.revisions import config_of, content_of, files_of, is_same, shards_of
from luab_data.hub.upload_errors import upload_errors

BRANCH = "luab-upload"  # where the shards of an unfinished release are
SHARDS_PER_COMMIT = 25  # about 3 GB with images; as many may wait on disk during an upload
_VERSION = re.compile(r"v(\d+)")

logger = get_logger(__name__)


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

    `open` creates the repository if needed, private unless `public`. An existing one keeps its visibility,
    which must match `public` or `private` if one is given, and its configuration `config`. An uploaded shard
    is deleted from this disk unless `keep`, and unless its build was finished before.

    Raises `SourceError` for images in a public repository (see `require_publishable`), and in any later call
    without access or after an upload failed.
    """

    def __init__(
        self,
        repo_id: str,
        public: bool = False,
        private: bool = False,
        config: str = FULL,
        may_publish_images: bool = False,
        keep: bool = False,
    ):
        require_publishable(public, config == FULL, may_publish_images)
        self._api = HfApi()
        self._repo_id = repo_id
        self._public, self._private = public, private
        self._config = config
        self._may_publish_images = may_publish_images
        self._keep = keep
        self._taken = False
        self._batch: list[_Shard] = []
        self._upload: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1)
        self._repo: dict[str, Any] = {"repo_id": repo_id, "repo_type": "dataset"}

    def open(self) -> None:
        """Creates the repository, or checks the existing one."""
        with upload_errors(self._repo_id):
            made = self._api.create_repo(**self._repo, private=not self._public, exist_ok=True)
            self._repo["repo_id"] = made.repo_id
            self._api.auth_check(**self._repo, write=True)  # create_repo does not always ask
            is_public = not self._api.dataset_info(made.repo_id).private
            main = files_of(self._api, self._repo, "main")
            config = config_of(self._api, self._repo, main)
            self._on_main = shards_of(main)
            self._on_branch = shards_of(files_of(self._api, self._repo, BRANCH))
        require_publishable(is_public, self._config == FULL, self._may_publish_images)
        if (self._private and is_public) or (self._public and not is_public):
            there, asked = ("public", "--private") if is_public else ("private", "--public")
            raise SourceError(
                f"--push-to-hub {self._repo_id}: this repository is {there} already. Leave {asked} out, "
                f"change it at {self.address}/settings, or name another repository."
            )
        if config not in (None, self._config):
            raise SourceError(
                f"--push-to-hub {self._repo_id}: this repository holds the configuration {config!r}, which "
                f"{self._config!r} would replace. Name another repository."
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
        """Releases a finished build and returns its version.

        Unchanged content (all but the card) makes no commit and no tag.
        """
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
        with upload_errors(self._repo_id):
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
            with upload_errors(self._repo_id):
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
        main = files_of(self._api, self._repo, "main")
        self._on_main = shards_of(main)
        self._on_branch = shards_of(files_of(self._api, self._repo, BRANCH))
        changed = [name for name, sha256 in manifest.shards.items() if self._on_main.get(name) != sha256]
        foreign = [name for name in changed if self._on_branch.get(name) != manifest.shards[name]]
        if foreign:
            raise SourceError(
                f"{self.address}: {foreign[0]} on the branch {BRANCH} is not this build's. Another build is "
                "being pushed there: let it end, remove the folder, and run this one again."
            )
        old = sorted(self._on_main.keys() - manifest.shards.keys())
        texts = self._texts(out, manifest)
        head = self._api.dataset_info(self._repo["repo_id"]).sha or "main"
        last = self._last_version()
        released = {} if last is None else files_of(self._api, self._repo, last)
        if (
            not changed
            and not old
            and all(is_same(main.get(name), texts[name]) for name in (SUMMARY, REJECTS))
        ):
            if last is not None and content_of(released) == content_of(main):
                return last
            return self._tag(head)  # a run that was killed before it did
        if CARD in main and not is_same(main[CARD], texts[CARD]):
            self._say_if_edited(main[CARD], released.get(CARD), last, head)
        operations: list[CommitOperationCopy | CommitOperationDelete | CommitOperationAdd]
        operations = [CommitOperationCopy(name, name, src_revision=BRANCH) for name in changed]
        operations += [CommitOperationDelete(name) for name in old]
        operations += [CommitOperationAdd(name, content) for name, content in texts.items()]
        commit = self._api.create_commit(
            **self._repo, operations=operations, commit_message=counted(manifest.rows, "row")
        )
        return self._tag(commit.oid)

    def _texts(self, out: Path, manifest: Manifest) -> dict[str, bytes]:
        """The files beside the shards, as they are published."""
        texts = {}
        sums = dict(manifest.shards)
        for name in DESCRIPTIONS:
            content = (out / name).read_text(encoding="utf-8")
            if name != REJECTS:
                content = without_states(content)
            texts[name] = content.encode()
            sums[name] = hashlib.sha256(texts[name]).hexdigest()
        card = (out / CARD).read_text(encoding="utf-8").replace(PATH_OR_ID, self._repo["repo_id"])
        return {**texts, CARD: without_states(card).encode(), SUMS: format_sums(sums).encode()}

    def _say_if_edited(self, card: RepoFile, released: RepoFile | None, last: str | None, head: str) -> None:
        """Reports a card that people wrote, which the release replaces."""
        if released is None or released.blob_id != card.blob_id:
            since = "is not of a release" if last is None else f"was edited since {last}"
            logger.warning(
                f"{self.address}: {CARD} there {since}, and this release replaces it. That one stays at "
                f"{self.address}/blob/{head}/{CARD}"
            )

    def _versions(self) -> dict[int, str]:
        """The commit of each version, by number."""
        tags = self._api.list_repo_refs(**self._repo).tags
        return {int(match[1]): tag.target_commit for tag in tags if (match := _VERSION.fullmatch(tag.name))}

    def _last_version(self) -> str | None:
        return f"v{max(versions)}" if (versions := self._versions()) else None

    def _tag(self, commit: str) -> str:
        """The version of this commit: its tag, or the next number."""
        versions = self._versions()
        for number, tagged in versions.items():
            if tagged == commit:
                return f"v{number}"
        version = f"v{max(versions, default=0) + 1}"
        self._api.create_tag(**self._repo, tag=version, revision=commit)
        return version

    def _remove_branch(self) -> None:
        if any(branch.name == BRANCH for branch in self._api.list_repo_refs(**self._repo).branches):
            self._api.delete_branch(**self._repo, branch=BRANCH)


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
