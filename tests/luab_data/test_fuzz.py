"""A short piece of `fuzz_readers.py`; it says how to run the long one."""

import time

import fuzz_readers
import pytest
from fuzz_readers import READERS, fuzz

COUNTS = {"xml": 2000, "tar": 400, "tars": 200, "gzip": 200, "json": 300}


@pytest.mark.parametrize("reader", READERS)
def test_broken_inputs_give_records_or_the_documented_errors(reader):
    outcomes, findings = fuzz(reader, 0, COUNTS[reader])
    assert findings == []
    assert sum(outcomes.values()) == COUNTS[reader]
    assert len(outcomes) > 1  # neither all of them sound, nor all of them broken
    if reader == "xml":
        assert outcomes["read, also the fast way"] > COUNTS[reader] / 20


def test_a_reader_that_hangs_is_a_finding(monkeypatch):
    """Not a broken archive: the readers of archives turn a TimeoutError, an OSError, into SourceError."""
    monkeypatch.setattr(fuzz_readers, "SECONDS", 1)
    monkeypatch.setattr("luab_data.sources.archives.members", lambda reader: time.sleep(5))
    outcomes, [finding] = fuzz("tar", 0, 1)
    assert not outcomes
    assert finding.endswith("TooSlow: longer than 1 s")
