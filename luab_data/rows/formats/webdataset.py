"""`datasets`' builder for tars of WebDataset, with bounds on what a member unpacks to."""

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from datasets.filesystems import EXTENSION_TO_COMPRESSION_FS_FILE_CLS
from datasets.packaged_modules.webdataset import webdataset
from datasets.utils.file_utils import xopen

from luab_data.adapters import hf_builders
from luab_data.errors import SourceError
from luab_data.rows.formats.bounded import allowed_of, refusals
from luab_data.rows.formats.json_shape import require_few_values, require_table

MEMBER = 128 << 20  # bytes of a file in the tar, as of an image
DECODED = 16 << 20  # bytes of one that becomes Python objects
ROWS = 256 << 20  # bytes of all members of a small tar: so many may be held at once
PLAIN = ("txt", "text", "transcript", "cls", "cls2", "index", "inx", "id", "json", "jsn")
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"PK")


class WebDataset(hf_builders.OpenWebDataset):
    """The library's builder for tars, which reads each member with a bound."""

    @staticmethod
    def members(path: str, files: Any) -> Iterable[tuple[str, io.BytesIO]]:
        """The files of a tar, each read and bounded."""
        return _Members(path, files)


class _Members:
    """The files of a tar, each read and bounded.

    Args:
        tar_path: of the file, or its address.
        files: the library's iterator, which knows how to reach it.
    """

    def __init__(self, tar_path: str, files: Any):
        self._path, self._files = tar_path, files
        self._config = hf_builders.config_of(files)

    def __iter__(self) -> Iterator[tuple[str, io.BytesIO]]:
        with xopen(self._path, "rb", download_config=self._config) as file:
            if file.read(6).startswith(COMPRESSED):
                raise SourceError(f"{self._path} is compressed. Unpack it first: only plain tars are read.")
        left = allowed_of(self._path, self._config, ROWS)
        for name, file in self._files:
            content = self._read(name, file)
            left -= self._size(name, content)
            if left < 0:
                raise SourceError(f"{self._path} unpacks to far more than its size. Write it without gaps.")
            yield name, io.BytesIO(content)

    def _read(self, name: str, file: Any) -> bytes:
        return self._moderate(name, iter(lambda: file.read(1 << 20), b""), MEMBER)

    def _size(self, name: str, content: bytes) -> int:
        """Bytes of a member, unpacked where it is compressed."""
        stem, _, ending = name.lower().rpartition(".")
        unpacker = EXTENSION_TO_COMPRESSION_FS_FILE_CLS.get(f".{ending}")
        if unpacker is not None:
            with unpacker(io.BytesIO(content), mode="rb") as file:
                content = self._read(name, file)
            ending = stem.rpartition(".")[2]
        if ending in webdataset.DECODERS and ending not in PLAIN:
            raise SourceError(
                f"{self._path}: {name} is not read, for arrays may unpack to any size. Leave it out of the "
                "tar, or write the rows as Parquet."
            )
        if ending in PLAIN:
            self._moderate(name, [content], DECODED)
        return len(content)

    def _moderate(self, name: str, pieces: Iterable[bytes], most: int) -> bytes:
        content = bytearray()
        for piece in pieces:
            content += piece
            if len(content) > most:
                raise SourceError(
                    f"{self._path}: {name} has more than {most:,} bytes. Leave it out of the tar."
                )
        return bytes(content)


def _json(content: bytes) -> Any:
    name = "a JSON file in the tar"
    with refusals():
        require_few_values(content, name)
        try:
            value = json.loads(content)
        except RecursionError:
            raise SourceError(f"{name} is nested too deep. Write flat rows.") from None
        require_table(value, name)
    return value


WebDataset.DECODERS = {**{kind: webdataset.DECODERS[kind] for kind in PLAIN}, "json": _json, "jsn": _json}
