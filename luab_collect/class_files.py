"""Lists of classes for a new project: a text file, a CSV, or COCO's 80 with their 11 categories."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from coco_ab.classes import COCO_CLASSES, COCO_PAGES
from luab_collect.settings import MAX_BYTES, ClassSpec, faults_explained
from luab_data.console.text import did_you_mean
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.regular import read_regular
from luab_data.files.table_text import separator_hint, utf8
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
    A name that is a wnid of ImageNet is replaced by ImageNet's name for it, and stays the images' folder.

    Raises:
        SourceError: names the file, the line and the fix.
    """
    if given == COCO:
        return coco_classes()
    path = Path(given)
    try:
        text = utf8(read_regular(path, MAX_BYTES), repr(given))
    except RejectedRecord as error:
        raise SourceError(
            f"--classes {given!r}: {error.reason}. Give a file with one class a line, or `coco`."
        ) from error
    rows = list(_csv_rows(text, given) if path.suffix.lower() == ".csv" else _lines(text))
    if not rows:
        raise SourceError(f"--classes {given!r} names no class.")
    return tuple(_spec(row, given, number) for number, row in _with_names(rows))


def _lines(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        name, _, definition = line.partition("\t")
        if name.strip():
            yield (
                number,
                {"name": name.strip()}
                | ({"definition": text} if (text := " ".join(definition.split())) else {}),
            )


def _csv_rows(text: str, given: str) -> Iterator[tuple[int, dict[str, str]]]:
    table = csv.reader(text.splitlines(), strict=True)
    try:
        header = [name.strip() for name in next(table, [])]
        if "name" not in header:
            found = f"its columns are {', '.join(header)}.{separator_hint(header)}"
            raise SourceError(f"--classes {given!r} has no column `name`; {found}")
        for name in header:
            if name not in _COLUMNS or header.count(name) > 1:
                raise SourceError(
                    f"--classes {given!r}: column {name!r} is unknown or there twice"
                    f"{did_you_mean(name, _COLUMNS)}; allowed are {', '.join(_COLUMNS)}."
                )
        for values in table:
            if not any(map(str.strip, values)):
                continue
            if len(values) != len(header):
                wrong = f"{len(values)} values, and the header {len(header)}"
                raise SourceError(f"--classes {given!r}, line {table.line_num}: it has {wrong}.")
            cells = zip(header, values, strict=True)
            yield table.line_num, {name: value.strip() for name, value in cells if value.strip()}
    except csv.Error as error:
        raise SourceError(f"--classes {given!r}, line {table.line_num}: {error}.") from error


def _with_names(rows: list[tuple[int, dict[str, str]]]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows with readable names in place of ImageNet's wnids."""
    names = imagenet_names()
    first = Counter(_first_name(names[row["name"]]) for _, row in rows if row.get("name") in names)
    for number, row in rows:
        wnid = row.get("name", "")
        if wnid in names:
            name = _first_name(names[wnid])
            name = name if first[name] == 1 else f"{name} ({wnid})"  # two cranes, two maillots
            row = {"folder": wnid, "definition": names[wnid]} | row | {"name": name}
        yield number, row


def _first_name(lemmas: str) -> str:
    return lemmas.partition(",")[0]


def _spec(row: dict[str, str], given: str, number: int) -> ClassSpec:
    values: dict[str, object] = {
        name: tuple(part.strip() for part in value.split("|")) if name in _LISTS else value
        for name, value in row.items()
    }
    with faults_explained(f"--classes {given!r}, line {number}"):
        return ClassSpec.model_validate(values)
