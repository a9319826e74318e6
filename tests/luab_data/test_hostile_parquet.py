"""Parquet files as images: small files that unpack to gigabytes, cut ones, and what is no file."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagenet_ab.images import open_images
from luab_data.errors import SourceError
from luab_data.hub import source as hub


def write(folder, rows=2000, size=1 << 20, **options):
    """All rows have one image of `size` zeros: a dictionary of one value, and some bytes for the rest."""
    folder.mkdir()
    places = pa.array([0] * rows, pa.int32())
    columns = [
        pa.DictionaryArray.from_arrays(places, pa.array([value]))
        for value in (bytes(size), "n01440764_1.JPEG")
    ]
    table = pa.table({"image": pa.StructArray.from_arrays(columns, ["bytes", "path"])})
    path = folder / "train-0.parquet"
    pq.write_table(table, path, compression="zstd", store_schema=False, **options)
    return path


def test_a_small_file_of_two_gigabytes_is_read_in_small_batches(tmp_path):
    path = write(tmp_path / "images")
    assert path.stat().st_size < 4000
    allocated = []
    for number, entry in enumerate(open_images(path.parent)):
        allocated.append(pa.total_allocated_bytes())
        assert len(entry.payload) == 1 << 20
        if number == 40:
            break
    assert max(allocated) < 200 << 20


def test_a_column_that_is_too_large_at_once_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "MAX_COLUMN_BYTES", 1 << 20)
    path = write(tmp_path / "images")
    with pytest.raises(SourceError, match=r"row group 0 .* allowed are 1,048,576: write it again"):
        open_images(path.parent)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.98])
def test_a_cut_file_is_an_error(tmp_path, keep):
    path = write(tmp_path / "images")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(SourceError, match="a Parquet file is damaged or cut off"):
        open_images(path.parent)


def test_a_flipped_byte_in_a_page_is_an_error(tmp_path):
    path = write(tmp_path / "images", size=1000, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[40] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(SourceError):
        list(open_images(path.parent))


def test_a_pipe_is_not_waited_for(tmp_path):
    path = write(tmp_path / "images")
    os.mkfifo(path.with_name("train-1.parquet"))
    with pytest.raises(SourceError, match="is not a regular file"):
        open_images(path.parent)
