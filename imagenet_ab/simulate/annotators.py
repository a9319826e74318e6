"""A documented model of the annotators: an object's box -> the byproducts of one worker's visit.

1. The cursor enters the image at a random place of its border and moves to where the worker will click: a
   minimum-jerk path (slow, fast, slow) on a slightly bent line with hand tremor, sampled at 60 Hz with late
   frames. How long that takes is lognormal around `reach_ms`.
2. The click is Gaussian around the box's center, its standard deviation `spread` of the box's width and
   height; a share `careless` of the clicks falls anywhere in the image.
3. A share `unselected` of the visits ends without a selection; of these some never touch the image.
4. A share `hesitant` of the selections is taken back and made again: two clicks, of which the first counts.

Positions are those of whole pixels of the rendered image, hence ratios in steps of its size, and may lie one
pixel outside. The shares of unselected images and the times follow what is known of the released data.
"""

from dataclasses import dataclass

import numpy as np

from imagenet_ab.fields import Annotation, Hover, Position, Record, TimedPoint
from luab_data.simulate.cursor import anonymous_id, cursor_path, snapped
from luab_data.simulate.drawing import Box

RENDERED_WIDTH = 200  # pixels of the image on the page
COLUMNS, CELL = 8, 240  # the page's grid of 48 candidates, pixels
COLLECTED_FROM = 1639785600000  # 18 December 2021, epoch ms
COLLECTION_MS = 60 * 24 * 3600 * 1000


@dataclass(frozen=True)
class ImageNetAnnotators:
    """The model's parameters; shares are 0..1."""

    spread: float = 0.15  # of the box, standard deviation of a careful click
    careless: float = 0.10
    unselected: float = 0.137  # the released data has 13.6 %
    untouched: float = 0.15  # of the unselected: the cursor never came
    hesitant: float = 0.03
    twice: float = 0.04  # images annotated by two workers
    reach_ms: float = 600.0
    workers: int = 50


ANNOTATORS = ImageNetAnnotators()


def annotate(
    image_id: str,
    box: Box,
    width: int,
    height: int,
    rng: np.random.Generator,
    model: ImageNetAnnotators = ANNOTATORS,
) -> Record:
    """The record of an image of `width` x `height` pixels with one object in `box`."""
    visits = 1 + (rng.random() < model.twice)
    return Record(image_id, tuple(_visit(box, width, height, rng, model) for _ in range(visits)))


def _visit(
    box: Box, width: int, height: int, rng: np.random.Generator, model: ImageNetAnnotators
) -> Annotation:
    rendered = np.array([RENDERED_WIDTH, max(1, round(RENDERED_WIDTH * height / width))])
    entered = COLLECTED_FROM + int(rng.integers(COLLECTION_MS))
    selected = bool(rng.random() >= model.unselected)
    aim = _aim(box, width, height, rng, model)
    untouched = not selected and rng.random() < model.untouched
    track = () if untouched else _track(aim, rendered, entered, rng, model)
    left = track[-1].time + int(rng.integers(150, 900)) if track else entered
    clicks: tuple[TimedPoint, ...] = ()
    if selected:
        clicks = (_click(aim, rendered, track[-1].time),)
        if rng.random() < model.hesitant:
            again = aim + rng.normal(0, 0.02, 2)
            clicks += (_click(again, rendered, left),)
            left += int(rng.integers(150, 900))
    place = int(rng.integers(48))
    return Annotation(
        selected=selected,
        selected_count=len(clicks),
        selected_record=clicks,
        mouse_tracking=track,
        hovered_count=1 if track else 0,
        hovered_record=(Hover("enter", entered), Hover("leave", left)) if track else (),
        estimate_time=(track[-1].time - entered or None) if track else None,
        original_image_height=height,
        original_image_width=width,
        image_height=int(rendered[1]),
        image_width=int(rendered[0]),
        image_position=Position(32.0 + CELL * (place % COLUMNS), 200.0 + CELL * (place // COLUMNS)),
        worker_id=anonymous_id(int(rng.integers(model.workers)), 10),
        assignment_id=anonymous_id(int(rng.integers(2**31)), 30),
        page_idx=int(rng.integers(10)),
    )


def _click(point: np.ndarray, rendered: np.ndarray, ms: int) -> TimedPoint:
    x, y = snapped(point, rendered)
    return TimedPoint(x, y, ms)


def _aim(
    box: Box, width: int, height: int, rng: np.random.Generator, model: ImageNetAnnotators
) -> np.ndarray:
    """The point that the worker will click: (x, y) in ratios of the image."""
    if rng.random() < model.careless:
        return rng.uniform(0, 1, 2)
    size = np.array([width, height])
    low, high = np.array([box.x0, box.y0]) / size, np.array([box.x1 + 1, box.y1 + 1]) / size
    return ((low + high) / 2 + rng.normal(0, model.spread, 2) * (high - low)).clip(0, 1)


def _track(
    aim: np.ndarray, rendered: np.ndarray, entered: int, rng: np.random.Generator, model: ImageNetAnnotators
) -> tuple[TimedPoint, ...]:
    """Cursor positions from the border to `aim`, the last at the time of the click."""
    start = rng.uniform(0, 1, 2)
    start[rng.integers(2)] = rng.integers(2)
    duration = float(np.clip(model.reach_ms * rng.lognormal(0, 0.5), 100, 20_000))
    path, elapsed = cursor_path(start, aim, duration, rng)
    times = (entered + elapsed).tolist()
    return tuple(TimedPoint(x, y, ms) for (x, y), ms in zip(snapped(path, rendered), times, strict=True))
