"""What `tarfile` does not document and large archives need: where it reads next, and what it keeps.

`tests/luab_data/test_tar_archive.py` says what a new Python changed.
"""

import io
import tarfile


class TarArchive:
    """An uncompressed archive, read by `tarfile` from front to back. A context manager.

    Raises:
        tarfile.ReadError: as `tarfile.open`, and in `next`.
    """

    def __init__(self, file: io.RawIOBase):
        self._archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115

    def __enter__(self) -> "TarArchive":
        return self

    def __exit__(self, *exception: object) -> None:
        self._archive.close()

    def next(self) -> tarfile.TarInfo | None:
        """The next member; None: the end. `tarfile` keeps them all, and a million would fill the memory."""
        member = self._archive.next()
        self._archive.members.clear()  # type: ignore[attr-defined]
        return member

    @property
    def offset(self) -> int:
        """Where the next header begins, in bytes. Set it to go on elsewhere."""
        return self._archive.offset

    @offset.setter
    def offset(self, offset: int) -> None:
        self._archive.offset = offset

    @property
    def says_of_all(self) -> bool:
        """Whether a global header says something of all members behind it."""
        return bool(self._archive.pax_headers)
