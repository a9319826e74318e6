"""Raw ImageNet-AB -> a dataset folder, as `loading_scripts/imagenet_ab.py` and `luab build` make it."""

from collections.abc import Sequence
from pathlib import Path

from imagenet_ab.card import card_text
from imagenet_ab.pairs import RawImageNetAB
from luab_data.build.dataset_folder import build_folder, require_build_arguments
from luab_data.build.manifest import Manifest, ShardStore
from luab_data.build.raw import FULL, configuration
from luab_data.build.workers import LOCAL, open_workers


def build_imagenet_ab(
    out: str | Path,
    images: str | Path | None = None,
    byproducts: str | Path | None = None,
    config: str = FULL,
    classes: Sequence[str] | None = None,
    max_side: int | None = None,
    rows_per_shard: int | None = None,
    num_proc: int | None = None,
    engine: str = LOCAL,
    ray_address: str | None = None,
    store: ShardStore | None = None,
) -> Manifest:
    """Writes the dataset folder `out`; resumes a killed run with the same arguments.

    `images`, `byproducts`, `classes`: as for `imagenet_ab.load_dataset`. `config`: `full`, or
    `byproducts` for rows without images. `max_side`: images with a longer side (pixels) are shrunk to it
    and encoded again; all others keep their bytes. `num_proc`, `engine`, `ray_address`: see
    `luab_data.build.workers.open_workers`. `store` receives finished shards: see `luab_data.hub.publish`.
    Raises `SourceError` if a source is missing or `out` is of another build.
    """
    config = configuration(config)
    require_build_arguments(
        config, {"images": images}, max_side=max_side, rows_per_shard=rows_per_shard, num_proc=num_proc
    )
    with_images = config == FULL
    with open_workers(engine, num_proc, ray_address) as ordered_map:
        raw = RawImageNetAB(images, byproducts, with_images, classes)
        return build_folder(
            raw,
            card_text(raw.classes, with_images),
            out,
            config,
            {"classes": list(classes) if classes is not None else None},
            max_side,
            rows_per_shard,
            ordered_map,
            store,
        )
