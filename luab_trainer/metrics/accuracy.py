"""Top-1 accuracy, in the form that transformers' Trainer expects."""

import numpy as np
from torch import Tensor
from transformers import EvalPrediction

PRIMARY_METRIC = "accuracy"


def predictions(logits: Tensor, labels: Tensor) -> Tensor:
    """The output to keep of an evaluation batch: logits [B, K] -> predicted classes [B].

    For `preprocess_logits_for_metrics`.
    """
    return logits.argmax(dim=-1)


def accuracy(evaluated: EvalPrediction) -> dict[str, float]:
    """Share of rows whose predicted class is their label."""
    return {PRIMARY_METRIC: float(np.equal(evaluated.predictions, evaluated.label_ids).mean())}
