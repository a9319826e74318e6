"""Hostile Parquet on the Hub: refused in one line, downloaded or streamed."""

import pytest
from fixtures.hostile_parquet import hostile, require_cheap_refusal
from fixtures.hub.served import TOKEN


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", ["footer", "prefixes", "dictionary"])
def test_a_hostile_file_is_refused(hub, clients, kind, streaming):
    hub.add("dataset", "you/hostile").add(**{"train.parquet": hostile(kind)})
    said = ("train.parquet", "unpacks to")
    require_cheap_refusal(clients, "you/hostile", *said, streaming=streaming, token=TOKEN)
