"""Uploads checkpoints to the Hub: which files, and what happens if an upload fails."""

import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, HfApi
from huggingface_hub.errors import HTTPError
from transformers.utils.logging import get_logger

from luab_data.errors import SourceError
from luab_data.files.sums import SUMS, listed_files, require_undamaged
from luab_data.hub.retry import patiently, reason
from luab_trainer.config import LUABConfig
from luab_trainer.hub.checkpoint import HEAD_FILE
from luab_trainer.hub.earlier_results import RESULT_FILES
from luab_trainer.lora import ADAPTER_FILES, ADAPTER_FOLDER
from luab_trainer.public_names import public_options
from luab_vision.processors import PROCESSOR_FILE

# The files of a model repository: no pickle (the optimizer's state is one), and no other files of the folder.
FILES = (
    "README.md", "config.json", PROCESSOR_FILE,
    "model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json",
    *ADAPTER_FILES, HEAD_FILE, "training_args.json", *RESULT_FILES,
)  # fmt: skip
AFTER_TRAINING = ("README.md", *RESULT_FILES)  # the FILES that change after training
STAGED = "_upload"  # folder in the output folder

logger = get_logger(__name__)


class Uploads:
    """Uploads to one model repository, one after the other.

    Args:
        repo_id: The repository, which is there; its branch `args.hub_revision` is made here.
        token: Of who asks for access; default: `args.hub_token`.

    Raises:
        HTTPError: this user may not write there, or there is no connection.
    """

    def __init__(self, repo_id: str, args: LUABConfig, token: str | None = None):
        self.repo_id = repo_id
        self._staged = Path(args.output_dir, STAGED)
        shutil.rmtree(self._staged, ignore_errors=True)  # of a run that was killed
        self._token, self._revision = args.hub_token, args.hub_revision
        self._api = HfApi()
        token = token or args.hub_token
        self._api.auth_check(repo_id, token=token, write=True)
        if args.hub_revision is not None:
            self._api.create_branch(repo_id, branch=args.hub_revision, token=token, exist_ok=True)

    def start(self, folder: Path, message: str) -> Future[CommitInfo]:
        """Uploads a checkpoint in the background. A failure is a warning: the next save has all files."""
        staged = self._staged / folder.name
        try:
            _stage(folder, staged)
            upload = self._api.run_as_future(self._upload, staged, model_files(staged), message)
        except OSError as error:
            upload = Future()
            upload.set_exception(error)
        upload.add_done_callback(lambda done: self._settle(done, staged))
        return upload

    def finish(self, folder: Path, message: str | None) -> CommitInfo:
        """Uploads the final model and waits for it; retries if the server is busy.

        Raises:
            SourceError: a file is damaged, or the upload failed; the model is then on this disk.
        """
        require_undamaged(
            folder, f"{folder} is not uploaded", "Save the model again from its last checkpoint."
        )
        try:
            names = [*published_files(folder), SUMS]
            return patiently(lambda: self._upload(folder, names, message), f"upload to {self.repo_id}")
        except (HTTPError, OSError, RuntimeError, ValueError) as error:
            raise SourceError(
                f"the model is in {folder}, but its upload to {self.repo_id} failed: {reason(error)} Run the "
                "same command with --resume_from_checkpoint true, or upload it with "
                f"`hf upload {self.repo_id} {folder} --exclude 'checkpoint-*/*'`."
            ) from error

    def _upload(self, folder: Path, names: list[str], message: str | None) -> CommitInfo:
        """Uploads these files. Those that only an earlier model had are deleted: its history keeps them."""
        return self._api.upload_folder(
            repo_id=self.repo_id, token=self._token, revision=self._revision,
            folder_path=folder, allow_patterns=names, ignore_patterns=["checkpoint-*/*"],
            delete_patterns=[*FILES, SUMS], commit_message=message,
        )  # fmt: skip

    def _settle(self, done: Future[CommitInfo], staged: Path) -> None:
        shutil.rmtree(staged, ignore_errors=True)
        error = None if done.cancelled() else done.exception()
        if error is not None:
            logger.warning(
                f"{staged.name} was not uploaded to {self.repo_id}: {reason(error)} Training continues; the "
                "next save is uploaded in full."
            )


@contextmanager
def repository_errors(repo_id: str | None) -> Iterator[None]:
    """Turns the errors of making a model repository into a SourceError that says how to get access."""
    try:
        yield
    except (HTTPError, OSError) as error:
        raise SourceError(
            f"--push_to_hub: the Hub gives no access to {repo_id or 'a new repository'}: "
            f"{reason(error)} Log in with `hf auth login` (or set HF_TOKEN) as one who may write there."
        ) from error


def public_arguments(args: LUABConfig, others: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The training arguments for publication, after `others`.

    Without tokens, and with folder names instead of paths.
    """
    return public_options(others or {}) | args.to_dict()


def model_files(folder: Path) -> list[str]:
    """The files below a model's folder whose names are those of a model."""
    paths = [*folder.iterdir(), *Path(folder, ADAPTER_FOLDER).glob("*")]
    names = [path.relative_to(folder).as_posix() for path in paths]
    return [name for name in names if any(fnmatch(name, pattern) for pattern in FILES)]


def signed_files(folder: Path, adapted: bool, processed: bool) -> list[str]:
    """Those of a model that was just saved, for `SHA256SUMS`.

    Args:
        folder: Where it was saved.
        adapted: Whether it has an adapter; else one that is there is another model's.
        processed: The same of an image processor.
    """
    others = {*AFTER_TRAINING, *(() if adapted else ADAPTER_FILES), *(() if processed else (PROCESSOR_FILE,))}
    return [name for name in model_files(folder) if name not in others]


def published_files(folder: Path) -> list[str]:
    """Those in its `SHA256SUMS`, and those that are written later: others were not saved with the model."""
    own = {*listed_files(folder), *AFTER_TRAINING}
    return [name for name in model_files(folder) if name in own]


def _stage(folder: Path, staged: Path) -> None:
    """Links the files to upload, so that the checkpoint may be deleted in the meantime."""
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for name in published_files(folder):
        (staged / name).parent.mkdir(exist_ok=True)
        _link(folder / name, staged / name)


def _link(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError:  # no hard links on this file system
        shutil.copy2(file, target)
