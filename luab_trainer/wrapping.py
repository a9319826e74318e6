"""A classifier -> the `LUABModel` that a config asks for; of a `LUABModel`, the config that it is made by."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel, set_seed

from luab_data.rows.columns import AREA_KINDS
from luab_trainer.adapters.hf_trainer import has_adapter
from luab_trainer.classifier import probability_to_drop
from luab_trainer.config import LUABConfig
from luab_trainer.freezing import freeze
from luab_trainer.lora import adapted, check_adapter, is_adapted
from luab_trainer.losses.attention import AttentionLoss
from luab_trainer.model import ATTENTION, LOSSES, POINT, LUABModel
from luab_trainer.normalization import settle_normalization
from luab_trainer.said import say
from luab_vision.model_attention import spatial_attention

# Arguments that a `LUABModel` is made by.
OF_THE_MODEL = (
    "loss", "classification_loss", "label_smoothing_factor", "point_weight", "attention_weight",
    "attention_form", "attention_radius", "attention_tolerance", "attention_layers", "attention_heads",
)  # fmt: skip


def wrapped(model: PreTrainedModel | LUABModel, args: LUABConfig, **kwargs: Any) -> LUABModel:
    """The model with the losses of `args`, in float32; or a `LUABModel` as it is, whose losses `args` take.

    Args:
        model: The classifier, with or without losses.
        args: The losses and their settings.
        kwargs: The trainer's arguments, which define the normalization; see `settle_normalization`.

    Raises:
        ValueError: a model that the losses do not work with, one that cannot be frozen as `args` say, a
            `LUABModel` with other losses than `args` say, or images normalized in two ways.
    """
    if isinstance(model, LUABModel):
        if args.do_train:
            _check_not_changed(args)
        _agree(args, model)
    else:
        model = _with_losses(_to_train(model, args), args)
    settle_normalization(model, **kwargs)
    return model


def _to_train(model: PreTrainedModel, args: LUABConfig) -> PreTrainedModel:
    """The classifier in float32, frozen or adapted as `args` say."""
    if isinstance(model, PreTrainedModel) and has_adapter(model):
        raise ValueError(
            "a model with `add_adapter` saves its adapter without its head, which would be lost. Take "
            "peft.get_peft_model(model, LoraConfig(..., modules_to_save=['classifier'])) instead."
        )
    if (dropped := probability_to_drop(model.config)) is not None:
        raise ValueError(
            f"the model's classifier_dropout_prob is {1 - dropped:g}, which is what TensorFlow's code "
            "keeps: it would learn next to nothing. Load it again with "
            f"from_pretrained(..., classifier_dropout_prob={dropped:g})."
        )
    classifier = model
    if model.dtype != torch.float32:
        say(f"the model's weights are {model.dtype}; they are trained in float32.")
        classifier = model.float()
    if args.freeze is not None and args.do_train:
        freeze(classifier, args.freeze)
    if args.lora_r is not None and args.do_train:
        set_seed(args.seed)  # the matrices' initial weights
        classifier = adapted(classifier, args.lora_r, args)
    if is_adapted(classifier):
        check_adapter(classifier)
    return classifier


def _with_losses(classifier: PreTrainedModel, args: LUABConfig) -> LUABModel:
    set_seed(args.seed)  # the head's initial weights
    return LUABModel(
        classifier,
        args.loss,
        point_weight=args.point_weight,
        attention_weight=args.attention_weight,
        attention_form=args.attention_form,
        attention_radius=args.attention_radius,
        attention_tolerance=args.attention_tolerance,
        attention_layers=args.attention_layers,
        attention_heads=args.attention_heads,
        byproduct=args.byproduct,
        label_smoothing=args.label_smoothing_factor,
        classification_loss=args.classification_loss,
    )


def _check_not_changed(args: LUABConfig) -> None:
    for name in ("freeze", "lora_r"):
        if (value := getattr(args, name)) is not None:
            raise ValueError(
                f"{name}={value!r} is about a classifier, but the model is a LUABModel, which is not "
                "changed. Pass the classifier itself."
            )


def _agree(args: LUABConfig, model: LUABModel) -> None:
    """Sets the arguments that have their default to what the model is made by, and checks the others."""
    made = _made_by(model, args)
    for name in OF_THE_MODEL:
        value = getattr(args, name)
        if value == getattr(LUABConfig, name):
            setattr(args, name, made[name])
        elif value != made[name]:
            term = name.partition("_")[0]
            without = term in (POINT, ATTENTION) and term not in model.weights
            has = f"loss={made['loss']!r}" if without else f"{name}={made[name]!r}"
            raise ValueError(
                f"{name}={value!r}, but the model is a LUABModel with {has}, which is not changed: give both "
                "the same, leave it out of the arguments, or pass the classifier itself."
            )
    _check_radius(args)
    args.check_own()  # with these losses


def _check_radius(args: LUABConfig) -> None:
    if args.byproduct in AREA_KINDS and args.attention_radius is not None:
        raise ValueError(
            f"byproduct={args.byproduct!r}, but the model is a LUABModel with attention_radius="
            f"{args.attention_radius:g}, which is the distance from a point: make it with "
            f"byproduct={args.byproduct!r} and no attention_radius."
        )


def _made_by(model: LUABModel, args: LUABConfig) -> dict[str, Any]:
    """The values of `OF_THE_MODEL`; the defaults for what the model does not have."""
    made = {name: getattr(LUABConfig, name) for name in OF_THE_MODEL}
    ours = model.weights.keys() & {POINT, ATTENTION}  # a subclass may have terms of its own
    made["loss"] = next(loss for loss, terms in LOSSES.items() if set(terms) == ours)
    made["classification_loss"] = "bce" if model.binary and not model.multi_label else "ce"
    made["label_smoothing_factor"] = model.label_smoothing
    made |= {f"{term}_weight": weight for term, weight in model.weights.items()}
    if ATTENTION in model.weights:
        loss = model.attention
        if isinstance(loss, AttentionLoss):
            how = {"form": loss.form, "radius": loss.radius, "tolerance": loss.tolerance}
            made |= {f"attention_{name}": value for name, value in how.items()}
        asked = spatial_attention(model.model, args.attention_layers, args.attention_heads).chosen
        for what in ("layers", "heads"):
            numbers = model.spatial.chosen.get(what)
            if numbers == asked.get(what):  # however `args` say it: "last2" may be "10,11"
                made[f"attention_{what}"] = getattr(args, f"attention_{what}")
            elif numbers is not None:
                made[f"attention_{what}"] = ",".join(map(str, numbers))
    return made


class WrappingInit:
    """A `model_init` for the trainer that wraps the user's `model_init` into a `LUABModel`.

    Attributes:
        first: The result of the first call.
        made_with: The arguments that a trial cannot set, because the user's models are `LUABModel`.
    """

    def __init__(self, model_init: Callable[..., Any], args: LUABConfig, **kwargs: Any):
        self._takes_trial = bool(inspect.signature(model_init).parameters)
        self._model_init, self._args, self._kwargs = model_init, args, kwargs
        self._asked = {name: getattr(args, name) for name in OF_THE_MODEL}
        self.made_with: tuple[str, ...] = ()
        self.first = self._make(None)
        self._given = False

    def __call__(self, trial: Any) -> LUABModel:
        """A new wrapped model: the first time `first`, later one made for the trial."""
        if not self._given:
            self._given = True
            return self.first
        return self._make(trial)

    def _make(self, trial: Any) -> LUABModel:
        model = self._model_init(trial) if self._takes_trial else self._model_init()
        if isinstance(model, LUABModel):
            self.made_with = OF_THE_MODEL
            for name, value in self._asked.items():  # where `args` have those of the model before
                setattr(self._args, name, value)
        return wrapped(model, self._args, **self._kwargs)
