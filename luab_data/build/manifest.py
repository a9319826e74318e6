"""The manifest of a finished build: its files and counts."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from luab_data.build.released import shortfalls
from luab_data.console.text import counted
from luab_data.constants import TRAIN
from luab_data.files.fingerprint import without_states

SHARDS = re.compile(rf"data/{TRAIN}-(\d+)\.parquet")  # their names in a built folder
REJECTS = "rejects.jsonl"
SUMMARY = "summary.json"
DESCRIPTIONS = (SUMMARY, REJECTS)  # the files of a finished build beside the shards, SUMS and the card


class ShardStore(Protocol):
    """Receives finished shards, identified by their name in OUT and their SHA-256."""

    def open(self) -> None:
        """Prepares the store; called once the sources are found, before anything is built."""
        ...

    def holds(self, name: str, sha256: str) -> bool:
        """Whether the store has this shard; only then may it be missing in OUT."""
        ...

    def add(self, path: Path, name: str, sha256: str) -> None:
        """Stores a finished shard, possibly later; may delete the file once it is stored."""
        ...


INNER = "inner: "  # begins the names of facts that the builder sums up itself, so that no summary shows them


@dataclass(frozen=True)
class Manifest:
    """Counts of a finished build, by role.

    `found`, `used`, `rejected` and `ignored`; found = used + rejected.
    """

    rows: int
    shards: dict[str, str]  # SHA-256 by name
    table_bytes: int  # uncompressed, as `datasets` counts them
    file_bytes: int
    found: dict[str, int]
    used: dict[str, int]
    rejected: dict[str, int]
    ignored: dict[str, int]
    facts: dict[str, int]
    arguments: dict[str, Any]

    def shown_facts(self) -> dict[str, int]:
        """The facts for a summary."""
        return {name: number for name, number in self.facts.items() if not name.startswith(INNER)}

    def report(self) -> str:
        """The counts as a few lines of text."""
        shards = counted(len(self.shards), "shard")
        lines = [f"{counted(self.rows, 'row')} in {shards}, {self.file_bytes / 1e6:,.1f} MB"]
        for name, number in self.shown_facts().items():
            of_all = f" ({share(number, self.rows)})" if name.startswith("rows with") else ""
            lines.append(f"{name}: {number:,}{of_all}")
        for role in self.found:
            lines.append(
                f"{role}: {self.found[role]:,} found = {self.used[role]:,} in rows + "
                f"{self.rejected[role]:,} rejected ({share(self.used[role], self.found[role])} in rows); "
                f"{self.ignored[role]:,} others ignored"
            )
        if not self.arguments.get("classes"):
            places = {role: without_states(str(self.arguments.get(role))) for role in self.found}
            lines += shortfalls(places, self.found)
        return "\n".join(lines)


def share(part: int, whole: int) -> str:
    """`part` of `whole` in percent. 0.0 % only if there are none, 100.0 % only if all."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < part < whole:
        percent = min(max(percent, 0.1), 99.9)
    return f"{percent:.1f} %"


def shard_files(folder: Path) -> list[Path]:
    """All shards in a folder, of whichever build."""
    paths = sorted((folder / "data").glob("*.parquet"))
    return [path for path in paths if SHARDS.fullmatch(path.relative_to(folder).as_posix())]


def shard_name(number: int) -> str:
    """The path of a shard below the build's folder."""
    return f"data/{TRAIN}-{number:05d}.parquet"
