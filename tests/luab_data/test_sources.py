"""Sources give the same entries wherever the files lie, and bounded errors for hostile ones."""

import gzip
import io
import tarfile
import tracemalloc
import zipfile

import pytest
from fixtures.factories import WNIDS, raw_byproducts, raw_images, record_xml, tar_of_tars, write_tar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coco_ab.images import open_images as coco_images
from imagenet_ab.images import open_images as imagenet_images
from luab_attention.convert.image_stores import open_store
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.fingerprint import fingerprint
from luab_data.sources.archives import Spooled, TarOfTars, TarStream
from luab_data.sources.entries import Entry, Reject, entry_id
from luab_data.sources.folders import FolderSource, ZipSource
from luab_data.sources.parts import ClassFilter

A, B = (f"{wnid}/{wnid}_0" for wnid in WNIDS)


def entries(source):
    return {item.id: item.payload for item in source if isinstance(item, Entry)}


def reasons(items):
    return {item.id: item.reason for item in items if isinstance(item, Reject)}


@pytest.fixture
def images(tmp_path):
    return raw_images(tmp_path / "train")


def test_folder_and_tar_of_tars_hold_the_same_images(tmp_path, images):
    folder = FolderSource(tmp_path / "train")
    archive = TarOfTars(tar_of_tars(tmp_path / "train.tar", images))
    for source in (folder, archive):
        assert source.classes() == list(WNIDS)
        assert list(source.ids()) == list(images)
        assert entries(source) == images
        assert {image_id: source.get(image_id) for image_id in images} == images
        assert A in source
        assert f"{WNIDS[0]}/{WNIDS[0]}_99" not in source


@pytest.mark.parametrize(
    "foreign", ["../../etc/passwd", "/etc/passwd", "n01440764/../../train.tar", "..", ""]
)
def test_a_lookup_never_leaves_its_folder(tmp_path, images, foreign):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd.JPEG").write_bytes(b"secret")
    assert foreign not in FolderSource(tmp_path / "train")


def test_folder_rejects_a_second_file_of_an_id_and_ignores_other_files(tmp_path, images):
    (tmp_path / "train" / f"{A}.jpg").write_bytes(b"another")
    (tmp_path / "train" / WNIDS[0] / "Thumbs.db").write_bytes(b"")
    (tmp_path / "train" / WNIDS[0] / f"._{WNIDS[0]}_0.JPEG").write_bytes(b"twin")
    source = FolderSource(tmp_path / "train")
    items = list(source.ids())
    assert reasons(items) == {f"{A}.jpg": f"second file of this id, beside '{A}.JPEG'"}
    assert [item for item in items if isinstance(item, str)] == list(images)
    assert source.ignored == 2


