"""The types of the fields of a JSON record, declared once and checked in two ways.

Arrow reads whole pieces of a file, which are checked column by column (`valid`). If that fails, records are
checked one by one, and `fault` describes the problem. `clean` then turns the released column into the
dataset's: names in snake case, float32 ratios, unknown values null, absent lists empty.
"""

import re
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

MAX_TEXT = 255  # characters of a name or id
INT32 = pa.int32()


class JsonType(Protocol):
    """One field's type. `arrow` is the type for Arrow's JSON reader."""

    arrow: pa.DataType

    def valid(self, values: pa.Array) -> bool:
        """Whether all values are allowed. Null is allowed: `JsonStruct` checks required fields."""
        ...

    def clean(self, values: pa.Array) -> pa.Array:
        """The released column as a column of the dataset."""
        ...

    def fault(self, value: object, where: str) -> str | None:
        """The problem with one decoded value at `where` in its record, or None."""
        ...


@dataclass(frozen=True)
class JsonInt:
    """A whole number from `low` to `high`; with `zero_unknown`, 0 means unknown."""

    low: int = 0
    high: int = 2**31 - 1
    stored: pa.DataType = INT32
    zero_unknown: bool = False
    arrow = pa.int64()

    def valid(self, values: pa.Array) -> bool:
        bounds = pc.min_max(values).as_py()
        return bounds["min"] is None or (self.low <= bounds["min"] and bounds["max"] <= self.high)

    def clean(self, values: pa.Array) -> pa.Array:
        if self.zero_unknown:
            values = pc.if_else(pc.equal(values, 0), None, values)
        return values.cast(self.stored)

    def fault(self, value: object, where: str) -> str | None:
        if type(value) is int and self.low <= value <= self.high:  # not bool, which is an int to Python
            return None
        return _not_allowed(value, where, f"a whole number from {self.low} to {self.high}")


@dataclass(frozen=True)
class JsonReal:
    """A number from `low` to `high`, stored in float32."""

    low: float
    high: float
    arrow = pa.float32()

    def valid(self, values: pa.Array) -> bool:
        # Not min_max, which skips NaN: NaN is neither greater nor smaller than a bound.
        in_range = pc.and_(pc.greater_equal(values, self.low), pc.less_equal(values, self.high))
        return pc.all(in_range).as_py() is not False

    def clean(self, values: pa.Array) -> pa.Array:
        return values

    def fault(self, value: object, where: str) -> str | None:
        if (type(value) is int or type(value) is float) and self.low <= value <= self.high:
            return None
        return _not_allowed(value, where, f"a number from {self.low:g} to {self.high:g}")


@dataclass(frozen=True)
class JsonText:
    """At most `MAX_TEXT` characters; with `choices`, one of them."""

    choices: tuple[str, ...] = ()
    arrow = pa.string()

    def valid(self, values: pa.Array) -> bool:
        if self.choices:
            known = pc.is_in(values, value_set=pa.array([*self.choices, None], pa.string()))
            return pc.all(known).as_py() is not False
        return (pc.max(pc.utf8_length(values)).as_py() or 0) <= MAX_TEXT

    def clean(self, values: pa.Array) -> pa.Array:
        return values

    def fault(self, value: object, where: str) -> str | None:
        if isinstance(value, str) and (value in self.choices if self.choices else len(value) <= MAX_TEXT):
            return None
        allowed = " or ".join(self.choices) or f"a text of at most {MAX_TEXT} characters"
        return _not_allowed(value, where, allowed)


@dataclass(frozen=True)
class JsonFlag:
    """True or false."""

    arrow = pa.bool_()

    def valid(self, values: pa.Array) -> bool:
        return True

    def clean(self, values: pa.Array) -> pa.Array:
        return values

    def fault(self, value: object, where: str) -> str | None:
        return None if isinstance(value, bool) else _not_allowed(value, where, "true or false")


class JsonStruct:
    """A JSON object with these fields, by their released names.

    The `required` ones may not be absent or null. Other fields are skipped.
    """

    def __init__(self, fields: dict[str, JsonType], required: tuple[str, ...] = ()):
        self.fields = fields
        self.required = required
        self.arrow = pa.struct([(name, field.arrow) for name, field in fields.items()])

    def valid(self, values: pa.Array) -> bool:
        # flatten() gives a null object null fields, so only fields that an object lacks count as missing.
        columns = dict(zip(self.fields, values.flatten(), strict=True))
        complete = all(columns[name].null_count == values.null_count for name in self.required)
        return complete and all(field.valid(columns[name]) for name, field in self.fields.items())

    def clean(self, values: pa.Array) -> pa.Array:
        columns = [
            field.clean(column) for field, column in zip(self.fields.values(), values.flatten(), strict=True)
        ]
        mask = values.is_null() if values.null_count else None
        return pa.StructArray.from_arrays(columns, [snake_case(name) for name in self.fields], mask=mask)

    def fault(self, value: object, where: str) -> str | None:
        if not isinstance(value, dict):
            return _not_allowed(value, where, "an object")
        prefix = f"{where}: " if where else ""
        for name, field in self.fields.items():
            if value.get(name) is None:
                if name in self.required:
                    return f"{prefix}{name} is missing or null"
            elif reason := field.fault(value[name], prefix + name):
                return reason
        return None


class JsonList:
    """A JSON array of `item`; absent or null, it is stored as an empty list."""

    def __init__(self, item: JsonType, length: int | None = None):
        self.item = item
        self.length = length
        self.arrow = pa.list_(item.arrow)

    def valid(self, values: pa.Array) -> bool:
        items = values.flatten()
        lengths = (self.length, None)  # null: an absent list
        of_length = self.length is None or set(pc.unique(pc.list_value_length(values)).to_pylist()) <= {
            *lengths
        }
        return of_length and not items.null_count and self.item.valid(items)

    def clean(self, values: pa.Array) -> pa.Array:
        return pa.ListArray.from_arrays(values.offsets, self.item.clean(values.values))

    def fault(self, value: object, where: str) -> str | None:
        if not isinstance(value, list) or self.length not in (None, len(value)):
            allowed = "an array" if self.length is None else f"an array of {self.length}"
            return _not_allowed(value, where, allowed)
        faults = (self.item.fault(entry, f"{where} {n}") for n, entry in enumerate(value, start=1))
        return next((reason for reason in faults if reason), None)


def snake_case(released_name: str) -> str:
    """`actionHistories` -> `action_histories`."""
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", released_name).lower()


def _not_allowed(value: object, where: str, allowed: str) -> str:
    text = "null" if value is None else repr(value)
    text = text if len(text) <= 40 else f"{text[:37]}..."
    return f"{where or 'the record'} is {text}, allowed is {allowed}"
