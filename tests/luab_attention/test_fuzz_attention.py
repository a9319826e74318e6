"""Damaged files of every source: one of the documented errors, never another, and no internal error."""

import random

import pytest
from fixtures.attention_files import NO_SIZES, SEEDS
from fixtures.converted import write_images

from luab_attention.convert.conversion import Conversion
from luab_attention.readers import reader_named
from luab_data.build.batches import groups
from luab_data.errors import INTERNAL_ERROR, SourceError

TOKENS = [
    b"1e999", b"-1e308", b"1e12", b"NaN", b"", b"-1", b"0", b"9" * 400, b"null", b"true", b'""', b"[]", b"{}",
    b'"', b",", b"\n", b"\0", b"\xff", b"[" * 50, b"../..", b"1.5", b"<a>", b"<!DOCTYPE a>", b"&x;", b"\r",
]  # fmt: skip


def damaged(seed, chance):
    data = bytearray(seed)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((0, 1, 1, 3, 20)))
        data[at:end] = (
            chance.choice(TOKENS) if chance.random() < 0.7 else chance.randbytes(chance.randrange(3))
        )
    return bytes(data)


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files_give_documented_errors_only(tmp_path, name):
    file, seed, options = SEEDS[name]
    reader, chance = reader_named(name), random.Random(0)
    images = write_images(tmp_path / "photos", {"a.jpg": (8, 6)}) if name in NO_SIZES else None
    usable = 0
    for number in range(150):
        (tmp_path / file).write_bytes(damaged(seed, chance) if number else seed)
        try:
            records = reader.read(tmp_path / file, **options)
            raw = Conversion(records, reader.source, tmp_path / file, images)
            schema, make_batch = raw.features().arrow_schema, raw.to_batch()
            for group in groups(raw.pairs(), 100):
                batch = make_batch(group, schema)
                usable += batch.table.num_rows
                for reject in batch.rejects:
                    assert not reject.reason.startswith(INTERNAL_ERROR), (number, reject)
        except SourceError:
            assert number, "the seed itself must be readable"
    assert usable > 1
