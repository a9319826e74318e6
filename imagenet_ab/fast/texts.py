"""Parts of one text as Arrow strings, and the numbers in them."""

import numpy as np
import pyarrow as pa

# A plain number: the strict parser and Arrow read the same value.
NUMBER = r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"


def texts(content: pa.Buffer, begins: np.ndarray, ends: np.ndarray) -> pa.StringArray:
    """The texts from each begin to its end; they must be in order and not overlap."""
    found = _parts(content, begins, ends)
    return found.take(pa.array(np.arange(0, len(found), 2)))


def numbers(content: pa.Buffer, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The same texts as float64, infinite beyond its range. Raises pa.ArrowInvalid if one is not a number."""
    return _parts(content, begins, ends).cast(pa.float64()).to_numpy(zero_copy_only=False)[::2]


def _parts(content: pa.Buffer, begins: np.ndarray, ends: np.ndarray) -> pa.StringArray:
    """Each text, and what is between it and the next as null: so that nothing is copied."""
    cuts = np.full(2 * len(begins) + 1, content.size, np.int32)
    cuts[:-1:2], cuts[1::2] = begins, ends
    every_other = np.full(len(begins) // 4 + 1, 0b01010101, np.uint8)
    buffers = [pa.py_buffer(every_other), pa.py_buffer(cuts), content]
    return pa.Array.from_buffers(pa.string(), 2 * len(begins), buffers)
