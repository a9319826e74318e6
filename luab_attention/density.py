"""Weighted points, or maps of areas -> maps on the model's grid, for the attention losses and pictures.

Shapes: points `[..., P, 2]` crop ratios, x first; weights `[..., P]`, 0 for a point that does not count
(padding, or outside the crop); grid `(h, w)`; maps `[..., h, w]`. The center of the grid's cell in row i and
column j is x = (j + 0.5) / w, y = (i + 0.5) / h.

Of points, radius and sigma are ratios of the crop, not of the image, and cells count by their centers, not by
the mean over their area: the defaults of clicks were searched so (`luab_trainer/losses/attention.py`), and
others would not fit them.

Maps of areas (`luab_attention.area_maps`) are in ratios of the image and exact. They have a grid of their
own, `[..., H, W]`, and are averaged.
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


def nearer(points: Tensor, weights: Tensor, others: Tensor, grid: tuple[int, int]) -> Tensor:
    """Which cells are nearer to one of `others` `[..., Q, 2]` than to each point -> bool `[..., h, w]`.

    Not the cells that hold a point. Infinity in `others` is padding.
    """
    x, y = (each.abs() for each in _distances(points, grid))
    distance = torch.hypot(x[..., None, :], y[..., :, None])  # [..., P, h, w]
    half = 0.5 + 1e-4  # of a cell; a point on the border of two is in both
    inside = (x * grid[1] <= half)[..., None, :] & (y * grid[0] <= half)[..., :, None]
    distance = distance.masked_fill(inside, 0).masked_fill((weights == 0)[..., None, None], torch.inf)
    x, y = _distances(others, grid)
    return torch.hypot(x[..., None, :], y[..., :, None]).amin(-3) < distance.amin(-3)


def on_grid(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """The mean of maps `[..., H, W]` over each cell of a grid -> `[..., h, w]`. Exact."""
    height, width = maps.shape[-2:]
    h, w = grid
    if height % h == width % w == 0:
        return maps.unflatten(-2, (h, height // h)).unflatten(-1, (w, width // w)).mean(dim=(-3, -1))
    return _cell_shares(height, h, maps) @ maps @ _cell_shares(width, w, maps).mT


def map_nearness(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """`nearness` to areas -> `[..., h, w]`: N(c) = M(c) / max M of the averaged map M; 0 for a map of 0."""
    maps = on_grid(maps, grid)
    peak = maps.amax(dim=(-2, -1), keepdim=True)
    return maps / torch.where(peak > 0, peak, 1)


def map_density(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """`density` of areas -> `[..., h, w]`: D(c) = M(c) / sum M of the averaged map M; 0 for a map of 0."""
    maps = on_grid(maps, grid)
    total = maps.sum(dim=(-2, -1), keepdim=True)
    return maps / torch.where(total > 0, total, 1)


def map_centers(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The centers of mass of maps -> one point `[..., 1, 2]` and its weight `[..., 1]`, 0 for a map of 0."""
    shares = map_density(maps, (maps.shape[-2], maps.shape[-1]))
    x, y = _distances(shares.new_zeros(1, 2), (maps.shape[-2], maps.shape[-1]))
    centers = torch.stack([(shares * -x).sum(dim=(-2, -1)), (shares * -y.mT).sum(dim=(-2, -1))], dim=-1)
    return centers.unsqueeze(-2), shares.sum(dim=(-2, -1)).unsqueeze(-1)


def _cell_shares(cells: int, others: int, like: Tensor) -> Tensor:
    """How much of each of `others` cells along an axis is in each of `cells`, `[others, cells]`, sum 1."""
    own, borders = (torch.arange(n + 1, device=like.device, dtype=like.dtype) / n for n in (cells, others))
    low = torch.maximum(borders[:-1, None], own[None, :-1])
    high = torch.minimum(borders[1:, None], own[None, 1:])
    return (high - low).clamp(min=0) * others


def _distances(points: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Signed distances from the points to the cell centers, per axis -> `[..., P, w]`, `[..., P, h]`."""
    h, w = grid
    centers_x = (torch.arange(w, device=points.device, dtype=points.dtype) + 0.5) / w
    centers_y = (torch.arange(h, device=points.device, dtype=points.dtype) + 0.5) / h
    return points[..., 0:1] - centers_x, points[..., 1:2] - centers_y
