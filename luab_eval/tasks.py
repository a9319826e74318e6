"""What a pass over images may ask a model: which class an image is.

Where it looks: `luab_eval.localization`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from luab_eval.models import Classifier

BEST = 5  # classes kept of each image


class UnsuitedModel(ValueError):
    """A model that cannot answer a question, as nobody knows where it looks; others may."""


class PredictionTask(Protocol):
    """What is asked of each batch, and what is kept of the answers."""

    def ask(self, pixel_values: Tensor, positions: Sequence[int]) -> tuple[Tensor, ...]:
        """The images at `positions` of the set, `[B, 3, H, W]` -> what is collected, `[B, ...]` each."""

    def keep(self, positions: Sequence[int], answers: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """What was collected of n images, `[n, ...]` each -> the arrays that are written, by name."""


class ClassificationTask:
    """Keeps the best classes, `top` `[n, 5]`, and where they are wanted all `logits` `[n, K]`.

    Args:
        outputs: The model's output for each of the K classes.
    """

    def __init__(self, classifier: Classifier, outputs: Sequence[int], keep_logits: bool):
        self.classifier, self.outputs, self.keep_logits = classifier, list(outputs), keep_logits

    def ask(self, pixel_values: Tensor, positions: Sequence[int]) -> tuple[Tensor, ...]:
        """The best classes, and the logits [B, classes] where they are kept, of images [B, 3, H, W]."""
        logits = self.classifier.logits(pixel_values)[:, self.outputs]
        return (best(logits), logits) if self.keep_logits else (best(logits),)

    def keep(self, positions: Sequence[int], answers: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Keeps the answers as they are."""
        return dict(zip(("top", "logits"), answers, strict=False))


def best(logits: Tensor) -> Tensor:
    """`[B, K]` -> `[B, min(5, K)]`: the best classes, best first."""
    # A stable sort: of equal logits the first class wins, as in argmax, on every machine.
    return logits.sort(dim=1, descending=True, stable=True).indices[:, :BEST]
