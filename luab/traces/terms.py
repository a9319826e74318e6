"""What the source of the rows allows: for the card of each dataset that is made of them."""

from luab.traces.rows import TraceRows
from luab_attention.columns import ATTENTION_SOURCE
from luab_data.console.text import printable

BATCH = 10_000  # rows in memory


def terms(traced: TraceRows) -> list[str]:
    """Paragraphs of the licenses in `attention_source`, and whether one forbids to pass the data on."""
    if ATTENTION_SOURCE not in traced.rows.column_names:
        return []
    licenses: dict[str, None] = {}
    refused = False
    stored = traced.rows.select_columns([ATTENTION_SOURCE]).with_format("arrow")
    for start in range(0, len(stored), BATCH):
        for source in stored[start : start + BATCH][ATTENTION_SOURCE].to_pylist():
            refused |= (source or {}).get("may_be_passed_on") is False
            if license := (source or {}).get("license"):
                licenses[printable(license)] = None
    said = ["**Do not pass this dataset on.** The terms of its source forbid it."] if refused else []
    return [*said, *(f"License of the source: {license}" for license in licenses)]
