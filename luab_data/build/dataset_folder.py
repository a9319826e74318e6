"""Opened raw files -> a dataset folder with its card: the step that both datasets' builds share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luab_data.build.build import build
from luab_data.build.card import CardText, dataset_card
from luab_data.build.join import Found
from luab_data.build.manifest import Manifest, ShardStore
from luab_data.build.ordered_map import OrderedMap
from luab_data.build.raw import (
    BYPRODUCTS_ONLY,
    FULL,
    ROWS_PER_GROUP,
    BuildableDataset,
    ignored,
    made_by,
    require_outside,
    states,
)
from luab_data.errors import SourceError
from luab_data.images.pillow import JPEG_QUALITY

# By configuration: rows with an image have about 100 kB, rows without one a few kB.
ROWS_PER_SHARD = {FULL: 1000, BYPRODUCTS_ONLY: 50_000}


def require_build_arguments(config: str, of_images: Mapping[str, object], **counts: int | None) -> None:
    """Checks the arguments of a build before anything is read.

    `of_images`: what only a build with images has, by its argument's name.

    Raises:
        SourceError: an unknown configuration, a count below 1, or image options without images.
    """
    if config not in ROWS_PER_SHARD:
        raise SourceError(f"config={config!r}: allowed are {', '.join(ROWS_PER_SHARD)}.")
    for name, value in counts.items():
        if value is not None and value < 1:
            raise SourceError(f"{name}={value}: it must be 1 or more.")
    if config == BYPRODUCTS_ONLY:
        for name, given in (*of_images.items(), ("max_side", counts.get("max_side"))):
            if given is not None:
                raise SourceError(
                    f"the configuration {config!r} has no images: leave {name}={str(given)!r} out."
                )


def build_folder(
    raw: BuildableDataset,
    text: CardText,
    out: str | Path,
    config: str,
    arguments: dict[str, Any],
    max_side: int | None = None,
    rows_per_shard: int | None = None,
    ordered_map: OrderedMap = map,
    store: ShardStore | None = None,
) -> Manifest:
    """Builds `out` from `raw`. `arguments`: what determines the rows besides the files and `max_side`.

    `ordered_map`: see `luab_data.build.workers`. `store`: receives the finished shards.
    """
    require_outside(raw, out)
    columns = raw.features()
    found = Found()
    of_images = {"max_side": max_side} if config == FULL else {}
    if max_side is not None:
        of_images["jpeg_quality"] = JPEG_QUALITY
    return build(
        items=raw.pairs(found),
        make_batch=raw.to_batch(max_side),
        features=columns,
        out=out,
        arguments={"config": config, **states(raw), **of_images, **arguments},
        made_by=made_by(raw, max_side),
        found=found,
        ignored=lambda: ignored(raw),
        card=lambda manifest: dataset_card(text, config, columns, manifest),
        rows_per_shard=rows_per_shard or ROWS_PER_SHARD[config],
        rows_per_group=ROWS_PER_GROUP[config],
        ordered_map=ordered_map,
        store=store,
    )
