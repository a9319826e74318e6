"""ClickMe: maps of what people revealed to name an image (Harmonization's TFRecords).

A record has `image` and `heatmap`, JPEGs of one size, and `label`, ImageNet's number of the class. There is
no id of the image, so that rows have the records' own images and are called by file and number. Maps are as
stored; Harmonization's loader blurs them again, which moves them by half a cell to the upper left, because
its kernel is even.
"""

from pathlib import Path

from luab_attention.convert.files import files_below
from luab_attention.convert.records import HeatmapPart, Read, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_attention.convert.tfrecords import Value, example, tfrecords
from luab_data.errors import RejectedRecord, SourceError
from luab_data.imagenet_classes import class_list
from luab_data.images.pillow import upright_size
from luab_data.sources.entries import BYPRODUCTS, Reject

SOURCE = AttentionSource(
    "ClickMe",
    "mouse of players who reveal an image",
    homepage="https://github.com/serre-lab/Harmonization",
    brings_images=True,
)


def read(path: Path) -> Read:
    """A record for each Example of a file, or of all files in a folder.

    Raises:
        SourceError: no TFRecord, or one that is damaged.
    """
    classes = class_list()
    suffixes = ("", ".tfrecord", ".tfrecords")
    found = files_below(path, suffixes[1:]) if path.is_dir() else iter([(path.name, path)])
    called: set[str] = set()
    empty = True
    for each in found:
        empty = False
        if isinstance(each, Reject):
            yield each
            continue
        name, file = each
        stem = name.rpartition(".")[0]
        if stem in called:  # two files that differ by their suffix alone
            stem = name
        called.add(stem)
        for number, data in enumerate(tfrecords(file, BYPRODUCTS), start=1):
            entry = f"{name}, record {number}"
            try:
                if isinstance(data, RejectedRecord):
                    raise data
                yield _record(example(data), f"{stem}/{number:06d}", entry, classes)
            except RejectedRecord as error:
                yield Reject(BYPRODUCTS, entry, error.reason)
    if empty:
        raise SourceError(f"{BYPRODUCTS}={str(path)!r} holds no .tfrecord or .tfrecords file.")


def _record(found: dict[str, Value], image_id: str, name: str, classes: list[str]) -> SourceRecord:
    image, heatmap = _one(found, "image"), _one(found, "heatmap")
    label = found.get("label")
    if not label or len(label) != 1 or not isinstance(label[0], int) or not 0 <= label[0] < len(classes):
        raise RejectedRecord(
            f"label is {str(label)[:40]}; allowed is one number from 0 to {len(classes) - 1}"
        )
    wnid = classes[label[0]]
    size, of_map = _size(image), _size(heatmap)
    if of_map != size:
        raise RejectedRecord(f"the map has {of_map} pixels, its image {size}")
    return SourceRecord(
        image_id, name, size=size, label=wnid, heatmaps=[HeatmapPart(heatmap, wnid)], image=image
    )


def _one(found: dict[str, Value], name: str) -> bytes:
    values = found.get(name)
    if not values or len(values) != 1 or not isinstance(values[0], bytes):
        raise RejectedRecord(f"there is no {name}; it has {', '.join(found)[:80] or 'nothing'}")
    return values[0]


def _size(data: bytes) -> tuple[int, int]:
    try:
        return upright_size(data)
    except RejectedRecord:
        raise
    except Exception as error:  # Pillow raises many types on broken files
        raise RejectedRecord(f"the image cannot be decoded: {error}") from error
