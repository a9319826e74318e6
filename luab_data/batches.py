"""Some pairs -> one Arrow table: the step that the build and the streaming builders share."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
from datasets import Features

from luab_data.join import Pair, Payload
from luab_data.sources import Reject

ROWS_PER_BATCH = 100  # some 10 MB of ImageNet: a Parquet row group, a worker's task, what streaming holds


@dataclass(frozen=True)
class Outcome:
    """What became of one pair: a row or none, what was rejected, and how many entries of each role are in
    the row.

    `used` and `rejects` together must hold everything that went in. `facts` are further counts for the
    summary.
    """

    row: dict | None
    rejects: tuple[Reject, ...] = ()
    used: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, int] = field(default_factory=dict)


# (id, streamed payload, looked-up payload) -> Outcome. Pure and picklable: it runs in worker processes.
MakeRow = Callable[[str, bytes | None, Payload], Outcome]

# A pair whose two payloads are read.
LoadedItem = tuple[str, bytes | None, Payload] | Reject


@dataclass(frozen=True)
class Batch:
    """The rows of some pairs, and the sums of their outcomes."""

    table: pa.Table
    rejects: list[Reject]
    used: Counter[str]
    facts: Counter[str]


def load(item: Pair | Reject) -> LoadedItem:
    return item if isinstance(item, Reject) else (item.id, item.from_stream, item.from_lookup())


def to_batch(items: Iterable[LoadedItem], make_row: MakeRow, features: Features) -> Batch:
    """Makes the rows of `items`, in their order, as a table with the schema of `features`."""
    rows, rejects, used, facts = [], [], Counter(), Counter()
    for item in items:
        if isinstance(item, Reject):
            rejects.append(item)
            continue
        outcome = make_row(*item)
        rejects.extend(outcome.rejects)
        used.update(outcome.used)
        facts.update(outcome.facts)
        if outcome.row is not None:
            rows.append(outcome.row)
    return Batch(pa.Table.from_pylist(rows, schema=features.arrow_schema), rejects, used, facts)
