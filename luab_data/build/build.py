"""Pairs of images and byproducts -> a folder of Parquet shards that any `load_dataset` opens.

The items of a join (pairs and rejects) are cut into shards of a fixed number of items. A shard is written to
a temporary file and renamed, and its counts follow in the same way. So after a kill at any point, a shard
with counts is complete, and the others are repeated. Items always come in the same order, so a resumed build
with any number of workers gives the same files.

    OUT/data/train-00000.parquet ...   OUT/rejects.jsonl   OUT/summary.json   OUT/README.md
    OUT/.build/                        plan.json, one JSON per finished shard; removed at the end of the build

Finished shards may be uploaded: see `ShardStore`.
"""

import itertools
import json
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Features
from datasets.utils.logging import get_logger

from luab_data.build.batches import ROWS_PER_BATCH, Batch, LoadedItem, MakeBatch, groups
from luab_data.build.failed import Reasons, failure
from luab_data.build.finished import FINISHED, REMADE, finished_build
from luab_data.build.join import Found, Pair
from luab_data.build.manifest import DESCRIPTIONS, REJECTS, SHARDS, SUMMARY, Manifest, ShardStore, shard_name
from luab_data.build.ordered_map import OrderedMap
from luab_data.build.shards import ShardWriter
from luab_data.build.state import BuildState, open_state
from luab_data.build.verify import write_dataset_sums
from luab_data.console.bars import Progress, progress
from luab_data.errors import INTERNAL_ERROR, SourceError
from luab_data.files.durable import file_sha256, put, replacing, sync, write_json
from luab_data.files.sums import CARD
from luab_data.sources.entries import Reject

INTERNAL_ERRORS = "rejected for an internal error"  # a count in the manifest, if there are any

logger = get_logger(__name__)


def build(
    items: Iterable[Pair | Reject],
    make_batch: MakeBatch,
    features: Features,
    out: str | Path,
    arguments: dict[str, Any],
    made_by: dict[str, str],
    found: Found,
    ignored: Callable[[], dict[str, int]],
    card: Callable[[Manifest], str],
    rows_per_shard: int = 1000,
    rows_per_group: int = ROWS_PER_BATCH,
    ordered_map: OrderedMap = map,
    store: ShardStore | None = None,
) -> Manifest:
    """Builds the dataset folder `out`, or resumes a killed build.

    `arguments` (JSON-able) determine the rows: a later run into the same folder must have the same. What
    resumes a build must also have the same `made_by`, the code's version; a finished one may be older. `join`
    fills the counter `found` while `items` are consumed; `ignored` returns the sources' counts by role at the
    end. `ordered_map` makes the rows, here or with other workers: see `luab_data.build.workers`. `store` gets
    each finished shard. A finished shard whose bytes have changed is built again.

    Raises `SourceError` if the folder is of another build, or if the build failed because no entry of a
    source is in a row. Raises `RuntimeError` if counts do not add up.
    """
    out = Path(out)
    arguments = json.loads(json.dumps({**arguments, "rows_per_shard": rows_per_shard}))
    maker = _ShardMaker(items, make_batch, features, rows_per_shard, rows_per_group, ordered_map)
    finished = finished_build(out, arguments, store)
    if finished is not None:
        _remake_damaged(out, finished, maker)
        if not (out / CARD).exists():
            _write_card(out, card(finished))
        return finished
    if store is not None:
        store.open()
    with open_state(out, arguments | made_by) as state:
        for shard, batches in maker.shards(lambda shard: state.is_finished(shard, store)):
            counts = _make_shard(state, shard, batches, features)
            if store is not None and counts["rows"]:
                store.add(out / shard_name(shard), shard_name(shard), counts["sha256"])
        manifest = _finish(state, found, ignored(), arguments, card)
        done = out / FINISHED
        state.folder.rename(done)  # from here on the build is finished, even if the removal is killed
        sync(out)
    shutil.rmtree(done)
    return manifest


@dataclass(frozen=True)
class _Task:
    shard: int
    make_batch: MakeBatch
    schema: pa.Schema
    items: list[LoadedItem]


def _run_task(task: _Task) -> tuple[int, Batch]:
    return task.shard, task.make_batch(task.items, task.schema)


@dataclass(frozen=True)
class _ShardMaker:
    """Cuts the items into shards; the workers make their batches."""

    items: Iterable[Pair | Reject]
    make_batch: MakeBatch
    features: Features
    rows_per_shard: int
    rows_per_group: int
    ordered_map: OrderedMap

    def shards(self, is_finished: Callable[[int], bool]) -> Iterator[tuple[int, Iterator[Batch]]]:
        """The number and the batches of each shard that is not finished."""
        results = self.ordered_map(_run_task, self._tasks(is_finished))
        with progress(None, "rows", "rows", unit_scale=True) as bar:
            for shard, of_shard in itertools.groupby(results, key=itemgetter(0)):
                yield shard, self._counted((batch for _, batch in of_shard), bar)

    def _counted(self, batches: Iterator[Batch], bar: Progress) -> Iterator[Batch]:
        for batch in batches:
            yield batch
            bar.update(batch.table.num_rows)

    def _tasks(self, is_finished: Callable[[int], bool]) -> Iterator[_Task]:
        """Skips the items of finished shards without reading them."""
        items = iter(self.items)
        schema = self.features.arrow_schema
        for shard in itertools.count():
            of_shard = itertools.islice(items, self.rows_per_shard)
            if is_finished(shard):
                if not deque(of_shard, maxlen=1):
                    return
                continue
            empty = True
            for group in groups(of_shard, self.rows_per_group):
                empty = False
                yield _Task(shard, self.make_batch, schema, group)
            if empty:
                return


