"""A dataset's traces as a BIDS dataset: one recording a trace, with its image in the events."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from luab.traces.folders import finished_folder
from luab.traces.rows import SIZES, TraceRows, size_of
from luab.traces.terms import terms
from luab_attention.traces.export import (
    BIDS_RECORDING,
    BIDS_VERSION,
    bids_event,
    bids_label,
    bids_recording,
    physio_type,
)
from luab_attention.traces.resampling import Method, obstacle
from luab_data.build.manifest import REJECTS
from luab_data.console.text import printable
from luab_data.errors import SourceError
from luab_data.files.whole import to_json

UNKNOWN = "unknown"  # subject of a trace without an annotator


class BidsCounts(NamedTuple):
    """The numbers of recordings, of entries without a sample, and of rejected traces."""

    recordings: int
    empty: int
    rejected: int


def write_bids(
    traced: TraceRows,
    out: Path,
    rate: float,
    method: Method = "hold",
    eye: str | None = None,
    task: str = "viewing",
) -> BidsCounts:
    """Writes `sub-<annotator>/beh/..._run-<n>_physio.tsv.gz`, its JSON and its events.

    The recordings of an eye tracker are `..._run-<n>_recording-eye1_physio.tsv.gz`.

    Args:
        traced: rows with samples and times.
        out: a new folder.
        rate: samples per second; BIDS recordings have a fixed rate.
        method: how traces are resampled.
        eye: the recorded eye of an eye tracker; None: another device, such as a mouse.
        task: the task's label.

    Traces that cannot be resampled are left out; then a line each is in `rejects.jsonl`, which `.bidsignore`
    names.

    Raises:
        SourceError: the folder is not new, or no trace has times.
    """
    traced.require_samples("BIDS")
    device = physio_type(eye)
    with finished_folder(out, "--output") as folder:
        return _write(traced, folder, rate, method, device, bids_label(task, "viewing"))


def _write(
    traced: TraceRows, out: Path, rate: float, method: Method, device: dict[str, str], task: str
) -> BidsCounts:
    subjects: dict[str, str] = {}  # annotator -> label
    runs: Counter[str] = Counter()
    recording = f"_recording-{BIDS_RECORDING}" if "RecordedEye" in device else ""
    empty = 0
    rejects: list[str] = []
    for row in traced.read(*SIZES):
        for at, path in enumerate(row.paths):
            if not len(path):
                empty += 1
                continue
            if (why := obstacle(path, rate, gaps=True)) is not None:
                rejects.append(row.reject(at, reason=why))
                continue
            subject = _subject(subjects, path.annotator)
            runs[subject] += 1
            folder = out / f"sub-{subject}" / "beh"
            folder.mkdir(parents=True, exist_ok=True)
            stem = f"sub-{subject}_task-{task}_run-{runs[subject]}"
            try:
                table, sidecar = bids_recording(path, size_of(row.row), rate, method)
            except ValueError as error:
                raise SourceError(f"row {row.number:,}, trace {at}: {error}") from error
            sidecar |= device | {"TaskName": task}
            (folder / f"{stem}{recording}_physio.tsv.gz").write_bytes(table)
            _json(folder / f"{stem}{recording}_physio.json", sidecar)
            onset, lasted = bids_event(path)
            events = f"onset\tduration\tstim_id\n{onset:.6f}\t{lasted:.6f}\t{printable(row.image_id)}\n"
            (folder / f"{stem}_events.tsv").write_text(events, encoding="utf-8")
    lines = ["participant_id", *sorted(f"sub-{label}" for label in subjects.values())]
    (out / "participants.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _json(
        out / "dataset_description.json",
        {"Name": "Traces", "BIDSVersion": BIDS_VERSION, "DatasetType": "raw",
         "GeneratedBy": [{"Name": "luab traces export"}]},
    )  # fmt: skip
    about = (
        "Traces of people who looked at images, resampled to a fixed rate. Coordinates are pixels of the "
        "image; the column stim_id of the events names it."
    )
    (out / "README").write_text("\n\n".join([about, *terms(traced)]) + "\n", encoding="utf-8")
    if rejects:
        (out / REJECTS).write_text("".join(rejects), encoding="utf-8")
        (out / ".bidsignore").write_text(f"{REJECTS}\n", encoding="utf-8")
    return BidsCounts(sum(runs.values()), empty, len(rejects))


def _subject(subjects: dict[str, str], annotator: str | None) -> str:
    """The label of an annotator: his name's letters and digits, with a number if another one has them."""
    name = UNKNOWN if annotator is None else annotator
    if name not in subjects:
        label, taken, number = bids_label(name, "x"), set(subjects.values()), 1
        found = label
        while found in taken:
            number += 1
            found = f"{label}x{number}"
        subjects[name] = found
    return subjects[name]


def _json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(to_json(content) + "\n", encoding="utf-8")
