"""Pairs of images and byproducts -> a folder of Parquet shards that `load_dataset` opens without code of
ours.

The items of a join (pairs and rejects) are cut into shards of a fixed number of items. A shard is written
beside its place and renamed, then its counts are; whatever is killed, a shard with counts is whole, and the
others are made again. Items come in the same order each time, so that a build in two pieces, with any
number of workers, gives the same files.

    OUT/data/train-00000.parquet ...   OUT/rejects.jsonl   OUT/summary.json   OUT/README.md
    OUT/.build/                        plan.json, one JSON a finished shard; gone when the build is finished

Shards may go elsewhere as they are finished: see `ShardStore`.
"""

import itertools
import json
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
from datasets import Features
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from luab_data.batches import ROWS_PER_BATCH, Batch, LoadedItem, MakeBatch, groups
from luab_data.built import CARD, REJECTS, ShardStore, Summary, file_sha256, shard_name
from luab_data.entries import Reject
from luab_data.errors import SourceError
from luab_data.join import Pair
from luab_data.shards import ShardWriter
from luab_data.workers import OrderedMap


def build(
    items: Iterable[Pair | Reject],
    make_batch: MakeBatch,
    features: Features,
    out: str | Path,
    arguments: dict,
    found: Counter[str],
    ignored: Callable[[], dict[str, int]],
    card: Callable[[Summary], str],
    rows_per_shard: int = 1000,
    rows_per_group: int = ROWS_PER_BATCH,
    ordered_map: OrderedMap = map,
    store: ShardStore | None = None,
) -> Summary:
    """Builds the dataset folder `out`, or goes on where a killed build stopped.

    `arguments` (JSON-able) is what the rows depend on: a later run into the same folder must have the same.
    `found` is the counter that `join` fills while `items` are consumed; `ignored` gives the sources' own
    counts at the end. `ordered_map` makes the rows, here or with other workers (`luab_data.workers`). `store`
    is offered each finished shard. Raises `SourceError` for a folder that is not this build's,
    `RuntimeError` if counts do not add up.
    """
    out = Path(out)
    arguments = json.loads(json.dumps({**arguments, "rows_per_shard": rows_per_shard}))
    finished = _finished(out, arguments, store)
    if finished is not None:
        return finished
    with _state_folder(out, arguments) as state:
        is_finished = partial(_is_finished, out, state, store=store)
        tasks = _tasks(items, make_batch, features.arrow_schema, is_finished, rows_per_shard, rows_per_group)
        results = ordered_map(_run_task, tasks)
        with tqdm(desc="rows", unit=" rows", unit_scale=True) as progress:
            for shard, of_shard in itertools.groupby(results, key=itemgetter(0)):
                _write_shard(out, state, shard, (batch for _, batch in of_shard), features, progress)
                is_finished(shard)  # offers it to the store
        summary = _finish(out, state, found, ignored(), arguments, card)
        done = out / ".build-finished"
        state.rename(done)  # from here on the build counts as finished, even if the removal is killed
    shutil.rmtree(done)
    return summary


@dataclass(frozen=True)
class _Task:
    shard: int
    make_batch: MakeBatch
    schema: pa.Schema
    items: list[LoadedItem]


def _run_task(task: _Task) -> tuple[int, Batch]:
    return task.shard, task.make_batch(task.items, task.schema)


def _tasks(items, make_batch, schema, is_finished, rows_per_shard, rows_per_group) -> Iterator[_Task]:
    """The tasks of all shards that are not finished. Finished shards' items are passed over without being
    read.
    """
    items = iter(items)
    for shard in itertools.count():
        of_shard = itertools.islice(items, rows_per_shard)
        if is_finished(shard):
            if not deque(of_shard, maxlen=1):
                return
            continue
        empty = True
        for group in groups(of_shard, rows_per_group):
            empty = False
            yield _Task(shard, make_batch, schema, group)
        if empty:
            return


def _is_finished(out: Path, state: Path, shard: int, store: ShardStore | None) -> bool:
    """Whether a shard need not be made: it is in OUT, and is offered to the store, or the store holds it."""
    if not _counts_file(state, shard).exists():
        return False
    counts = json.loads(_counts_file(state, shard).read_text(encoding="utf-8"))
    if not counts["rows"]:
        return True
    name, sha256 = shard_name(shard), counts["sha256"]
    if not (out / name).exists():
        return store is not None and store.holds(name, sha256)
    if store is not None:
        store.add(out / name, name, sha256)
    return True


