"""Losses that move the model's spatial attention to where the annotator's cursor was."""

from typing import NamedTuple

import torch
from torch import Tensor

from luab_attention.density import density, nearness
from luab_trainer.losses.checks import CheckedLoss, check_distributions, check_targets, check_weights
from luab_trainer.losses.point import mean_over_targets

FORMS = ("hinge", "kl")


class Defaults(NamedTuple):
    """The defaults of the attention loss.

    radius (kl: the Gaussian's sigma) in crop ratios, tolerance in attention mass, weight of the term.
    """

    radius: float
    tolerance: float
    weight: float


# Defaults by (kind of attention, form), found on 64x64 real objects pasted on scenes.
DEFAULTS = {
    ("cls", "hinge"): Defaults(radius=0.25, tolerance=0.5, weight=2.0),
    ("map", "hinge"): Defaults(radius=0.35, tolerance=0.2, weight=2.0),
    ("cls", "kl"): Defaults(radius=0.15, tolerance=0.0, weight=5.0),
    ("map", "kl"): Defaults(radius=0.15, tolerance=0.0, weight=1.0),
}


def defaults(kind: str, form: str) -> Defaults:
    """The defaults for a kind of attention ("cls" or "map") and a form of the loss."""
    if (kind, form) not in DEFAULTS:
        raise ValueError(f"attention_form={form!r} is unknown; take one of {', '.join(FORMS)}.")
    return DEFAULTS[kind, form]


class AttentionLoss(CheckedLoss):
    """A loss on the spatial attention A, a distribution over the grid (`luab_vision.model_attention`).

    hinge:  relu( sum_ij A_ij * (1 - N_ij) - t )
            N = nearness in [0, 1]: 1 within radius r of the byproduct, 0 farther, with a soft edge. At most
            the mass t may be far from the byproduct. The model may look at the whole object, and need not
            look at the click. Loss and gradient are 0 once the attention has left the background.
    kl:     KL(D || A) = sum_ij D_ij * log(D_ij / A_ij)
            D = Gaussians of sigma r around the byproduct. The map must match the exact shape of D.

    Averaged over the layers of A and over a row's targets. This loss is ours. A related one is "Right for the
    Right Reasons" (Ross et al., IJCAI 2017), which penalizes gradients outside an annotated mask.

    Args:
        form: "hinge" or "kl".
        radius: r, in crop ratios.
        tolerance: t of the hinge, in mass (0 to 1).
    """

    def __init__(self, form: str = "hinge", radius: float = 0.35, tolerance: float = 0.2):
        super().__init__()
        if radius <= 0 or not 0 <= tolerance < 1:
            raise ValueError(
                f"attention_radius={radius} must be positive (crop ratios) and "
                f"attention_tolerance={tolerance} in [0, 1) (the mass that may lie far from the byproduct)."
            )
        self.form, self.radius, self.tolerance = form, radius, tolerance

    def forward(
        self, attention: Tensor, points: Tensor, weights: Tensor, shares: Tensor | None = None
    ) -> Tensor:
        """The term of each row [B], 0 where no byproduct is usable.

        Args:
            attention:             A [B, C, L, h, w]; or [B, 1, L, h, w] for all classes: a row's targets are
                then merged into one.
            points: [B, C, P, 2] crop ratios, x first.
            weights: [B, C, P], sum 1 over P for a usable target, else 0.
            shares: [B, C], how much each target counts in its row, sum 1 at most. None: all the same. Merged
                targets are mixed by their shares, and count with the sum of these.

        Raises:
            ValueError: wrong shapes; in the first call also maps that are not distributions, and weights that
                do not sum to 1.
        """
        if attention.ndim != 5:
            raise ValueError(f"the attention is {list(attention.shape)}; needed is [B, C, L, h, w].")
        check_targets(points, weights, len(attention), shares)
        if attention.shape[1] not in (1, points.shape[1]):
            raise ValueError(
                f"the attention has maps of {attention.shape[1]} classes, but the points are of "
                f"{points.shape[1]}; needed is one map, or one for each."
            )
        if self.is_first_call():
            check_distributions(attention)
            check_weights(weights)
        if attention.shape[1] == 1 and points.shape[1] > 1:
            if shares is not None:
                shares = shares * (weights.sum(dim=-1) > 0)
                weights = weights * shares.unsqueeze(-1)
                shares = shares.sum(dim=1, keepdim=True)
            points, weights = points.flatten(1, 2).unsqueeze(1), weights.flatten(1, 2).unsqueeze(1)
            total = weights.sum(dim=-1, keepdim=True)
            weights = weights / torch.where(total > 0, total, 1)
        attention = attention.float()
        grid = (attention.shape[-2], attention.shape[-1])
        if self.form == "hinge":
            far = 1 - nearness(points, weights, grid, self.radius).unsqueeze(2)
            loss = ((attention * far).sum(dim=(-2, -1)) - self.tolerance).relu()
        else:
            target = density(points, weights, grid, self.radius).unsqueeze(2)
            # Where D is 0 the summand is 0; the floor keeps both logarithms finite.
            log_ratio = target.clamp(min=1e-8).log() - attention.clamp(min=1e-8).log()
            loss = (target * log_ratio).sum(dim=(-2, -1))
        return mean_over_targets(loss.mean(dim=2), weights.sum(dim=-1) > 0, shares)

    def extra_repr(self) -> str:
        """The settings, as `print(module)` shows them."""
        return f"form={self.form}, radius={self.radius}, tolerance={self.tolerance}"
