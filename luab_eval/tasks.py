"""The prediction tasks of a pass over images: classification.

For localization see `luab_eval.localization`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from luab_eval.models import Classifier

BEST = 5  # classes kept of each image


class UnsuitedModel(ValueError):
    """The model does not support a task, because it has no known attention."""


class PredictionTask(Protocol):
    """What a model computes for each batch, and which outputs are kept."""

    def ask(self, pixel_values: Tensor, positions: Sequence[int]) -> tuple[Tensor, ...]:
        """The images at `positions` of the set, `[B, 3, H, W]` -> outputs, `[B, ...]` each."""

    def keep(self, positions: Sequence[int], answers: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs for n images, `[n, ...]` each -> the arrays to write, by name."""


class ClassificationTask:
    """Keeps the best classes, `top` `[n, 5]`, and on request all `logits` `[n, K]`.

    Args:
        outputs: The model's output for each of the K classes.
    """

    def __init__(self, classifier: Classifier, outputs: Sequence[int], keep_logits: bool):
        self.classifier, self.outputs, self.keep_logits = classifier, list(outputs), keep_logits

    def ask(self, pixel_values: Tensor, positions: Sequence[int]) -> tuple[Tensor, ...]:
        """The best classes, and on request the logits [B, classes], of images [B, 3, H, W]."""
        logits = self.classifier.logits(pixel_values)[:, self.outputs]
        return (best(logits), logits) if self.keep_logits else (best(logits),)

    def keep(self, positions: Sequence[int], answers: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Keeps the outputs unchanged."""
        return dict(zip(("top", "logits"), answers, strict=False))


def best(logits: Tensor) -> Tensor:
    """`[B, K]` -> `[B, min(5, K)]`: the best classes, best first."""
    # A stable sort: of equal logits the first class wins, as in argmax, on every machine.
    return logits.sort(dim=1, descending=True, stable=True).indices[:, :BEST]