def _write_shard(out: Path, state: Path, shard: int, batches: Iterable[Batch], features, progress) -> None:
    """Writes one shard and then its counts. A shard without rows has counts only."""
    rejects, used, facts = [], Counter(), Counter()
    unfinished = state / f"{shard:05d}.parquet"
    with ShardWriter(unfinished, features) as writer:
        for batch in batches:
            writer.write(batch.table)
            rejects.extend(batch.rejects)
            used.update(batch.used)
            facts.update(batch.facts)
            progress.update(batch.table.num_rows)
    place = out / shard_name(shard)
    if writer.rows:
        place.parent.mkdir(exist_ok=True)
        unfinished.replace(place)
    counts = {
        "rows": writer.rows,
        "table_bytes": writer.table_bytes,
        "file_bytes": place.stat().st_size if writer.rows else 0,
        "sha256": file_sha256(place) if writer.rows else None,
        "used": used,
        "facts": facts,
        "rejects": [asdict(reject) for reject in rejects],
    }
    _write_json(_counts_file(state, shard), counts)


def _finish(out: Path, state: Path, found, ignored, arguments, card) -> Summary:
    """Adds up the shards, checks the counts, and writes the files that describe the whole."""
    used, facts, rejected, totals = Counter(), Counter(), Counter(), Counter()
    shards = {}
    with _replacing(out / REJECTS) as lines:
        for path in sorted(state.glob("[0-9]*.json")):
            counts = json.loads(path.read_text(encoding="utf-8"))
            used.update(counts["used"])
            facts.update(counts["facts"])
            totals.update({key: counts[key] for key in ("rows", "table_bytes", "file_bytes")})
            if counts["rows"]:
                shards[shard_name(int(path.stem))] = counts["sha256"]
            for reject in counts["rejects"]:
                rejected[reject["source"]] += 1
                lines.write(json.dumps(reject) + "\n")
    for role, number in found.items():
        if number != used[role] + rejected[role]:
            raise RuntimeError(
                f"{out}: the {role} do not add up: {number:,} found, {used[role]:,} in rows, "
                f"{rejected[role]:,} rejected. The sources changed during the build, or this is a bug: "
                "remove the folder and build again."
            )
    roles = sorted(found)
    summary = Summary(
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
    if not summary.rows:
        raise SourceError(f"not one row came out of {roles}: see {out / REJECTS} for the reasons.")
    with _replacing(out / CARD) as file:
        file.write(card(summary))
    _write_json(out / "summary.json", asdict(summary))
    return summary


def _finished(out: Path, arguments: dict, store: ShardStore | None) -> Summary | None:
    """The summary of a build that an earlier run finished with these arguments; None where there is work to
    do.
    """
    if out.exists() and not out.is_dir():
        raise SourceError(f"out={str(out)!r} is a file. Pass a folder that does not exist yet.")
    shutil.rmtree(out / ".build-finished", ignore_errors=True)
    if not out.exists() or (out / ".build").exists():
        return None
    if not (out / "summary.json").exists():
        if any(out.iterdir()):
            raise SourceError(
                f"out={str(out)!r} holds other files. Pass a folder that is empty or does not exist."
            )
        return None
    summary = Summary(**json.loads((out / "summary.json").read_text(encoding="utf-8")))
    _require_same(out, summary.arguments, arguments)
    for name, sha256 in summary.shards.items():
        if not (out / name).exists() and (store is None or not store.holds(name, sha256)):
            raise SourceError(
                f"out={str(out)!r} is built, but {name} is not there: it was removed, or uploaded. Pass the "
                "repository that has it (--push-to-hub), or remove the folder and build it again."
            )
    return summary


@contextmanager
def _state_folder(out: Path, arguments: dict) -> Iterator[Path]:
    """`OUT/.build`, checked to be of the same arguments, and locked against a second build."""
    state = out / ".build"
    state.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(state / "lock", timeout=0):
            plan = state / "plan.json"
            counts = sorted(state.glob("[0-9]*.json"))
            if not any(json.loads(path.read_text(encoding="utf-8"))["rows"] for path in counts):
                for path in counts:  # nothing to keep: other arguments may start afresh here
                    path.unlink()
            elif plan.exists():
                _require_same(out, json.loads(plan.read_text(encoding="utf-8")), arguments)
            _write_json(plan, arguments)
            yield state
    except Timeout:
        raise SourceError(f"out={str(out)!r}: another process builds into this folder.") from None


def _require_same(out: Path, before: dict, now: dict) -> None:
    differing = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if differing:
        lines = [f"  {key}: {before.get(key)!r} then, {now.get(key)!r} now" for key in differing]
        raise SourceError(
            f"out={str(out)!r} was built with other arguments, or from files that changed since:\n"
            + "\n".join(lines)
            + "\nRun it with the same arguments, pass another folder, or remove this one."
        )


def _counts_file(state: Path, shard: int) -> Path:
    return state / f"{shard:05d}.json"


def _write_json(path: Path, content: dict) -> None:
    with _replacing(path) as file:
        json.dump(content, file, indent=1)
        file.write("\n")


@contextmanager
def _replacing(path: Path):
    """A text file that takes its place when it is whole."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        yield file
    partial.replace(path)
