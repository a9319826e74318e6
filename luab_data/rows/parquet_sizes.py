"""How much a Parquet file unpacks to, found out before anything unpacks it whole.

A column may hold one large value and repeat it a million times in a few bytes. `datasets` unpacks a row group
at once, so a file of some kilobytes could take any amount of memory.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from luab_data.errors import SourceError

ALLOWED = 1 << 30  # bytes that any file may unpack to,
TIMES = 20  # and a large one to so many times its own size
SMALL = 4 << 20  # bytes of a file whose metadata is not believed: it is read in any case
LARGE_VALUES = 64 << 20  # bytes of a column in a row group, from which on a row is read at a time
BYTES = ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")


def require_moderate_parquets(source: Path) -> None:
    """Look at the Parquet files of a folder, or at one.

    Raises:
        SourceError: one that is damaged, or that unpacks to far more than its size.
    """
    for path in [source] if source.is_file() else sorted(source.rglob("*.parquet")):
        if path.suffix.lower() == ".parquet" and path.is_file():
            try:
                unpacked = _unpacked(path)
            except (pa.ArrowException, OSError) as error:
                raise SourceError(f"{path} cannot be read as Parquet: {error}. Make it again.") from error
            if unpacked > _allowed(path):
                raise SourceError(
                    f"{path} has {path.stat().st_size:,} bytes and unpacks to more than {_allowed(path):,}: "
                    "it repeats large values. Write each image once, as JPEG or PNG."
                )


def _allowed(path: Path) -> int:
    return max(ALLOWED, TIMES * path.stat().st_size)


def _unpacked(path: Path) -> int:
    """Bytes; 0 where the metadata shows that they cannot be too many. Counted until they are."""
    metadata = pq.read_metadata(path)
    small = path.stat().st_size <= SMALL
    chunks = list(_chunks(metadata))
    allowed = _allowed(path)
    if sum(_most(chunk, small) for chunk in chunks) <= allowed:
        return 0
    largest = max(chunk.total_uncompressed_size for chunk in chunks)
    if largest > allowed:
        return largest
    total = 0
    with pq.ParquetFile(path) as file:
        columns = sorted({chunk.path_in_schema for chunk in chunks})
        at_once = 1 if largest > LARGE_VALUES else 8
        for batch in file.iter_batches(batch_size=at_once, columns=columns):
            total += batch.nbytes
            if total > allowed:
                break
    return total


def _chunks(metadata: pq.FileMetaData) -> Iterator[pq.ColumnChunkMetaData]:
    """The parts of columns that hold texts and bytes, of which one value may be large."""
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for column in range(group.num_columns):
            chunk = group.column(column)
            if chunk.physical_type in BYTES:
                yield chunk


def _most(chunk: pq.ColumnChunkMetaData, small: bool) -> int:
    """The most bytes that a chunk may unpack to: each of its values is the dictionary's only one.

    The dictionary's size is only known packed; its chunk's rate of packing is taken for its own, but not in a
    small file, where reading all of it costs nothing.
    """
    whole = chunk.total_uncompressed_size
    if not chunk.has_dictionary_page:
        return whole
    if small or chunk.dictionary_page_offset is None:
        return chunk.num_values * whole
    packed = max(0, chunk.data_page_offset - chunk.dictionary_page_offset)
    rate = max(1.0, whole / max(1, chunk.total_compressed_size))
    return whole + int(chunk.num_values * packed * rate)
