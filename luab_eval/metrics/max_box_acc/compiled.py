"""Loops that numba compiles when they are first called, and keeps for later processes.

Compiling takes 10 s of CPU, loading what was kept 0.5 s.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """`numba.njit`, kept on disk where numba finds a folder that it can write to; else for this process."""
    try:
        return cast(F, numba.njit(cache=True, error_model="numpy")(function))
    except RuntimeError:  # numba finds no such folder
        return cast(F, numba.njit(error_model="numpy")(function))
