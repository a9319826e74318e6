"""A short piece of `fuzz_readers.py`; it says how to run the long one."""

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
