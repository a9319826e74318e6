"""Checks the inputs of the byproduct losses: shapes in each call, values only in the first.

Checking values waits for the GPU, and a caller with wrong values has them from the start.
"""

import torch
from torch import Tensor, nn

SLACK = 0.05  # tolerance for sums that must be 1: half precision rounds


class CheckedLoss(nn.Module):
    """A loss of points [B, C, P, 2] with weights [B, C, P]."""

    def __init__(self) -> None:
        super().__init__()
        self._values_seen = False

    def is_first_call(self) -> bool:
        """Whether to check values now. Not while torch compiles: it would break the graph."""
        if self._values_seen or torch.compiler.is_compiling():
            return False
        self._values_seen = True
        return True


def check_targets(points: Tensor, weights: Tensor, batch: int, shares: Tensor | None = None) -> None:
    """Raises ValueError for other shapes than points [B, C, P, 2], weights [B, C, P], shares [B, C]."""
    if points.ndim != 4 or points.shape[-1] != 2 or points.shape[:-1] != weights.shape:
        raise ValueError(
            f"points are {list(points.shape)} and weights {list(weights.shape)}; needed are [B, C, P, 2] and "
            "[B, C, P]."
        )
    if shares is not None and shares.shape != points.shape[:2]:
        raise ValueError(f"shares are {list(shares.shape)}; needed is {list(points.shape[:2])}, [B, C].")
    if len(points) != batch:
        raise ValueError(f"there are points for {len(points)} images, but the batch has {batch}.")


def check_maps(maps: Tensor, batch: int, shares: Tensor | None = None) -> None:
    """Raises ValueError for other shapes than maps [B, C, H, W], shares [B, C]."""
    if maps.ndim != 4 or len(maps) != batch:
        raise ValueError(f"maps of targets are {list(maps.shape)}; needed is [B, C, H, W] with B = {batch}.")
    if shares is not None and shares.shape != maps.shape[:2]:
        raise ValueError(f"shares are {list(shares.shape)}; needed is {list(maps.shape[:2])}, [B, C].")


def check_map_values(maps: Tensor) -> None:
    """Raises ValueError for values of maps that are below 0 or not finite."""
    if not (maps.isfinite().all() and maps.ge(0).all()):
        raise ValueError("maps of targets must be finite and 0 or more.")


def check_weights(weights: Tensor) -> None:
    """Raises ValueError for weights [B, C, P] that do not sum to 1 or 0 over P, or are below 0."""
    total = weights.sum(dim=-1)
    if not ((total - 1).abs().le(SLACK) | total.eq(0)).all() or not weights.ge(0).all():
        raise ValueError(
            f"weights of points must be 0 or more and sum to 1 for each target, or be all 0; the smallest is "
            f"{weights.min().item():g}, the sums go from {total.min().item():g} to {total.max().item():g}."
        )


def check_distributions(maps: Tensor) -> None:
    """Raises ValueError for maps [..., h, w] that are no distributions over their h x w cells."""
    maps = maps.float()
    total = maps.sum(dim=(-2, -1))
    if not maps.isfinite().all() or not maps.ge(0).all() or not (total - 1).abs().le(SLACK).all():
        raise ValueError(
            f"each attention map must be a distribution over its grid: finite, 0 or more, of sum 1. The "
            f"smallest value is {maps.min().item():g}, the sums go from {total.min().item():g} to "
            f"{total.max().item():g}. Take a softmax over the grid, or divide by the sum."
        )
