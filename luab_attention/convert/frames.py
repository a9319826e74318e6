"""From a source's numbers to ratios: a source says which rectangle of its numbers is the image."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from luab_data.errors import RejectedRecord

Number = TypeVar("Number", float, np.ndarray)
Size = tuple[float, float]  # width, height in pixels
Units = Literal["ratio", "percent", "pixels"]
Fit = Literal["letterbox", "center", "stretch"]
# A number of one of these units that spans the whole side.
_WHOLE = {"ratio": 1.0, "percent": 100.0}


class Region(NamedTuple):
    """The rectangle that is the image, in the source's numbers. Also a `Frame` that needs no size."""

    x: float
    y: float
    width: float
    height: float

    def region(self, size: Size | None) -> "Region":
        """Itself."""
        return self

    def ratios(self, x: Number, y: Number) -> tuple[Number, Number]:
        """A point in ratios of the image."""
        return (x - self.x) / self.width, (y - self.y) / self.height

    def shown(self, size: Size | None) -> Size | None:
        """The image's own size: no screen is known."""
        return size

    def numbers(self, x: Number, y: Number) -> tuple[Number, Number]:
        """The source's numbers of a point in ratios."""
        return self.x + x * self.width, self.y + y * self.height


RATIOS = Region(0.0, 0.0, 1.0, 1.0)
PERCENT = Region(0.0, 0.0, 100.0, 100.0)


class Frame(Protocol):
    """Where the image is among a source's numbers."""

    def region(self, size: Size | None) -> Region:
        """The image's rectangle. `size` of the image in pixels, None if unknown.

        Raises:
            RejectedRecord: the size is needed.
        """
        ...

    def shown(self, size: Size | None) -> Size | None:
        """Width and height of the image in pixels of the screen that showed it; `size` if none is known.

        A source's pixels in a degree are those.
        """
        ...


@dataclass(frozen=True)
class ImagePixels:
    """Pixels of the image.

    With `base` 0 a number is a place: 0 is the left edge, the width the right one. With `base` 1 it is the
    number of a pixel, as in MATLAB: 1 is the middle of the first pixel, 0.5 pixels from the edge.
    """

    base: int = 0

    def region(self, size: Size | None) -> Region:
        """The image, moved by half a pixel for `base` 1."""
        width, height = _needed(size)
        return Region(self.base / 2, self.base / 2, width, height)

    def shown(self, size: Size | None) -> Size | None:
        """The image's own size: no screen is known."""
        return size


@dataclass(frozen=True)
class OnScreen:
    """A place on a screen that the source states.

    Attributes:
        place: the image's rectangle, in the source's numbers.
        width, height: of the image on the screen, in the screen's pixels.
    """

    place: Region
    width: float
    height: float

    def region(self, size: Size | None) -> Region:
        """The place. It needs no size."""
        return self.place

    def shown(self, size: Size | None) -> Size:
        """Width and height of the image on the screen, in the screen's pixels."""
        return self.width, self.height


@dataclass(frozen=True)
class Screen:
    """Places on a screen that shows the image.

    Attributes:
        width, height: of the screen, pixels.
        units: of the numbers, of the whole screen.
        fit: `letterbox`: as large as the screen allows, in its middle; `center`: in its own size, in the
            middle; `stretch`: over the whole screen.
        base: see `ImagePixels`; for pixels.
    """

    width: float
    height: float
    units: Units = "pixels"
    fit: Fit = "letterbox"
    base: int = 0

    def shown(self, size: Size | None) -> Size:
        """Width and height of the image on the screen, in the screen's pixels."""
        if self.fit == "stretch":
            return self.width, self.height
        width, height = _needed(size)
        scale = min(self.width / width, self.height / height) if self.fit == "letterbox" else 1.0
        return width * scale, height * scale

    def region(self, size: Size | None) -> Region:
        """The rectangle of the image on the screen, in the screen's units."""
        shown = self.shown(size)
        x, y = (self.width - shown[0]) / 2, (self.height - shown[1]) / 2
        if self.units == "pixels":
            return Region(x + self.base / 2, y + self.base / 2, *shown)
        across, down = _WHOLE[self.units] / self.width, _WHOLE[self.units] / self.height
        return Region(x * across, y * down, shown[0] * across, shown[1] * down)


def frame_of(units: Units, base: int = 0, screen: Size | None = None, fit: Fit = "letterbox") -> Frame:
    """The frame for a user's options."""
    if screen is not None:
        return Screen(*screen, units, fit, base)
    if units == "pixels":
        return ImagePixels(base)
    return RATIOS if units == "ratio" else PERCENT


def require_near(ratios: np.ndarray, far: float) -> None:
    """Raises RejectedRecord if one of the places [N, 2] is more than `far` widths or heights away."""
    away = ~(np.abs(ratios) <= far).all(axis=1)  # also for NaN
    if away.any():
        x, y = ratios[np.argmax(away)]
        raise RejectedRecord(
            f"({x:g}, {y:g}) in ratios of the image is further away than {far:g} times its size: check the "
            "unit, the order and the size"
        )


def _needed(size: Size | None) -> Size:
    if size is None:
        raise RejectedRecord(
            "its numbers need the size of its image, which is not known: give --images, or the size"
        )
    return size
