"""The models of the page, by short names."""

from collections.abc import Sequence
from dataclasses import replace

from luab_eval.models import Classifier, load_classifier
from luab_eval.suite import unique_names


def load(names: Sequence[str], device: str = "cpu") -> list[Classifier]:
    """Checkpoints' folders, ids on the Hub, or `timm:NAME` -> models, named as in reports.

    Raises:
        ValueError: one that cannot be loaded.
    """
    return [
        replace(load_classifier(name, device), name=short)
        for name, short in zip(names, unique_names(names), strict=True)
    ]
