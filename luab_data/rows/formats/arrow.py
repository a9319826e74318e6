"""`datasets`' builder for Arrow files, of which only plain ones are read: as large as what they hold."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets.builder import Key
from datasets.packaged_modules.arrow import arrow

from luab_data.adapters.hf_datasets import cast_table
from luab_data.errors import SourceError
from luab_data.rows.formats.class_orders import require_same_classes

MAGIC = b"ARROW1\0\0"  # of a file; what follows is as in a stream
FIX = "Write it again with Dataset.save_to_disk, or as Parquet (Dataset.to_parquet)."
REPEATS = (
    pa.types.is_dictionary,
    pa.types.is_run_end_encoded,
    pa.types.is_binary_view,
    pa.types.is_string_view,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)


class Arrow(arrow.Arrow):
    """The library's builder for Arrow files, which reads them through `plain_batches`."""

    def _generate_tables(self, files: list[str]) -> Iterator[tuple[Key, pa.Table]]:
        # `datasets` replaces `open` in this module by one that also opens addresses.
        for number, path in enumerate(files):
            with open(path, "rb") as file:  # noqa: PTH123
                for at, batch in enumerate(plain_batches(file, path)):
                    if at == 0:
                        require_same_classes(batch.schema, self.info.features, path)
                    batch.validate(full=True)
                    yield Key(number, at), cast_table(self, pa.Table.from_batches([batch]))


def plain_batches(file: Any, name: str) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow file or stream that is neither compressed nor repeats its values.

    Raises:
        SourceError: it is, or it is damaged.
    """
    try:
        if file.read(len(MAGIC)) != MAGIC:
            file.seek(0)
        messages = pa.ipc.MessageReader.open_stream(file)
        schema = pa.ipc.read_schema(messages.read_next_message())
        for field in schema:
            _require_plain(field.type, name)
        for message in messages:
            if message.type != "record batch" or _is_compressed(message.metadata.to_pybytes()):
                raise SourceError(f"{name} is compressed, or repeats values. {FIX}")
            batch = pa.ipc.read_record_batch(message, schema)
            most = max(1 << 20, 8 * message.body.size)
            if batch.num_rows > most or any(_longest(column) > most for column in batch.columns):
                raise SourceError(f"{name} has more rows than bytes. {FIX}")
            yield batch
    except (pa.ArrowException, EOFError, struct.error, MemoryError, OverflowError) as error:
        raise SourceError(
            f"{name} cannot be read as Arrow: {error or type(error).__name__}. {FIX}"
        ) from error


def require_plain_files(folder: Path) -> None:
    """Checks the headers of what `save_to_disk` wrote, before it is mapped into memory.

    Raises:
        SourceError: a file is missing, damaged, compressed, or repeats its values.
    """
    for state in sorted(folder.rglob("state.json")):
        try:
            names = [str(file["filename"]) for file in json.loads(state.read_bytes())["_data_files"]]
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{state} does not name its data files. Save the dataset again.") from error
        for path in map(state.parent.joinpath, names):
            with pa.memory_map(str(path)) as mapped:
                for _ in plain_batches(mapped, str(path)):
                    pass


def _require_plain(kind: pa.DataType, name: str) -> None:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if any(repeats(kind) for repeats in REPEATS):
        raise SourceError(f"{name} has a column of type {kind}, which may repeat large values. {FIX}")
    for index in range(kind.num_fields):
        _require_plain(kind.field(index).type, name)


def _longest(array: pa.Array) -> int:
    """The most values of an array or of one inside it; null ones take no bytes."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    inner = []
    if isinstance(array, pa.StructArray):
        inner = [array.field(index) for index in range(array.type.num_fields)]
    elif isinstance(array, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        inner = [array.values]
    return max([len(array), *map(_longest, inner)])


def _is_compressed(metadata: bytes) -> bool:
    """Whether a record batch's header (a FlatBuffer, by Arrow's Message.fbs) has the field `compression`."""
    message = struct.unpack_from("<I", metadata)[0]
    header = _field(metadata, message, 2)
    batch = header + struct.unpack_from("<I", metadata, header)[0]
    return _field(metadata, batch, 3) != 0


def _field(metadata: bytes, table: int, number: int) -> int:
    """Where a table's field is; 0: it has none."""
    fields = table - struct.unpack_from("<i", metadata, table)[0]
    if 4 + 2 * number >= struct.unpack_from("<H", metadata, fields)[0]:
        return 0
    offset = struct.unpack_from("<H", metadata, fields + 4 + 2 * number)[0]
    return table + offset if offset else 0
