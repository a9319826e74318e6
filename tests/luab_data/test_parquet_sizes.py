"""A Parquet file that unpacks to far more than its size is refused before it is unpacked."""

import os

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luab_data.errors import SourceError
from luab_data.rows import parquet_sizes
from luab_data.rows.parquet_sizes import require_moderate_parquets
from luab_data.rows.splits import load_splits


def repeated(file, value: bytes, rows: int = 1000, **options) -> None:
    """One large image, as often as there are rows, in a dictionary of one value."""
    images = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows, np.int32)), pa.array([value], pa.binary())
    )
    column = pa.StructArray.from_arrays([images, pa.nulls(rows, pa.string())], ["bytes", "path"])
    table = pa.table({"image": column, "label": [0] * rows})
    options = {"compression": "zstd", "dictionary_pagesize_limit": 1 << 30, **options}
    pq.write_table(table, file, store_schema=False, **options)  # it would say that the type is a dictionary


@pytest.mark.parametrize("kind", ["zeros", "noise", "row groups"])
def test_a_repeated_image_is_refused_before_it_is_unpacked(kind, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, 5_000_000, np.uint8).tobytes()
    value = noise if kind == "noise" else bytes(4_900_000)
    repeated(tmp_path / "train.parquet", value, row_group_size=100 if kind == "row groups" else 1000)
    pa.default_memory_pool().release_unused()
    with pytest.raises(SourceError, match="unpacks to more than 1,073,741,824") as raised:
        load_splits(str(tmp_path))
    assert "\n" not in str(raised.value)


def test_the_metadata_alone_refuses_what_it_admits(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_sizes, "ALLOWED", 1 << 24)
    zeros = pa.table({"image": pa.array([bytes(1 << 20)] * 17, pa.binary())})
    pq.write_table(zeros, tmp_path / "a.parquet", compression="zstd", use_dictionary=False)
    with pytest.raises(SourceError, match="unpacks to more than 16,777,216"):
        require_moderate_parquets(tmp_path / "a.parquet")


def test_what_people_have_is_not_even_read(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    images = [{"bytes": rng.integers(0, 256, 50_000, np.uint8).tobytes(), "path": None} for _ in range(200)]
    texts = [f"class {number % 7}" for number in range(200)]
    rows = datasets.Dataset.from_dict({"image": images, "label": texts}).cast_column(
        "image", datasets.Image()
    )
    rows.to_parquet(tmp_path / "train.parquet")
    assert (tmp_path / "train.parquet").stat().st_size > parquet_sizes.SMALL
    monkeypatch.setattr(parquet_sizes.pq, "ParquetFile", None)
    require_moderate_parquets(tmp_path)


def test_long_texts_in_few_kinds_are_read_and_allowed(tmp_path):
    texts = ["a" * 2000, "b" * 3000] * 50_000
    pq.write_table(pa.table({"text": texts, "label": [0, 1] * 50_000}), tmp_path / "train.parquet")
    require_moderate_parquets(tmp_path)


def test_a_cut_file_is_one_line(tmp_path):
    repeated(tmp_path / "train.parquet", bytes(10))
    os.truncate(tmp_path / "train.parquet", 100)
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        require_moderate_parquets(tmp_path)
