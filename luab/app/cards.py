"""What classifiers say of an image as HTML, one card a model. Names are escaped, pictures embedded."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
from PIL import Image

from luab.app.asking import ClickLoss, Seen, loss_of
from luab_data.console.text import printable
from luab_eval.report.galleries import FULL_LIGHT, NOT_FINITE, data_uri, overlay, peak, with_cross
from luab_eval.report.table import shown

SIDE = 320  # pixels of a picture's longer side
TARGET_COLOR = (255, 176, 0)

# Colors are Gradio's, which change with light and dark.
STYLE = """
.html-container { padding: 0 !important; }
.luab-cards { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); }
.luab-card { padding: .85rem; border: 1px solid var(--border-color-primary); border-radius: .6rem;
  background: var(--block-background-fill); color: var(--body-text-color); min-width: 0; }
.luab-card h3 { margin: 0 0 .6rem; font-size: 1rem; font-weight: 600; overflow-wrap: anywhere; }
.luab-views { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(7.5rem, 1fr)); }
.luab-card figure { margin: 0; min-width: 0; }
.luab-card img { display: block; width: 100%; height: auto; border-radius: .35rem; margin: 0; }
.luab-card figcaption, .luab-note { margin: .4rem 0 0; font-size: .82rem; line-height: 1.4;
  color: color-mix(in srgb, var(--body-text-color) 78%, transparent); }
.luab-card figcaption b { color: var(--body-text-color); font-weight: 600; }
.luab-card ol { list-style: none; margin: 0 0 .85rem; padding: 0; display: grid; gap: .3rem; }
.luab-card li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 .6rem; margin: 0;
  padding: 0; font-size: .88rem; line-height: 1.35; }
.luab-card li span { overflow-wrap: anywhere; }
.luab-card li span:nth-child(2) { font-variant-numeric: tabular-nums; }
.luab-card li i { grid-column: 1 / -1; height: .3rem; border-radius: .15rem;
  background: var(--color-accent); }
.luab-problem { margin: 0; padding: .75rem .9rem; border-radius: .5rem;
  border: 1px solid var(--error-border-color); background: var(--error-background-fill);
  color: var(--error-text-color); overflow-wrap: anywhere; }
"""


def cards(seen: Sequence[Seen], click: tuple[float, float] | None, form: str) -> str:
    """A card for each model: its classes, where it looks and, of a click, what the loss asks and its value.

    Args:
        seen: What the models say.
        click: Ratios of the image, x first, or None.
        form: Of the loss, "hinge" or "kl".
    """
    return f'<div class="luab-cards">{"".join(_card(each, click, form) for each in seen)}</div>'


def problem(message: str) -> str:
    """A message about what could not be done."""
    return f'<p class="luab-problem" role="alert">{_text(message)}</p>'


def note(message: str) -> str:
    """A message about what to do."""
    return f'<p class="luab-note">{_text(message)}</p>'


def _card(seen: Seen, click: tuple[float, float] | None, form: str) -> str:
    figures = [_looks(seen)]
    if click is not None and seen.attention is not None:
        figures.append(_asked(seen, click, form))
    return (
        f'<article class="luab-card"><h3>{_text(seen.name)}</h3><ol>{_classes(seen)}</ol>'
        f'<div class="luab-views">{"".join(figures)}</div></article>'
    )


def _classes(seen: Seen) -> str:
    return "".join(
        f"<li><span>{_text(label)}</span><span>{shown(probability, 1)}&nbsp;%</span>"
        f'<i style="width:{100 * probability:.1f}%"></i></li>'
        for label, probability in seen.top
    )


def _looks(seen: Seen) -> str:
    picture, attention = sized(seen.picture), seen.map
    if attention is None:
        return _figure(picture, "What it reads. It is not known where models of this type look.")
    height = peak(attention)
    if height is None:
        caption = f"<b>{NOT_FINITE.capitalize()}:</b> the model's weights, or the precision, do not suit it."
        return _figure(overlay(picture, attention), caption)
    full = max(height, FULL_LIGHT)
    caption = (
        f"<b>Where it looks.</b> Cross: the maximum, {height:.1f} times the even share. "
        f"Full light: {full:.1f} times."
    )
    if seen.kind == "map":
        caption += f" For its first class, {_text(seen.top[0][0])}."
    return _figure(overlay(picture, attention), caption)


def _asked(seen: Seen, click: tuple[float, float], form: str) -> str:
    picture, loss = sized(seen.picture), loss_of(seen, click, form)
    if loss is None:
        return _figure(picture, "<b>No target.</b> The click is outside the part that the model sees.")
    caption = _hinge(loss) if form == "hinge" else _kl(loss)
    return _figure(_crossed(_tinted(picture, loss.target), seen, click), caption)


def _hinge(loss: ClickLoss) -> str:
    rows, columns = loss.target.shape
    return (
        f"<b>Attention loss {loss.value:.3f}.</b> {shown(loss.far, 0)}&nbsp;% of the attention is farther "
        f"than {loss.radius:g} of the crop from the click; {shown(loss.tolerance, 0)}&nbsp;% may be. "
        f"Grid: {columns}&nbsp;x&nbsp;{rows}."
    )


def _kl(loss: ClickLoss) -> str:
    rows, columns = loss.target.shape
    return (
        f"<b>Attention loss {loss.value:.3f}.</b> KL divergence of the attention from this density: a "
        f"Gaussian, sigma {loss.radius:g} of the crop. Its highest cell, in full color, has "
        f"{shown(float(loss.target.max()), 1)}&nbsp;% of the mass. Grid: {columns}&nbsp;x&nbsp;{rows}."
    )


def _tinted(picture: Image.Image, target: np.ndarray) -> Image.Image:
    """`picture` in gray, colored by the target `[h, w]`. Its cells stay cells, as the loss compares them."""
    strength = np.uint8(200 * target / max(float(target.max()), 1e-12))
    mask = Image.fromarray(strength, mode="L").resize(picture.size, Image.Resampling.NEAREST)
    gray = picture.convert("L").convert("RGB")
    return Image.composite(Image.new("RGB", picture.size, TARGET_COLOR), gray, mask)


def _crossed(picture: Image.Image, seen: Seen, click: tuple[float, float]) -> Image.Image:
    view = seen.view
    return with_cross(picture, (click[0] - view.left) / view.width, (click[1] - view.top) / view.height)


def sized(picture: Image.Image, side: int = SIDE) -> Image.Image:
    """`picture` with a longer side of `side` pixels: small ones enlarged, large ones shrunk."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.BICUBIC)


def _figure(picture: Image.Image, caption: str) -> str:
    """`caption` is HTML."""
    return f'<figure><img src="{data_uri(picture)}" alt=""><figcaption>{caption}</figcaption></figure>'


def _text(text: str) -> str:
    return html.escape(printable(text))
