"""The grid of a sequence of tokens: which row and column of the image each one is of."""

from collections.abc import Sequence
from typing import NamedTuple

Size = tuple[int, int]  # height and width


class Grid(NamedTuple):
    """A grid whose cells are `stride` pixels apart (height, width), and which images of any size have.

    Padding rounds the number of cells up, cropping down. Strides of several layers multiply either way: the
    quotients, rounded one after the other, are the quotient rounded once.
    """

    stride: Size

    def shape(self, size: Size, cells: int) -> Size:
        """Height and width, in cells, of the map of an image of `size` pixels.

        Raises:
            ValueError: no grid with this stride has so many cells.
        """
        for up in (False, True):
            height, width = (
                -(-pixels // step) if up else pixels // step
                for pixels, step in zip(size, self.stride, strict=True)
            )
            if height * width == cells:
                return height, width
        raise ValueError(
            f"images of {size[0]} x {size[1]} pixels give {cells} cells, which is no grid of cells of "
            f"{self.stride[0]} x {self.stride[1]} pixels: where they are in the image is not known. Take "
            "images whose sides are multiples of these."
        )


def grid_of(size: Size, cells: int, convolved: Sequence[Size]) -> Grid | None:
    """The grid on which an image of `size` has so many `cells`.

    Args:
        size: Height and width, in pixels.
        cells: The number of tokens of the image.
        convolved: Height and width of each convolution's output, in their order: the cells are theirs, or
            squares of them.
    """
    for grid in reversed(convolved):
        steps = tuple(round(pixels / side) for pixels, side in zip(size, grid, strict=True))
        merged = round((grid[0] * grid[1] / cells) ** 0.5)
        found = Grid((steps[0] * merged, steps[1] * merged))
        if merged >= 1 and _has(found, size, cells):
            return found
    for side in range(1, max(size) + 1):  # a square's, of an embedding without a convolution
        if size[0] % side == size[1] % side == 0 and _has(Grid((side, side)), size, cells):
            return Grid((side, side))
    return None


def _has(grid: Grid, size: Size, cells: int) -> bool:
    try:
        grid.shape(size, cells)
    except (ValueError, ZeroDivisionError):
        return False
    return True
