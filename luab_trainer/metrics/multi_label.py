"""Mean average precision and F1 for several labels per image, in the form for transformers' Trainer.

Average precision of a class: rank all images by the class's logit. AP is the mean, over the images of the
class, of the precision among the images ranked as high or higher. It is scikit-learn's
`average_precision_score`, sum_n (R_n - R_(n-1)) P_n over the distinct scores: no interpolation, and images
with equal scores count together. mAP is its mean over the classes. Pascal VOC interpolates the curve, which
gives slightly higher values.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from transformers import EvalPrediction

from luab_data.files.whole import write_json

CLASSES_FILE = "eval_classes.json"
PRIMARY_METRIC = "mAP"


def average_precision(positive: np.ndarray, scores: np.ndarray) -> float:
    """Of one class, as above.

    Args:
        positive: [N] bool, at least one of them true.
        scores: [N] finite.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # of the images of a score
    hits = np.cumsum(positive[order])[last]
    precision, recall = hits / (last + 1), hits / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def f1_score(positive: np.ndarray, predicted: np.ndarray) -> float:
    """Harmonic mean of precision and recall, two bool arrays of one shape; 0 where nothing is in either."""
    both = positive.sum() + predicted.sum()
    return float(2 * (positive & predicted).sum() / both) if both else 0.0


class MultiLabelMetrics:
    """`compute_metrics` for logits [N, K] and labels [N, K] of 0 and 1.

    Calling it returns
        mAP: mean of the average precision over the classes with at least one image,
        f1_macro: mean of F1 over the same classes; a class is predicted from a probability of 0.5,
        f1_micro: F1 of all decisions together, including classes without an image,
        classes_without_positive: number of classes without an image, which mAP and f1_macro skip.

    Attributes:
        by_class: {"positives", "average_precision", "f1"} -> [K] of the last call; NaN without a positive.
    """

    primary_metric = PRIMARY_METRIC

    def __init__(self) -> None:
        self.by_class: dict[str, np.ndarray] = {}

    def __call__(self, evaluated: EvalPrediction) -> dict[str, float]:
        # A diverged model still gets a score: NaN ranks last.
        """The metrics of logits [N, K] against multi-hot labels [N, K], by name."""
        lowest, highest = float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)
        logits = np.nan_to_num(
            np.asarray(evaluated.predictions, np.float32), nan=lowest, neginf=lowest, posinf=highest
        )
        labels = np.asarray(evaluated.label_ids) > 0.5
        predicted = logits >= 0  # a probability of at least 0.5
        positives = labels.sum(axis=0)
        present = np.flatnonzero(positives)
        precision, f1 = np.full((2, labels.shape[1]), np.nan)
        for k in present:
            precision[k] = average_precision(labels[:, k], logits[:, k])
            f1[k] = f1_score(labels[:, k], predicted[:, k])
        self.by_class = {"positives": positives, "average_precision": precision, "f1": f1}
        return {
            PRIMARY_METRIC: float(precision[present].mean()) if len(present) else 0.0,
            "f1_macro": float(f1[present].mean()) if len(present) else 0.0,
            "f1_micro": float(f1_score(labels, predicted)),
            "classes_without_positive": float(labels.shape[1] - len(present)),
        }


def write_classes(file: Path, names: Sequence[str], by_class: Mapping[str, np.ndarray]) -> None:
    """{class: {metric: value}} as JSON, null for NaN. by_class: {metric: [K]}."""
    columns = {
        metric: [None if np.isnan(value) else value for value in np.asarray(values).tolist()]
        for metric, values in by_class.items()
    }
    rows = {name: {metric: values[k] for metric, values in columns.items()} for k, name in enumerate(names)}
    write_json(file, rows, indent=2)
