"""Label Studio's brush: runs of RGBA bytes, packed bit by bit (the library rle-pack).

    32 bits: number of bytes; 5: bits of a value - 1; 4 times 4: bits of a length - 1, by the length's kind
    then for each run: 1 bit, repeated or not; 2: the length's kind; the length - 1; the value, or all values

Every pixel is four equal bytes; the fourth, the opacity, is the mask.
"""

from collections.abc import Sequence

import numpy as np

from luab_data.errors import RejectedRecord

CHANNELS = 4


def brush_mask(packed: Sequence[int], width: int, height: int) -> np.ndarray:
    """The mask of a brush, bool [H, W].

    Args:
        packed: bytes of the field `rle`.
        width: of the image, pixels.
        height: of the image, pixels.

    Raises:
        RejectedRecord: it is cut off, or of another size.
    """
    bits = _Bits(bytes(packed))
    total = bits.read(32)
    if total != width * height * CHANNELS:
        raise RejectedRecord(
            f"a brush of {total:,} bytes, but {width} x {height} pixels have {width * height * CHANNELS:,}"
        )
    value_bits = bits.read(5) + 1
    length_bits = [bits.read(4) + 1 for _ in range(4)]
    found = np.zeros(total, np.uint8)
    at = 0
    while at < total:
        repeated = bits.read(1)
        end = at + 1 + bits.read(length_bits[bits.read(2)])
        if end > total:
            raise RejectedRecord("a brush whose runs are longer than its image")
        if repeated:
            found[at:end] = min(bits.read(value_bits), 255)
        else:
            found[at:end] = [min(bits.read(value_bits), 255) for _ in range(end - at)]
        at = end
    return found.reshape(height, width, CHANNELS)[..., 3] > 0


class _Bits:
    """Whole numbers from the bits of some bytes, the highest bit first."""

    def __init__(self, data: bytes):
        self._data = data
        self._at = 0

    def read(self, count: int) -> int:
        """The next number of `count` bits. Raises RejectedRecord at the end."""
        end = self._at + count
        if end > 8 * len(self._data):
            raise RejectedRecord("a brush that is cut off")
        first, last = self._at // 8, -(-end // 8)
        window = int.from_bytes(self._data[first:last], "big")
        self._at = end
        return window >> (8 * last - end) & ((1 << count) - 1)
