"""Figures of a row's traces for a paper: image, trace colored by time, clicks, density."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from luab.gallery.rows import Panel, ShownRow
from luab.traces.density import SIGMA_COLUMNS, Sigma, density_map, sigma_of
from luab.traces.rows import TracedRow, TraceRows, size_of
from luab_attention.columns import ATTENTION_SOURCE
from luab_attention.traces.scanpath import Scanpath, connected
from luab_data.console.text import printable
from luab_data.constants import IMAGE
from luab_data.errors import SourceError
from luab_eval.report.galleries import MAX_BYTES
from luab_eval.report.templates import template
from luab_vision.images import decode

FORMATS = ("png", "pdf", "svg")
DPI = 150
PANEL = 2.6  # inches
GRID = 64  # cells of the longer side of the density's picture
COLORS = "viridis"  # of time: also for color-blind people and in gray
CLICK_COLOR, CLICK_EDGE = "#ff4081", "white"
DENSITY_ALPHA = 0.85
GALLERY = "index.html"
# TrueType fonts, which journals ask for, and no random names.
RC: Any = {"pdf.fonttype": 42, "svg.hashsalt": "luab"}
# Nothing in a figure's file depends on when it was made.
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None},
    "svg": {"Date": None},
}


def trace_figure(
    image: np.ndarray | None, paths: Sequence[Scanpath], title: str, sigma: Sigma, size: tuple[float, float]
) -> Figure:
    """Four panels: the image, its traces by time, its clicks, and the density of all traces.

    Args:
        image: [H, W, 3] uint8, or None for a gray sheet.
        paths: in ratios of the image.
        title: plain text.
        sigma: of the density in x and in y, ratios of the image.
        size: width and height of the image, for its shape.
    """
    found = [path for path in paths if len(path)]
    tall = min(max(size[1] / size[0], 0.25), 4.0)
    figure = Figure(figsize=(4 * PANEL + 0.7, PANEL * tall + 0.7), layout="constrained")
    axes: Sequence[Axes] = figure.subplots(1, 4)
    figure.suptitle(printable(title), fontsize=9, parse_math=False)
    density = f"density, sigma {sigma[0]:.2g} of the width"
    sheet = np.full((1, 1, 3), 225, np.uint8) if image is None else image
    for panel, name in zip(axes, ("image", "trace", "click", density), strict=True):
        panel.imshow(sheet, extent=(0, size[0], size[1], 0), aspect="equal", interpolation="antialiased")
        panel.set_title(name, fontsize=8)
        panel.set_axis_off()
    scaled = [path.scaled(*size) for path in found]
    _draw_traces(figure, axes[1], scaled)
    clicks = np.array([(click.x, click.y) for path in scaled for click in path.clicks]).reshape(-1, 2)
    axes[2].scatter(
        clicks[:, 0], clicks[:, 1], s=28, c=CLICK_COLOR, edgecolors=CLICK_EDGE, linewidths=0.8, zorder=3
    )
    longer = GRID / max(size)
    grid = (max(1, round(size[1] * longer)), max(1, round(size[0] * longer)))
    heat = density_map(found, grid, sigma)
    if heat is not None:
        extent = (0, size[0], size[1], 0)
        # Seen where people looked; elsewhere the image.
        seen = np.sqrt(heat / heat.max()) * DENSITY_ALPHA
        axes[3].imshow(heat, extent=extent, cmap="inferno", alpha=seen, interpolation="bilinear")
    for panel in axes:
        panel.set_xlim(0, size[0])
        panel.set_ylim(size[1], 0)
    return figure


def _draw_traces(figure: Figure, panel: Axes, paths: Sequence[Scanpath]) -> None:
    """Lines within segments, colored by the time since each trace's first sample.

    Without times, the color is the share of the samples.
    """
    timed = all(path.time is not None for path in paths)
    shades = [_seconds(path) if timed else np.linspace(0, 1, len(path)) for path in paths]
    last = max((float(shade[-1]) for shade in shades), default=0.0) or 1.0
    pieces, colors = [np.zeros((0, 2, 2))], [np.zeros(0)]
    for path, shade in zip(paths, shades, strict=True):
        joined = connected(path)
        pieces.append(np.stack([path.xy[:-1], path.xy[1:]], axis=1)[joined])
        colors.append(((shade[:-1] + shade[1:]) / 2)[joined])
        panel.scatter(path.xy[:, 0], path.xy[:, 1], c=shade, s=3, cmap=COLORS, zorder=3, vmin=0, vmax=last)
    lines = LineCollection(list(np.concatenate(pieces)), cmap=COLORS, linewidths=1.2)
    lines.set_array(np.concatenate(colors))
    lines.set_clim(0, last)
    panel.add_collection(lines)
    bar = figure.colorbar(lines, cax=panel.inset_axes((1.02, 0, 0.04, 1)))
    bar.set_label("time (s)" if timed else "share of the samples", fontsize=7)
    bar.ax.tick_params(labelsize=6)


def _seconds(path: Scanpath) -> np.ndarray:
    assert path.time is not None
    return (path.time - path.time[0]) / 1000


def write_plots(
    traced: TraceRows, out: Path, rows: int, seed: int, kind: str, sigma: float | None, title: str
) -> tuple[int, int]:
    """Writes figures of random rows with traces and a gallery of them; their number, and that of the rows.

    Raises:
        SourceError: no row has a trace.
    """
    out.mkdir(parents=True, exist_ok=True)
    exhibits: list[ShownRow] = []
    written, left = 0, MAX_BYTES
    order = np.random.default_rng(seed).permutation(len(traced))
    columns = dict.fromkeys((traced.column.name, traced.id_column, *SIGMA_COLUMNS))
    light = traced.rows.select_columns([name for name in columns if name in traced.rows.column_names])
    if isinstance(light.features.get(IMAGE), datasets.Image):
        light = light.cast_column(IMAGE, datasets.Image(decode=False))
    for at in order:
        if written == rows:
            break
        row = traced.traced(int(at), light[int(at)])
        if not any(map(len, row.paths)):
            continue
        figure = _figure(row, sigma)
        with rc_context(RC):
            figure.savefig(out / f"row-{row.number:08d}.{kind}", dpi=DPI, metadata=METADATA[kind])
        written += 1
        panel = Panel(f"{sum(len(path) > 0 for path in row.paths)} traces", _picture(figure))
        if (left := left - len(panel.uri)) >= 0:
            exhibits.append(ShownRow(f"row {row.number:,}: {row.image_id}", (panel,)))
    if not written:
        raise SourceError(f"no row has a trace in column {traced.column.name!r}.")
    notes = [f"{len(exhibits):,} of {len(traced):,} rows, drawn at random (seed {seed})"]
    html = template("show.html").render(
        title=title, exhibits=exhibits, notes=notes, made_by="luab traces plot", wide=True
    )
    (out / GALLERY).write_text(html, encoding="utf-8")
    return written, len(traced)


def _figure(row: TracedRow, sigma: float | None) -> Figure:
    image = decode(row.row[IMAGE]) if row.row.get(IMAGE) is not None else None
    if image is not None:
        size: tuple[float, float] = (image.shape[1], image.shape[0])
    else:
        try:
            size = size_of(row.row, ", or give --sigma")
        except SourceError:  # neither image nor size: a square sheet, on which no degree has a length
            if sigma is None and (row.row.get(ATTENTION_SOURCE) or {}).get("pixels_per_degree"):
                raise
            size = (1.0, 1.0)
    return trace_figure(image, row.paths, row.image_id, sigma_of(row, sigma, size), size)


def _picture(figure: Figure) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return Image.open(buffer).convert("RGB")
