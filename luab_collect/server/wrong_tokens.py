"""Slows answers to wrong tokens down, all together and in memory: whose they are is neither known nor kept.

Nobody guesses 256 random bits; this keeps trying from being cheap. Who has a right token never waits.
"""

import asyncio
import time
from collections.abc import Callable

BURST = 30  # wrong tokens that are answered at once: people who copied half of a link
EACH = 1.0  # s after which one more is
PAUSE = 2.0  # s that all others wait for their answer


class WrongTokens:
    """Counts them; `clock` never goes back, s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._left = float(BURST)
        self._since = clock()

    def pause(self) -> float:
        """Notes one more; s after which its answer is due."""
        now = self._clock()
        self._left = min(float(BURST), self._left + (now - self._since) / EACH)
        self._since = now
        if self._left < 1:
            return PAUSE
        self._left -= 1
        return 0.0

    async def answer_slowly(self) -> None:
        """Waits until one more wrong token may be answered."""
        await asyncio.sleep(self.pause())
