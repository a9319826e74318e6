"""MATLAB's .mat files (version 5 to 7) from strangers, with SciPy, in bounded memory."""

import struct
import zlib
from pathlib import Path
from typing import Any

from luab_data.console.missing import require_extra
from luab_data.errors import RejectedRecord
from luab_data.files.regular import read_regular

MAX_BYTES = 64 << 20  # of a file
MAX_UNPACKED = 256 << 20  # of one compressed variable
_HEADER = 128
_COMPRESSED = 15


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a file.

    Raises:
        RejectedRecord: it is none, is of version 7.3 (HDF5), or unpacks to too much.
        SourceError: SciPy is not installed.
    """
    require_extra("eval", "reading .mat files")
    import io

    from scipy.io import loadmat

    data = read_regular(path, MAX_BYTES)
    _require_sound(data)
    try:
        found = loadmat(io.BytesIO(data), squeeze_me=False, verify_compressed_data_integrity=True)
    except Exception as error:  # SciPy raises many types on broken files
        raise RejectedRecord(f"the .mat file cannot be read: {error}") from error
    return {name: value for name, value in found.items() if not name.startswith("__")}


def _require_sound(data: bytes) -> None:
    """Checks the header, and how much each compressed variable unpacks to."""
    if data[:19] == b"MATLAB 7.3 MAT-file":
        raise RejectedRecord("a .mat file of version 7.3; save it with `save -v7`")
    if len(data) < _HEADER or data[124:128] not in (b"\x00\x01IM", b"\x01\x00MI"):
        raise RejectedRecord("no .mat file of version 5 to 7")
    order = "<" if data[126:128] == b"IM" else ">"
    at = _HEADER
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}2I", data, at)
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            try:
                unpacked = unpacker.decompress(data[at + 8 : at + 8 + size], MAX_UNPACKED + 1)
            except zlib.error as error:
                raise RejectedRecord(f"the .mat file cannot be read: {error}") from error
            if len(unpacked) > MAX_UNPACKED:
                raise RejectedRecord(f"a variable unpacks to more than the allowed {MAX_UNPACKED:,} bytes")
        at += 8 + size if kind == _COMPRESSED else 8 + -(-size // 8) * 8
