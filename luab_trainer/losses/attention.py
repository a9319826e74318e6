"""Losses that move the model's spatial attention to where people looked."""

from typing import NamedTuple

import torch
from torch import Tensor

from luab_attention.density import density, map_density, map_nearness, nearer, nearness
from luab_data.rows.columns import ByproductKind
from luab_trainer.losses.checks import (
    CheckedLoss,
    check_distributions,
    check_map_values,
    check_maps,
    check_targets,
    check_weights,
)
from luab_trainer.losses.point import mean_over_targets

FORMS = ("hinge", "energy", "kl")


class Defaults(NamedTuple):
    """The defaults of the attention loss.

    radius (kl: the Gaussian's sigma) in crop ratios, 0 for byproducts that are no points; tolerance in
    attention mass; weight of the term.
    """

    radius: float
    tolerance: float
    weight: float


POINTS, GAZE, REGION = "points", "gaze", "region"
# What a byproduct tells: a place, a density of attention, or where the object is.
TELLS: dict[ByproductKind, str] = {
    "click": POINTS, "trace": POINTS, "click+trace": POINTS,
    "scanpath": GAZE, "heatmap": GAZE,
    "boxes": REGION, "masks": REGION,
}  # fmt: skip
# Defaults by (kind of attention, form, what the byproduct tells). Those of points with "hinge" and "kl" were
# found on 64x64 real objects pasted on scenes. The others follow from them: attention that is as spread as
# gaze that is one Gaussian has half of its mass near, by N = D / max D; "energy" never ends, so it weighs
# half. The hinges of gaze and regions were compared with another tolerance and with "kl", each beside its
# shuffled control: none was better (docs/evidence.md#other-byproducts).
DEFAULTS = {
    ("cls", "hinge", POINTS): Defaults(radius=0.25, tolerance=0.5, weight=2.0),
    ("map", "hinge", POINTS): Defaults(radius=0.35, tolerance=0.2, weight=2.0),
    ("cls", "kl", POINTS): Defaults(radius=0.15, tolerance=0.0, weight=5.0),
    ("map", "kl", POINTS): Defaults(radius=0.15, tolerance=0.0, weight=1.0),
    ("cls", "energy", POINTS): Defaults(radius=0.25, tolerance=0.0, weight=1.0),
    ("map", "energy", POINTS): Defaults(radius=0.35, tolerance=0.0, weight=1.0),
    ("cls", "hinge", GAZE): Defaults(radius=0.0, tolerance=0.5, weight=2.0),
    ("map", "hinge", GAZE): Defaults(radius=0.0, tolerance=0.5, weight=2.0),
    ("cls", "kl", GAZE): Defaults(radius=0.0, tolerance=0.0, weight=5.0),
    ("map", "kl", GAZE): Defaults(radius=0.0, tolerance=0.0, weight=1.0),
    ("cls", "energy", GAZE): Defaults(radius=0.0, tolerance=0.0, weight=1.0),
    ("map", "energy", GAZE): Defaults(radius=0.0, tolerance=0.0, weight=1.0),
    ("cls", "hinge", REGION): Defaults(radius=0.0, tolerance=0.5, weight=2.0),
    ("map", "hinge", REGION): Defaults(radius=0.0, tolerance=0.2, weight=2.0),
    ("cls", "kl", REGION): Defaults(radius=0.0, tolerance=0.0, weight=5.0),
    ("map", "kl", REGION): Defaults(radius=0.0, tolerance=0.0, weight=1.0),
    ("cls", "energy", REGION): Defaults(radius=0.0, tolerance=0.0, weight=1.0),
    ("map", "energy", REGION): Defaults(radius=0.0, tolerance=0.0, weight=1.0),
}


def defaults(kind: str, form: str, byproduct: ByproductKind = "click") -> Defaults:
    """The defaults for a kind of attention ("cls" or "map"), a form of the loss, and a byproduct."""
    if (kind, form, POINTS) not in DEFAULTS:
        raise ValueError(f"attention_form={form!r} is unknown; take one of {', '.join(FORMS)}.")
    return DEFAULTS[kind, form, TELLS[byproduct]]


