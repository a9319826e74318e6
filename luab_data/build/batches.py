"""A batch of pairs -> one Arrow table: the step that the build and the streaming builders share."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import pyarrow as pa

from luab_data.build.join import LoadedPair, Pair, Payload
from luab_data.errors import PASSED_ON, internal_error
from luab_data.sources.entries import Reject

ROWS_PER_BATCH = 100  # about 10 MB of ImageNet: a Parquet row group, a worker's task, the memory of streaming
BYTES_PER_BATCH = 64 << 20  # of files; ends a batch early only if they are far larger than the released ones


class Outcome(NamedTuple):
    """The result of one pair: a row or none, and the counts of used and rejected entries.

    `used` counts the entries of each role that are in the row. `used` and `rejects` together must cover all
    input. `facts` are further counts for the summary.
    """

    row: dict[str, Any] | None
    rejects: tuple[Reject, ...] = ()
    used: Mapping[str, int] = MappingProxyType({})
    facts: Mapping[str, int] = MappingProxyType({})


class MakeRow(Protocol):
    """Makes the row of a pair. Pure and picklable: it runs in threads and in other processes.

    The payloads of a pair are of the types that the dataset's sources give.
    """

    def __call__(self, pair: LoadedPair, /) -> Outcome:
        """Makes the row of one pair, or rejects."""
        ...

    def refused(self, pair: LoadedPair, reason: str, /) -> Outcome:
        """No row: a reject for each entry of the pair."""
        ...


LoadedItem = LoadedPair | Reject


@dataclass(frozen=True)
class Batch:
    """The rows of some pairs, and the sums of their outcomes."""

    table: pa.Table
    rejects: list[Reject]
    used: Counter[str]
    facts: Counter[str]


# The rows of some items, in their order, as a table with the schema. Pure and picklable.
MakeBatch = Callable[[Sequence[LoadedItem], pa.Schema], Batch]


@dataclass(frozen=True)
class RowByRow:
    """A `MakeBatch` that makes the rows one by one."""

    make_row: MakeRow

    def __call__(self, items: Sequence[LoadedItem], schema: pa.Schema) -> Batch:
        """Makes a batch of the items, one row after the other."""
        return to_batch(items, self.make_row, schema)


def load(item: Pair | Reject) -> LoadedItem:
    """Reads what a pair has not read yet; a reject is returned unchanged."""
    return item if isinstance(item, Reject) else item.load()


@runtime_checkable
class HoldsFiles(Protocol):
    """A payload that holds several files."""

    @property
    def nbytes(self) -> int:
        """Their bytes."""


def _size(payload: Payload) -> int:
    if isinstance(payload, bytes):
        return len(payload)
    return payload.nbytes if isinstance(payload, HoldsFiles) else 0


def groups(items: Iterable[Pair | Reject], most: int) -> Iterator[list[LoadedItem]]:
    """Reads `items` in groups of `most`.

    A group ends early when its files reach `BYTES_PER_BATCH`. An item is read when its group is requested.
    """
    group, size = [], 0
    for item in items:
        loaded = load(item)
        group.append(loaded)
        if isinstance(loaded, LoadedPair):
            size += _size(loaded.image) + _size(loaded.byproducts)
        if len(group) == most or size >= BYTES_PER_BATCH:
            yield group
            group, size = [], 0
    if group:
        yield group


def to_batch(items: Iterable[LoadedItem], make_row: MakeRow, schema: pa.Schema) -> Batch:
    """Makes the rows of `items`, in their order, as a table.

    A pair on which `make_row` fails, or whose row the schema cannot hold, becomes rejects.
    """
    made: list[tuple[LoadedItem, Outcome]] = []
    for item in items:
        if isinstance(item, Reject):
            made.append((item, Outcome(None, (item,))))
            continue
        try:
            outcome = make_row(item)
        except PASSED_ON:
            raise
        except Exception as error:  # one bad record never ends a build of a million
            outcome = make_row.refused(item, internal_error(error))
        made.append((item, outcome))
    try:
        table = _table(made, schema)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        made = [(item, _storable(item, outcome, make_row, schema)) for item, outcome in made]
        table = _table(made, schema)
    rejects: list[Reject] = []
    used: Counter[str] = Counter()
    facts: Counter[str] = Counter()
    for _, outcome in made:
        rejects.extend(outcome.rejects)
        for counts, more in ((used, outcome.used), (facts, outcome.facts)):
            for name, number in more.items():  # Counter.update takes as long as the rest
                counts[name] += number
    return Batch(table, rejects, used, facts)


def _table(made: list[tuple[LoadedItem, Outcome]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(
        [outcome.row for _, outcome in made if outcome.row is not None], schema=schema
    )


def _storable(item: LoadedItem, outcome: Outcome, make_row: MakeRow, schema: pa.Schema) -> Outcome:
    """The outcome, or rejects if its row does not fit the schema."""
    if isinstance(item, Reject) or outcome.row is None:
        return outcome
    try:
        pa.Table.from_pylist([outcome.row], schema=schema)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        return make_row.refused(item, internal_error(error))
    return outcome
