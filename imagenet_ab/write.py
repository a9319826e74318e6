"""A `Record` -> an XML file of the released layout, which `imagenet_ab.record.parse_record` reads back."""

from typing import Any
from xml.sax.saxutils import escape

from imagenet_ab.fields import (
    ANNOTATION_FIELDS,
    ID_FIELD,
    METADATA_FIELD,
    Annotation,
    Record,
    Whole,
    XmlField,
    xml_fields,
)

# The release writes a track without positions as one element without children.
_NEVER_ABSENT = "mouse_tracking"
# The fields of an annotation in the order of the released files.
_ORDER = (
    "original_image_height",
    "original_image_width",
    "image_height",
    "image_width",
    "image_position",
    "hovered_count",
    "hovered_record",
    "mouse_tracking",
    "selected",
    "selected_count",
    "selected_record",
    "estimate_time",
    "worker_id",
    "assignment_id",
    "page_idx",
)
_FIELDS = sorted(ANNOTATION_FIELDS.values(), key=lambda field: _ORDER.index(field.name))


def write_xml(record: Record) -> bytes:
    """The record as one XML file."""
    pages = [_metadata(record.image_id, each) for each in record.annotations]
    return "\n".join(['<?xml version="1.0" ?>', "<annotation>", *pages, "</annotation>", ""]).encode()


def _metadata(image_id: str, annotation: Annotation) -> str:
    lines = [_element(ID_FIELD.tag, escape(image_id))]
    for field in _FIELDS:
        lines += _elements(field, getattr(annotation, field.name))
    content = "".join(f"\n    {line}" for line in lines)
    return "  " + _element(METADATA_FIELD.tag, f"{content}\n  ")


def _elements(field: XmlField, value: Any) -> list[str]:
    """The elements of one field: none if the value is unknown, several if it repeats."""
    if isinstance(value, tuple):
        found = [_element(field.tag, _content(each)) for each in value]
        return found or ([_element(field.tag, "")] if field.name == _NEVER_ABSENT else [])
    if value is None and isinstance(field.kind, Whole) and field.kind.zero_unknown:
        value = 0
    return [] if value is None else [_element(field.tag, _content(value))]


def _content(value: Any) -> str:
    """The content between an element's tags."""
    if isinstance(value, bool | int | float | str):
        return escape(str(value))
    of: type = type(value)
    fields = xml_fields(of)
    return "".join(line for field in fields for line in _elements(field, getattr(value, field.name)))


def _element(tag: str, content: str) -> str:
    return f"<{tag}>{content}</{tag}>"
