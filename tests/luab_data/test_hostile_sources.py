"""Folders and zips that others made: nothing outside them is read, and no file takes more than it may."""

import io
import os
import socket
import struct
import time
import tracemalloc
import unicodedata
import zipfile

import pytest
from fixtures.factories import WNIDS, raw_byproducts, raw_images, record_xml
from hypothesis import given, settings
from hypothesis import strategies as st

from imagenet_ab.build import build_imagenet_ab
from imagenet_ab.images import open_images
from luab_data.errors import SourceError
from luab_data.files.fingerprint import fingerprint
from luab_data.sources.entries import Entry, Reject
from luab_data.sources.folders import FolderSource, ZipSource
from luab_data.sources.zip import BrokenZip, zip_members

A = f"{WNIDS[0]}/{WNIDS[0]}_0"


def reasons(source):
    return {item.id: item.reason for item in source if isinstance(item, Reject)}


def ids(source):
    return [item.id for item in source if isinstance(item, Entry)]


@pytest.fixture
def xmls(tmp_path):
    folder = tmp_path / "train_xml" / WNIDS[0]
    folder.mkdir(parents=True)
    (folder / f"{WNIDS[0]}_0.xml").write_bytes(record_xml(A))
    return folder


def source_of(folder):
    return FolderSource(folder.parent, "byproducts", (".xml",))


def test_a_link_is_followed_only_to_a_file_inside(tmp_path, xmls):
    (tmp_path / "secret").write_text("root:x:0:0")
    for name, target in {
        "out": tmp_path / "secret", "passwd": "/etc/passwd", "up": "../../secret", "lost": "nowhere",
        "self": "self.xml", "zero": "/dev/zero", "inside": f"{WNIDS[0]}_0.xml",
    }.items():  # fmt: skip
        (xmls / f"{name}.xml").symlink_to(target)
    source = source_of(xmls)
    assert ids(source) == [f"{WNIDS[0]}/inside", A]
    found = reasons(source)
    assert len(found) == 6
    for name in ("out", "passwd", "up", "zero"):
        assert "leads out of the folder" in found[f"{WNIDS[0]}/{name}.xml"]
    for name in ("lost", "self"):
        assert "leads nowhere" in found[f"{WNIDS[0]}/{name}.xml"]


def test_nothing_of_a_links_target_is_in_the_rejects(tmp_path):
    images = raw_images(tmp_path / "train")
    folder = tmp_path / "train_xml" / WNIDS[0]
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("swordfish")
    for number, image_id in enumerate(images):
        path = tmp_path / "train_xml" / f"{image_id}.xml"
        path.parent.mkdir(exist_ok=True)
        if number:
            path.write_bytes(record_xml(image_id))
        else:
            path.symlink_to(tmp_path / "secret")
    build_imagenet_ab(tmp_path / "out", tmp_path / "train", tmp_path / "train_xml")
    rejects = (tmp_path / "out" / "rejects.jsonl").read_text()
    assert "leads out of the folder" in rejects
    assert "sword" not in rejects


def test_linked_folders_are_not_walked(tmp_path, xmls):
    for number in range(20):
        (tmp_path / "train_xml" / f"loop{number}").symlink_to(".")
        (xmls / f"loop{number}").symlink_to("..")
    source = source_of(xmls)
    started = time.process_time()
    fingerprint(tmp_path / "train_xml")
    assert ids(source) == [A]
    assert time.process_time() - started < 5
    assert all("a link to a folder is not followed" in reason for reason in reasons(source).values())
    assert len(reasons(source)) == 20


def test_what_is_no_file_is_passed_over_and_counted(monkeypatch, xmls):
    os.mkfifo(xmls / "pipe.xml")
    (xmls / "folder.xml").mkdir()
    (xmls / "folder.xml" / "notes.txt").write_text("x")
    with socket.socket(socket.AF_UNIX) as server:
        with monkeypatch.context() as patch:
            patch.chdir(xmls)  # a socket's path is short
            server.bind("socket.xml")
        source = source_of(xmls)
        assert ids(source) == [A]
        assert set(reasons(source).values()) == {"not a regular file"}
        assert (len(reasons(source)), source.ignored) == (2, 1)