def zip_of(path, folder, below=""):
    """A zip of a folder's files, in a folder of the zip's."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{below}{file.relative_to(folder).as_posix()}")
    return path


@pytest.mark.parametrize("below", ["", "train/"])
def test_a_misplaced_image_is_a_reject_and_no_class_in_a_folder_and_in_a_zip(tmp_path, images, below):
    train = tmp_path / "train"
    (train / "stray.JPEG").write_bytes(b"x")
    (train / "synsets.txt").write_bytes(b"x")
    for nested in (f"{WNIDS[0]}/backup/copy.JPEG", f"{WNIDS[0]}/backup/notes.txt", "spare/a/b.JPEG"):
        (train / nested).parent.mkdir(parents=True, exist_ok=True)
        (train / nested).write_bytes(b"x")
    archive = zip_of(tmp_path / "train.zip", train, below)
    for source, at in ((FolderSource(train), ""), (ZipSource(archive, depth=2, below=below), below)):
        assert entries(source) == images
        assert source.classes() == list(WNIDS)
        assert reasons(source) == {
            f"{at}stray.JPEG": "the file lies 1 folder too high: expected <class>/<name>",
            f"{at}{WNIDS[0]}/backup/copy.JPEG": "the file lies 1 folder too deep: expected <class>/<name>",
            f"{at}spare/a/b.JPEG": "the file lies 1 folder too deep: expected <class>/<name>",
        }
        assert source.ignored == 2


def test_what_is_beside_the_split_in_a_zip_is_ignored(tmp_path, images):
    archive = zip_of(tmp_path / "train.zip", tmp_path / "train", "train/")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("val/val_1.JPEG", b"x")
    source = ZipSource(archive, depth=2, below="train/")
    assert (entries(source), reasons(source), source.ignored) == (images, {}, 1)


def test_a_folder_without_a_usable_file_is_no_class(tmp_path, images):
    train = tmp_path / "train"
    (train / "links").mkdir()
    (train / "links" / "a.JPEG").symlink_to("/etc/hostname")
    (train / "empty").mkdir()
    source = FolderSource(train)
    assert source.classes() == list(WNIDS)
    assert list(reasons(source)) == ["links/a.JPEG"]
    inner = write_tar(tmp_path / "inner.tar", [(tarfile.TarInfo("notes.txt"), b"")]).read_bytes()
    content = {f"{WNIDS[0]}.tar": write_tar(tmp_path / "i", [("a.JPEG", b"a")]).read_bytes()}
    archive = write_tar(tmp_path / "a.tar", [*content.items(), ("empty.tar", inner)])
    assert TarOfTars(archive).classes() == [WNIDS[0]]


def test_flat_folder_and_zip_for_coco(tmp_path):
    folder = tmp_path / "train2014"
    folder.mkdir()
    payloads = {f"COCO_train2014_{number:012d}": bytes([number]) * 9 for number in (9, 25)}
    with zipfile.ZipFile(tmp_path / "train2014.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train2014/", "")
        for name, payload in payloads.items():
            (folder / f"{name}.jpg").write_bytes(payload)
            archive.writestr(f"train2014/{name}.jpg", payload)
        archive.writestr("train2014/../../escape.jpg", b"x")
        archive.writestr("__MACOSX/train2014/._COCO_train2014_000000000009.jpg", b"twin")
    from_folder = FolderSource(folder, depth=1)
    from_zip = ZipSource(tmp_path / "train2014.zip")
    assert entries(from_folder) == entries(from_zip) == payloads
    assert from_folder.classes() is from_zip.classes() is None
    assert list(reasons(from_zip)) == ["train2014/../../escape.jpg"]
    assert from_zip.ignored == 1


def test_zip_member_larger_than_allowed_is_not_read_whole(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", bytes(1 << 20))
    source = ZipSource(tmp_path / "bomb.zip", max_bytes=1000)
    assert "a" in source
    with pytest.raises(RejectedRecord, match="1,000"):
        source.get("a")


def test_xml_archive_skips_twins_and_rejects_what_is_no_plain_file(tmp_path):
    link, device = tarfile.TarInfo(f"x/{WNIDS[0]}/link.xml"), tarfile.TarInfo(f"x/{WNIDS[0]}/device.xml")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    device.type = tarfile.CHRTYPE
    path = raw_byproducts(
        tmp_path / "ab.tar.gz",
        [A, B],
        more=[
            (f"imagenet_ab_v1_0/train_xml/{WNIDS[0]}/._{WNIDS[0]}_0.xml", b"\0\5\x16\7"),
            (f"imagenet_ab_v1_0/train_xml/{WNIDS[0]}/../../../escape.xml", b"x"),
            (f"/{A}.xml", b"x"),
            ("top.xml", b"x"),
            ("README.txt", b"x"),
            (link, b""),
            (device, b""),
            (f"x/{WNIDS[0]}/huge.xml", bytes(2000)),
        ],
    )
    source = TarStream(path, max_bytes=1500)
    assert entries(source) == {A: record_xml(A), B: record_xml(B)}
    found = reasons(source)
    assert "unsafe name" in found[f"imagenet_ab_v1_0/train_xml/{WNIDS[0]}/../../../escape.xml"]
    assert "unsafe name" in found[f"/{A}.xml"]
    assert "folder too high" in found["top.xml"]
    assert "not a plain file" in found[link.name]
    assert "not a plain file" in found[device.name]
    assert "2,000 bytes, allowed are 1,500" in found[f"x/{WNIDS[0]}/huge.xml"]
    assert len(found) == 6
    assert source.ignored == 2


def test_unpacked_byproducts_equal_the_archive(tmp_path):
    path = raw_byproducts(tmp_path / "ab.tar.gz", [A, B])
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = FolderSource(tmp_path / "imagenet_ab_v1_0" / "train_xml", "byproducts", (".xml",))
    assert entries(folder) == entries(TarStream(path))


def test_gzip_bomb_ends_early_and_in_little_memory(tmp_path):
    path = tmp_path / "bomb.tar.gz"
    member = tarfile.TarInfo("a/b/c.xml")
    member.size = 200 << 20
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(member.tobuf())
        for _ in range(200):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(SourceError, match="cannot be read as a tar archive"):
        list(TarStream(path, max_total_bytes=10 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_header_that_claims_gigabytes_is_refused(tmp_path, kind):
    header = tarfile.TarInfo("././@LongLink")
    header.type = kind
    header.size = 3 << 30
    path = tmp_path / "long.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(10_000)))
    with pytest.raises(SourceError, match="header claims 3,221,225,472 bytes"):
        list(TarStream(path))


@pytest.mark.parametrize("digits", [25, 5000])
@pytest.mark.parametrize("first", [True, False])
def test_a_length_of_many_digits_is_refused(tmp_path, digits, first):
    """Found by fuzzing: tarfile lets an OverflowError and a ValueError pass."""
    header, ordinary = tarfile.TarInfo("PaxHeaders/x"), tarfile.TarInfo("a/b/c.xml")
    content = b"9" * digits + b" path=x\n"
    header.type, header.size = tarfile.XHDTYPE, len(content)
    path = tmp_path / "absurd.tar"
    before = b"" if first else ordinary.tobuf()
    path.write_bytes(before + header.tobuf() + content.ljust(5120, b"\0") + ordinary.tobuf() + bytes(1024))
    with pytest.raises(SourceError, match=r"absurd\.tar.*cannot be read as a tar archive"):
        list(TarStream(path))


@pytest.mark.parametrize("open_", [imagenet_images, coco_images, lambda path: list(open_store(path).names())])
@pytest.mark.parametrize("kept", [0.99, 0.5, 0.01])
def test_a_zip_that_was_cut_off_is_called_a_broken_zip(tmp_path, images, open_, kept):
    path = zip_of(tmp_path / "train.zip", tmp_path / "train")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(SourceError, match=r"train\.zip' cannot be read as a zip: .*cut off.*Download "):
        open_(path)


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_broken_zip_member_is_one_reject(tmp_path, packing):
    path = tmp_path / "train2014.zip"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("a.jpg", bytes(range(256)) * 8)
        archive.writestr("b.jpg", b"whole")
    content = bytearray(path.read_bytes())
    begin = 30 + len("a.jpg")  # behind the local header
    content[begin : begin + 16] = b"\xff" * 16
    path.write_bytes(content)
    [broken, whole] = ZipSource(path)
    assert "the zip's member cannot be read" in broken.reason
    assert whole == ("b", b"whole")


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_cut_archive_is_an_error_and_not_a_short_dataset(tmp_path, keep, compressed):
    ids = [f"{WNIDS[0]}/{WNIDS[0]}_{number}" for number in range(40)]
    content = raw_byproducts(tmp_path / "ab.tar.gz", ids).read_bytes()
    if not compressed:
        content = gzip.decompress(content)
        content = content[: content.rindex(b"</annotation>")]  # behind it there is only padding
    (tmp_path / "cut").write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(SourceError, match="Download it again"):
        list(TarStream(tmp_path / "cut"))


def test_a_broken_header_in_the_middle_is_an_error(tmp_path):
    path = write_tar(tmp_path / "a.tar", [(f"x/{A}.xml", b"1"), (f"x/{B}.xml", b"2"), ("x/c/d.xml", b"3")])
    content = bytearray(path.read_bytes())
    content[1024 + 148] ^= 1  # the second header's checksum
    path.write_bytes(content)
    with pytest.raises(SourceError, match="broken or cut off"):
        list(TarStream(path))


def test_tar_of_tars_rejects_links_duplicates_and_foreign_archives(tmp_path, images):
    link = tarfile.TarInfo("n01440764_7.JPEG")
    link.type, link.linkname = tarfile.LNKTYPE, "/etc/passwd"
    inner = write_tar(
        tmp_path / "inner.tar",
        [("n01440764_0.JPEG", b"a"), ("sub/n01440764_0.JPEG", b"b"), (link, b""), ("x.txt", b"")],
    )
    source = TarOfTars(write_tar(tmp_path / "outer.tar", [("n01440764.tar", inner.read_bytes())]))
    assert source.get(A) == b"a"
    assert reasons(source.ids()) == {
        "n01440764/sub/n01440764_0.JPEG": "second file of this id",
        "n01440764/n01440764_7.JPEG": "not a plain file (a link, a device or a sparse file)",
    }
    assert source.ignored == 1
    with pytest.raises(SourceError, match=r"holds no <class>\.tar"):
        TarOfTars(raw_byproducts(tmp_path / "ab.tar.gz", [A]).with_name("inner.tar"))
    cut = tmp_path / "cut.tar"
    whole = tar_of_tars(tmp_path / "whole.tar", images).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="Download it again"):
        list(TarOfTars(cut).ids())


def test_spooled_archive_is_looked_up_and_reports_duplicates(tmp_path):
    path = raw_byproducts(tmp_path / "ab.tar.gz", [A, B, A])
    spooled = Spooled(TarStream(path))
    assert spooled.get(B) == record_xml(B)
    assert "n0/n0_0" not in spooled
    assert [i for i in spooled.ids() if isinstance(i, str)] == [A, B]
    assert reasons(spooled.ids()) == {A: "second file of this id"}


def test_class_filter_keeps_one_class_and_counts_the_rest(tmp_path, images):
    source = ClassFilter(FolderSource(tmp_path / "train"), [WNIDS[1]])
    assert list(entries(source)) == [i for i in images if i.startswith(WNIDS[1])]
    assert A not in source
    assert B in source
    assert source.ignored == 3


@pytest.mark.parametrize("name", ["../a/b.xml", "/a/b.xml", "a\\b/c.xml", "a/\0b.xml", "a/\udcff.xml"])
def test_unsafe_names_have_no_id(name):
    with pytest.raises(RejectedRecord):
        entry_id(name, depth=2)


@pytest.mark.parametrize("name", ["a/b.xml", "./x//a/./b.xml", "x/a/b.xml/", "a/b.xml/."])
def test_an_id_is_made_of_the_parts_that_say_something(name):
    assert entry_id(name, depth=2) == "a/b"


def test_fingerprint_follows_the_files_and_not_their_place(tmp_path, images):
    before = fingerprint(tmp_path / "train")
    (tmp_path / "moved").mkdir()
    (tmp_path / "train").rename(tmp_path / "moved" / "train")
    assert fingerprint(tmp_path / "moved" / "train") == before
    (tmp_path / "moved" / "train" / f"{A}.JPEG").write_bytes(b"changed in place")
    assert fingerprint(tmp_path / "moved" / "train") != before


def long_headers(path):
    """An archive whose files need headers of their own, between files that do not."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for number in range(3):
            for folder in ("x" * 120, "y"):
                info = tarfile.TarInfo(f"{folder}/{WNIDS[0]}/{WNIDS[0]}_{number}{folder[:1]}.xml")
                info.size = 5
                archive.addfile(info, io.BytesIO(b"<a/>\n"))
    with tarfile.open(path, "a", format=tarfile.PAX_FORMAT) as archive:
        for number in range(3):
            info = tarfile.TarInfo(f"{WNIDS[1]}/{WNIDS[1]}_{number}.xml")
            info.size = 5
            info.pax_headers = {"comment": "é"} if number == 1 else {}
            archive.addfile(info, io.BytesIO(b"<a/>\n"))
            info.name = f"{'p' * 90}/{'q' * 90}/{WNIDS[1]}/{WNIDS[1]}_p{number}.xml"  # a prefix, or pax
            archive.addfile(info, io.BytesIO(b"<b/>\n"))
    return path


