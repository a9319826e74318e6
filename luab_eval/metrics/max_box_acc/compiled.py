"""Loops that numba compiles when they are first called, and keeps for later processes.

Compiling takes 17 s of CPU, loading what was kept 1 s.
"""

import numba


def compiled(function):
    """`numba.njit`, kept on disk where numba finds a folder that it can write to; else for this process."""
    try:
        return numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # numba finds no such folder
        return numba.njit(error_model="numpy")(function)
