"""Just Train Twice (Liu et al., ICML 2021), which needs neither byproducts nor to know the shortcut.

A first model trains for `FIRST` of the epochs. The training images that it gets wrong then come `TIMES` in
each epoch of a second one, which starts anew and takes as many steps as the other arms.
"""

from pathlib import Path

import datasets
import numpy as np

from luab_trainer.data.dataset import ViewDataset
from luab_trainer.trainer import LUABTrainer
from luab_vision.processors import image_settings
from luab_vision.transforms import EvalTransform

FIRST = 0.25
TIMES = 20


def rows_with_repeated_errors(trainer: LUABTrainer, split: Path) -> datasets.Dataset:
    """The rows of a split; those that the trained model gets wrong come `TIMES`."""
    rows = datasets.load_dataset(str(split), split="train")
    settings = image_settings(trainer.processing_class)
    found = trainer.predict(
        ViewDataset(rows, EvalTransform(settings), num_labels=trainer.luab.config.num_labels)
    )
    wrong = np.flatnonzero(found.predictions != found.label_ids)
    return rows.select(np.concatenate([np.arange(len(rows)), np.repeat(wrong, TIMES - 1)]))
