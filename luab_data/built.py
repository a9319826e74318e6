"""What a finished build is: its files, and their counts."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from luab_data.constants import TRAIN

SHARDS = re.compile(rf"data/{TRAIN}-\d+\.parquet")  # their names in a built folder
CARD = "README.md"
REJECTS = "rejects.jsonl"
DESCRIPTIONS = (CARD, "summary.json", REJECTS)  # the other files of a finished build


class ShardStore(Protocol):
    """Where shards go as they are finished, known by their name in OUT and their SHA-256."""

    def holds(self, name: str, sha256: str) -> bool:
        """Whether this very shard has arrived there; only then may it be missing in OUT."""
        ...

    def add(self, path: Path, name: str, sha256: str) -> None:
        """Takes a finished shard over, sooner or later; may remove the file once it has arrived."""
        ...


@dataclass(frozen=True)
class Summary:
    """Counts of a finished build: `found`, `used`, `rejected` and `ignored` by role; found = used +
    rejected.
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
    arguments: dict

    def report(self) -> str:
        """A few lines for people."""
        lines = [f"{self.rows:,} rows in {len(self.shards):,} shards, {self.file_bytes / 1e6:,.1f} MB"]
        lines += [f"{name}: {number:,}" for name, number in self.facts.items()]
        for role in self.found:
            lines.append(
                f"{role}: {self.found[role]:,} found = {self.used[role]:,} in rows + "
                f"{self.rejected[role]:,} rejected; "
                f"{self.ignored[role]:,} other files ignored"
            )
        return "\n".join(lines)


def shard_name(number: int) -> str:
    return f"data/{TRAIN}-{number:05d}.parquet"


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
