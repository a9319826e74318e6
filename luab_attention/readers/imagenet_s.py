"""ImageNet-S: masks of 919 classes, class = R + 256 G.

0 is no class, 1000 is ignored. The numbers are ImageNet-S's own, not ImageNet's: `--names` names them. Masks
are matched with images by file name.
"""

from pathlib import Path
from typing import Any

from luab_attention.convert.files import files_below
from luab_attention.convert.records import Read
from luab_attention.convert.source import AttentionSource
from luab_attention.readers.mask_folders import class_record
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.regular import read_regular
from luab_data.files.table_text import utf8
from luab_data.sources.entries import BYPRODUCTS, MAX_IMAGE_BYTES, Reject

SOURCE = AttentionSource("ImageNet-S", "drawn by annotators", homepage="https://github.com/LUSSeg/ImageNet-S")

IGNORED = 1000
CLASSES = 919


def add_options(add: Any) -> None:
    """The options of this source."""
    add.add_argument(
        "--names", type=Path, metavar="FILE", help="the names of the classes 1, 2, ..., one a line, in order"
    )


def read(path: Path, *, names: Path | None = None) -> Read:
    """A record for each PNG below the folder.

    Raises:
        SourceError: it is no folder, or the names are not those of the classes.
    """
    if not path.is_dir():
        raise SourceError(f"{BYPRODUCTS}={str(path)!r} is no folder of ImageNet-S's PNG files.")
    named = None if names is None else _names(names)
    for each in files_below(path, (".png",)):
        if isinstance(each, Reject):
            yield each
            continue
        name, file = each
        try:
            data = read_regular(file, MAX_IMAGE_BYTES)
            record = class_record(name, name.rpartition(".")[0], file, data, named, (IGNORED,))
            numbers = [value for mask in record.masks for value in mask.content.values or ()]  # type: ignore[union-attr]  # files
            if max(numbers) > CLASSES:
                raise RejectedRecord(f"the class {max(numbers)}; ImageNet-S has {CLASSES}")
            yield record
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, name, error.reason)


def _names(path: Path) -> list[str]:
    if not path.is_file():
        raise SourceError(f"--names {path}: there is no such file.")
    names = [line.strip() for line in utf8(path.read_bytes(), f"--names {path}").splitlines() if line.strip()]
    if len(set(names)) != len(names) or len(names) > CLASSES:
        raise SourceError(f"--names {path}: allowed are at most {CLASSES} different names, one a line.")
    return names