def listed(path):
    try:
        return list(TarStream(path, max_bytes=10_000, max_total_bytes=1 << 20))
    except SourceError as error:
        return str(error)


@pytest.fixture
def by_tarfile_alone(monkeypatch):
    """Lists an archive without the shortcut for headers that repeat."""

    def list_slowly(path):
        with monkeypatch.context() as patch:
            patch.setattr("luab_data.sources.tar._KnownHeaders.read", lambda *_: None)
            return listed(path)

    return list_slowly


def test_headers_of_all_kinds_are_read_as_tarfile_reads_them(tmp_path, by_tarfile_alone):
    path = long_headers(tmp_path / "a.tar")
    with tarfile.open(path) as archive:
        expected = [(m.name.rpartition("/")[2][:-4], archive.extractfile(m).read()) for m in archive]
    found = listed(path)
    assert [(entry.id.rpartition("/")[2], entry.payload) for entry in found] == expected
    assert len(found) == 12
    assert found == by_tarfile_alone(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 511), st.integers(0, 255)), max_size=4))
def test_a_broken_tar_is_read_as_tarfile_reads_it(tmp_path, by_tarfile_alone, edits):
    content = bytearray(long_headers(tmp_path / "a.tar").read_bytes())
    for block, offset, value in edits:
        at = min(block * 512 + offset, len(content) - 1)
        start = at // 512 * 512
        content[at] = value
        if value % 2:  # else the checksum is wrong
            header = content[start : start + 148] + b" " * 8 + content[start + 156 : start + 512]
            content[start + 148 : start + 156] = b"%06o\0 " % sum(header)
    (tmp_path / "b.tar").write_bytes(content)
    assert listed(tmp_path / "b.tar") == by_tarfile_alone(tmp_path / "b.tar")


@pytest.mark.parametrize("flip", [0, 60, -6, -2, None])
def test_both_inflaters_refuse_what_is_broken(tmp_path, monkeypatch, flip):
    path = raw_byproducts(tmp_path / "ab.tar.gz", [A, B])
    content = bytearray(path.read_bytes())
    if flip is not None:
        content[flip] ^= 0xFF
        path.write_bytes(content)
    ours = listed(path)
    monkeypatch.setattr("luab_data.sources.archives.GzipFile", gzip.GzipFile)
    python = listed(path)
    assert isinstance(ours, str) == isinstance(python, str) == (flip is not None)
    assert isinstance(ours, str) or ours == python
