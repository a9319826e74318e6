"""Weighted points -> maps on the model's grid, for the attention losses and their pictures.

Shapes: points `[..., P, 2]` crop ratios, x first; weights `[..., P]`, 0 for a point that does not count
(padding, or outside the crop); grid `(h, w)`; maps `[..., h, w]`. The center of the grid's cell in row i and
column j is x = (j + 0.5) / w, y = (i + 0.5) / h.
"""

import torch
from torch import Tensor


def density(points: Tensor, weights: Tensor, grid: tuple[int, int], sigma: float) -> Tensor:
    """Gaussians around the points, mixed by their weights -> `[..., h, w]`, a distribution of sum 1.

        D(c) ~ sum_p weight_p * exp(-|c - point_p|^2 / (2 sigma^2))    at the cell centers c

    sigma is in crop ratios, the same for x and y. The map is all 0 if no point counts. It is normalized after
    mixing. So a point outside the crop ("keep") only adds its tail, which is almost nothing next to a point
    inside; alone, it gives the nearest cells. The computation is separate per axis and relative to the
    largest exponent, so that a far point does not underflow to a map of zeros.
    """
    x, y = _distances(points, grid)
    log_x, log_y = -(x**2) / (2 * sigma**2), -(y**2) / (2 * sigma**2)  # [..., P, w], [..., P, h]
    peak_x, peak_y = log_x.amax(-1, keepdim=True), log_y.amax(-1, keepdim=True)
    counts = weights > 0
    scale = torch.where(counts, weights, 1).log() + peak_x[..., 0] + peak_y[..., 0]
    scale = scale.masked_fill(~counts, -torch.inf)
    top = scale.amax(-1, keepdim=True)
    share = (scale - torch.where(counts.any(-1, keepdim=True), top, 0)).exp()  # [..., P], the largest is 1
    mixed = ((log_y - peak_y).exp() * share[..., None]).mT @ (log_x - peak_x).exp()  # [..., h, w]
    total = mixed.sum((-2, -1), keepdim=True)
    return mixed / torch.where(total > 0, total, 1)


def nearness(
    points: Tensor, weights: Tensor, grid: tuple[int, int], radius: float, edge: float | None = None
) -> Tensor:
    """The nearness of each cell to the byproduct, from 0 (far) to 1 (near) -> `[..., h, w]`.

        N(c) = max_p weight_p / max(weight) * clamp(1/2 + (radius - |c - point_p|) / edge, 0, 1)

    This is a soft disc: 1 within radius - edge/2 of the point, 0 beyond radius + edge/2, linear in between.
    Several points give the union of their discs; discs of smaller weights have smaller values. radius and
    edge are in crop ratios; edge defaults to half the radius. The map is all 0 if no point counts.
    """
    edge = radius / 2 if edge is None else edge
    x, y = _distances(points, grid)
    distance = torch.hypot(x[..., None, :], y[..., :, None])  # [..., P, h, w]
    disc = (0.5 + (radius - distance) / edge).clamp(0, 1)
    heaviest = weights.amax(-1, keepdim=True)
    share = weights / torch.where(heaviest > 0, heaviest, 1)
    return (disc * share[..., None, None]).amax(-3)


def _distances(points: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Signed distances from the points to the cell centers, per axis -> `[..., P, w]`, `[..., P, h]`."""
    h, w = grid
    centers_x = (torch.arange(w, device=points.device, dtype=points.dtype) + 0.5) / w
    centers_y = (torch.arange(h, device=points.device, dtype=points.dtype) + 0.5) / h
    return points[..., 0:1] - centers_x, points[..., 1:2] - centers_y
