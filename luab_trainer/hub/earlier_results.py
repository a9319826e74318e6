"""The results of an earlier model in the output folder: a new model must not be published with them."""

from pathlib import Path

from luab_trainer.metrics.multi_label import CLASSES_FILE

RESULTS_FILE = "eval_results.json"  # by `Trainer.save_metrics`
RESULT_FILES = (RESULTS_FILE, CLASSES_FILE)


class EarlierResults:
    """The result files that are there before a training, to be removed when it saves its model."""

    def __init__(self) -> None:
        self._times: dict[Path, int] = {}

    def note(self, folder: Path) -> None:
        """Notes the files that are there now."""
        files = (folder.resolve() / name for name in RESULT_FILES)
        self._times = {file: file.stat().st_mtime_ns for file in files if file.is_file()}

    def remove(self, folder: Path) -> None:
        """Removes the noted files of this folder, except those that were written since."""
        for file, time in list(self._times.items()):
            if file.parent == folder.resolve():
                if file.is_file() and file.stat().st_mtime_ns == time:
                    file.unlink()
                del self._times[file]
