"""Simulated workers of both datasets: cursor movement and anonymous ids."""

import hashlib
from typing import Any

import numpy as np

FRAME_MS = 1000 / 60


def cursor_path(
    start: np.ndarray, aim: np.ndarray, duration: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A cursor's path from `start` to `aim`, (x, y) in ratios, in `duration` ms -> positions [N, 2], ms [N].

    It is a minimum-jerk movement (slow, fast, slow) on a slightly bent line with hand tremor, sampled at 60
    Hz with late frames. It ends at `aim` after `duration`.
    """
    # The browser drops and delays frames: in the released data 20 to 60 ms apart, some at the same time.
    steps = FRAME_MS * rng.integers(0, 4, int(duration / FRAME_MS)) + rng.uniform(0, 3)
    elapsed = np.concatenate([[0], np.cumsum(steps)])
    elapsed = np.append(elapsed[elapsed < duration], duration)
    s = elapsed / duration
    progress = s**3 * (10 + s * (6 * s - 15))  # minimum jerk
    line = aim - start
    bend = rng.normal(0, 0.15) * np.array([-line[1], line[0]])
    path = start + progress[:, None] * line + np.sin(np.pi * progress)[:, None] * bend
    path[1:-1] += rng.normal(0, 0.006, path[1:-1].shape)
    return path, elapsed.astype(int)


def snapped(points: np.ndarray, rendered: np.ndarray) -> list[Any]:
    """The nearest pixels of the rendered image or its one-pixel border, in ratios of the image: [..., 2]."""
    return ((points * rendered).round().clip(-1, rendered + 1) / rendered).tolist()


def anonymous_id(number: int, digits: int) -> str:
    """Hex digits that depend only on the number."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:digits].upper()
