"""A folder of mask images, named as the images they are of.

`--pixels binary`: a mask an object; all but 0 is inside, which must be black. `--pixels classes`: a class
map; each number is a class. Palette indices, gray values, and R + 256 G + 65536 B of color are such numbers.
"""

from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from luab_attention.convert.files import files_below
from luab_attention.convert.mask_files import MaskFile, binary_mask, class_map
from luab_attention.convert.records import MaskPart, Read, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.regular import read_regular
from luab_data.sources.entries import BYPRODUCTS, IMAGE_SUFFIXES, MAX_IMAGE_BYTES, Reject

SOURCE = AttentionSource("Mask folder", "drawn by annotators")

Pixels = Literal["binary", "classes"]
Folders = Literal["path", "class"]
MAX_CLASSES = 1000  # numbers in one map: more are no classes


def add_options(add: Any) -> None:
    """The options of this source."""
    option = add.add_argument
    option("--pixels", choices=get_args(Pixels), default="binary", help="default: %(default)s")
    option(
        "--folders",
        choices=get_args(Folders),
        default="path",
        help="class: the first folder is the class of a mask, and no part of the image's path "
        "(default: %(default)s)",
    )
    option("--mask-suffix", default="", metavar="TEXT", help="end of a mask's name, such as _mask")
    option("--names", nargs="+", metavar="NAME", help="of the classes 1, 2, ... (default: the numbers)")
    option("--ignore", nargs="+", type=int, metavar="N", help="numbers of a class map (default: 255)")


def read(
    path: Path,
    *,
    pixels: Pixels = "binary",
    folders: Folders = "path",
    mask_suffix: str = "",
    names: list[str] | None = None,
    ignore: list[int] | tuple[int, ...] | None = None,
) -> Read:
    """A record for each file below the folder.

    Raises:
        SourceError: it is no folder of images, or options that contradict each other.
    """
    if not path.is_dir():
        raise SourceError(f"{BYPRODUCTS}={str(path)!r} is no folder of mask images.")
    for option, value in (("--names", names), ("--ignore", ignore)):
        if value is not None and pixels != "classes":
            raise SourceError(f"{option} goes with --pixels classes.")
    ignored = (255,) if ignore is None else tuple(ignore)
    if folders == "class" and pixels == "classes":
        raise SourceError("--folders class goes with --pixels binary: a class map has its classes inside.")
    for each in files_below(path, IMAGE_SUFFIXES):
        if isinstance(each, Reject):
            yield each
            continue
        name, file = each
        try:
            image = _image(name, mask_suffix)
            folder, _, rest = image.partition("/")
            data = read_regular(file, MAX_IMAGE_BYTES)
            if pixels == "classes":
                yield class_record(name, image, file, data, names, ignored)
                continue
            size = binary_mask(data).shape[::-1]
            mask = MaskPart(MaskFile(file), folder if folders == "class" and rest else None)
            of_image = rest if folders == "class" and rest else image
            yield SourceRecord(of_image, name, size=size, masks=[mask])
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, name, error.reason)


def class_record(
    name: str, image: str, file: Path, data: bytes, names: list[str] | None, ignore: tuple[int, ...]
) -> SourceRecord:
    """The record of a class map: a mask for each of its numbers, without 0 and those to ignore.

    Raises:
        RejectedRecord: it is no image, has no class, or a number without a name.
    """
    numbers = class_map(data)
    found = [number for number in np.unique(numbers).tolist() if number and number not in ignore]
    if not 0 < len(found) <= MAX_CLASSES:
        raise RejectedRecord(f"{len(found):,} classes; allowed are 1 to {MAX_CLASSES:,}")
    if names is not None and max(found) > len(names):
        raise RejectedRecord(f"the class {max(found)}, but there are {len(names)} names")
    masks = [
        MaskPart(MaskFile(file, (number,)), str(number) if names is None else names[number - 1])
        for number in found
    ]
    return SourceRecord(image, name, size=numbers.shape[::-1], masks=masks)


def _image(name: str, mask_suffix: str) -> str:
    stem = name.rpartition(".")[0]
    if not stem.endswith(mask_suffix):
        raise RejectedRecord(f"its name does not end with {mask_suffix!a}")
    return stem.removesuffix(mask_suffix)
