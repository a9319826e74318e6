"""Models by the short names that people read: for `luab show`, `luab.show` and `luab app`."""

from collections.abc import Sequence
from dataclasses import replace

from luab_eval.models import Classifier, load_classifier
from luab_eval.suite import unique_names


def load_models(names: Sequence[str], device: str = "cpu") -> list[Classifier]:
    """Checkpoints' folders, ids on the Hub, or `timm:NAME` -> models, named as in reports.

    Raises:
        ValueError: one that cannot be loaded.
    """
    short = unique_names(names) if names else []
    return [
        replace(load_classifier(model, device), name=name) for model, name in zip(names, short, strict=True)
    ]
