"""The one module that the trainer sees: an image classifier, the byproduct losses and their head."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from luab_attention.density import map_centers
from luab_data.rows.columns import ByproductKind
from luab_trainer.adapters.hf_trainer import whole_modules
from luab_trainer.freezing import frozen_parts
from luab_trainer.losses.attention import AttentionLoss, defaults
from luab_trainer.losses.point import PointLoss
from luab_vision.cls_attention import ALL, CLSAttention
from luab_vision.geometry import pair
from luab_vision.hooks import output_linear, plain, recorded, watch, watch_input
from luab_vision.model_attention import spatial_attention
from luab_vision.transforms import normalize

CLASSIFICATION = "ce"  # name of the classification term in logs
POINT = "point"
ATTENTION = "attention"
LOSSES = {"none": (), "point": (POINT,), "attention": (ATTENTION,), "both": (POINT, ATTENTION)}

MULTI_LABEL: Final = "multi_label_classification"  # transformers' `config.problem_type`
# Binary cross-entropy averaged over the classes starts at log(2) and soon approaches 0.1 on COCO's 80
# classes; cross-entropy starts at log(classes). With the weights for a single label, the byproducts would
# outweigh the labels. On 100 COCO images a twentieth moved a small ConvNeXt's attention onto the objects more
# often, not less.
MULTI_LABEL_SHARE = 0.05
CLASSIFICATION_LOSSES = ("ce", "bce")
SEEN = 0.2  # share of a mixed crop from which a class counts in full in the "bce", timm's of ResNet A1 to A3


def input_size(config: PretrainedConfig) -> tuple[int, int] | None:
    """Height and width in pixels of a classifier's position encodings; None if its config has no size.

    For a model of images and text, the size is in the vision config.
    """
    for part in (config, getattr(config, "vision_config", None)):
        if (size := getattr(part, "image_size", None)) is not None:
            return pair(size)
    return None


@dataclass
class LUABOutput(ModelOutput):
    """loss: scalar. logits [B, K]. terms: {name: [B]}, unweighted, 0 for a row without a usable byproduct."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    terms: dict[str, Tensor] | None = None


