"""A classifier -> the `LUABModel` that a config asks for."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel, set_seed

from luab_trainer.adapters.hf_trainer import has_adapter
from luab_trainer.classifier import probability_to_drop
from luab_trainer.config import LUABConfig
from luab_trainer.freezing import freeze
from luab_trainer.lora import adapted, check_adapter, is_adapted
from luab_trainer.model import LUABModel
from luab_trainer.normalization import settle_normalization
from luab_trainer.said import say


def wrapped(model: PreTrainedModel | LUABModel, args: LUABConfig, **kwargs: Any) -> LUABModel:
    """The model with the losses of `args`, in float32; a `LUABModel` is not changed.

    Args:
        model: The classifier, with or without losses.
        args: The losses and their settings.
        kwargs: The trainer's arguments, which define the normalization; see `settle_normalization`.

    Raises:
        ValueError: a model that the losses do not work with, one that cannot be frozen as `args` say, or
            images normalized in two ways.
    """
    if not isinstance(model, LUABModel):
        if isinstance(model, PreTrainedModel) and has_adapter(model):
            raise ValueError(
                "a model with `add_adapter` saves its adapter without its head, which would be lost. Take "
                "peft.get_peft_model(model, LoraConfig(..., modules_to_save=['classifier'])) instead."
            )
        classifier: PreTrainedModel = model
        if (dropped := probability_to_drop(classifier.config)) is not None:
            raise ValueError(
                f"the model's classifier_dropout_prob is {1 - dropped:g}, which is what TensorFlow's code "
                "keeps: it would learn next to nothing. Load it again with "
                f"from_pretrained(..., classifier_dropout_prob={dropped:g})."
            )
        if model.dtype != torch.float32:
            say(f"the model's weights are {model.dtype}; they are trained in float32.")
            classifier = model.float()
        if args.freeze is not None:
            freeze(classifier, args.freeze)
        if args.lora_r is not None and args.do_train:
            set_seed(args.seed)  # the matrices' initial weights
            classifier = adapted(classifier, args.lora_r, args)
        if is_adapted(classifier):
            check_adapter(classifier)
        set_seed(args.seed)  # the head's initial weights
        model = LUABModel(
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
    elif args.freeze is not None or args.lora_r is not None:
        name = "freeze" if args.freeze is not None else "lora_r"
        raise ValueError(
            f"{name}={getattr(args, name)!r} is about a classifier, but the model is a LUABModel, which is "
            "not changed. Pass the classifier itself."
        )
    settle_normalization(model, **kwargs)
    return model


class WrappingInit:
    """A `model_init` for the trainer that wraps the user's `model_init` into a `LUABModel`.

    Attributes:
        first: The result of the first call.
    """

    def __init__(self, model_init: Callable[..., Any], args: LUABConfig, **kwargs: Any):
        self._takes_trial = bool(inspect.signature(model_init).parameters)
        self._model_init, self._args, self._kwargs = model_init, args, kwargs
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
        return wrapped(model, self._args, **self._kwargs)
