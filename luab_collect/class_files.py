"""Lists of classes for a new project: a text file, a CSV, or COCO's 80 with their 11 categories."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from coco_ab.classes import COCO_CLASSES, COCO_PAGES
from luab_collect.csv_files import Line, read_table
from luab_collect.project import require_different
from luab_collect.settings import MAX_BYTES, ClassSpec, faults_explained
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.regular import read_regular
from luab_data.files.table_text import utf8
from luab_data.imagenet_classes import imagenet_names

COCO = "coco"
_COLUMNS = ("name", "definition", "links", "category", "icon", "folder", "confusable")
_LISTS = ("links", "confusable")  # several values, separated by `|`


def coco_classes() -> tuple[ClassSpec, ...]:
    """COCO's classes in the order of their labels, each with its category."""
    category = {number: name for name, numbers in COCO_PAGES.items() for number in numbers}
    return tuple(ClassSpec(name=name, category=category[number]) for number, name in COCO_CLASSES.items())


def read_classes(given: str) -> tuple[ClassSpec, ...]:
    """The classes of `--classes`: the word `coco`, or a file.

    A text file has one class a line: its name, and after a tab its definition. A CSV has a header with
    `name` and any of the other settings of a class; `links` and `confusable` separate their values by `|`.
    An `icon` is a path from the CSV's folder; `luab_collect.icons` copies it.
    A name that is a wnid of ImageNet is replaced by ImageNet's name for it, and stays the images' folder.

    Raises:
        SourceError: names the file, the line and the fix.
    """
    if given == COCO:
        return coco_classes()
    is_csv = given.lower().endswith(".csv")
    rows = list(read_table(given, _COLUMNS, ["name"], "--classes") if is_csv else _lines(given))
    if not rows:
        raise SourceError(f"--classes {given!r} names no class.")
    classes = tuple(map(_spec, _with_names(rows)))
    require_different((each.name for each in classes), f"--classes {given!r}")
    return classes


def _lines(given: str) -> Iterator[Line]:
    try:
        text = utf8(read_regular(Path(given), MAX_BYTES), repr(given))
    except RejectedRecord as error:
        raise SourceError(
            f"--classes {given!r}: {error.reason}. Give a file with one class a line, or `coco`."
        ) from error
    for number, line in enumerate(text.splitlines(), start=1):
        name, _, definition = line.partition("\t")
        if name.strip():
            values = {"name": name.strip(), "definition": " ".join(definition.split())}
            where = f"--classes {given!r}, line {number}"
            yield Line(where, {column: value for column, value in values.items() if value})


def _with_names(rows: list[Line]) -> Iterator[Line]:
    """The rows with readable names in place of ImageNet's wnids."""
    names = imagenet_names()
    first = Counter(_first_name(names[row["name"]]) for _, row in rows if row.get("name") in names)
    for where, row in rows:
        wnid = row.get("name", "")
        if wnid in names:
            name = _first_name(names[wnid])
            name = name if first[name] == 1 else f"{name} ({wnid})"  # two cranes, two maillots
            row = {"folder": wnid, "definition": names[wnid]} | row | {"name": name}
        yield Line(where, row)


def _first_name(lemmas: str) -> str:
    return lemmas.partition(",")[0]


def _spec(line: Line) -> ClassSpec:
    values: dict[str, object] = {
        name: tuple(part.strip() for part in value.split("|")) if name in _LISTS else value
        for name, value in line.values.items()
    }
    with faults_explained(line.where):
        return ClassSpec.model_validate(values)
