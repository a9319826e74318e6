"""Train image classifiers on annotation byproducts. What is named here is imported when it is first used."""

from importlib import import_module
from typing import Any

_HOMES = {"show": "luab_trainer.show.rows"}

__all__ = ["show"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
