"""A piece of text with records between commas -> the records, all or none."""

import json

import pyarrow as pa
import pyarrow.json

from coco_ab.json_types import JsonStruct

MAX_EXPLAINED = 1 << 20  # bytes of a record that Python decodes; each may become 60 in memory


def read_records(text: bytes, begin: int, end: int, record: JsonStruct) -> pa.StructArray | None:
    """The records of a piece of text, cleaned; None unless all of it is valid records."""
    # One object that holds the records in an array: Arrow's own separator is white space, not a comma. An
    # array in an array, so that text behind the end of its array (`], "licenses": [`) is no JSON here.
    piece = b"".join((b'{"records":[[', memoryview(text)[begin:end], b"]]}"))
    try:
        if not piece.isascii():
            piece.decode()  # Arrow does not check the encoding of skipped text
        table = pyarrow.json.read_json(
            pa.BufferReader(piece),
            pyarrow.json.ReadOptions(use_threads=False, block_size=len(piece)),
            pyarrow.json.ParseOptions(
                explicit_schema=pa.schema([("records", pa.list_(pa.list_(record.arrow)))]),
                newlines_in_values=True,
                unexpected_field_behavior="ignore",
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    arrays = table["records"].combine_chunks().flatten()
    records = arrays.flatten()
    # Text made to close both (`]], "other": [[`) hides records: fewer are read than have the first field.
    keys = text.count(b'"%s"' % record.required[0].encode(), begin, end)
    whole = table.num_rows == len(arrays) == 1 and len(records) == keys
    return record.clean(records) if whole and not records.null_count and record.valid(records) else None


def fault_of(text: bytes, record: JsonStruct) -> str:
    """Why `read_records` rejects the text of one record."""
    if len(text) > MAX_EXPLAINED:
        return f"not a sound record; its {len(text):,} bytes are too many to say more"
    try:
        value = json.loads(text)
    except RecursionError:
        return "nested too deeply"
    except ValueError as error:
        return f"not JSON: {error}; it begins with {text.strip()[:20]!r}"
    try:
        return record.fault(value, "") or "a field occurs twice, or is written in an unusual way"
    except RecursionError:
        return "nested too deeply"
