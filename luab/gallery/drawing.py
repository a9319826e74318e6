"""Byproducts drawn onto their image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from luab_attention.boxes.boxes import BBOX_NAMES
from luab_attention.boxes.rows import RowBoxes
from luab_attention.convert.picture import BOX, PATHS, draw_path, tint
from luab_attention.targets import Byproduct
from luab_attention.traces.rows import TraceColumn, scanpaths_of
from luab_attention.traces.scanpath import connected
from luab_data.console.text import counted
from luab_data.constants import ANNOTATIONS, HEATMAPS, MASKS, OBJECTS, SCANPATHS
from luab_eval.report.galleries import with_cross

# Colors of an image's classes, in order; color-blind people can tell them apart (Okabe and Ito, 2008).
CLICK_COLORS = ((255, 64, 129), (86, 180, 233), (240, 228, 66), (0, 158, 115), (230, 159, 0))
# Columns that `with_areas` draws beside the boxes, and what one of their entries is.
DRAWN = {MASKS: "mask", HEATMAPS: "heat map", SCANPATHS: "scanpath"}
GAZE = TraceColumn(SCANPATHS, False, False, False)
CURSOR = TraceColumn(ANNOTATIONS, True, True, False)
DOT = 1.0  # radius of a sample, pixels
# A trace's color from its first to its last position: dark blue, green, yellow (viridis).
TIME_COLORS = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], float)


def with_clicks(image: Image.Image, byproducts: Sequence[Byproduct]) -> Image.Image:
    """`image` with a cross at each point, in a color for each class."""
    for number, byproduct in enumerate(byproducts):
        for x, y in byproduct.points:
            image = with_cross(image, float(x), float(y), CLICK_COLORS[number % len(CLICK_COLORS)])
    return image


def with_traces(image: Image.Image, annotations: Sequence[Mapping[str, Any] | None]) -> Image.Image:
    """`image` with each annotation's trace, lines within segments colored by time, and its clicks."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    shown = [annotation for annotation in annotations if annotation is not None]
    for path in scanpaths_of({ANNOTATIONS: shown}, CURSOR):
        if path.time is None or not len(path):
            continue
        shares = (path.time - path.time[0]) / max(path.time[-1] - path.time[0], 1)
        places = (path.xy * image.size).tolist()
        colors = [time_color(share) for share in shares.tolist()]
        for (x, y), color in zip(places, colors, strict=True):
            draw.ellipse((x - DOT, y - DOT, x + DOT, y + DOT), color)
        for at in np.flatnonzero(connected(path)).tolist():
            draw.line((*places[at], *places[at + 1]), fill=colors[at + 1], width=2)
    for annotation in shown:
        for click in annotation.get("selected_record") or []:
            image = with_cross(image, click["x"], click["y"], CLICK_COLORS[0])
    return image


def with_areas(image: Image.Image, row: Mapping[str, Any], size: tuple[int, int]) -> Image.Image:
    """`image` with the row's masks and maps as colors, and its boxes and scanpaths as lines.

    Args:
        image: The row's image, of any size.
        row: Has the columns of `luab_attention.columns`, or some of them.
        size: Width and height of the upright image, pixels.

    Raises:
        ValueError: unreadable values.
    """
    image = image.copy()
    tint(image, row)
    draw = ImageDraw.Draw(image)
    boxes, _ = RowBoxes(None).stated(row, lambda: size)
    for x, y, width, height in boxes.ratios() * np.tile(image.size, 2):
        draw.rectangle((x, y, max(x, x + width - 1), max(y, y + height - 1)), outline=BOX, width=2)
    for number, path in enumerate(scanpaths_of({**row, SCANPATHS: row.get(SCANPATHS)}, GAZE)):
        x, y = path.xy.T.tolist()
        drawn = {"x": x, "y": y, "duration": path.duration, "segment": path.segment.tolist()}
        draw_path(draw, drawn, PATHS[number % len(PATHS)], image.size)
    return image


def areas_caption(row: Mapping[str, Any]) -> str:
    """What `with_areas` draws, such as "2 boxes, 1 mask"; empty if it is nothing."""
    boxes = _objects_count(row.get(OBJECTS))
    said = [counted(boxes, "box", "boxes")] if boxes else []
    found = {word: len(row.get(column) or ()) for column, word in DRAWN.items()}
    return ", ".join([*said, *(counted(number, word) for word, number in found.items() if number)])


def _objects_count(objects: Any) -> int:
    """The number of boxes, in both layouts of the column."""
    if isinstance(objects, Mapping):
        return max((len(objects[name]) for name in BBOX_NAMES if objects.get(name) is not None), default=0)
    return len(objects or ())


def time_color(share: float) -> tuple[int, int, int]:
    """The color of a share of a trace's time, 0 to 1."""
    place = min(max(share, 0.0), 1.0) * (len(TIME_COLORS) - 1)
    at = min(int(place), len(TIME_COLORS) - 2)
    color = TIME_COLORS[at] + (place - at) * (TIME_COLORS[at + 1] - TIME_COLORS[at])
    red, green, blue = (int(value) for value in color.round())
    return red, green, blue


def has_trace(annotations: Sequence[Mapping[str, Any]] | None) -> bool:
    """Whether there is a trace to draw: two or more positions of one annotation."""
    return any(len(annotation.get("mouse_tracking") or []) > 1 for annotation in annotations or [])
