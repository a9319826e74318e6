"""Files that count what is read of them, so that a small one cannot take all memory."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from datasets import DownloadConfig
from datasets.utils.file_utils import xgetsize, xopen

from luab_data.errors import SourceError

ALLOWED = 1 << 30  # bytes that any file may unpack to,
TIMES = 20  # and a large one to so many times its own size
CHUNK = 16 << 20  # bytes to read at once
LINE = 8 << 20  # bytes of a line


class TooMuch(Exception):
    """More than is allowed. It is no ValueError: the library tries other ways to read after those."""


@contextmanager
def refusals() -> Iterator[None]:
    """Raises `SourceError` in place of `TooMuch`."""
    try:
        yield
    except TooMuch as error:
        raise SourceError(str(error)) from None


class Counted(io.RawIOBase):
    """What a file unpacks to, with a bound on the sum.

    Args:
        path: as the library writes it, also `gzip://rows.jsonl::hf://.../rows.jsonl.gz`.
        config: how to reach it.
        check: gets each piece; raises `TooMuch`.

    Raises:
        TooMuch: when it is read, and unpacks to more than 1 GiB and 20 times its size.
    """

    def __init__(self, path: str, config: DownloadConfig, check: Callable[[bytes], None] | None = None):
        super().__init__()
        self.name = path.rpartition("::")[2]
        self._file = xopen(path, "rb", download_config=config)
        self.allowed = allowed_of(self.name, config)
        self._check, self._total = check, 0

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Reads the next piece."""
        content = self._file.read(min(len(buffer), CHUNK))
        self._total += len(content)
        if self._total > self.allowed:
            raise TooMuch(f"{self.name} unpacks to more than {self.allowed:,} bytes. Write it as Parquet.")
        if self._check is not None:
            self._check(content)
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Closes the file below, too."""
        if not self.closed:
            self._file.close()
        super().close()


def allowed_of(path: str, config: DownloadConfig | None, least: int | None = None) -> int:
    """Bytes that a file may unpack to."""
    return max(ALLOWED if least is None else least, TIMES * xgetsize(path, download_config=config))


def download_config(builder: Any) -> DownloadConfig:
    """How a builder reaches its files."""
    return DownloadConfig(token=builder.token, storage_options=builder.storage_options)