def _make_shard(
    state: BuildState, shard: int, batches: Iterable[Batch], features: Features
) -> dict[str, Any]:
    """Writes one shard and then its counts, which it returns. A shard without rows has counts only."""
    rejects: list[Reject] = []
    used: Counter[str] = Counter()
    facts: Counter[str] = Counter()
    unfinished = state.unfinished(shard)
    with ShardWriter(unfinished, features) as writer:
        for batch in batches:
            writer.write(batch.table)
            rejects.extend(batch.rejects)
            used.update(batch.used)
            facts.update(batch.facts)
    place = state.out / shard_name(shard)
    if writer.rows:
        place.parent.mkdir(exist_ok=True)
        put(unfinished, place)
    counts = {
        "rows": writer.rows,
        "table_bytes": writer.table_bytes,
        "file_bytes": place.stat().st_size if writer.rows else 0,
        "sha256": file_sha256(place) if writer.rows else None,
        "used": used,
        "facts": facts,
        "rejects": [asdict(reject) for reject in rejects],
    }
    state.record(shard, counts)
    return counts


def _finish(
    state: BuildState,
    found: Found,
    ignored: dict[str, int],
    arguments: dict[str, Any],
    card: Callable[[Manifest], str],
) -> Manifest:
    """Adds up the shards, checks the counts, and writes the files that describe the whole."""
    out, shards, reasons = state.out, {}, Reasons()
    used: Counter[str] = Counter()
    facts: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    with replacing(out / REJECTS) as lines:
        for shard, counts in state.counts():
            used.update(counts["used"])
            facts.update(counts["facts"])
            totals.update({key: counts[key] for key in ("rows", "table_bytes", "file_bytes")})
            if counts["rows"]:
                shards[shard_name(shard)] = counts["sha256"]
            rejects = [Reject(**reject) for reject in counts["rejects"]]
            reasons.add(rejects)
            for reject in rejects:
                rejected[reject.source] += 1
                if reject.reason.startswith(INTERNAL_ERROR):
                    facts[INTERNAL_ERRORS] += 1
                lines.write(json.dumps(asdict(reject)) + "\n")
    roles = sorted(found.keys() | ignored.keys())
    _require_sums(out, found, used, rejected)
    failed = failure(roles, found, used, ignored, reasons)
    if failed is not None:
        state.forget()  # the rejects stay; another command may start in the folder
        raise SourceError(f"the build failed: {failed} {out / REJECTS} lists each one with its reason.")
    manifest = Manifest(
        rows=totals["rows"],
        shards=shards,
        table_bytes=totals["table_bytes"],
        file_bytes=totals["file_bytes"],
        found={role: found[role] for role in roles},
        used={role: used[role] for role in roles},
        rejected={role: rejected[role] for role in roles},
        ignored={role: ignored.get(role, 0) for role in roles},
        facts=dict(sorted(facts.items())),
        arguments=arguments,
    )
    _write_card(out, card(manifest))
    write_json(out / SUMMARY, asdict(manifest))
    write_dataset_sums(out, shards, DESCRIPTIONS)
    return manifest


def _require_sums(out: Path, found: Found, used: Counter[str], rejected: Counter[str]) -> None:
    for role, number in found.items():
        if number != used[role] + rejected[role]:
            raise RuntimeError(
                f"{out}: the {role} do not add up: {number:,} found, {used[role]:,} in rows, "
                f"{rejected[role]:,} rejected. The sources changed during the build, or this is a bug: "
                "remove the folder and build again."
            )


def _write_card(out: Path, text: str) -> None:
    with replacing(out / CARD) as file:
        file.write(text)


def _remake_damaged(out: Path, manifest: Manifest, maker: _ShardMaker) -> None:
    """Rebuilds the shards of a finished build whose bytes no longer match the recorded SHA-256."""
    damaged = {
        name
        for name, sha256 in manifest.shards.items()
        if (out / name).exists() and file_sha256(out / name) != sha256
    }
    if not damaged:
        return
    logger.warning(f"{out}: damaged since they were built, and made again: {', '.join(sorted(damaged))}.")
    numbers = {int(match[1]) for name in damaged if (match := SHARDS.fullmatch(name))}
    folder = out / REMADE
    folder.mkdir()
    state = BuildState(folder, folder)
    for shard, batches in maker.shards(lambda shard: shard not in numbers):
        name = shard_name(shard)
        if _make_shard(state, shard, batches, maker.features)["sha256"] != manifest.shards[name]:
            raise SourceError(
                f"{out / name} is damaged, and cannot be made again: this version makes other rows of "
                "the same files. Remove the folder and build it again."
            )
        put(folder / name, out / name)
    shutil.rmtree(folder)
