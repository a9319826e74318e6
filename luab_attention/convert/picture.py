"""A picture of twelve images with what was read on them, and of the check: one look tells a swapped axis."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont, ImageOps

from luab_attention.columns import HEATMAPS, MASKS, NOT_HERE, SCANPATHS
from luab_attention.convert.check import ReadingCount, reading_counts
from luab_attention.gray import gray_image
from luab_data.build.manifest import Manifest
from luab_data.constants import HEIGHT, IMAGE, IMAGE_ID, OBJECTS, POINTS, WIDTH
from luab_data.errors import RejectedRecord
from luab_data.images.pillow import open_file, upright_rgb

PICTURE = "what_was_read.png"
SHOWN, ACROSS = 12, 4
SIDE, CAPTION, GAP = 320, 18, 8  # pixels

# Colors that color-blind people can tell apart (Okabe and Ito, 2008).
POINT, NEGATIVE, BOX, MASK, MAP = (255, 64, 129), (0, 0, 0), (0, 158, 115), (86, 180, 233), (230, 159, 0)
PATHS = ((213, 94, 0), (0, 114, 178), (204, 121, 167), (240, 228, 66))
PAPER, INK, GREY = (255, 255, 255), (40, 40, 40), (190, 190, 190)


def draw_folder(out: Path, manifest: Manifest) -> bool:
    """Writes `PICTURE`, of rows spread over a built folder; False if its shards are not there."""
    shards = [out / name for name in manifest.shards]
    if not shards or not all(shard.exists() for shard in shards):
        return False
    chosen = np.unique(np.linspace(0, manifest.rows - 1, min(SHOWN, manifest.rows)).round().astype(int))
    panels = [panel(row) for row in _rows(shards, chosen.tolist())]
    lines = -(-len(panels) // ACROSS)
    checks = reading_counts(manifest.facts)
    below = 24 * len(checks) + (2 * GAP if checks else 0)
    across = min(ACROSS, len(panels))
    page = Image.new(
        "RGB", (across * (SIDE + GAP) + GAP, lines * (SIDE + CAPTION + GAP) + GAP + below), PAPER
    )
    for number, drawn in enumerate(panels):
        down, right = divmod(number, ACROSS)
        page.paste(drawn, (GAP + right * (SIDE + GAP), GAP + down * (SIDE + CAPTION + GAP)))
    _draw_check(ImageDraw.Draw(page), checks, page.height - below, page.width)
    page.save(out / PICTURE)
    return True


def panel(row: Mapping[str, Any]) -> Image.Image:
    """A row's image with everything that was read on it, and its id."""
    canvas = _canvas(row)
    tint(canvas, row)
    draw = ImageDraw.Draw(canvas)
    width, height = canvas.size
    scale = np.array((width / (row.get(WIDTH) or 1), height / (row.get(HEIGHT) or 1)))
    for box in (row.get(OBJECTS) or {}).get("bbox", []):
        (x0, y0), (x1, y1) = np.array(box[:2]) * scale, (np.array(box[:2]) + box[2:]) * scale
        draw.rectangle((x0, y0, max(x0, x1), max(y0, y1)), outline=BOX, width=2)
    for number, path in enumerate(row.get(SCANPATHS) or []):
        draw_path(draw, path, PATHS[number % len(PATHS)], canvas.size)
    for point in row.get(POINTS) or []:
        color = NEGATIVE if point.get("sign") == NOT_HERE else POINT
        _cross(draw, point["x"] * width, point["y"] * height, color)
    framed = Image.new("RGB", (SIDE, SIDE + CAPTION), PAPER)
    framed.paste(canvas, ((SIDE - width) // 2, (SIDE - height) // 2))
    text = str(row[IMAGE_ID]).encode("ascii", "replace").decode()
    ImageDraw.Draw(framed).text((2, SIDE + 2), text[-52:], INK, ImageFont.load_default(12))
    return framed


def _rows(shards: list[Path], chosen: list[int]) -> Iterator[dict[str, Any]]:
    """The rows of these numbers, in order; one row group is in memory at a time."""
    begin = 0
    for shard in shards:
        with pq.ParquetFile(shard) as file:
            for group in range(file.num_row_groups):
                end = begin + file.metadata.row_group(group).num_rows
                inside = [number - begin for number in chosen if begin <= number < end]
                if inside:
                    yield from file.read_row_group(group).take(inside).to_pylist()
                begin = end


def _canvas(row: Mapping[str, Any]) -> Image.Image:
    """The image, its longer side `SIDE` pixels; a gray sheet of its shape without one."""
    if row.get(IMAGE):
        try:
            return ImageOps.contain(upright_rgb(open_file(row[IMAGE]["bytes"])), (SIDE, SIDE))
        except (RejectedRecord, OSError):  # drawn without it; the build has checked it
            pass
    width, height = row.get(WIDTH) or 1, row.get(HEIGHT) or 1
    scale = SIDE / max(width, height)
    return Image.new("RGB", (max(1, round(width * scale)), max(1, round(height * scale))), (225, 225, 225))


def tint(canvas: Image.Image, row: Mapping[str, Any]) -> None:
    """Colors the masks and the maps of a row on its image."""
    for kind, color in ((MASKS, MASK), (HEATMAPS, MAP)):
        for each in row.get(kind) or []:
            cover = gray_image(each[IMAGE], kind).convert("L").resize(canvas.size)
            cover = cover.point(lambda value: value * 0.55)
            canvas.paste(Image.new("RGB", canvas.size, color), (0, 0), cover)


def draw_path(
    draw: ImageDraw.ImageDraw, path: Mapping[str, Any], color: tuple[int, int, int], size: tuple[int, int]
) -> None:
    """Draws a scanpath on an image of this size: a circle at each fixation, lines within segments."""
    places = [(x * size[0], y * size[1]) for x, y in zip(path["x"], path["y"], strict=True)]
    segments = path.get("segment") or [0] * len(places)
    for (here, there), (own, other) in zip(pairwise(places), pairwise(segments), strict=True):
        if own == other:
            draw.line((*here, *there), color, 1)
    durations = path.get("duration")
    for number, (x, y) in enumerate(places):
        radius = 2.0 if durations is None else 2 + min(12.0, durations[number] ** 0.5 / 4)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=color)


def _cross(draw: ImageDraw.ImageDraw, x: float, y: float, color: tuple[int, int, int]) -> None:
    for width, ink in ((5, PAPER), (2, color)):
        draw.line((x - 7, y, x + 7, y), ink, width)
        draw.line((x, y - 7, x, y + 7), ink, width)


def _draw_check(draw: ImageDraw.ImageDraw, checks: list[ReadingCount], top: int, width: int) -> None:
    font = ImageFont.load_default(13)
    for number, each in enumerate(checks):
        y = top + GAP + 24 * number
        color = POINT if each.better else BOX if number == 0 else GREY
        longest = max(1, width - 320)
        draw.rectangle((200, y, 200 + longest * each.share, y + 16), color)
        draw.text((GAP, y), each.reading, INK, font)
        draw.text((206 + longest * each.share, y), f"{100 * each.share:.1f} % inside", INK, font)
