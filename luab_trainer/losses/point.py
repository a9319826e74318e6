"""The paper's auxiliary loss: regress the byproduct's position from the classifier's features."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from luab_trainer.losses.checks import CheckedLoss, check_targets, check_weights


def mean_over_targets(values: Tensor, usable: Tensor, shares: Tensor | None = None) -> Tensor:
    """The mean over a row's usable targets, 0 if it has none.

    Args:
        values: [B, C], one for each target.
        usable: [B, C] bool.
        shares: [B, C], how much each target counts instead: the result is their weighted sum. They sum to 1
            at most. See `luab_trainer.data.mixup`.

    Returns:
        [B]
    """
    if shares is not None:
        return (values * usable * shares).sum(dim=1)
    return (values * usable).sum(dim=1) / usable.sum(dim=1).clamp(min=1)


class PointLoss(CheckedLoss):
    """Smooth-L1 between a point regressed from the pooled features and the byproduct.

        point(row) = mean over targets c of  smooth_l1(g_c(features), z_c)
        z_c        = sum_p weight_p * point_p          (the mean of the target's points)

    g is an additional Linear. smooth_l1 is the mean over x and y of 0.5 d^2 for |d| < 1, else |d| - 0.5.
    Source: Han et al., "Neglected Free Lunch", ICCV 2023, the auxiliary term of the objective
    CE + lambda * w * smooth_l1, with w = 1 if the click is inside the crop.

    Args:
        features: D, the size of the pooled features (the input of the classifier's output Linear).
        outputs: K, the number of regressed points: 1, or one for each class (several labels per image).
    """

    # Crop ratios differ by less than 1, so the term starts near 0.03 where cross-entropy starts at
    # log(classes).
    default_weight = 10.0

    def __init__(self, features: int, outputs: int = 1):
        super().__init__()
        self.outputs = outputs
        self.head = nn.Linear(features, 2 * outputs)
        # Start at the center of the crop for every row. Torch's random weights start at random points, whose
        # gradient in the backbone was 8 to 50 times the cross-entropy's.
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, 0.5)

    def forward(
        self,
        features: Tensor,
        points: Tensor,
        weights: Tensor,
        labels: Tensor,
        shares: Tensor | None = None,
    ) -> Tensor:
        """The term of each row [B], 0 where the byproduct is missing or outside the crop.

        Args:
            features: [B, D] pooled features.
            points: [B, C, P, 2] crop ratios, x first. The authors' COCO code has y first; this only swaps the
                head's two outputs and does not change the loss.
            weights: [B, C, P], sum 1 over P for a usable target, else 0.
            labels: [B, C] class of each target, negative for padding.
            shares: [B, C], see `mean_over_targets`.

        Raises:
            ValueError: wrong shapes; in the first call also weights that do not sum to 1.
        """
        if features.ndim != 2 or features.shape[1] != self.head.in_features:
            raise ValueError(f"features are {list(features.shape)}; needed is [B, {self.head.in_features}].")
        check_targets(points, weights, len(features), shares)
        if labels.shape != points.shape[:2]:
            raise ValueError(f"labels are {list(labels.shape)}; needed is {list(points.shape[:2])}, [B, C].")
        if self.is_first_call():
            check_weights(weights)
        points, weights = points.float(), weights.float()  # DeepSpeed hands on half precision
        shares = None if shares is None else shares.float()
        predicted = self.head(features.to(self.head.weight.dtype)).float().unflatten(-1, (self.outputs, 2))
        if self.outputs > 1:
            index = labels.clamp(min=0).unsqueeze(-1).expand(*labels.shape, 2)
            predicted = predicted.gather(1, index)  # [B, C, 2]
        target = (weights.unsqueeze(-1) * points).sum(dim=2)  # [B, C, 2]
        distance = F.smooth_l1_loss(predicted.expand_as(target), target, reduction="none").mean(dim=-1)
        return mean_over_targets(distance, weights.sum(dim=-1) > 0, shares)

    def predict(self, features: Tensor) -> Tensor:
        """[B, D] -> the regressed points [B, K, 2], crop ratios, x first."""
        with torch.no_grad():
            return self.head(features.to(self.head.weight.dtype)).float().unflatten(-1, (self.outputs, 2))
