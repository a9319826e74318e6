"""The uploads of a training run: checkpoints while it trains, and the final model."""

from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo
from transformers.utils import PushInProgress

from luab_trainer.adapters.hf_trainer import OpenTrainer
from luab_trainer.hub.upload import Uploads, repository_errors


class UploadingTrainer(OpenTrainer):
    """`Trainer`, whose uploads are plain checkpoints in one repository (see `Uploads`)."""

    def init_hf_repo(  # type: ignore[override]  # the other arguments are passed on
        self, token: str | None = None, **options: bool | None
    ) -> None:
        """Makes the repository before training starts.

        Raises:
            SourceError: no access, or no connection.
        """
        with repository_errors(self.args.hub_model_id):
            super().init_hf_repo(token, **options)
            if self.is_world_process_zero():
                repository: Any = self.hub_model_id  # which `Trainer` has set
                self._uploads = Uploads(repository, self.args, token)
                self.args.hub_model_id = repository  # with its owner, for the card

    def upload_checkpoint(self, folder: Path) -> None:
        """Upload a checkpoint while training goes on, unless the last one is still on its way."""
        running = self.push_in_progress
        busy = running is not None and not running.is_done()
        if running is None or not busy:
            running = self.push_in_progress = PushInProgress()
        if not busy or self.args.hub_always_push:
            message = f"Training in progress, step {self.state.global_step}"
            jobs: Any = running.jobs  # a list, for all its annotation
            jobs.append(self._uploads.start(folder, message))

    def push_to_hub(  # type: ignore[override]  # None in other processes, as of `Trainer`
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> CommitInfo | None:
        """Saves the model and uploads it, after the checkpoints. Called by all processes; always `blocking`.

        Raises:
            SourceError: the upload failed; the model is saved on disk.
        """
        if token not in (None, self.args.hub_token) or revision not in (None, self.args.hub_revision):
            raise ValueError("set hub_token and hub_revision in the config: all uploads go to one place.")
        if self.hub_model_id is None:
            self.init_hf_repo(private=private)
        self.save_final_model()
        if not self.is_world_process_zero():
            return None
        self.wait_for_uploads()
        return self._uploads.finish(Path(self.args.output_dir), commit_message)