def test_a_file_that_became_a_pipe_is_not_waited_for(xmls):
    source = source_of(xmls)
    assert A in source
    (xmls / f"{WNIDS[0]}_0.xml").unlink()
    os.mkfifo(xmls / f"{WNIDS[0]}_0.xml")
    assert reasons(source) == {A: "not a regular file"}


NFC = "caf\u00e9"
NFD = unicodedata.normalize("NFD", NFC)


def test_names_meet_in_whichever_form_they_are_written(tmp_path):
    images = raw_images(tmp_path / "train", per_class=1, classes=(NFD, "plain"))
    assert next(iter(images)) == f"{NFD}/{NFD}_0"
    raw_byproducts(tmp_path / "ab.tar.gz", [f"{NFC}/{NFC}_0", "plain/plain_0"])
    summary = build_imagenet_ab(tmp_path / "out", tmp_path / "train", tmp_path / "ab.tar.gz")
    assert summary.used == {"images": 2, "byproducts": 2}
    build_imagenet_ab(tmp_path / "one", tmp_path / "train", tmp_path / "ab.tar.gz", classes=[NFD])


def test_two_names_that_look_the_same_are_told_apart_in_the_message(tmp_path):
    for name in (NFC, NFD):
        (tmp_path / "x" / name).mkdir(parents=True)
        (tmp_path / "x" / name / f"{name}.png").write_bytes(b"")
    source = FolderSource(tmp_path / "x")
    assert source.classes() == [NFC]
    assert len(ids(source)) == 1
    [reason] = reasons(source).values()
    assert r"cafe\u0301" in reason
    assert r"caf\xe9" in reason


def kaggle(path, compression=zipfile.ZIP_STORED, wnids=WNIDS):
    """What Kaggle's zip of ImageNet holds."""
    inside = "ILSVRC/Data/CLS-LOC"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"ILSVRC/Annotations/CLS-LOC/train/{wnids[0]}/{wnids[0]}_0.xml", b"<a/>")
        for number in range(2):
            archive.writestr(f"{inside}/test/ILSVRC2012_test_0000000{number}.JPEG", b"t")
            archive.writestr(f"{inside}/val/ILSVRC2012_val_0000000{number}.JPEG", b"v")
            for wnid in wnids:
                archive.writestr(f"{inside}/train/{wnid}/{wnid}_{number}.JPEG", wnid.encode())
        archive.writestr("LOC_synset_mapping.txt", b"")
    return path


@pytest.mark.parametrize(
    "below", [None, "", "ILSVRC", "ILSVRC/Data", "ILSVRC/Data/CLS-LOC", "ILSVRC/Data/CLS-LOC/train"]
)
def test_the_class_folders_of_kaggles_download_are_found(tmp_path, monkeypatch, below):
    said = []
    monkeypatch.setattr("luab_data.sources.roots.logger.warning", said.append)
    path = kaggle(tmp_path / "imagenet-object-localization-challenge.zip")
    if below is not None:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "kaggle")
        path = tmp_path / "kaggle" / below
    source = open_images(path)
    assert source.classes() == list(WNIDS)
    assert sorted(ids(source)) == sorted(f"{wnid}/{wnid}_{number}" for wnid in WNIDS for number in range(2))
    assert source.get(A) == WNIDS[0].encode()
    assert bool(said) == (below is None or not below.endswith("train"))
    assert all("ILSVRC/Data/CLS-LOC/train" in line for line in said)


def test_what_may_be_meant_is_listed_and_validation_images_are_named(tmp_path):
    for part in ("a", "b"):
        raw_images(tmp_path / "two" / part)
    with pytest.raises(SourceError, match=r"several folders: pass one of .*two/a, .*two/b\."):
        open_images(tmp_path / "two")
    (tmp_path / "val" / WNIDS[0]).mkdir(parents=True)
    (tmp_path / "val" / WNIDS[0] / "ILSVRC2012_val_00000293.JPEG").write_bytes(b"")
    with pytest.raises(SourceError, match="holds ImageNet's validation images"):
        open_images(tmp_path / "val")
    with pytest.raises(SourceError, match="of Kaggle's download, ILSVRC/Data/CLS-LOC/train"):
        open_images(tmp_path / "val" / WNIDS[0])


def test_several_folders_with_one_train_mean_that_one(tmp_path):
    for part in ("train", "val"):
        raw_images(tmp_path / "data" / part)
    assert open_images(tmp_path / "data").place == tmp_path / "data" / "train"


