"""Array files (npz without pickle) with a hash of their content: written atomically, read if unchanged."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from luab_data.files.durable import put

DIGEST = "sha256"  # of all other arrays
MOST_BYTES = 4 << 30  # unpacked; ImageNet-C's 3.75 million scores with their names take 700 MB


def write_arrays(file: Path, arrays: Mapping[str, np.ndarray], compressed: bool = False) -> None:
    """Write the arrays and their hash; the file appears only when it is complete and on disk."""
    content = io.BytesIO()
    save: Callable[..., None] = np.savez_compressed if compressed else np.savez
    save(content, **arrays, **{DIGEST: np.frombuffer(_digest(arrays), np.uint8)})
    file.parent.mkdir(parents=True, exist_ok=True)
    # A unique name: another process may be writing the same predictions.
    partial = file.with_name(f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        partial.write_bytes(content.getbuffer())
        put(partial, file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_arrays(file: Path, digest_needed: bool = False) -> dict[str, np.ndarray]:
    """Read a file of `write_arrays`.

    Args:
        file: The file.
        digest_needed: Reject files without a hash, which earlier versions wrote.

    Raises:
        ValueError: the file is missing, damaged, changed, or of another kind.
    """
    try:
        with zipfile.ZipFile(file) as members:
            size = sum(member.file_size for member in members.infolist())
        if size > MOST_BYTES:
            raise ValueError(f"{size:,} bytes unpacked, more than {MOST_BYTES:,}")
        with np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except Exception as error:  # a damaged file may raise anything: zlib, struct, tokenize
        raise ValueError(f"{type(error).__name__}: {error}") from error
    digest = arrays.pop(DIGEST, None)
    if digest is None and digest_needed:
        raise ValueError("it has no hash")
    if digest is not None and digest.tobytes() != _digest(arrays):
        raise ValueError("its content is not what was written")
    return arrays


def hash_of(content: bytes) -> int:
    """A hash as a signed int of 64 bits, for a column of an array file."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little", signed=True)


def _digest(arrays: Mapping[str, np.ndarray]) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.digest()
