"""Sets mean and std from whichever of image processor, datasets' transforms and model define them.

They must not differ: users of the checkpoint must see what it was trained on. The processor is saved with the
model.
"""

import itertools
from typing import Any

import numpy as np
from transformers import BaseImageProcessor

from luab_trainer.data.dataset import views_in
from luab_trainer.model import LUABModel
from luab_vision.processors import image_settings
from luab_vision.timm_checkpoints import declared_normalization
from luab_vision.transforms import Normalization, three


def settle_normalization(
    model: LUABModel,
    processing_class: BaseImageProcessor | None = None,
    train_dataset: Any = None,
    eval_dataset: Any = None,
    **others: Any,
) -> None:
    """Set mean, std and channel order from whichever of model, processor and datasets define them.

    The arguments are the trainer's.

    Raises:
        ValueError: two of them differ.
    """
    said = []
    if model.mean is not None and model.std is not None:
        said.append(("the LUABModel", Normalization(three(model.mean), three(model.std), model.bgr)))
    if processing_class is not None:
        said.append(("the processing_class", image_settings(processing_class).normalization))
    if (declared := declared_normalization(model.config)) is not None:
        said.append(("the classifier's config", declared))
    for name, dataset in (("train_dataset", train_dataset), ("eval_dataset", eval_dataset)):
        for view in views_in(dataset):
            said.append((f"the {name}'s transform", view.to_sample.transform.settings.normalization))
    for (one, of_one), (other, of_other) in itertools.pairwise(said):
        if of_one.bgr != of_other.bgr or not np.allclose(of_one[:2], of_other[:2]):
            raise ValueError(
                f"Images would be normalized in two ways: {one} says {of_one}, {other} {of_other}. "
                "Make the transform's settings by luab_vision.processors.image_settings(processor)."
            )
    if said:
        model.mean, model.std, model.bgr = said[0][1]
