"""One module for each source of human attention, found by its name.

A module has a docstring, whose first line is its help; `SOURCE`, what is known about the source; `read(path,
...)`, which yields a `SourceRecord` or a `Reject` for each entry; and `add_options` if `read` has further
arguments.
"""

import importlib
from collections.abc import Callable
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, NamedTuple

from luab_attention.convert.records import Read
from luab_attention.convert.source import AttentionSource
from luab_data.console.modules import summaries
from luab_data.console.text import did_you_mean
from luab_data.errors import SourceError


class Reader(NamedTuple):
    """A module of this package."""

    name: str
    source: AttentionSource
    read: Callable[..., Read]
    add_options: Callable[[Any], None] | None
    help: str

    def option_names(self) -> list[str]:
        """The names of its further arguments."""
        given = signature(self.read).parameters.values()
        return [each.name for each in given if each.kind is Parameter.KEYWORD_ONLY]


def readers() -> dict[str, str]:
    """Name -> first docstring line of each reader, read without importing it."""
    return summaries(Path(__file__).parent)


def reader_named(name: str) -> Reader:
    """The reader of this name. Raises SourceError for an unknown one."""
    known = readers()
    if name not in known:
        raise SourceError(
            f"there is no reader {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}."
        )
    module = importlib.import_module(f"{__name__}.{name}")
    return Reader(
        name, module.SOURCE, module.read, getattr(module, "add_options", None), module.__doc__ or ""
    )
