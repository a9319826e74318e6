"""Who says how images are normalised: the image processor, which is saved beside the model, the datasets'
transforms, the model itself. They must not differ: what is trained on is what the checkpoint's users see.
"""

import itertools
from typing import Any

from transformers import BaseImageProcessor

from luab_trainer.dataset import ViewDataset, ViewIterableDataset
from luab_trainer.model import LUABModel
from luab_trainer.transforms import normalization_of


def settle_normalization(
    model: LUABModel,
    processing_class: BaseImageProcessor | None = None,
    train_dataset: Any = None,
    eval_dataset: Any = None,
    **others: Any,
) -> None:
    """Lets the model normalise bytes as all say that say anything; takes the trainer's arguments.

    Raises:
        ValueError: two of them say different things.
    """
    said = {}
    if model.mean is not None:
        said["the LUABModel"] = {"mean": model.mean, "std": model.std}
    if processing_class is not None:
        said["the processing_class"] = normalization_of(processing_class.to_dict())
    for name, dataset in (("train_dataset", train_dataset), ("eval_dataset", eval_dataset)):
        if isinstance(dataset, ViewDataset | ViewIterableDataset):
            settings = dataset.to_sample.transform.settings
            said[f"the {name}'s transform"] = {"mean": settings.mean, "std": settings.std}
    for one, other in itertools.pairwise(said):
        if any(tuple(said[one][name]) != tuple(said[other][name]) for name in ("mean", "std")):
            raise ValueError(
                f"Images would be normalised in two ways: {one} says {said[one]}, {other} {said[other]}. "
                "Make the transform's settings by ImageSettings.from_processor(processor.to_dict())."
            )
    if said:
        model.mean, model.std = next(iter(said.values())).values()
