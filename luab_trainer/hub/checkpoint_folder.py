"""The folder of a checkpoint, where files of an earlier run and of other people may be."""

from collections.abc import Iterator
from pathlib import Path

from transformers.trainer import (
    FSDP_MODEL_NAME,
    OPTIMIZER_NAME,
    SCALER_NAME,
    SCHEDULER_NAME,
    TRAINER_STATE_NAME,
)

from luab_data.files.sums import SUMS, listed_files, remove_files, remove_listed, unlisted, write_sums
from luab_trainer.averaging import TRAINED_FILE
from luab_trainer.hub.upload import FILES
from luab_trainer.plan import PLAN_FILE
from luab_trainer.said import say

# What runs write into a checkpoint, as patterns of paths; FSDP and DeepSpeed have names of their own.
OF_RUNS = (
    *FILES, SUMS, PLAN_FILE, TRAINED_FILE, TRAINER_STATE_NAME, OPTIMIZER_NAME, SCHEDULER_NAME, SCALER_NAME,
    "rng_state*.pth", f"{FSDP_MODEL_NAME}*", "optimizer.bin", "global_step*/*.pt",
)  # fmt: skip


class CheckpointFolder:
    """Makes room for a checkpoint, and lists its files with their sums.

    What an earlier run left goes, also that of a run which was killed before it had its list. Other files
    stay, and are not listed: what is listed is removed when the checkpoint is written again.
    """

    def __init__(self) -> None:
        self._others: dict[Path, int] = {}  # when they were written

    def empty(self, folder: Path) -> None:
        """Removes what runs have written into the folder, which is made if it is not there."""
        remove_listed(folder)
        left = {file.relative_to(folder).as_posix() for name in OF_RUNS for file in folder.glob(name)}
        remove_files(folder, left)
        folder.mkdir(parents=True, exist_ok=True)
        self._others = dict(_files(folder))

    def sum_up(self, folder: Path) -> None:
        """Writes `SHA256SUMS` of the files that were written since."""
        others = self._others.items()
        own = (
            file.relative_to(folder).as_posix() for file, time in _files(folder) if (file, time) not in others
        )
        write_sums(folder, own)
        for name in unlisted(folder, listed_files(folder)):
            say(
                f"{folder / name} is not of this run: move it away, or else the checkpoint counts as damaged."
            )


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.stat().st_mtime_ns
