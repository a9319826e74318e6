"""The columns of human attention: their names, their exact layout, and their types.

    points     [{label?, x, y, weight?, sign?}]           clicks and keypoints; sign -1: "not here"
    scanpaths  [{annotator?, task?, label?, weight?, x: [], y: [], time: []?, duration: []?, segment: []?}]
    objects    {bbox: [[x, y, w, h]], category: []}       boxes, as in detection sets
    masks      [{label?, image}]                          8-bit PNG of the image: 0 outside, 255 inside
    heatmaps   [{label?, annotator?, image}]              8-bit image: the brighter, the more attention
    attention_source  {device, pixels_per_degree, sigma, license, may_be_passed_on}

x and y are ratios of the upright image, x first; a sample outside the image is below 0 or above 1. `time` is
in ms from the first sample or the recording's start, `duration` in ms. Samples of different `segment`s are
not connected: never interpolate between them. Boxes are in pixels of the columns `width` and `height`, which
are null in a row whose size is not known: it has no box. A mask and a map cover the whole image, in any
resolution.

A field with `?` is there if the source has it; so a column's fields are the same in all rows of a dataset. A
label is a `ClassLabel` with the names of the column `label` or `labels`, or -1: no class. A missing weight is
1.

A column that a source does not have is not there. Arrow stores each field apart, so that what is not read
costs nothing.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from datasets import ClassLabel, Features, Image, List, Value

from luab_attention.boxes.boxes import BBOX, objects_feature
from luab_attention.points import SIGN, WEIGHT, X, Y
from luab_data import constants
from luab_data.constants import HEIGHT, IMAGE, IMAGE_ID, LABEL, LABELS, OBJECTS, POINTS, WIDTH

SCANPATHS = constants.SCANPATHS
MASKS = constants.MASKS
HEATMAPS = constants.HEATMAPS

ATTENTION_SOURCE = constants.ATTENTION_SOURCE

KINDS = (POINTS, SCANPATHS, OBJECTS, MASKS, HEATMAPS)

ANNOTATOR, TASK = "annotator", "task"
TIME, DURATION, SEGMENT = "time", "duration", "segment"

HERE, NOT_HERE = 1, -1  # values of `sign`

# Each column's optional fields, in order. `objects` always has its categories if there are classes.
OPTIONAL: Mapping[str, tuple[str, ...]] = {
    POINTS: (LABEL, WEIGHT, SIGN),
    SCANPATHS: (ANNOTATOR, TASK, LABEL, WEIGHT, TIME, DURATION, SEGMENT),
    OBJECTS: (LABEL,),
    MASKS: (LABEL,),
    HEATMAPS: (LABEL, ANNOTATOR),
}

_COORDINATE = Value("float32")
_MS = Value("float64")  # float32 would round epoch times to minutes

SOURCE_FEATURE = {
    "device": Value("string"),  # how attention was measured: mouse, eye tracker, ...
    "pixels_per_degree": Value("float32"),  # image pixels in a degree of visual angle
    "sigma": Value("float32"),  # of the blur that its authors use, ratio of the image's width
    "license": Value("string"),
    "may_be_passed_on": Value("bool"),  # the annotations; null: no license is known, nothing forbids it
}


class ColumnLayout(NamedTuple):
    """What the rows of a dataset have.

    Attributes:
        fields: for each column of `KINDS` that there is, its optional fields.
        classes: names of the classes in order; () without classes.
        single: whether an image has one class (column `label`), not several (`labels`).
        sized: whether rows have the sizes of the images (`width`, `height`), null where one is not known.
        images: whether rows have their image.
    """

    fields: Mapping[str, Collection[str]]
    classes: tuple[str, ...] = ()
    single: bool = False
    sized: bool = True
    images: bool = False


def attention_features(layout: ColumnLayout) -> Features:
    """The types of all columns."""
    label = ClassLabel(names=list(layout.classes)) if layout.classes else None
    columns: dict[str, Any] = {IMAGE: Image()} if layout.images else {}
    columns[IMAGE_ID] = Value("string")
    if layout.sized:
        columns |= {WIDTH: Value("int32"), HEIGHT: Value("int32")}
    if label is not None:
        columns |= {LABEL: label} if layout.single else {LABELS: List(label)}
    for kind in KINDS:
        if kind in layout.fields:
            columns[kind] = column_feature(kind, layout.fields[kind], label)
    return Features(columns | {ATTENTION_SOURCE: SOURCE_FEATURE})


def column_feature(kind: str, fields: Collection[str], label: ClassLabel | None) -> Any:
    """The type of one of the columns `KINDS` with these of its optional fields."""
    if kind == OBJECTS:
        if label is None:
            return {BBOX: List(List(_COORDINATE, length=4))}
        return objects_feature(label)
    types = {
        ANNOTATOR: Value("string"),
        TASK: Value("string"),
        LABEL: label,
        X: _COORDINATE,
        Y: _COORDINATE,
        WEIGHT: Value("float32"),
        SIGN: Value("int8"),
        IMAGE: Image(),
    }
    if kind == SCANPATHS:
        types |= {X: List(_COORDINATE), Y: List(_COORDINATE)}
        types |= {TIME: List(_MS), DURATION: List(_MS), SEGMENT: List(Value("int32"))}
    needed = (IMAGE,) if kind in (MASKS, HEATMAPS) else (X, Y)
    order = (LABEL, X, Y, WEIGHT, SIGN) if kind == POINTS else tuple(types)
    present = [name for name in order if name in needed or (name in fields and name in OPTIONAL[kind])]
    return List({name: types[name] for name in present if types[name] is not None})


def described(layout: ColumnLayout) -> dict[str, str]:
    """A line of Markdown for each column, for the dataset's card."""
    lines = {
        IMAGE: "the image file's bytes",
        IMAGE_ID: "the source's own name of the image",
        WIDTH: "of the image, pixels",
        HEIGHT: "of the image, pixels",
        LABEL: "class of the image",
        LABELS: "classes of the image",
        POINTS: "points in ratios of the image, x first; `sign` -1 says that the class is not there",
        SCANPATHS: "one entry a viewing: samples or fixations in ratios of the image, x first; `time` and "
        "`duration` in ms; never interpolate across `segment`s",
        OBJECTS: "boxes `[x, y, width, height]` in pixels of `width` and `height`",
        MASKS: "8-bit PNG, 255 inside",
        HEATMAPS: "8-bit images, brighter where people looked more",
        ATTENTION_SOURCE: "how attention was measured, and whether the annotations may be passed on; "
        "images have their own terms",
    }
    return {name: lines[name] for name in attention_features(layout)}
