"""`OUT/.build`, the state of an unfinished build: its plan, and the counts of each finished shard.

Everything in it is checked. If a plan, counts or a shard's bytes are damaged, the affected shards are built
again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datasets.utils.logging import get_logger
from filelock import FileLock, Timeout

from luab_data.build.manifest import ShardStore, shard_files, shard_name
from luab_data.errors import SourceError
from luab_data.files.durable import file_sha256, read_sealed, write_sealed

STATE = ".build"

logger = get_logger(__name__)


class BuildState:
    """The state folder `folder` of the build of `out`."""

    def __init__(self, out: Path, folder: Path):
        self.out = out
        self.folder = folder

    def unfinished(self, shard: int) -> Path:
        """The temporary file of a shard."""
        return self.folder / f"{shard:05d}.parquet"

    def record(self, shard: int, counts: dict[str, Any]) -> None:
        """Marks a shard as finished: `counts` has its `rows`, and its `sha256` if it has rows."""
        write_sealed(self._file(shard), counts)

    def counts(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The number and the counts of each finished shard."""
        for path in self._files():
            counts = read_sealed(path)
            if counts is None:
                raise SourceError(f"{path} was damaged during the build: run the same command again.")
            yield int(path.stem), counts

    def is_finished(self, shard: int, store: ShardStore | None) -> bool:
        """Whether a shard is finished.

        It is in OUT, byte for byte, and is offered to the store; or the store has it.
        """
        if not self._file(shard).exists():
            return False
        counts = read_sealed(self._file(shard))
        if counts is None:
            logger.warning(f"{self._file(shard)} is damaged: its shard is made again.")
            return False
        if not counts["rows"]:
            return True
        name, sha256 = shard_name(shard), counts["sha256"]
        if not (self.out / name).exists():
            return store is not None and store.holds(name, sha256)
        if file_sha256(self.out / name) != sha256:
            logger.warning(f"{self.out / name} is damaged (not the bytes that were written): made again.")
            return False
        if store is not None:
            store.add(self.out / name, name, sha256)
        return True

    def prepare(self, arguments: dict[str, Any]) -> None:
        """Checks that the state has the same arguments; removes useless state."""
        plan = self.folder / "plan.json"
        before = read_sealed(plan)
        kept = [counts for path in self._files() if (counts := read_sealed(path))]
        if not any(counts["rows"] for counts in kept):
            self.forget()  # nothing to keep: other arguments may start here
        elif before is None:
            logger.warning(f"{plan} is missing or damaged: all shards are made again.")
            self.forget()
        else:
            require_same(self.out, before, arguments)
        write_sealed(plan, arguments)

    def forget(self) -> None:
        """Removes all counts and shards. Those of an earlier plan would stay beside the new ones."""
        for path in (*self._files(), *shard_files(self.out)):
            path.unlink()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.json"))

    def _file(self, shard: int) -> Path:
        return self.folder / f"{shard:05d}.json"


@contextmanager
def open_state(out: Path, arguments: dict[str, Any]) -> Iterator[BuildState]:
    """The state of the build of `out`, locked against a second build.

    Raises SourceError if another process builds, or if the build has other arguments.
    """
    folder = out / STATE
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            state = BuildState(out, folder)
            state.prepare(arguments)
            yield state
    except Timeout:
        raise SourceError(f"out={str(out)!r}: another process builds into this folder.") from None


def require_same(out: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises SourceError for arguments that differ from those of the build in `out`."""
    differing = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if differing:
        lines = [f"  {key}: {before.get(key)!r} then, {now.get(key)!r} now" for key in differing]
        raise SourceError(
            f"out={str(out)!r} was built with other arguments, or from files or by code that changed since:\n"
            + "\n".join(lines)
            + "\nRun it with the same arguments, pass another folder, or remove this one."
        )
