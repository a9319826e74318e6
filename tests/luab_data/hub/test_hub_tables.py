"""Hostile files of rows on the Hub: refused in one line, downloaded or streamed."""

import pytest
from fixtures import hostile_tables
from fixtures.hostile_parquet import require_cheap_refusal
from fixtures.hub.served import TOKEN

HOSTILE = {
    "a.jsonl.gz": (hostile_tables.long_line, "a.jsonl.gz", "has a line of more than 8,388,608 bytes"),
    "a.csv.xz": (hostile_tables.long_line, "a.csv.xz", "has a line of more than 8,388,608 bytes"),
    "a.tar": (hostile_tables.tar, "packed member", "has more than 134,217,728 bytes"),
    "a.arrow": (hostile_tables.arrow, "compressed", "is compressed"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(hub, clients, tmp_path, name):
    write, kind, reason = HOSTILE[name]
    write(tmp_path, kind)
    hub.add("dataset", "you/hostile").add(**{name: (tmp_path / name).read_bytes()})
    for streaming in (False, True):
        require_cheap_refusal(clients, "you/hostile", reason, streaming=streaming, token=TOKEN)
