"""A dataset with some of its traces left out, or with resampled ones: a folder that opens anywhere."""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
from datasets import Features, List, Value
from datasets.table import embed_table_storage

from luab.traces.folders import finished_folder
from luab.traces.rows import TracedRow, TraceRows
from luab.traces.terms import terms
from luab_attention.columns import SCANPATHS, SEGMENT, TIME, column_feature
from luab_attention.traces.filters import Criteria, Judgment, judge
from luab_attention.traces.resampling import Method, obstacle, resample
from luab_attention.traces.rows import TRACKING
from luab_attention.traces.scanpath import Scanpath
from luab_data.build.manifest import REJECTS, SUMMARY
from luab_data.build.shards import ShardWriter
from luab_data.errors import SourceError
from luab_data.files.sums import CARD
from luab_data.files.whole import to_json
from luab_data.rows.arrow import is_list

BATCH = 100  # rows in memory, with their images
ROWS_PER_SHARD = 10_000

Rewrite = Callable[[TracedRow, Any], Any]  # a row and its entries -> its new entries


def write_filtered(traced: TraceRows, out: Path, criteria: Criteria, source: str) -> dict[str, Any]:
    """Writes the dataset without the traces that a criterion rejects; returns the counts.

    Rows stay, also without a trace. In our annotations, a rejected trace leaves an empty `mouse_tracking`;
    clicks and the rest of the annotation stay. Entries without a sample are no traces, and stay.

    `rejects.jsonl` has a line for each rejected trace. found = kept + rejected, and the counts by criterion
    add up to rejected. A trace stays if a criterion cannot be measured in it, and is counted.
    """
    counts: Counter[str] = Counter()
    with (
        finished_folder(out, "--output-dir") as folder,
        (folder / REJECTS).open("w", encoding="utf-8") as rejects,
    ):

        def rewrite(row: TracedRow, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
            kept = []
            for at, (path, entry) in enumerate(zip(row.paths, entries, strict=True)):
                why, absent = judge(path, criteria) if len(path) else Judgment(None, ())
                counts["found" if len(path) else "empty"] += 1
                if why is None:
                    counts["kept"] += bool(len(path))
                    counts.update(f"not measured {name}" for name in absent)
                    kept.append(entry)
                    continue
                counts[f"rejected {why[0]}"] += 1
                rejects.write(row.reject(at, criterion=why[0], reason=why[1]))
                if traced.column.annotations:
                    kept.append({**entry, TRACKING: []})
            return kept

        features = traced.rows.features
        _write(traced, folder, features, traced.column.name, rewrite)
        by_criterion = {name: counts[f"rejected {name}"] for name in criteria.asked()}
        summary = {
            "dataset": source,
            "split": traced.part.split,
            "rows": len(traced),
            "criteria": criteria.asked(),
            "found": counts["found"],
            "kept": counts["kept"],
            "rejected": sum(by_criterion.values()),
            "rejected_by_criterion": by_criterion,
            "kept_without_measure": {name: counts[f"not measured {name}"] for name in criteria.asked()},
            "entries_without_samples": counts["empty"],
        }
        _describe(folder, traced, summary, "Traces that a criterion rejects are left out.")
    return summary


def write_resampled(traced: TraceRows, out: Path, rate: float, method: Method, source: str) -> dict[str, Any]:
    """Writes the dataset with its traces at `rate` per second in the column `scanpaths`; returns the counts.

    Of our annotations, the column is added, and `annotations` stays as it is. A trace that cannot be
    resampled is left out and has a line in `rejects.jsonl`: found = traces + rejected. Entries without a
    sample are no traces, and stay, without their times.
    """
    counts: Counter[str] = Counter()
    features = Features(traced.rows.features)
    if traced.column.annotations:
        if SCANPATHS in features:
            raise SourceError(f"the rows have {SCANPATHS} already: leave --column out to resample these.")
        name = SCANPATHS
        features[name] = column_feature(SCANPATHS, ("annotator", TIME, SEGMENT), None)
    else:
        name = traced.column.name
        features[name] = _with_segments(features[name])

    def rewrite(row: TracedRow, entries: list[dict[str, Any]], rejects: TextIO) -> list[dict[str, Any]]:
        made = []
        for at, (path, entry) in enumerate(zip(row.paths, entries, strict=True)):
            if traced.column.annotations and not len(path):
                continue
            why = obstacle(path, rate) if len(path) else None
            if why is not None:
                counts["rejected"] += 1
                rejects.write(row.reject(at, reason=why))
                continue
            even = resample(path, rate, method) if len(path) else path
            counts["traces"] += bool(len(path))
            counts["samples_before"] += len(path)
            counts["samples_after"] += len(even)
            known = {"annotator": path.annotator} if traced.column.annotations else entry or {}
            made.append({**known, **_lists(even)})
        return made

    with (
        finished_folder(out, "--output-dir") as folder,
        (folder / REJECTS).open("w", encoding="utf-8") as rejects,
    ):
        _write(traced, folder, features, name, partial(rewrite, rejects=rejects))
        summary = {"dataset": source, "split": traced.part.split, "rows": len(traced), "rate": rate}
        summary |= {"method": method, "found": counts["traces"] + counts["rejected"]}
        summary |= {key: counts[key] for key in ("traces", "rejected", "samples_before", "samples_after")}
        _describe(folder, traced, summary, f"Traces have {rate:g} samples per second ({method}).")
    return summary


def _lists(path: Scanpath) -> dict[str, list[Any]]:
    return {
        "x": path.xy[:, 0].tolist(),
        "y": path.xy[:, 1].tolist(),
        TIME: [] if path.time is None else path.time.tolist(),
        SEGMENT: path.segment.tolist(),
    }


def _with_segments(feature: Any) -> Any:
    entry = dict(feature.feature if is_list(feature) else feature)
    return List({**entry, SEGMENT: List(Value("int32")), TIME: List(Value("float64"))})


def _write(traced: TraceRows, folder: Path, features: Features, name: str, rewrite: Rewrite) -> None:
    """Writes all rows with the column `name` as `rewrite` makes it; other columns stay, images embedded."""
    (folder / "data").mkdir()
    stored = traced.rows.with_format("arrow")
    for shard, first in enumerate(range(0, max(len(traced), 1), ROWS_PER_SHARD)):
        path = folder / "data" / f"{traced.part.split}-{shard:05d}.parquet"
        with ShardWriter(path, features) as writer:
            for start in range(first, min(first + ROWS_PER_SHARD, len(traced)), BATCH):
                batch: pa.Table = stored[start : start + BATCH]
                writer.write(_rewritten(traced, batch, start, features, name, rewrite))


def _rewritten(
    traced: TraceRows, batch: pa.Table, start: int, features: Features, name: str, rewrite: Rewrite
) -> pa.Table:
    own = traced.column.name
    ids = batch[traced.id_column].to_pylist() if traced.id_column in batch.column_names else None
    made = []
    for at, entries in enumerate(batch[own].to_pylist()):
        row = {own: entries} | ({} if ids is None else {traced.id_column: ids[at]})
        made.append(rewrite(traced.traced(start + at, row), entries or []))
    schema = features.arrow_schema
    column = pa.chunked_array([pa.array(made, schema.field(name).type)])
    if name in batch.column_names:
        batch = batch.set_column(batch.column_names.index(name), schema.field(name), column)
    else:
        batch = batch.append_column(schema.field(name), column)
    return embed_table_storage(batch.select(schema.names).cast(schema))


def _describe(folder: Path, traced: TraceRows, summary: dict[str, Any], what: str) -> None:
    """The counts, and a card that tells `datasets` which files are rows, and readers what they may do."""
    (folder / SUMMARY).write_text(to_json(summary) + "\n", encoding="utf-8")
    split = traced.part.split
    card = [
        "---", "configs:", "- config_name: default", "  data_files:", f"  - split: {json.dumps(split)}",
        f"    path: {json.dumps(f'data/{split}-*.parquet')}", "---", "",
        f"{what} Made by `luab traces`; `{SUMMARY}` has the counts.", "",
    ]  # fmt: skip
    text = "\n".join([*card, *(f"{each}\n" for each in terms(traced))])
    (folder / CARD).write_text(text, encoding="utf-8")
