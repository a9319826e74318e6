"""Small JSON, CSV, tar and Arrow files that would take gigabytes: refused in little memory and time."""

import gzip
import json
import pickle
import tarfile

import datasets
import pyarrow as pa
import pytest
from fixtures import hostile_tables
from fixtures.hostile_parquet import one, require_cheap_refusal

from luab_data.errors import SourceError
from luab_data.rows.formats import bounded
from luab_data.rows.splits import load_splits


def require_cheap_refusals(clients, folder, said):
    for streaming in (False, True):
        require_cheap_refusal(clients, folder, said, streaming=streaming)


@pytest.mark.parametrize(
    "name", ["a.json.gz", "a.jsonl.gz", "a.csv.gz", "a.jsonl.bz2", "a.jsonl.xz", "a.jsonl.zip", "a.csv.zip"]
)
def test_a_packed_line_of_700_megabytes(name, tmp_path, clients):
    hostile_tables.long_line(tmp_path, name)
    require_cheap_refusals(clients, tmp_path, "has a line of more than 8,388,608 bytes")


HOSTILE = {
    hostile_tables.plain: {
        "keys": "different keys",
        "columns": "different keys",
        "nested": "JSON is nested",
        "nested in lines": "JSON is nested",
        "nested later": "nested more than 32 deep",
        "array of keys": "different keys",
        "empty lists": "more than 4,000,000 values",
        "mixed": "values of several types",
        "fields": "more than 4,000 columns",
        "wide rows": "24,000,000 fields",
        "open quote": "bytes or 24,000,000 fields",
        "metadata": "different keys",
    },
    hostile_tables.tar: {
        "compressed": "is compressed. Unpack it first",
        "sparse": "has more than 134,217,728 bytes",
        "packed member": "1.json.gz has more than 134,217,728 bytes",
        "packed rows": "unpacks to far more than its size",
        "empty array": "1.npy is not read",
        "keys": "has 500,000 columns",
        "values": "more than 4,000,000 values",
    },
    hostile_tables.arrow: {
        "compressed": "is compressed",
        "dictionary": "may repeat large values",
        "runs": "run_end_encoded",
        "nulls": "more rows than bytes",
        "lists": "more rows than bytes",
    },
}


@pytest.mark.parametrize(
    ("write", "kind", "said"),
    [
        pytest.param(write, kind, said, id=f"{write.__name__}, {kind}")
        for write, kinds in HOSTILE.items()
        for kind, said in kinds.items()
    ],
)
def test_a_file_that_is_far_larger_as_a_table(write, kind, said, tmp_path, clients):
    write(tmp_path, kind)
    require_cheap_refusals(clients, tmp_path, said)


@pytest.mark.parametrize("kind", ["compressed", "dictionary"])
def test_a_hostile_file_in_what_save_to_disk_wrote(kind, tmp_path, clients):
    datasets.DatasetDict(train=datasets.Dataset.from_list([{"x": 1}])).save_to_disk(tmp_path / "saved")
    hostile_tables.arrow(tmp_path, kind)
    (tmp_path / "a.arrow").rename(next(tmp_path.rglob("saved/train/*.arrow")))
    require_cheap_refusals(clients, tmp_path / "saved", "repeat")


def test_what_save_to_disk_wrote_is_read(tmp_path):
    rows = datasets.Dataset.from_list(ROWS)
    rows.save_to_disk(tmp_path)
    assert load_splits(str(tmp_path))["train"][:] == rows[:]


def test_the_metadata_of_an_image_folder_in_parquet(tmp_path, clients):
    (tmp_path / "metadata.parquet").write_bytes(one(300_000_000))
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"")
    require_cheap_refusals(clients, tmp_path, "unpacks to")


def test_a_file_of_many_packed_rows_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(bounded, "ALLOWED", 1 << 20)
    with gzip.open(tmp_path / "a.jsonl.gz", "wb") as file:
        file.write(b'{"x": 1}\n' * 500_000)
    with pytest.raises(SourceError, match=r"a\.jsonl\.gz unpacks to more than 1,048,576 bytes"):
        load_splits(str(tmp_path))


@pytest.mark.parametrize("name", ["a.pkl", "a.pickle", "a.txt", "a.xml", "a.h5"])
def test_other_formats_are_refused(name, tmp_path):
    (tmp_path / name).write_bytes(pickle.dumps([1]))
    for streaming in (False, True):
        with pytest.raises(SourceError, match=r"is not read: allowed are|No \(supported\) data files"):
            load_splits(str(tmp_path), streaming=streaming)


ROWS = [
    {"file": f"{n}.jpg", "x": n / 7, "points": [[n / 2, 1.0]] * (n % 3), "name": 'a "b"' if n % 2 else None}
    for n in range(300)
]


def write_rows(folder, name):
    """The same rows in a format."""
    path = folder / name
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(lines.encode()))
    elif name == "array.json":
        path.write_text(json.dumps(ROWS))
    elif name == "object.json":
        path.write_text(json.dumps({key: [row[key] for row in ROWS] for key in ("file", "x")}, indent=1))
    elif name == "indented.jsonl":
        path.write_text("\n".join(json.dumps(row, indent=1) for row in ROWS))
    elif name.endswith(".csv"):
        datasets.Dataset.from_list(ROWS).remove_columns("points").to_csv(path, index=False)
    elif name.endswith(".arrow"):
        table = pa.Table.from_pylist(ROWS)
        write = pa.ipc.new_file if name == "file.arrow" else pa.ipc.new_stream
        with write(str(path), table.schema) as file:
            file.write_table(table)
    elif name.endswith(".tar"):
        with tarfile.open(path, "w") as archive:
            for n, row in enumerate(ROWS):
                hostile_tables.add(archive, f"{n}.json", json.dumps(row).encode())
                hostile_tables.add(archive, f"{n}.txt.gz", gzip.compress(b"words"))
    else:
        path.write_text(lines)
    return path


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("json", "rows.jsonl"),
        ("json", "rows.jsonl.gz"),
        ("json", "array.json"),
        ("json", "object.json"),
        ("json", "indented.jsonl"),
        ("csv", "rows.csv"),
        ("arrow", "file.arrow"),
        ("arrow", "stream.arrow"),
        ("webdataset", "rows.tar"),
    ],
)
def test_all_rows_are_as_the_library_reads_them(kind, name, tmp_path):
    path = write_rows(tmp_path, name)
    theirs = datasets.load_dataset(kind, data_files=str(path))["train"]
    ours = load_splits(str(tmp_path))["train"]
    streamed = load_splits(str(tmp_path), streaming=True)["train"]
    assert len(ours) == (1 if name == "object.json" else 300)
    assert ours.features == theirs.features
    assert ours[:] == theirs[:]
    assert list(streamed) == list(theirs)
