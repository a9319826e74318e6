"""An image and a click -> what classifiers say of them, without a browser.

bytes of a file --(read)--> pixels --(ask)--> Seen of each model --(judge a click: `loss_of`)--> ClickLoss
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from luab_attention.density import density, nearness
from luab_attention.targets import ROW_LABEL, Byproduct, target_in_view
from luab_data.images.headers import MAX_BYTES
from luab_eval.models import Classifier, NotFinite
from luab_trainer.losses.attention import AttentionLoss, defaults
from luab_vision.activation_map import ActivationMap
from luab_vision.cls_attention import CLSAttention
from luab_vision.geometry import View
from luab_vision.images import decode
from luab_vision.model_attention import spatial_attention
from luab_vision.readout import NoReadout
from luab_vision.transforms import EvalTransform, to_image

TOP = 5  # classes that are named


@dataclass(frozen=True)
class Seen:
    """What one model says of one image.

    Attributes:
        name: The model's.
        top: Its most probable classes, each with its probability.
        picture: What it reads of the image.
        view: Which part of the image that is.
        kind: Of its attention: "cls", "map", or None where it is not known where it looks.
        attention: `[L, h, w]` for its first class; each map has the sum 1.
    """

    name: str
    top: tuple[tuple[str, float], ...]
    picture: Image.Image
    view: View
    kind: str | None = None
    attention: Tensor | None = None

    @property
    def map(self) -> np.ndarray | None:
        """The mean over the layers `[h, w]`, None where it is not known where the model looks."""
        return None if self.attention is None else self.attention.mean(dim=0).numpy()


class ClickLoss(NamedTuple):
    """What the attention loss asks of a model for a click.

    `target` `[h, w]` on the model's grid: hinge: 1 near the click, 0 far from it; kl: a density of sum 1.
    `value`: of the loss, before its weight. `far`: the share of the attention that the hinge finds too far.
    """

    target: np.ndarray
    value: float
    radius: float
    tolerance: float
    far: float


def read(data: bytes) -> np.ndarray:
    """The bytes of an image file -> upright pixels, uint8 `[H, W, 3]`.

    Raises:
        ValueError: no image that is read, a damaged one, or one that would take too much time or memory.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"the file has {len(data):,} bytes, allowed for an image are {MAX_BYTES:,}")
    try:
        return decode(data)
    except ValueError:
        raise
    except Exception as error:  # Pillow's decoders raise many types on broken files
        raise ValueError(f"the image cannot be decoded: {error}") from error


@torch.no_grad()
def ask(classifier: Classifier, pixels: np.ndarray) -> Seen:
    """What the model says of pixels, uint8 `[H, W, 3]`.

    Raises:
        ValueError: its outputs are not finite.
    """
    values, view = EvalTransform(classifier.settings)(pixels)
    model = classifier.model
    batch = values[None].to(next(model.parameters()).device)
    attention: CLSAttention | ActivationMap | None
    try:
        attention = spatial_attention(model)
        attention.watch(model)
    except NoReadout:
        attention = None
    try:
        probabilities = classifier.logits(batch)[0].softmax(dim=0).cpu()
    except NotFinite as error:
        raise ValueError(f"{classifier.name} says NaN or infinity of this image") from error
    best = probabilities.topk(min(TOP, len(probabilities)))
    top = tuple(
        (str(classifier.labels[index]), probability)
        for probability, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    )
    picture = to_image(values, classifier.settings)
    if attention is None:
        return Seen(classifier.name, top, picture, view)
    classes = best.indices[:1, None].to(batch.device)
    height, width = batch.shape[-2:]
    maps = attention.maps(model, (height, width), classes)[0, 0].float().cpu()
    return Seen(classifier.name, top, picture, view, attention.kind, maps)


def ask_all(classifiers: Sequence[Classifier], pixels: np.ndarray) -> tuple[Seen, ...]:
    """`ask` of each model."""
    return tuple(ask(classifier, pixels) for classifier in classifiers)


def loss_of(seen: Seen, click: tuple[float, float], form: str) -> ClickLoss | None:
    """The attention loss of a click, with the defaults of training.

    Args:
        seen: What the model says of the image.
        click: Ratios of the image, x first.
        form: "hinge" or "kl".

    Returns:
        None where the click is outside the part that the model sees, or its attention is not known.

    Raises:
        ValueError: another form.
    """
    if seen.attention is None or seen.kind is None:
        return None
    byproduct = Byproduct(ROW_LABEL, np.array([click]), np.ones(1))
    points, weights = (torch.from_numpy(array) for array in target_in_view(byproduct, seen.view))
    if not weights.any():
        return None
    radius, tolerance, _ = defaults(seen.kind, form)
    grid = (seen.attention.shape[-2], seen.attention.shape[-1])
    near = nearness(points, weights, grid, radius)
    target = near if form == "hinge" else density(points, weights, grid, radius)
    loss = AttentionLoss(form, radius, tolerance)
    value = loss(seen.attention[None, None], points[None, None], weights[None, None])
    far = (seen.attention * (1 - near)).sum(dim=(-2, -1)).mean()
    return ClickLoss(target.numpy(), value.item(), radius, tolerance, far.item())