@pytest.mark.parametrize(("packing", "name"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")])
def test_other_compressions_are_refused_by_name_before_they_are_unpacked(tmp_path, packing, name):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", packing) as archive:
        archive.writestr("a.jpg", bytes(50 << 20))
        archive.writestr("b.jpg", b"small", zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    source = ZipSource(tmp_path / "bomb.zip")
    assert reasons(source) == {
        "a": f"the zip's member is compressed with {name}; allowed are deflate and none"
    }
    assert ids(source) == ["b"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def patched(content: bytes, name: bytes, offset: int, value: bytes) -> bytes:
    """A zip in which a field of the directory's header of `name` is another."""
    place = content.rindex(name) - 46 + offset
    return content[:place] + value + content[place + len(value) :]


@pytest.fixture
def small_zip():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            archive.writestr(name, bytes(100_000))
    return buffer.getvalue()


PATCHES = {
    "deflate64": (10, struct.pack("<H", 9), "compressed with deflate64"),
    "encrypted": (8, struct.pack("<H", 1), "encrypted"),
    "a size that is too small": (24, struct.pack("<L", 10), "its size or its checksum is wrong"),
    "a size beyond the limit": (24, struct.pack("<L", 1 << 30), "1,073,741,824 bytes, allowed are"),
    "another checksum": (16, b"\0\0\0\0", "its size or its checksum is wrong"),
    "an offset beyond the end": (42, struct.pack("<L", 1 << 30), "its header is not where it should be"),
    "not UTF-8": (46, b"\xff", "not UTF-8"),
    "a NUL": (46, b"\0", "unsafe name"),
    "the root": (46, b"/", "unsafe name"),
    "up": (46, b"../", "unsafe name"),
}


@pytest.mark.parametrize("case", PATCHES)
def test_an_odd_member_is_one_reject_and_the_others_stay(tmp_path, small_zip, case):
    offset, value, reason = PATCHES[case]
    content = patched(small_zip, b"b.jpg", offset, value)
    if case == "not UTF-8":
        content = patched(content, b"\xff.jpg", 8, struct.pack("<H", 0x800))
    if case == "up":
        content = patched(small_zip, b"b.jpg", 46, b"../.j")
    (tmp_path / "a.zip").write_bytes(content)
    source = ZipSource(tmp_path / "a.zip", suffixes=(".jpg", ".j", "..jg"))
    found = reasons(source)
    if case != "up":
        [(name, why)] = found.items()
        assert reason in why
        assert name.isprintable()
    assert [each for each in ids(source) if each in "ac"] == ["a", "c"]


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.9, 0.999])
def test_a_cut_zip_is_an_error(tmp_path, small_zip, keep):
    (tmp_path / "a.zip").write_bytes(small_zip[: int(len(small_zip) * keep)])
    with pytest.raises(SourceError, match=r"cannot be read as a zip: .* Download it again"):
        ZipSource(tmp_path / "a.zip")


@pytest.mark.parametrize("count", [2, 4])
def test_a_directory_that_does_not_hold_what_it_counts_is_an_error(tmp_path, small_zip, count):
    (tmp_path / "a.zip").write_bytes(small_zip[:-12] + struct.pack("<H", count) + small_zip[-10:])
    with pytest.raises(SourceError, match="its directory"):
        ZipSource(tmp_path / "a.zip")


@settings(max_examples=60, deadline=None)
@given(
    files=st.dictionaries(
        st.text("abé/", min_size=1, max_size=8).filter(lambda n: n[-1] != "/"),
        st.binary(max_size=50),
        max_size=6,
    ),
    packing=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    comment=st.binary(max_size=9),
    before=st.binary(max_size=9),
    large=st.booleans(),
)
def test_the_members_are_those_that_zipfile_reads(files, packing, comment, before, large):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        archive.comment = comment
        for name, content in files.items():
            with archive.open(name, "w", force_zip64=large) as member:
                member.write(content)
    try:
        with zipfile.ZipFile(buffer) as archive:
            expected = [
                (each.filename, each.header_offset, each.file_size, each.CRC) for each in archive.infolist()
            ]
        found = [(each.name, each.offset, each.size, each.crc) for each in zip_members(buffer)]
    except BrokenZip:  # a comment may look like an end
        assert b"PK" in comment
        return
    assert found == expected
