"""COCO-AB: COCO 2014's train images with the icons that their annotators dragged onto them, as a dataset."""

from pathlib import Path
from typing import Any

import datasets

import luab_data
from luab_data.build.registration import register

NAME = "coco_ab"

register(
    NAME,
    "coco_ab.builder",
    source_folders=[Path(__file__).parent, Path(luab_data.__file__).parent],
)


def load_dataset(
    name: str = "full",
    images: str | Path | None = None,
    instances: str | Path | None = None,
    byproducts: str | Path | None = None,
    split: str | None = None,
    streaming: bool = False,
    rule: str | None = None,
    shards: int | None = None,
    **kwargs: Any,
) -> datasets.Dataset | datasets.DatasetDict | datasets.IterableDataset | datasets.IterableDatasetDict:
    """COCO-AB from the raw files, from any working folder.

    Args:
        name: `full` (images and byproducts), `byproducts` (no images) or `sample` (ships with the
            package).
        images: The folder `train2014`, or `train2014.zip` (not unpacked).
        instances: `instances_train2014.json`.
        byproducts: `coco_ab_v1_0.json`, the folder that holds it, or a Hub repository. Default:
            `coallaoh/COCO-AB`.
        split: As for `datasets.load_dataset`.
        streaming: As for `datasets.load_dataset`.
        rule: How an icon's history becomes a point: `final` (default) or `authors`; see `coco_ab.points`.
        shards: Parts in which a stream's workers and processes read the raw files (default: 16).
        kwargs: As for `datasets.load_dataset`.

    Raises:
        luab_data.errors.SourceError: something is missing; the error says what to request or pass.
    """
    sources: dict[str, Any] = {
        "images": images,
        "instances": instances,
        "byproducts": byproducts,
        "rule": rule,
        "shards": shards,
    }
    given = {key: value for key, value in sources.items() if value is not None}
    return datasets.load_dataset(NAME, name, split=split, streaming=streaming, **given, **kwargs)
