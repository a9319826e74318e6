"""MATLAB's .mat files (version 5 to 7) from strangers, with SciPy, in bounded memory."""

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from luab_data.console.missing import require_extra
from luab_data.console.names import few
from luab_data.errors import RejectedRecord
from luab_data.files.regular import read_regular
from luab_data.sources.entries import printable

MAX_BYTES = 64 << 20  # of a file
MAX_UNPACKED = 256 << 20  # of all compressed variables
_HEADER = 128
_COMPRESSED = 15


def read_mat(path: Path, needed: Sequence[str], others: Sequence[str] = ()) -> dict[str, Any]:
    """Some variables of a file; no other is loaded.

    Args:
        path: the file.
        needed: the variables that it must have.
        others: those that it may have.

    Raises:
        RejectedRecord: it is none, is of version 7.3 (HDF5), unpacks to too much, or lacks a variable.
        SourceError: SciPy is not installed.
    """
    require_extra("eval", "reading .mat files")
    from scipy.io import loadmat, whosmat

    data = read_regular(path, MAX_BYTES)
    _require_sound(data)
    names = [*needed, *others]
    try:
        there = [printable(name) for name, *_ in whosmat(io.BytesIO(data))]
        found = loadmat(
            io.BytesIO(data),
            squeeze_me=False,
            verify_compressed_data_integrity=True,
            variable_names=names,
        )
    except Exception as error:  # SciPy raises many types on broken files
        raise RejectedRecord(f"the .mat file cannot be read: {error}") from error
    for name in needed:
        if name not in found:
            raise RejectedRecord(f"there is no variable {name!r}; the file has {few(there) or 'none'}")
    return {name: found[name] for name in names if name in found}


def _require_sound(data: bytes) -> None:
    """Checks the header, and how much the compressed variables unpack to."""
    if data[:19] == b"MATLAB 7.3 MAT-file":
        raise RejectedRecord("a .mat file of version 7.3; save it with `save -v7`")
    if len(data) < _HEADER or data[124:128] not in (b"\x00\x01IM", b"\x01\x00MI"):
        raise RejectedRecord("no .mat file of version 5 to 7")
    order = "<" if data[126:128] == b"IM" else ">"
    at, left = _HEADER, MAX_UNPACKED
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}2I", data, at)
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            try:
                unpacked = unpacker.decompress(data[at + 8 : at + 8 + size], left + 1)
            except zlib.error as error:
                raise RejectedRecord(f"the .mat file cannot be read: {error}") from error
            left -= len(unpacked)
            if left < 0:
                raise RejectedRecord(f"the .mat file unpacks to more than the allowed {MAX_UNPACKED:,} bytes")
        at += 8 + size if kind == _COMPRESSED else 8 + -(-size // 8) * 8
