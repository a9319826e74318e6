"""Byproducts drawn onto their image."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from luab_attention.targets import Byproduct
from luab_eval.report.galleries import with_cross

# Colors of an image's classes, in order; color-blind people can tell them apart (Okabe and Ito, 2008).
CLICK_COLORS = ((255, 64, 129), (86, 180, 233), (240, 228, 66), (0, 158, 115), (230, 159, 0))
# A trace's color from its first to its last position: dark blue, green, yellow (viridis).
TIME_COLORS = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], float)


def with_clicks(image: Image.Image, byproducts: Sequence[Byproduct]) -> Image.Image:
    """`image` with a cross at each point, in a color for each class."""
    for number, byproduct in enumerate(byproducts):
        for x, y in byproduct.points:
            image = with_cross(image, float(x), float(y), CLICK_COLORS[number % len(CLICK_COLORS)])
    return image


def with_traces(image: Image.Image, annotations: Sequence[Mapping[str, Any]]) -> Image.Image:
    """`image` with each annotation's trace, colored by time, and its clicks."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    for annotation in annotations:
        track = [
            (p["x"] * image.width, p["y"] * image.height, _time(p))
            for p in annotation["mouse_tracking"] or []
        ]
        for here, there in pairwise(track):
            share = (there[2] - track[0][2]) / max(track[-1][2] - track[0][2], 1)
            draw.line((*here[:2], *there[:2]), fill=time_color(share), width=2)
    for annotation in annotations:
        for click in annotation.get("selected_record") or []:
            image = with_cross(image, click["x"], click["y"], CLICK_COLORS[0])
    return image


def _time(position: Mapping[str, Any]) -> float:
    """Time of a position in ms: `time` in ImageNet-AB, `time_at` in COCO-AB."""
    return position["time"] if "time" in position else position["time_at"]


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
