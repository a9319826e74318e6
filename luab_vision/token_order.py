"""Whether tokens are in the order of the image's rows, found out by changing two regions of an image.

The tokens of a changed region change more than the others. How much more fades with each layer: attention
takes the change everywhere, and in a trained model some tokens change a lot, whatever has changed. So the
two regions are compared with each other, token by token. If that does not tell, earlier layers are asked.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from luab_vision.grids import Size

# Regions of a quarter of the sides, as (row, column) of 4 x 4, that are changed in one image each.
CHANGED = ((0, 3), (2, 0))
IN_ORDER = math.log(1.5)  # how much more the tokens of a region change by it than by the other one
ELSEWHERE = math.log(3)  # the same of as many other tokens, which then are those of the region


def changes(tokens: Tensor) -> Tensor:
    """How much tokens change with each region, and at least by what may be rounding.

    Args:
        tokens: [1 + len(CHANGED), N, D], of the image as it is and of those with a changed region.

    Returns:
        [len(CHANGED), N] float32
    """
    first, others = tokens[0].float(), tokens[1:].float()
    rounding = 4 * torch.finfo(tokens.dtype).eps * first.norm(dim=-1)
    return (others - first).norm(dim=-1) + rounding


def in_order(changed: Iterable[Tensor], shape: Size) -> bool | None:
    """Whether tokens are in the order of the image's rows.

    Args:
        changed: `changes` of the tokens, and then of earlier layers: the first that tells decides.
        shape: Height and width of the grid, in tokens.

    Returns:
        None: none of them tells.
    """
    if shape == (1, 1):
        return True
    regions = [
        (_within(shape[0], row)[:, None] & _within(shape[1], column)).flatten() for row, column in CHANGED
    ]
    for one, other in changed:
        ratio = ((one + 1e-12) / (other + 1e-12)).log().cpu()
        middle = ratio.quantile(0.5)
        if all(
            sign * (ratio[region].quantile(0.5) - middle) > IN_ORDER
            for sign, region in zip((1, -1), regions, strict=True)
        ):
            return True
        most = [
            (sign * (ratio - middle)).topk(int(region.sum())).values[-1]
            for sign, region in zip((1, -1), regions, strict=True)
        ]
        if min(most) > ELSEWHERE:
            return False
    return None


def _within(side: int, quarter: int) -> Tensor:
    """[side] bool: which of the cells have their center in that quarter of the side; at least the nearest."""
    distance = ((torch.arange(side) + 0.5) * 4 / side - quarter - 0.5).abs()
    return distance <= max(0.5, distance.min().item())
