"""Archives are read to a proven end, and a record on which our own code fails is one reject."""

import gzip
import tarfile

import pytest
from fixtures.factories import WNIDS, raw_byproducts, raw_images, tar_of_tars, write_tar

from imagenet_ab import pairs
from imagenet_ab.build import build_imagenet_ab
from luab_data.errors import SourceError
from luab_data.sources.archives import TarOfTars, TarStream
from luab_data.sources.entries import Reject
from luab_data.sources.tar import MAX_PADDING

BLOCK = tarfile.BLOCKSIZE
IDS = [f"{WNIDS[0]}/{WNIDS[0]}_{number}" for number in range(12)]


@pytest.fixture
def archive(tmp_path):
    """A plain tar; each of its files takes a header and one block."""
    content = gzip.decompress(raw_byproducts(tmp_path / "ab.tar.gz", IDS).read_bytes())
    return content[: len(IDS) * 2 * BLOCK]


def read(tmp_path, content):
    """The same, plain and compressed."""
    (tmp_path / "a.tar").write_bytes(content)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(content))
    return [list(TarStream(tmp_path / name)) for name in ("a.tar", "a.tar.gz")]


@pytest.mark.parametrize("end", [2 * BLOCK, 20 * BLOCK, MAX_PADDING])
def test_a_whole_archive_ends_with_zeros(tmp_path, archive, end):
    plain, compressed = read(tmp_path, archive + bytes(end))
    assert [entry.id for entry in plain] == [entry.id for entry in compressed] == IDS


def test_a_lost_sector_is_an_error_that_says_where(tmp_path, archive):
    damaged = archive[: 18 * BLOCK] + bytes(BLOCK) + archive[19 * BLOCK :] + bytes(2 * BLOCK)
    with pytest.raises(SourceError, match=r"zeros at byte 9,216, where .* and more at byte 9,728"):
        read(tmp_path, damaged)


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (b"", "broken or cut off"),
        (bytes(BLOCK), "cut off at byte 12,800 of the archive, in its end mark"),
        (bytes(2 * BLOCK) + b"more", "several archives in one"),
        (bytes(MAX_PADDING + 1), "was not written to its end"),
    ],
)
def test_another_end_is_an_error(tmp_path, archive, end, message):
    with pytest.raises(SourceError, match=message):
        read(tmp_path, archive + end)


def test_two_archives_in_one_file_are_an_error(tmp_path, archive):
    whole = archive + bytes(2 * BLOCK)
    with pytest.raises(SourceError, match="several archives in one"):
        read(tmp_path, whole + whole)


@pytest.mark.parametrize("behind", [b"garbage", b"\x1f\x8b", gzip.compress(bytes(BLOCK), mtime=0)[:-6]])
def test_what_is_behind_the_compressed_archive_is_an_error(tmp_path, archive, behind):
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(archive + bytes(2 * BLOCK)) + behind)
    with pytest.raises(SourceError, match="cannot be read as a tar archive"):
        list(TarStream(tmp_path / "a.tar.gz"))


@pytest.mark.parametrize("at", [0, 2])
def test_a_lost_sector_in_a_tar_of_tars_is_an_error(tmp_path, at):
    images = raw_images(tmp_path / "train")
    content = tar_of_tars(tmp_path / "train.tar", images).read_bytes()
    headers = [
        place for place in range(0, len(content), BLOCK) if content[place + 257 : place + 262] == b"ustar"
    ]
    damaged = content[: headers[-at - 1]] + bytes(BLOCK) + content[headers[-at - 1] + BLOCK :]
    (tmp_path / "train.tar").write_bytes(damaged)
    with pytest.raises(SourceError, match=r"train\.tar.* zeros at byte"):
        list(TarOfTars(tmp_path / "train.tar").ids())


def test_the_second_archive_of_a_class_is_a_reject(tmp_path):
    inner = write_tar(tmp_path / "inner.tar", [("n01440764_0.JPEG", b"a")]).read_bytes()
    source = TarOfTars(
        write_tar(tmp_path / "train.tar", [("n01440764.tar", inner), ("x/n01440764.tar", b"")])
    )
    assert [item for item in source.ids() if isinstance(item, Reject)] == [
        Reject("images", "x/n01440764.tar", "second archive of this class")
    ]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("failing", ["checked_image", "parse_record", "parse_columns"])
def test_a_record_on_which_our_code_fails_is_one_reject_that_says_so(tmp_path, monkeypatch, failing, workers):
    images = raw_images(tmp_path / "train")
    odd = list(images)[1]
    raw_byproducts(tmp_path / "ab.tar.gz", list(images))
    original = getattr(pairs, failing)

    def fails(content, *more):
        if failing == "parse_columns" and len(content) == 0:
            return original(content)
        if failing == "parse_columns" or content == images[odd] or odd.encode() in content:
            raise TypeError("odd")
        return original(content, *more)

    monkeypatch.setattr(pairs, failing, fails)
    if failing == "parse_record":
        monkeypatch.setattr(pairs, "parse_columns", lambda xmls: original_columns([]))
    summary = build_imagenet_ab(
        tmp_path / "out", tmp_path / "train", tmp_path / "ab.tar.gz", num_proc=workers, rows_per_shard=4
    )
    errors = {"checked_image": 2, "parse_record": 2, "parse_columns": 0}[failing]
    assert summary.facts.get("rejected for an internal error", 0) == errors
    assert summary.rows == len(images) - errors // 2
    rejects = (tmp_path / "out" / "rejects.jsonl").read_text()
    assert rejects.count("internal error: TypeError: 'odd'") == errors
    assert rejects.count(odd) == errors


original_columns = pairs.parse_columns
