"""The icons that a CSV of classes names: checked like images, and copied into the new project."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from luab_collect.listing import check_file
from luab_collect.media_types import FORMATS
from luab_collect.settings import ClassSpec
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.regular import read_regular
from luab_data.images.files import is_image

ICONS = "icons"  # folder in a project
MAX_ICON_BYTES = 1 << 20
SVG = ".svg"


def with_icons(classes: Sequence[ClassSpec], source: Path, folder: Path) -> tuple[ClassSpec, ...]:
    """The classes with their icons copied: `icons/NUMBER.SUFFIX`, by the number of the class from 0.

    Args:
        classes: Their icons are paths in `source`.
        source: The folder of the CSV.
        folder: The project's.

    Raises:
        SourceError: an icon is no image of at most `MAX_ICON_BYTES` in or below `source`.
    """
    return tuple(_copied(classes, source.resolve(), folder))


def _copied(classes: Sequence[ClassSpec], source: Path, folder: Path) -> Iterator[ClassSpec]:
    for number, each in enumerate(classes):
        if each.icon is None:
            yield each
            continue
        try:
            content = _checked(source, each.icon)
        except RejectedRecord as error:
            raise SourceError(
                f"--classes: the icon of {each.name!r} is {each.icon!r}: {error.reason}. An icon is a file "
                f"in or below the CSV's folder {str(source)!r}, of at most {MAX_ICON_BYTES >> 20} MiB: SVG, "
                f"{', '.join(FORMATS)}."
            ) from error
        name = f"{ICONS}/{number}{Path(each.icon).suffix.lower()}"
        (folder / ICONS).mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        yield each.model_copy(update={"icon": name})


def _checked(source: Path, name: str) -> bytes:
    """The bytes of an icon; raises RejectedRecord."""
    path = source / name
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: circular links, before Python 3.13
        raise RejectedRecord("there is no such file") from None
    if not target.is_relative_to(source):
        raise RejectedRecord("it is in another folder")
    content = read_regular(path, MAX_ICON_BYTES)
    if path.suffix.lower() == SVG:
        if b"<svg" not in content:
            raise RejectedRecord("it is no SVG")
    elif not is_image(name):
        raise RejectedRecord("its name has no suffix of an image")
    else:
        check_file(source, name)
    return content
