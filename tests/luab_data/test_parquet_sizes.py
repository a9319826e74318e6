"""A Parquet file that unpacks to far more than its size is refused, in little memory and time."""

import os

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.hostile_parquet import HOSTILE, LEVELS, hostile, lie, one, repeated, require_cheap_refusal

from luab_data.errors import SourceError
from luab_data.rows import parquet_sizes
from luab_data.rows.parquet_sizes import ParquetRows
from luab_data.rows.splits import load_splits


def noise() -> bytes:
    return repeated(np.random.default_rng(0).integers(0, 256, 5_000_000, np.uint8).tobytes())


@pytest.mark.parametrize("kind", ["dictionary", "noise", "row groups"])
def test_a_repeated_image_is_refused_before_it_is_unpacked(kind, tmp_path):
    (tmp_path / "train.parquet").write_bytes(noise() if kind == "noise" else hostile(kind))
    pa.default_memory_pool().release_unused()
    with pytest.raises(SourceError, match="unpacks to more than 1,073,741,824") as raised:
        load_splits(str(tmp_path))
    assert "\n" not in str(raised.value)


def rows_of(path, **options) -> list[int]:
    """The batches' numbers of rows."""
    with path.open("rb") as file:
        return [batch.num_rows for batch in ParquetRows(file, str(path), **options).batches()]


def test_the_pages_alone_refuse_what_they_admit(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_sizes, "ALLOWED_PAGE", 1 << 24)
    (tmp_path / "a.parquet").write_bytes(one(17 << 20))
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", None)
    with pytest.raises(SourceError, match=r"unpacks to 17,825,8\d\d, allowed are 16,777,216"):
        rows_of(tmp_path / "a.parquet")


@pytest.mark.parametrize("codec", ["zstd", "lz4", "snappy", "gzip"])
@pytest.mark.parametrize("claim", [100, (1 << 31) - 1])
def test_a_page_that_lies_is_refused(codec, claim, tmp_path):
    size = 140_000_000 if codec == "zstd" else 134_300_000
    content = lie(one(size, compression=codec), size + LEVELS, claim, 1)
    (tmp_path / "train.parquet").write_bytes(content)
    said = r"unpacks to 2,147,483,647" if claim > size else "cannot be read as Parquet"
    with pytest.raises(SourceError, match=said):
        rows_of(tmp_path / "train.parquet")


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_take_little_time_and_memory(kind, tmp_path, clients):
    (tmp_path / "train.parquet").write_bytes(hostile(kind))
    assert (tmp_path / "train.parquet").stat().st_size < 20_000
    require_cheap_refusal(clients, tmp_path, "unpacks to", streaming=False)


def test_many_small_numbers_come_in_bounded_batches(tmp_path):
    pq.write_table(pa.table({"a": pa.nulls(3_000_000, pa.int64())}), tmp_path / "a.parquet")
    counts = rows_of(tmp_path / "a.parquet")
    assert sum(counts) == 3_000_000
    assert max(counts) * (8 + parquet_sizes.EACH) <= parquet_sizes.BATCH


def test_too_many_pages_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_sizes, "MOST_PAGES", 10)
    table = pa.table({"a": list(range(5000))})
    pq.write_table(table, tmp_path / "a.parquet", data_page_size=1, write_batch_size=100)
    with pytest.raises(SourceError, match="more than 10 pages"):
        rows_of(tmp_path / "a.parquet")


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "gzip"])
def test_all_rows_are_as_the_library_reads_them(version, compression, tmp_path):
    columns = {
        "image": [{"bytes": bytes([n % 7]) * 5000, "path": f"{n}.png"} for n in range(500)],
        "points": [[[n / 2, 1.0]] * (n % 3) for n in range(500)],
        "label": [n % 5 if n % 9 else None for n in range(500)],
    }
    options = {"data_page_version": version, "compression": compression, "row_group_size": 120}
    pq.write_table(pa.table(columns), tmp_path / "train.parquet", **options)
    theirs = datasets.load_dataset("parquet", data_files=str(tmp_path / "train.parquet"))["train"]
    ours = load_splits(str(tmp_path))["train"]
    streamed = load_splits(str(tmp_path), streaming=True)["train"]
    assert ours.features == theirs.features
    assert ours[:] == theirs[:]
    assert list(streamed) == list(theirs)


def test_what_people_have_is_read_once(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    images = [{"bytes": rng.integers(0, 256, 50_000, np.uint8).tobytes(), "path": None} for _ in range(200)]
    texts = [f"class {number % 7}" for number in range(200)]
    rows = datasets.Dataset.from_dict({"image": images, "label": texts}).cast_column(
        "image", datasets.Image()
    )
    rows.to_parquet(tmp_path / "train.parquet")
    monkeypatch.setattr(ParquetRows, "_counted", None)
    assert sum(rows_of(tmp_path / "train.parquet")) == 200


def test_long_texts_in_few_kinds_are_read_and_allowed(tmp_path):
    texts = ["a" * 2000, "b" * 3000] * 50_000
    pq.write_table(pa.table({"text": texts, "label": [0, 1] * 50_000}), tmp_path / "train.parquet")
    assert sum(rows_of(tmp_path / "train.parquet")) == 100_000


def test_a_cut_file_is_one_line(tmp_path):
    (tmp_path / "train.parquet").write_bytes(repeated(bytes(10)))
    os.truncate(tmp_path / "train.parquet", 100)
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        rows_of(tmp_path / "train.parquet")
