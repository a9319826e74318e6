"""Background mix: the pixels far from the byproduct come from another image, and the label stays.

What usually surrounds an object predicts its class too, so a classifier learns the surroundings. In a mixed
crop only the object at the byproduct goes with the label: what `luab_trainer.data.cutout` cuts out around a
point. The other image's object is covered with the opposite part of its own crop: uncovered it would be a
second object, of another class. What no point tells of stays: another object of the same class, the outer
parts of a large one. In some crops the background also covers a part of the object, so that the rest must do,
as where something stands in front of it.

Of boxes, masks, gaze and heat maps, what is inside or what people looked at most stays, and the other image's
are covered by rectangles: `luab_trainer.data.area_mix`.

This is ours. Related: Mixed-Rand (Xiao et al., "Noise or Signal", ICLR 2021) swaps backgrounds by masks, and
CutMix (Yun et al., ICCV 2019) pastes rectangles at random places and mixes the labels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from luab_attention.area_maps import Area
from luab_attention.targets import Byproduct, seen_points
from luab_trainer.config import BACKGROUND_RADIUS, BACKGROUND_SHARE, DISC, OBJECT
from luab_trainer.data import area_mix
from luab_trainer.data.cutout import SIDE, cut_out, room_for_objects, seen
from luab_trainer.data.kept import Kept
from luab_trainer.data.reader import Row, RowReader
from luab_vision.geometry import WHOLE_IMAGE, View, from_view, to_view
from luab_vision.transforms import EvalTransform

COVER = 0.8  # radius, over that of the mix, within which the other image's object is covered: most of it
EDGE = 0.05  # width of a disc's soft edge, in image ratios
HEAVY = 0.5  # share of a byproduct's largest weight from which a point is at the object, not on the way to it
MAX_DONORS = 1000  # rows that are drawn to find one with a byproduct; where few have one, few crops mix

# What tells where the objects are: points `[P, 2]` in crop ratios, x first, or areas of the image.
Objects = np.ndarray | Sequence[Area]
Donors = Callable[[np.random.Generator], tuple[Row, int]]  # draws a row, with its number


@dataclass(frozen=True)
class BackgroundMix:
    """How to mix. Lengths are in ratios of the image.

    Args:
        share: Share of the crops with a usable byproduct that are mixed, 0 to 1.
        radius: Distance from the byproduct within which an object may reach: about 0.8 of the side of a large
            object, one than which nine in ten are smaller. With more, what is left around the objects may
            tell their class; with less, the model unlearns the outer parts of large objects. Of discs, each
            crop draws it from half of `radius` to `radius`. Areas have no radius.
        holes: Share of the mixed crops in which a part of the object is covered too, 0 to 1: a disc in it, of
            0.1 to 0.4 of what stays. With `shape` "disc", of 0.35 to 0.7 times the crop's radius, with its
            center at most half that radius from the byproduct.
        shape: What stays around points: "object", which is cut out within the radius, or the "disc".
    """

    share: float = BACKGROUND_SHARE
    radius: float = BACKGROUND_RADIUS
    holes: float = 0.25
    shape: str = OBJECT

    def __post_init__(self) -> None:
        for name in ("share", "holes"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)}: a share of the crops, 0 to 1.")
        if not 0 < self.radius < math.inf:
            raise ValueError(f"radius={self.radius}: a ratio of the image, more than 0.")
        if self.shape not in (OBJECT, DISC):
            raise ValueError(f"shape={self.shape!r}: take {OBJECT!r} or {DISC!r}.")

    def background(self, crop: Tensor, view: View, objects: Objects) -> Tensor:
        """The crop with its object covered, uint8 `[h, w, 3]`.

        The opposite part of the crop covers the object. Where that shows an object too, as in a small crop or
        with several points, it is the mean color of the crop's uncovered pixels.

        Args:
            crop: uint8 `[h, w, 3]`, the view of the other image.
            view: The crop's part of its image.
            objects: Points of the image's byproducts, which may be outside the crop, or its areas.
        """
        if isinstance(objects, np.ndarray):
            free = 1 - _nearness(crop, view, objects, COVER * self.radius)
        else:
            free = 1 - _of_pixels(area_mix.covered(objects, view, _size(crop)))
        pixels, weights = crop.float(), free + 1e-6
        color = (pixels * weights).sum((0, 1)) / weights.sum((0, 1))
        painted = torch.lerp(color, pixels, free)
        opposite = painted.roll((crop.shape[0] // 2, crop.shape[1] // 2), (0, 1))
        return torch.lerp(opposite, pixels, free).round().to(torch.uint8)

    def blend(
        self,
        crop: Tensor,
        background: Tensor,
        image: np.ndarray,
        view: View,
        objects: Objects,
        rng: np.random.Generator,
        kept: Kept | None = None,
    ) -> Tensor:
        """The crop at the points or in the areas, the background elsewhere, uint8 `[h, w, 3]`.

        Args:
            crop: uint8 `[h, w, 3]`, the view of the image.
            background: uint8 `[h, w, 3]`.
            image: uint8 `[H, W, 3]`, the whole image. An object is cut out of it, as the crop shows less of
                what is around.
            view: The crop's part of its image.
            objects: Points of the crop's byproducts, or areas.
            rng: Draws the radius or the level, and the hole.
            kept: Where objects that were cut out are kept.
        """
        if isinstance(objects, np.ndarray):
            near = self._at_points(crop, image, view, objects, rng, kept)
        else:
            near = self._in_areas(crop, view, objects, rng)
        return torch.lerp(background.float(), crop.float(), near).round().to(torch.uint8)

    def _at_points(
        self,
        crop: Tensor,
        image: np.ndarray,
        view: View,
        points: np.ndarray,
        rng: np.random.Generator,
        kept: Kept | None,
    ) -> Tensor:
        if self.shape == OBJECT:
            there = _distance((SIDE, SIDE), WHOLE_IMAGE, from_view(points, view))
            found = cut_out(image, there, self.radius, kept)
            if found is not None:
                return self._with_holes(seen(found, view, _size(crop)), crop, view, rng)
        radius = rng.uniform(0.5, 1) * self.radius
        near = _nearness(crop, view, points, radius)
        if rng.random() < self.holes:
            angle, distance = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.5) * radius
            aside = distance * np.array([math.cos(angle), math.sin(angle)]) / (view.width, view.height)
            near *= 1 - _nearness(crop, view, points + aside, rng.uniform(0.35, 0.7) * radius)
        return near

    def _in_areas(self, crop: Tensor, view: View, areas: Any, rng: np.random.Generator) -> Tensor:
        found = area_mix.kept(areas, view, _size(crop), rng.uniform(*area_mix.LEVELS))
        return self._with_holes(found, crop, view, rng)

    def _with_holes(self, found: np.ndarray, crop: Tensor, view: View, rng: np.random.Generator) -> Tensor:
        """What stays, `[h, w]`, or in some crops a part of it, `[h, w, 3]`."""
        near = _of_pixels(found)
        if rng.random() < self.holes and found.any():
            center, radius = area_mix.hole(found, view, rng)
            near *= 1 - _nearness(crop, view, center[None], radius)
        return near


def _nearness(crop: Tensor, view: View, points: np.ndarray, radius: float) -> Tensor:
    """1 within the radius of a point, 0 beyond it, with a soft edge; `[h, w, 3]`, equal for all channels."""
    distance = torch.from_numpy(_distance(_size(crop), view, points))
    near = (0.5 + (radius - distance) / EDGE).clamp_(0, 1)
    return _of_channels(near)


def _distance(size: tuple[int, int], view: View, points: np.ndarray) -> np.ndarray:
    """Of each of (h, w) pixels to the nearest point, float32 `[h, w]`, in image ratios."""
    height, width = size
    x = (points[:, :1] - (np.arange(width) + 0.5) / width) * view.width  # [P, w]
    y = (points[:, 1:] - (np.arange(height) + 0.5) / height) * view.height  # [P, h]
    squares = np.square(y, dtype=np.float32)[:, :, None] + np.square(x, dtype=np.float32)[:, None]
    nearest: np.ndarray = np.sqrt(squares.min(0))
    return nearest


def _of_pixels(values: np.ndarray) -> Tensor:
    return _of_channels(torch.from_numpy(values.astype(np.float32)))


def _of_channels(values: Tensor) -> Tensor:
    # torch is slow at broadcasting over the last axis
    return values[..., None].expand(-1, -1, 3).contiguous()


def _size(crop: Tensor) -> tuple[int, int]:
    return crop.shape[0], crop.shape[1]


class Mixer:
    """Puts the backgrounds of other rows behind crops.

    Args:
        mix: How to mix.
        reader: Reads the other rows.
        transform: Makes the crops of the training images.
    """

    def __init__(self, mix: BackgroundMix, reader: RowReader, transform: EvalTransform):
        self.mix, self.reader, self.transform = mix, reader, transform
        self.kept = room_for_objects() if mix.shape == OBJECT else None

    def __call__(
        self,
        crop: Tensor,
        image: np.ndarray,
        view: View,
        position: int,
        labels: int | Tensor,
        byproducts: Sequence[Byproduct | Area],
        donors: Donors,
        rng: np.random.Generator,
        moves: Sequence[np.ndarray] = (),
    ) -> Tensor:
        """The crop before another background, or unchanged; uint8 `[h, w, 3]`.

        An object would be lost, and its label be wrong, where the crop shows no byproduct of it, or an
        augmentation moves that out: such a crop is not mixed.

        Args:
            crop: uint8 `[h, w, 3]`, the view of the row's image.
            image: uint8 `[H, W, 3]`, the row's whole image.
            view: The crop's part of the image.
            position: The row's number; it is not its own donor.
            labels: The crop's labels.
            byproducts: The row's byproducts.
            donors: Draws the other row.
            rng: The row's random generator.
            moves: How augmentations will move the crop's pixels.

        Raises:
            ValueError: the other row cannot be read. Names it.
        """
        objects = objects_in_view(labels, byproducts, view, moves)
        if objects is None or rng.random() >= self.mix.share:
            return crop
        background = self._background(position, donors, rng)
        if background is None:
            return crop
        return self.mix.blend(crop, background, image, view, objects, rng, self.kept)

    def _background(self, position: int, donors: Donors, rng: np.random.Generator) -> Tensor | None:
        """The background of another row; None if none of the rows drawn has a byproduct."""
        useless = {position}  # not kept: a position in a stream is another row in the next epoch
        for _ in range(MAX_DONORS):
            row, other = donors(rng)
            if other in useless:
                continue
            with self.reader.named(row, other):
                image, labels, byproducts = self.reader.open(row)
                objects = objects_in_view(labels, byproducts, WHOLE_IMAGE)
                if objects is None:
                    useless.add(other)
                    continue
                view = self.transform.view(image.width, image.height, rng)
                crop = self.transform.crop(self.reader.pixels(image), view)
            if isinstance(objects, np.ndarray):
                objects = to_view(objects, view)
            return self.mix.background(crop, view, objects)
        return None


def objects_in_view(
    labels: int | Tensor,
    byproducts: Sequence[Byproduct | Area],
    view: View,
    moves: Sequence[np.ndarray] = (),
) -> Objects | None:
    """The points at the objects, in crop ratios, or the areas in the view. None: a label has none there.

    Only heavy points count: the start of a trace is on the way to the object. Only areas count that are
    targets in this view. None also without a label. With `moves`, as for `target_in_view`, only points and
    areas count that the crop still shows after them; the points are where they are before.
    """
    missing = set(labels.nonzero().flatten().tolist()) if isinstance(labels, Tensor) else {labels}
    found, areas = [], []
    for byproduct in byproducts:
        if isinstance(byproduct, Area):
            if byproduct.is_in(view, moves):
                areas.append(byproduct)
                missing.discard(byproduct.label)
            continue
        points = byproduct.points[byproduct.weights >= HEAVY * byproduct.weights.max()]
        _, seen = seen_points(points, view, moves)
        if seen.any():
            found.append(to_view(points[seen], view))
            missing.discard(byproduct.label)
    if missing or not (found or areas):
        return None
    return areas or np.concatenate(found)