class AttentionLoss(CheckedLoss):
    """A loss on the spatial attention A, a distribution over the grid (`luab_vision.model_attention`).

    hinge:  relu( sum_ij A_ij * (1 - N_ij) - t )
            N = nearness in [0, 1]. At most the mass t may be far from the byproduct. The model may look at
            the whole object, and need not look at the click. Loss and gradient are 0 once the attention has
            left the background.
    energy: the same with t = 0: all attention is wanted there ("energy" of Rao et al., "Studying How to
            Efficiently and Effectively Guide Models with Explanations", ICCV 2023).
    kl:     KL(D || A) = sum_ij D_ij * log(D_ij / A_ij)
            D = density. The map must match the exact shape of D.

    Of points, N is 1 within radius r, 0 farther, with a soft edge, and D are Gaussians of sigma r. Points
    that say "not here", with the nearness F, take their discs out: N becomes N (1 - F), and D becomes
    D (1 - F) of sum 1. F counts only in cells whose center is nearer to one of them than to each point of the
    class, and not in a cell that holds one: two points may be nearer to each other than r. Where several
    targets are merged they do nothing, as another class may be there.

    Merged targets (one map for all classes) are one: N is the largest of theirs, each by its share of the
    largest share, and D their mean by the shares.

    Of maps M (gaze, boxes, masks, heat maps), N = M / max M and D = M / sum M.

    Averaged over the layers of A and over a row's targets. This loss is ours. A related one is "Right for the
    Right Reasons" (Ross et al., IJCAI 2017), which penalizes gradients outside an annotated mask.

    Args:
        form: "hinge", "energy" or "kl".
        radius: r, in crop ratios. None for maps, which have none.
        tolerance: t of the hinge, in mass (0 to 1); None: 0.2. The other forms have none.
    """

    def __init__(self, form: str = "hinge", radius: float | None = 0.35, tolerance: float | None = None):
        super().__init__()
        if tolerance is None:
            tolerance = 0.2 if form == "hinge" else 0.0
        if (radius is not None and radius <= 0) or not 0 <= tolerance < 1:
            raise ValueError(
                f"attention_radius={radius} must be positive (crop ratios) and "
                f"attention_tolerance={tolerance} in [0, 1) (the mass that may lie far from the byproduct)."
            )
        if form != "hinge" and tolerance:
            raise ValueError(
                f"attention_tolerance={tolerance}: attention_form={form!r} has none; take 'hinge', or leave "
                "it out."
            )
        self.form, self.radius, self.tolerance = form, radius, tolerance

    def forward(
        self,
        attention: Tensor,
        points: Tensor | None = None,
        weights: Tensor | None = None,
        shares: Tensor | None = None,
        maps: Tensor | None = None,
        away: Tensor | None = None,
    ) -> Tensor:
        """The term of each row [B], 0 where no byproduct is usable.

        Args:
            attention: A [B, C, L, h, w]; or [B, 1, L, h, w] for all classes: a row's targets are
                then merged into one.
            points: [B, C, P, 2] crop ratios, x first.
            weights: [B, C, P], sum 1 over P for a usable target, else 0.
            shares: [B, C], how much each target counts in its row, sum 1 at most. None: all the same. Merged
                targets are mixed by their shares, and count with the sum of these.
            away: [B, C, Q, 2] crop ratios where each target's class is not; infinity for padding.
            maps: [B, C, H, W] instead of points and weights; all 0 for a target that is not usable.

        Raises:
            ValueError: wrong shapes; in the first call also maps that are not distributions, and weights that
                do not sum to 1.
        """
        if attention.ndim != 5:
            raise ValueError(f"the attention is {list(attention.shape)}; needed is [B, C, L, h, w].")
        if maps is not None:
            check_maps(maps, len(attention), shares)
            targets = maps.shape[1]
        elif points is not None and weights is not None:
            check_targets(points, weights, len(attention), shares)
            # DeepSpeed hands on half precision, in which the floor of "kl" is 0 and the loss not a number.
            points, weights = points.float(), weights.float()
            targets = points.shape[1]
        else:
            raise ValueError("there are no targets: give points and weights, or maps.")
        shares, away = (None if each is None else each.float() for each in (shares, away))
        if attention.shape[1] not in (1, targets):
            raise ValueError(
                f"the attention has maps of {attention.shape[1]} classes, but the targets are of {targets}; "
                "needed is one map, or one for each."
            )
        if self.is_first_call():
            check_distributions(attention)
            if maps is not None:
                check_map_values(maps)
            elif weights is not None:
                check_weights(weights)
        merge = attention.shape[1] == 1 and targets > 1
        grid = (attention.shape[-2], attention.shape[-1])
        if maps is not None:
            wanted, usable, shares = self._of_maps(maps.float(), shares, grid, merge)
        elif points is not None and weights is not None:
            wanted, usable, shares = self._of_points(points, weights, shares, grid, merge)
            if away is not None:
                if merge:
                    away = of_single_targets(away, weights)
                    points, weights = points.flatten(1, 2).unsqueeze(1), weights.flatten(1, 2).unsqueeze(1)
                wanted = self._without(wanted, away, points, weights)
        attention, wanted = attention.float(), wanted.unsqueeze(2)
        if self.form == "kl":
            # Where D is 0 the summand is 0; the floor keeps both logarithms finite.
            log_ratio = wanted.clamp(min=1e-8).log() - attention.clamp(min=1e-8).log()
            loss = (wanted * log_ratio).sum(dim=(-2, -1))
        else:
            loss = ((attention * (1 - wanted)).sum(dim=(-2, -1)) - self.tolerance).relu()
        return mean_over_targets(loss.mean(dim=2), usable, shares)

    def _of_points(
        self, points: Tensor, weights: Tensor, shares: Tensor | None, grid: tuple[int, int], merge: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """N or D [B, C, h, w], which targets are usable [B, C], and the shares [B, C]; C = 1 if merged.

        Merged, D is the mean by the shares, and N the largest, each by its share, as `_of_maps`.
        """
        if self.radius is None:
            raise ValueError("attention_radius=None is for maps, but the targets are points: give a radius.")
        made = density if self.form == "kl" else nearness
        if not merge:
            return made(points, weights, grid, self.radius), weights.sum(dim=-1) > 0, shares
        if shares is not None:
            shares = shares * (weights.sum(dim=-1) > 0)
            weights = weights * shares.unsqueeze(-1)
            shares = shares.sum(dim=1, keepdim=True)
        total = weights.flatten(1, 2).sum(dim=-1)[:, None, None]
        weights = weights / torch.where(total > 0, total, 1)
        usable = weights.flatten(1, 2).sum(dim=-1, keepdim=True) > 0
        if self.form == "kl":
            points, weights = points.flatten(1, 2).unsqueeze(1), weights.flatten(1, 2).unsqueeze(1)
            return density(points, weights, grid, self.radius), usable, shares
        # Each target by all of its weight: that of a point says how it compares with others of its target.
        counts = weights.sum(dim=-1)
        counts = counts / torch.where(usable, counts.amax(dim=1, keepdim=True), 1)
        near = nearness(points, weights, grid, self.radius) * counts[..., None, None]
        return near.amax(dim=1, keepdim=True), usable, shares

    def _without(self, wanted: Tensor, away: Tensor, points: Tensor, weights: Tensor) -> Tensor:
        """N or D [B, C, h, w] without the discs around points `away` [B, C, Q, 2], where these are nearer."""
        grid = (wanted.shape[-2], wanted.shape[-1])
        assert self.radius is not None
        far = nearness(away, torch.ones_like(away[..., 0]), grid, self.radius)
        left = wanted * (1 - far * nearer(points, weights, away, grid))
        if self.form != "kl":
            return left
        total = left.sum(dim=(-2, -1), keepdim=True)
        # Of points outside the crop they may take all: they contradict the points, and these alone count.
        return torch.where(total > 1e-6, left / total.clamp(min=1e-6), wanted)

    def _of_maps(
        self, maps: Tensor, shares: Tensor | None, grid: tuple[int, int], merge: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """As `_of_points`. Merged, D is the mean by the shares, and N the largest, each by its share."""
        usable = (maps > 0).flatten(2).any(dim=-1)
        wanted = (map_density if self.form == "kl" else map_nearness)(maps, grid)
        if not merge:
            return wanted, usable, shares
        counts = usable.float() if shares is None else shares * usable
        whole = counts.sum(dim=1, keepdim=True) if self.form == "kl" else counts.amax(dim=1, keepdim=True)
        counted = wanted * (counts / torch.where(whole > 0, whole, 1))[..., None, None]
        wanted = counted.sum(dim=1) if self.form == "kl" else counted.amax(dim=1)
        shares = None if shares is None else counts.sum(dim=1, keepdim=True)
        return wanted.unsqueeze(1), usable.any(dim=1, keepdim=True), shares

    def extra_repr(self) -> str:
        """The settings, as `print(module)` shows them."""
        radius = "" if self.radius is None else f", radius={self.radius}"
        return f"form={self.form}{radius}, tolerance={self.tolerance}"


def of_single_targets(away: Tensor, weights: Tensor) -> Tensor:
    """The points of rows with one usable target: [B, C, Q, 2] -> [B, 1, C * Q, 2], infinity for all others.

    Args:
        away: Points that say "not here".
        weights: [B, C, P] of the targets.
    """
    usable = weights.sum(dim=-1) > 0
    alone = usable & (usable.sum(dim=1, keepdim=True) == 1)
    return away.masked_fill(~alone[..., None, None], torch.inf).flatten(1, 2).unsqueeze(1)
