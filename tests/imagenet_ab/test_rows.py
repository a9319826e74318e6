"""Record -> row: the authors' click rule, and values that survive Parquet."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from datasets import Dataset, Image
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PILImage

from imagenet_ab.clicks import click
from imagenet_ab.fields import Annotation, Hover, Position, Record, TimedPoint
from imagenet_ab.record import parse_record
from imagenet_ab.rows import features, row
from luab_data.errors import RejectedRecord
from luab_data.sources.archives import TarStream

TIME = 1641425051975
FULL = Annotation(
    selected=True,
    selected_count=2,
    selected_record=(TimedPoint(0.3, 0.1, TIME + 500), TimedPoint(0.9, 0.9, TIME + 900)),
    mouse_tracking=(TimedPoint(1 / 3, -0.004, TIME), TimedPoint(0.3, 0.1, TIME + 499)),
    hovered_count=1,
    hovered_record=(Hover("enter", TIME), Hover("leave", TIME + 1000)),
    estimate_time=500,
    original_image_height=375,
    original_image_width=500,
    image_height=150,
    image_width=200,
    image_position=Position(857, 1976.5),
    worker_id="47DBDD543E",
    assignment_id="3HPZF4IVNX3FW186JO133U513L6YCR",
    page_idx=3,
)


def jpeg() -> bytes:
    buffer = io.BytesIO()
    PILImage.new("RGB", (6, 4), (200, 30, 30)).save(buffer, "JPEG")
    return buffer.getvalue()


def selected_at(*points, selected=True) -> Annotation:
    return Annotation(selected, selected_record=tuple(TimedPoint(x, y, TIME) for x, y in points))


def test_click_is_the_mean_of_the_first_click_of_each_selected_annotation():
    record = Record(
        "a/b",
        (
            selected_at((0.2, 0.4), (0.9, 0.9)),
            selected_at((0.6, 0.6), selected=False),
            selected_at((0.4, 0.8)),
            selected_at(),
        ),
    )
    assert click(record) == pytest.approx({"x": 0.3, "y": 0.6})


@pytest.mark.parametrize(
    "annotations",
    [(), (selected_at((0.5, 0.5), selected=False),), (selected_at(),)],
    ids=["none", "unselected", "empty"],
)
def test_no_click(annotations):
    assert click(Record("a/b", annotations)) is None
    assert click(None) is None


def notebook_click(xml: bytes) -> tuple[float, float] | None:
    """The authors' rule written straight from its description, on the XML itself."""
    points = []
    for metadata in ElementTree.fromstring(xml).iter("metadata"):
        first = metadata.find("selectedRecord")
        if metadata.findtext("selected") == "True" and first is not None and len(first):
            points.append((float(first.findtext("x")), float(first.findtext("y"))))
    return tuple(np.mean(points, axis=0)) if points else None


def assert_same_click(xml: bytes):
    ours, theirs = click(parse_record(xml)), notebook_click(xml)
    assert (ours is None) == (theirs is None)
    if ours is not None:
        assert (ours["x"], ours["y"]) == pytest.approx(theirs, abs=1e-12)


@given(
    st.lists(
        st.tuples(st.booleans(), st.lists(st.tuples(st.floats(-0.4, 1.4), st.floats(-0.4, 1.4)), max_size=3)),
        min_size=1,
        max_size=4,
    )
)
def test_click_is_the_notebooks(annotations):
    xml = "<annotation>"
    for selected, points in annotations:
        records = [
            f"<selectedRecord><x>{x!r}</x><y>{y!r}</y><time>{TIME}</time></selectedRecord>" for x, y in points
        ]
        xml += f"<metadata><imageID>a/b</imageID><selected>{selected}</selected>{''.join(records)}</metadata>"
    assert_same_click(xml.encode() + b"</annotation>")


def test_click_is_the_notebooks_in_the_released_layout(imagenet_release):
    entries = list(TarStream(imagenet_release.folder / "imagenet_ab_v1_0.tar.gz"))
    assert len(entries) >= imagenet_release.records
    for entry in entries:
        assert_same_click(entry.payload)


def test_rows_survive_parquet(tmp_path):
    columns = features(["n01440764", "circle"], images=True)
    record = Record("n01440764/n01440764_105", (FULL, Annotation(False)))
    rows = [row(record.image_id, jpeg(), record, 0), row("circle/circle_1", jpeg(), None, 1)]
    path = tmp_path / "rows.parquet"
    Dataset.from_list([columns.encode_example(each) for each in rows], features=columns).to_parquet(path)
    back = Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache"))

    assert back.features == columns
    full, empty = back
    assert full["image"].size == (6, 4)
    assert back.cast_column("image", Image(decode=False))[0]["image"]["bytes"] == jpeg()
    assert (full["label"], full["class_name"]) == (0, "tench, Tinca tinca")
    assert full["image_id"] == "n01440764/n01440764_105"
    assert full["click"] == {"x": np.float32(0.3), "y": np.float32(0.1)}
    first, second = full["annotations"]
    expected = {**rows[0]["annotations"][0]}
    for name in ("selected_record", "mouse_tracking"):
        expected[name] = [
            {"x": np.float32(each["x"]), "y": np.float32(each["y"]), "time": each["time"]}
            for each in expected[name]
        ]
    expected["hovered_record"] = list(expected["hovered_record"])
    assert first == expected
    assert second == {key: [] if isinstance(value, list) else None for key, value in expected.items()} | {
        "selected": False
    }
    assert (empty["label"], empty["class_name"], empty["click"], empty["annotations"]) == (
        1,
        "circle",
        None,
        [],
    )


def test_rows_without_images_have_no_image_column():
    columns = features(["a"], images=False)
    assert set(row("a/b", None, Record("a/b", (FULL,)), 0)) == set(columns)
    assert set(features(["a"], images=True)) == {"image", *columns}


def test_another_images_record_is_rejected():
    with pytest.raises(RejectedRecord, match=r"the file of a/b holds the imageID 'a/c'"):
        row("a/b", None, Record("a/c", (FULL,)), 0)
