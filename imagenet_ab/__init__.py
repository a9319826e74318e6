"""ImageNet-AB: ImageNet's train images with the clicks and mouse traces of their annotators, as a dataset."""

from pathlib import Path
from typing import Any

import datasets

import luab_data
from luab_data.build.registration import register

NAME = "imagenet_ab"

register(
    NAME,
    "imagenet_ab.builder",
    source_folders=[Path(__file__).parent, Path(luab_data.__file__).parent],
)


def load_dataset(
    name: str = "full",
    images: str | Path | None = None,
    byproducts: str | Path | None = None,
    split: str | None = None,
    streaming: bool = False,
    classes: list[str] | None = None,
    shards: int | None = None,
    **kwargs: Any,
) -> datasets.Dataset | datasets.DatasetDict | datasets.IterableDataset | datasets.IterableDatasetDict:
    """ImageNet-AB from the raw files, from any working folder.

    Args:
        name: `full` (images and byproducts), `byproducts` (no images) or `sample` (ships with the
            package).
        images: A folder `<wnid>/*.JPEG`, `ILSVRC2012_img_train.tar`, or a dataset whose image file names
            carry the ids, as `owner/name` on the Hub or as a local folder of Parquet files. Default:
            `ILSVRC/imagenet-1k` on the Hub.
        byproducts: `imagenet_ab_v1_0.tar.gz`, the folder that it unpacks to, or a Hub repository. Default:
            `coallaoh/ImageNet-AB`.
        split: As for `datasets.load_dataset`.
        streaming: As for `datasets.load_dataset`.
        classes: Class folders to keep; the labels number them from 0, in ImageNet's order. Default: those of
            the images.
        shards: Parts in which a stream's workers and processes read the raw files (default: 16).
        kwargs: As for `datasets.load_dataset`.

    Raises:
        luab_data.errors.SourceError: something is missing; the error says what to request or pass.
    """
    sources: dict[str, Any] = {
        "images": images,
        "byproducts": byproducts,
        "classes": classes,
        "shards": shards,
    }
    given = {key: value for key, value in sources.items() if value is not None}
    return datasets.load_dataset(NAME, name, split=split, streaming=streaming, **given, **kwargs)
