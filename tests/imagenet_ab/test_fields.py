"""Each field of the table is read, stored, written and documented: the table is the only place to add one."""

from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pytest

import imagenet_ab
from imagenet_ab.fast.columns import parse_columns
from imagenet_ab.fields import (
    ANNOTATION_FIELDS,
    Annotation,
    Flag,
    One,
    Real,
    Record,
    Repeated,
    Text,
    Time,
    Whole,
    xml_fields,
)
from imagenet_ab.record import parse_record
from imagenet_ab.rows import features
from imagenet_ab.write import write_xml


def a_value(kind):
    """Something that a field of this kind may hold, and that no default is."""
    if isinstance(kind, One | Repeated):
        value = kind.of(**{field.name: a_value(field.kind) for field in xml_fields(kind.of)})
        return (value, value) if isinstance(kind, Repeated) else value
    values = {Flag: True, Whole: 7, Real: 0.25, Time: 1641425051975, Text: "A1"}
    return kind.choices[-1] if isinstance(kind, Text) and kind.choices else values[type(kind)]


@pytest.mark.parametrize("name", ANNOTATION_FIELDS)
def test_a_field_alone_passes_through_file_parser_array_code_and_row(name):
    annotation = replace(Annotation(False), **{name: a_value(ANNOTATION_FIELDS[name].kind)})
    record = Record("a/b", (annotation,))
    xml = write_xml(record)
    assert f"<{ANNOTATION_FIELDS[name].tag}>".encode() in xml
    assert parse_record(xml) == record
    fast = parse_columns([xml]).annotations
    assert fast.to_pylist() == pa.array([[asdict(annotation)]], fast.type).to_pylist()
    assert fast.to_pylist()[0][0][name]


def test_the_columns_have_the_tables_order_and_types():
    columns = features(["a"], images=False)["annotations"].feature
    assert list(columns) == list(ANNOTATION_FIELDS) == list(asdict(Annotation(False)))
    assert {columns[name].dtype for name in ("selected", "estimate_time", "page_idx", "worker_id")} == {
        "bool",
        "int64",
        "int32",
        "string",
    }


def test_the_readme_describes_each_field_with_its_type_and_unit():
    text = (Path(imagenet_ab.__file__).parent / "README.md").read_text(encoding="utf-8")
    rows = dict(
        line.removeprefix("| ").split(" | ", 1) for line in text.splitlines() if line.startswith("| `")
    )
    for name, field in ANNOTATION_FIELDS.items():
        if isinstance(field.kind, One | Repeated):
            what = "`{" + ", ".join(each.name for each in xml_fields(field.kind.of)) + "}`"
            what = f"list of {what}" if isinstance(field.kind, Repeated) else what
        else:
            unit = field.kind.unit if isinstance(field.kind, Whole) else ""
            what = f"{field.kind.stored}, {unit}" if unit else field.kind.stored
        assert rows[f"`{name}`"].startswith(f"{what} | "), name
        assert field.description in rows[f"`{name}`"], name
