"""Raw COCO-AB -> a dataset folder, for `loading_scripts/coco_ab.py` and `luab build coco_ab`."""

from pathlib import Path

from coco_ab.card import card_text
from coco_ab.pairs import RawCocoAB
from coco_ab.points import DEFAULT_RULE, Rule
from luab_data.build.dataset_folder import build_folder, require_build_arguments
from luab_data.build.manifest import Manifest, ShardStore
from luab_data.build.raw import FULL, configuration
from luab_data.build.workers import LOCAL, open_workers


def build_coco_ab(
    out: str | Path,
    images: str | Path | None = None,
    instances: str | Path | None = None,
    byproducts: str | Path | None = None,
    config: str = FULL,
    rule: Rule = DEFAULT_RULE,
    max_side: int | None = None,
    rows_per_shard: int | None = None,
    num_proc: int | None = None,
    engine: str = LOCAL,
    ray_address: str | None = None,
    store: ShardStore | None = None,
) -> Manifest:
    """Writes the dataset folder `out`; resumes a killed run with the same arguments.

    `images`, `instances`, `byproducts`, `rule`: as for `coco_ab.load_dataset`. `config`: `full`, or
    `byproducts` for rows without images. `max_side`: images with a longer side (pixels) are shrunk to it,
    with their boxes; all others keep their bytes. `num_proc`, `engine`, `ray_address`: see
    `luab_data.build.workers.open_workers`. `store` receives finished shards: see `luab_data.hub.publish`.
    Raises `SourceError` if a source is missing or `out` is of another build.
    """
    config = configuration(config)
    require_build_arguments(
        config,
        {"images": images, "instances": instances},
        max_side=max_side,
        rows_per_shard=rows_per_shard,
        num_proc=num_proc,
    )
    with_images = config == FULL
    with open_workers(engine, num_proc, ray_address) as ordered_map:
        raw = RawCocoAB(images, instances, byproducts, with_images, rule)
        text = card_text(with_images, rule)
        return build_folder(
            raw, text, out, config, {"rule": rule}, max_side, rows_per_shard, ordered_map, store
        )
