"""A source of human attention -> a dataset folder, checked and drawn."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets.utils.logging import get_logger

from luab_attention.convert.card import card_text
from luab_attention.convert.check import check_report, check_warning, outside_warning, ratios_warning
from luab_attention.convert.conversion import Conversion
from luab_attention.convert.images import DEFAULT, ImageRows
from luab_attention.convert.picture import PICTURE, draw_folder
from luab_attention.convert.records import Read, SourceRecord
from luab_attention.readers import reader_named
from luab_data.build.dataset_folder import build_folder, require_build_arguments
from luab_data.build.manifest import Manifest, ShardStore
from luab_data.build.raw import BYPRODUCTS_ONLY, FULL
from luab_data.build.workers import LOCAL, open_workers
from luab_data.errors import SourceError
from luab_data.files.fingerprint import fingerprint
from luab_data.sources.entries import BYPRODUCTS

logger = get_logger(__name__)


def convert(
    out: str | Path,
    reader: str,
    path: str | Path,
    images: str | Path | None = None,
    images_split: str | None = None,
    images_config: str | None = None,
    boxes: str | Path | None = None,
    boxes_reader: str | None = None,
    classes: Sequence[str] | None = None,
    options: dict[str, Any] | None = None,
    stated: dict[str, Any] | None = None,
    max_side: int | None = None,
    rows_per_shard: int | None = None,
    num_proc: int | None = None,
    engine: str = LOCAL,
    ray_address: str | None = None,
    store: ShardStore | None = None,
) -> Manifest:
    """Writes the dataset folder `out`; resumes a killed run with the same arguments.

    Args:
        out: folder to write.
        reader: a module of `luab_attention.readers`.
        path: the source's file or folder.
        images: folder, zip, tar or Hub id of the images. None: rows without images, or with the source's own.
        images_split: their split, if they are a dataset. None: `train`.
        images_config: their configuration, if they are a dataset. None: the default one.
        boxes: file or folder with the true boxes or masks of the images. They are in the rows, and the points
            are compared with them.
        boxes_reader: its reader. None: `coco` for a file, `imagenet_boxes` for a folder.
        classes: names of the classes in order. None: those that the source names, sorted.
        options: further arguments of the reader.
        stated: what is known about the source, in place of what its reader says: the arguments of
            `AttentionSource.stated`.
        max_side: larger images are shrunk to this many pixels.
        rows_per_shard: rows of a Parquet file.
        num_proc: see `luab_data.build.workers.open_workers`.
        engine: see there.
        ray_address: see there.
        store: gets the finished shards.

    Raises:
        SourceError: an unknown reader, an unusable source, or `out` is of another build.
    """
    found = reader_named(reader)
    source = found.source.stated(**stated or {})
    if store is not None:
        source.require_may_be_passed_on("--push-to-hub")
        warning = source.license_warning("--push-to-hub")
        if warning is not None:
            logger.warning(warning)
    place, own = Path(path), dict(options or {})
    if not place.exists():
        raise SourceError(f"{reader}: there is no {str(path)!r}.")
    truth = None
    if boxes is None and boxes_reader is not None:
        raise SourceError(f"--boxes-reader {boxes_reader} goes with --boxes.")
    if boxes is not None:
        if not Path(boxes).exists():
            raise SourceError(f"boxes={str(boxes)!r}: there is no such file.")
        boxes_reader = boxes_reader or ("imagenet_boxes" if Path(boxes).is_dir() else "coco")
        truth = reader_named(boxes_reader).read(Path(boxes))
    choice = ImageRows(images_split, images_config)
    if images is None and choice != DEFAULT:
        raise SourceError("--images-split and --images-config go with --images.")
    if images is not None and own.get("image_size") is not None:
        raise SourceError(
            "--image-size goes without --images, which tell the size of each: leave it out. If larger copies "
            "of the images were shown, give their size in the columns width and height of a table. If its "
            "pixels are those of the copies, not of a screen, --screen WxH --fit stretch does it too."
        )
    try:
        records = found.read(place, **own)
        if (stated or {}).get("pixels_per_degree") is not None:
            records = _without_degrees(records)
        raw = Conversion(records, source, place, images, truth, classes, choice)
    except SourceError as error:  # readers name the file by its role in a build
        raise SourceError(str(error).replace(f"{BYPRODUCTS}=", f"{reader}: ")) from error
    config = FULL if raw.layout.images else BYPRODUCTS_ONLY
    require_build_arguments(
        config, {"images": images}, max_side=max_side, rows_per_shard=rows_per_shard, num_proc=num_proc
    )
    arguments = {
        "reader": reader,
        **{name: _stated(value) for name, value in sorted(own.items())},
        "boxes": None if boxes is None else fingerprint(boxes),
        "boxes_reader": boxes_reader,
        "classes": None if classes is None else list(classes),
        **{f"images_{name}": value for name, value in choice._asdict().items() if value is not None},
        "attention_source": source.column(source.pixels_per_degree),
    }
    with open_workers(engine, num_proc, ray_address) as ordered_map:
        text = card_text(raw, reader)
        manifest = build_folder(
            raw, text, out, config, arguments, max_side, rows_per_shard, ordered_map, store
        )
    for what, count in raw.gathered.unannotated.items():
        print(f"ignored: {count:,} {what}")
    for line in check_report(manifest.facts):
        print(line)
    for warning_of in (check_warning, outside_warning, ratios_warning):
        warning = warning_of(manifest.facts)
        if warning is not None:
            logger.warning(warning)
    if draw_folder(Path(out), manifest):
        print(f"{Path(out) / PICTURE}: what was read, on twelve images")
    return manifest


def _without_degrees(records: Read) -> Read:
    """The records without the pixels per degree that each states."""
    for record in records:
        yield replace(record, pixels_per_degree=None) if isinstance(record, SourceRecord) else record


def _stated(value: Any) -> Any:
    """An argument for the manifest: a file with its state, so that a resumed build knows a changed one."""
    if isinstance(value, Path):
        return fingerprint(value) if value.exists() else str(value)
    return list(value) if isinstance(value, tuple) else value