class LUABModel(nn.Module):
    """Classifier + byproduct losses:  loss = mean over rows of (ce + sum over terms of weight * term).

    A term is summed over the rows with a byproduct and divided by the batch size, so a row's weight does not
    depend on how many other rows have one. ce is cross-entropy, or with `problem_type =
    multi_label_classification` or `classification_loss = "bce"` binary cross-entropy averaged over the
    classes. It is computed here because some transformers models divide by the batch and others by the
    accumulated batch.

    Args:
        model: any `AutoModelForImageClassification`; stays loadable on its own, and is saved as such.
        loss: "none", "point", "attention" or "both".
        point_weight: weight of the point term; None = the loss's default, times `MULTI_LABEL_SHARE` with
            binary cross-entropy.
        attention_weight: the same for the attention term.
        attention_form: "hinge", "energy" or "kl".
        attention_radius: see `AttentionLoss`; None = the default of the model's family and the `byproduct`.
        attention_tolerance: the same.
        attention_layers: layers of a vision transformer that the attention loss is on; see
            `spatial_attention`.
        attention_heads: heads of these layers, the same way.
        byproduct: what the targets are made from.
        label_smoothing: label smoothing of the cross-entropy, 0 or more and less than 1. Binary cross-entropy
            has none.
        classification_loss: "ce", or "bce" for one label per image: binary cross-entropy, in which each class
            that a mixed crop shows by more than `SEEN` counts in full (Wightman et al., "ResNet strikes
            back", 2021).
        mean: mean of the three channels, on a scale of 0 to 1, for batches of bytes from
            `luab_trainer.data.collator`. See `luab_vision.processors.image_settings`.
        std: standard deviation, the same way.
        bgr: whether the classifier reads blue, green, red.
    """

    # The trainer then divides the loss by the number of accumulation steps, for every model.
    accepts_loss_kwargs = False
    main_input_name = "pixel_values"

    def __init__(
        self,
        model: PreTrainedModel,
        loss: str = "none",
        *,
        point_weight: float | None = None,
        attention_weight: float | None = None,
        attention_form: str = "hinge",
        attention_radius: float | None = None,
        attention_tolerance: float | None = None,
        attention_layers: str = ALL,
        attention_heads: str = ALL,
        byproduct: ByproductKind = "click",
        label_smoothing: float = 0.0,
        classification_loss: str = "ce",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        bgr: bool = False,
    ):
        super().__init__()
        if loss not in LOSSES:
            raise ValueError(f"loss={loss!r} is unknown; take one of {', '.join(LOSSES)}.")
        self.model = model
        self.binary = self._is_bce(classification_loss) or self.multi_label
        self.label_smoothing = self._checked_smoothing(label_smoothing)
        self.mean, self.std, self.bgr = mean, std, bgr
        self.weights: dict[str, float] = {}
        share = MULTI_LABEL_SHARE if self.binary else 1.0
        if POINT in LOSSES[loss]:
            try:
                linear = output_linear(model)
            except ValueError as error:
                raise ValueError(f"the {POINT} loss: {error} Use --loss none, or another model.") from error
            watch_input(linear)
            self.point = PointLoss(linear.weight.shape[1], self.config.num_labels if self.multi_label else 1)
            self.weights[POINT] = share * PointLoss.default_weight if point_weight is None else point_weight
        if ATTENTION in LOSSES[loss]:
            self.spatial = spatial_attention(model, attention_layers, attention_heads)
            default = defaults(self.spatial.kind, attention_form, byproduct)
            self.attention = AttentionLoss(
                attention_form,
                (default.radius or None) if attention_radius is None else attention_radius,
                default.tolerance if attention_tolerance is None else attention_tolerance,
            )
            self.weights[ATTENTION] = share * default.weight if attention_weight is None else attention_weight
        for name, weight in self.weights.items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"{name}_weight={weight} must be a finite number of 0 or more.")
        # FSDP's wrapping policy looks for it on the module that it wraps.
        self._no_split_modules = whole_modules(model)
        self._input_size = input_size(model.config)
        self._can_interpolate = "interpolate_pos_encoding" in signature(plain(model).forward).parameters

    @property
    def config(self) -> Any:
        """The classifier's config; transformers' trainer and callbacks look for it here."""
        return self.model.config

    @property
    def multi_label(self) -> bool:
        """Whether an image may have several classes."""
        return self.model.config.problem_type == MULTI_LABEL

    def train(self, mode: bool = True) -> "LUABModel":
        """As for every module, but frozen parts stay as in an evaluation; see `luab_trainer.freezing`."""
        super().train(mode)
        if mode:
            for part in frozen_parts(self):
                part.eval()
        return self

    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        target_points: Tensor | None = None,
        target_weights: Tensor | None = None,
        target_labels: Tensor | None = None,
        target_shares: Tensor | None = None,
        target_maps: Tensor | None = None,
        target_away: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> LUABOutput:
        """The loss and the logits of a batch from `luab_trainer.data.collator.collate`.

        Args:
            pixel_values: uint8 [B, H, W, 3], or normalized [B, 3, H, W]. Position encodings are interpolated
                if the size differs from the config's.
            labels: [B] int64, or [B, K] of 0 and 1 (multi label) or of shares (CutMix, MixUp). Without it
                there is no loss.
            target_points: [B, C, P, 2] crop ratios, x first.
            target_weights: [B, C, P], sum 1 over P for a usable target, else 0.
            target_labels: [B, C] int64, -1 for padding.
            target_shares: [B, C], how much each target counts in its row's terms (MixUp). None: all the same.
            target_maps: [B, C, H, W], instead of `target_points` and `target_weights`; all 0 for a target
                that is not usable. The point term regresses their centers of mass.
            target_away: [B, C, Q, 2] crop ratios where each target's class is not, infinity for padding. The
                point term does not use them.
            rows: [B] int64, the row numbers; they change nothing.
        """
        pixel_values = self._normalized(pixel_values)
        with_terms = labels is not None and (target_points is not None or target_maps is not None)
        linear = output_linear(self.model) if with_terms and POINT in self.weights else None
        if linear is not None:
            watch(linear)
        if with_terms and ATTENTION in self.weights:
            self.spatial.watch(self.model)
        logits = self._classify(pixel_values)
        if labels is None:
            return LUABOutput(logits=logits)

        terms = {CLASSIFICATION: self._classification_term(logits, labels)}
        if linear is not None:
            features = recorded(linear).flatten(1)  # of a 1 x 1 convolution [B, D, 1, 1]
            points = (target_points, target_weights) if target_maps is None else map_centers(target_maps)
            terms[POINT] = self.point(features, *points, target_labels, target_shares)
        if with_terms and ATTENTION in self.weights:
            attention = self._attention((pixel_values.shape[-2], pixel_values.shape[-1]), target_labels)
            terms[ATTENTION] = self.attention(
                attention, target_points, target_weights, target_shares, target_maps, target_away
            )
        total = terms[CLASSIFICATION] + sum(
            self.weights[name] * terms[name] for name in terms if name in self.weights
        )
        return LUABOutput(loss=total.mean(), logits=logits, terms=terms)

    def _attention(self, size: tuple[int, int], classes: Tensor | None) -> Tensor:
        """The attention of the watched forward. size: height and width of the images."""
        if isinstance(self.spatial, CLSAttention):
            return self.spatial.maps(self.model, size)
        if classes is None:
            raise ValueError("target_labels are missing: the attention loss of this model needs a class.")
        return self.spatial.maps(self.model, size, classes)

    def _normalized(self, pixel_values: Tensor) -> Tensor:
        if pixel_values.dtype != torch.uint8:
            return pixel_values
        if self.mean is None or self.std is None:
            raise ValueError(
                "pixel_values are bytes, and the model does not know how to normalize them: pass LUABTrainer "
                "the processing_class, or LUABModel its mean and std."
            )
        # A replica of nn.DataParallel has no parameters.
        precision = next((p.dtype for p in self.model.parameters() if p.is_floating_point()), torch.float32)
        return normalize(pixel_values, self.mean, self.std, self.bgr).to(precision)

    def _classify(self, pixel_values: Tensor) -> Tensor:
        size = tuple(pixel_values.shape[-2:])
        if self._can_interpolate and size != self._input_size:
            return self.model(pixel_values, interpolate_pos_encoding=True).logits
        return self.model(pixel_values).logits

    def _classification_term(self, logits: Tensor, labels: Tensor) -> Tensor:
        """[B] cross-entropy, or binary cross-entropy averaged over the classes."""
        logits = logits.float()
        if self.binary and not self.multi_label:
            shares = labels if labels.is_floating_point() else F.one_hot(labels, logits.shape[1])
            labels = shares.float() > SEEN
        if self.binary:
            return F.binary_cross_entropy_with_logits(logits, labels.float(), reduction="none").mean(dim=1)
        if labels.is_floating_point():  # shares, which DeepSpeed hands on in half precision
            labels = labels.float()
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)

    def _is_bce(self, classification_loss: str) -> bool:
        if classification_loss not in CLASSIFICATION_LOSSES:
            raise ValueError(
                f"classification_loss={classification_loss!r} is unknown; take one of "
                f"{', '.join(CLASSIFICATION_LOSSES)}."
            )
        if classification_loss == "bce" and self.multi_label:
            raise ValueError(
                "classification_loss='bce' is for one label an image: with several the loss is binary "
                "cross-entropy without it. Leave it out."
            )
        return classification_loss == "bce"

    def _checked_smoothing(self, label_smoothing: float) -> float:
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing={label_smoothing}: give 0 or more and less than 1.")
        if label_smoothing and self.binary:
            raise ValueError(
                f"label_smoothing={label_smoothing} (--label_smoothing_factor) is of the cross-entropy of "
                "one label an image; in binary cross-entropy every class is 0 or 1. Leave it out."
            )
        return label_smoothing

    def head_state_dict(self) -> dict[str, Tensor]:
        """The parameters outside the classifier, which a plain checkpoint does not hold."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith("model.")}

    def gradient_checkpointing_enable(
        self, gradient_checkpointing_kwargs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """As for the classifier, but never reentrant: the attention is recorded in the forward pass."""
        self.model.gradient_checkpointing_enable(_non_reentrant(gradient_checkpointing_kwargs), **kwargs)

    def activation_checkpointing_enable(
        self, activation_checkpointing_kwargs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """The same under its newer name."""
        self.model.activation_checkpointing_enable(_non_reentrant(activation_checkpointing_kwargs), **kwargs)


def _non_reentrant(kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """Reentrant checkpointing runs the forward without gradients: the attention term would train nothing."""
    if kwargs and kwargs.get("use_reentrant"):
        raise ValueError(
            "gradient_checkpointing_kwargs: use_reentrant must be False; the byproduct losses need it."
        )
    return {**(kwargs or {}), "use_reentrant": False}
