"""Hostile Parquet on the Hub: refused in one line, downloaded or streamed."""

import pytest
from fixtures.hostile_parquet import hostile, read_in_a_process
from fixtures.hub.served import TOKEN


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", ["footer", "prefixes", "dictionary"])
def test_a_hostile_file_is_refused(hub, clients, tmp_path, kind, streaming):
    hostile(kind, tmp_path / "train.parquet")
    repository = hub.add("dataset", "you/hostile")
    repository.add(**{"train.parquet": (tmp_path / "train.parquet").read_bytes()})
    result = clients.call(read_in_a_process, "you/hostile", streaming, token=TOKEN)
    assert result.status == 0, result.output
    said, seconds, megabytes = result.value
    assert "train.parquet" in said
    assert "unpacks to" in said
    assert "\n" not in said
    assert megabytes < 1000
    assert seconds < 5
