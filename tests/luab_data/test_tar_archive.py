"""`tarfile` keeps its members and its place where `luab_data/adapters/tar_archive.py` changes them."""

import io
import tarfile

from luab_data.adapters.tar_archive import TarArchive

CHANGED = "Python changed tarfile's {what}: read Lib/tarfile.py and change luab_data/adapters/tar_archive.py."


def archive_of(*names, **options):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", **options) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    file.seek(0)
    return file


def test_no_member_is_kept():
    with TarArchive(archive_of("a", "b", "c")) as archive:
        assert [archive.next().name for _ in range(3)] == ["a", "b", "c"]
        assert archive.next() is None
        assert not archive._archive.members, CHANGED.format(what="list of members")


def test_reading_goes_on_where_it_is_told_to():
    with TarArchive(archive_of("a", "b", "c")) as archive:
        assert archive.next().name == "a"
        assert archive.offset == 2 * tarfile.BLOCKSIZE, CHANGED.format(what="offset")
        archive.offset = 4 * tarfile.BLOCKSIZE
        assert archive.next().name == "c", CHANGED.format(what="offset")


def test_a_global_header_is_told():
    with TarArchive(archive_of("a")) as archive:
        archive.next()
        assert not archive.says_of_all
    headers = {"format": tarfile.PAX_FORMAT, "pax_headers": {"comment": "all"}}
    with TarArchive(archive_of("a", **headers)) as archive:
        archive.next()
        assert archive.says_of_all
