"""Any CSV and JSON Lines: units, order, base, screen, letterbox, and every kind of bad line."""

import datasets
import pytest
from fixtures.converted import converted, near, write_images

from luab_attention.reading import Reading, read_rows
from luab_attention.traces.dwell import held
from luab_attention.traces.rows import TraceColumn, scanpaths_of
from luab_data.errors import SourceError


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_points_in_pixels_of_their_images(tmp_path):
    images = write_images(tmp_path / "photos", {"cat/1.jpg": (40, 30), "dog/1.jpg": (20, 10)})
    lines = "file,x,y,label\ncat/1.jpg,10,15,cat\ndog/1.jpg,20,10,dog\ncat/1.jpg,40,0,cat\n"
    found = converted(tmp_path / "out", "table", write(tmp_path / "a.csv", lines), images, units="pixels")
    assert [(p["x"], p["y"]) for p in found.rows["cat/1"]["points"]] == [(0.25, 0.5), (1.0, 0.0)]
    assert found.rows["dog/1"]["points"] == [{"label": 1, "x": 1.0, "y": 1.0}]
    assert (found.rows["cat/1"]["width"], found.rows["cat/1"]["height"]) == (40, 30)
    assert found.dataset.features["label"] == datasets.ClassLabel(names=["cat", "dog"])
    assert found.rows["cat/1"]["image"]["bytes"] == (images / "cat/1.jpg").read_bytes()


def test_training_reads_the_points_as_clicks(tmp_path):
    images = write_images(tmp_path / "photos", {"1.jpg": (40, 30), "2.jpg": (40, 30)})
    lines = "file,x,y,label\n1.jpg,0.25,0.5,cat\n1.jpg,0.5,0.5,dog\n2.jpg,0.75,0.5,dog\n"
    found = converted(tmp_path / "out", "table", write(tmp_path / "a.csv", lines), images)
    read = read_rows(found.dataset, Reading(label="labels", point="points"), "click")
    assert read.rows[0]["points"] == [{"label": 0, "x": 0.25, "y": 0.5}, {"label": 1, "x": 0.5, "y": 0.5}]
    assert read.rows[0]["labels"] == [0, 1] and read.rows[1]["labels"] == [1]


@pytest.mark.parametrize(
    ("options", "numbers", "ratios"),
    [
        ({"units": "percent"}, "25,50", (0.25, 0.5)),
        ({"units": "ratio", "order": "yx"}, "0.25,0.5", (0.5, 0.25)),
        ({"units": "pixels", "base": 1}, "314,242", (0.48984375, 0.503125)),
        ({"units": "pixels", "base": 1, "order": "yx"}, "242,314", (0.48984375, 0.503125)),
        # A display of 1680 x 1050 shows 640 x 480 as 1400 x 1050, 140 pixels from the left.
        ({"units": "pixels", "screen": (1680, 1050)}, "840,525", (0.5, 0.5)),
        ({"units": "pixels", "screen": (1680, 1050)}, "100,525", (-0.028571, 0.5)),
        ({"units": "pixels", "screen": (1680, 1050), "fit": "center"}, "520,285", (0.0, 0.0)),
        ({"units": "ratio", "screen": (1680, 1050), "fit": "stretch"}, "0.1,0.2", (0.1, 0.2)),
        ({"units": "percent", "screen": (1680, 1050)}, "50,50", (0.5, 0.5)),
    ],
)
def test_units_order_base_and_screen(tmp_path, options, numbers, ratios):
    table = write(tmp_path / "a.csv", f"file,x,y\na.jpg,{numbers}\n")
    found = converted(tmp_path / "out", "table", table, image_size=(640, 480), **options)
    (point,) = found.rows["a"]["points"]
    assert (point["x"], point["y"]) == near(ratios)


def test_samples_become_paths_by_annotator_in_the_order_of_time(tmp_path):
    lines = (
        "file,x,y,annotator,t,d\n"
        "a.jpg,0.1,0.2,ann,0,10\n"
        "b.jpg,0.5,0.5,ann,0,10\n"
        "a.jpg,0.3,0.4,ann,0.4,20\n"
        "a.jpg,0.9,0.9,bob,0,30\n"
        "a.jpg,-0.2,1.3,ann,0.1,40\n"
    )
    found = converted(
        tmp_path / "out",
        "table",
        write(tmp_path / "gaze.csv", lines),
        kind="scanpaths",
        time_unit="s",
        time_column="t",
        duration_column="d",
    )
    ann, bob = found.rows["a"]["scanpaths"]
    assert (ann["annotator"], bob["annotator"]) == ("ann", "bob")
    assert ann["x"] == near([0.1, -0.2, 0.3]) and ann["y"] == near([0.2, 1.3, 0.4])
    assert ann["time"] == [0, 100, 400] and ann["duration"] == [10_000, 40_000, 20_000]
    assert found.manifest.used["byproducts"] == 5
    assert "segment" not in ann and "label" not in found.dataset.column_names


def test_a_line_of_json_may_hold_a_whole_path_or_several_points(tmp_path):
    line = '{"file": "a.png", "x": [0.1, 0.2], "y": [0.3, 0.4], "time": [5, 7]}\n'
    found = converted(tmp_path / "1", "table", write(tmp_path / "a.jsonl", 2 * line), kind="scanpaths")
    assert [path["time"] for path in found.rows["a"]["scanpaths"]] == [[5, 7], [5, 7]]
    found = converted(tmp_path / "2", "table", tmp_path / "a.jsonl")
    assert len(found.rows["a"]["points"]) == 4


@pytest.mark.parametrize("kind", ["points", "scanpaths"])
@pytest.mark.parametrize("order", ["xy", "yx"])
def test_lists_of_two_lengths_cost_their_line_alone(tmp_path, kind, order):
    good = '{"file": "a.png", "x": [0.1, 0.2], "y": [0.3, 0.4]}\n'
    bad = '{"file": "a.png", "x": [0.1, 0.2], "y": [0.3]}\n'
    path = write(tmp_path / "a.jsonl", good + bad + good)
    found = converted(tmp_path / "out", "table", path, kind=kind, order=order)
    numbers = {"xy": "x has 2 numbers and y 1", "yx": "y has 1 number and x 2"}
    assert found.rejects == {"a.jsonl, line 2": f"{numbers[order]}: each point needs both"}
    assert found.manifest.used == {"byproducts": 2}


def test_a_sample_that_no_column_can_hold_costs_its_line_alone(tmp_path):
    lines = (
        "file,x,y,duration,segment\na,0.1,0.2,5,0\na,0.1,0.2,-5,0\na,0.1,0.2,5,3000000000\na,0.3,0.4,5,1\n"
    )
    found = converted(tmp_path / "out", "table", write(tmp_path / "a.csv", lines), kind="scanpaths")
    assert [path["x"] for path in found.rows["a"]["scanpaths"]] == [near([0.1, 0.3])]
    assert found.rejects == {
        "a.csv, line 3": "duration is '-5'; allowed is a number from 0 to 1e+13",
        "a.csv, line 4": "the segment is 3000000000; allowed is a whole number from 0 to 2147483647",
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('"b"x.jpg,0.5,0.5', "no CSV: ',' expected after '\"'"),
        ('"b.jpg,0.5,0.5', "no CSV: ',' expected after '\"'"),  # up to the next quote
        ('"b.jpg",0.5,"0.5', "no CSV: ',' expected after '\"'"),
    ],
)
def test_a_line_with_a_wrong_quote_is_rejected_by_its_number(tmp_path, line, reason):
    lines = ["file,x,y", "a.jpg,0.5,0.5", line, "c.jpg,0.5,0.5", '"d.jpg",0.5,0.5', "e.jpg,0.5,0.5"]
    found = converted(tmp_path / "out", "table", write(tmp_path / "a.csv", "\n".join(lines) + "\n"))
    assert sorted(found.rows) == ["a", "c", "d", "e"]
    assert found.rejects == {"a.csv, line 3": reason}


def test_a_quote_that_nothing_closes_costs_its_line_alone(tmp_path):
    lines = [
        "file,x,y",
        "a.jpg,0.5,0.5",
        '"b.jpg,0.5,0.5',
        "c.jpg,0.5,0.5",
        "d.jpg,0.5,0.5,7",
        "e.jpg,0.1,0.1",
    ]
    found = converted(tmp_path / "out", "table", write(tmp_path / "a.csv", "\r\n".join(lines)))
    assert sorted(found.rows) == ["a", "c", "e"]
    assert found.rejects == {
        "a.csv, line 3": "no CSV: unexpected end of data", "a.csv, line 5": "4 fields, the header has 3",
    }  # fmt: skip
    lines[-1:] = ["e.jpg,0.1,0.1"] * 20_000  # beyond the longest field
    found = converted(tmp_path / "2", "table", write(tmp_path / "b.csv", "\n".join(lines)))
    assert (
        list(found.rejects) == ["b.csv, line 3", "b.csv, line 5"] and len(found.rows["e"]["points"]) == 20_000
    )


def test_a_name_over_two_lines_is_read_as_one(tmp_path):
    lines = 'file,x,y,label\na.jpg,0.5,0.5,"black\ncat"\nb.jpg,0.5,0.5,"black\ncat"\nc.jpg,0.5\n'
    found = converted(tmp_path / "out", "table", write(tmp_path / "a.csv", lines))
    assert found.dataset.features["label"].names == ["black\ncat"]
    assert found.rejects == {"a.csv, line 6": "2 fields, the header has 4"}


def test_half_a_character_costs_its_line_alone(tmp_path):
    """JSON can hold one half of a UTF-16 pair, which no column can."""
    good = '{"file": "a", "x": 0.5, "y": 0.5, "label": "cat"}\n'
    lines = good + good.replace("cat", "\\ud800")
    found = converted(tmp_path / "out", "table", write(tmp_path / "a.jsonl", lines))
    assert len(found.rows["a"]["points"]) == 1
    assert found.rejects == {"a.jsonl, line 2": "the class is '\\ud800', which is not Unicode text"}


def test_negative_points_name_no_class_of_the_image(tmp_path):
    lines = "file,x,y,label,sign\na.jpg,0.1,0.1,cat,1\na.jpg,0.9,0.9,dog,-1\nb.jpg,0.5,0.5,dog,1\n"
    found = converted(tmp_path / "out", "table", write(tmp_path / "a.csv", lines))
    assert [(p["label"], p["sign"]) for p in found.rows["a"]["points"]] == [(0, 1), (1, -1)]
    assert (found.rows["a"]["label"], found.rows["b"]["label"]) == (0, 1)


def test_every_bad_line_is_rejected_with_its_reason(tmp_path):
    lines = [
        "file,x,y,label,weight,sign",
        "a.jpg,0.1,0.1,cat,1,1",
        "a.jpg,nan,0.1,cat,1,1",
        "a.jpg,1e308,0.1,cat,1,1",
        "a.jpg,1e12,0.1,cat,1,1",
        "a.jpg,,0.1,cat,1,1",
        "a.jpg,0.1,0.1,cat,-1,1",
        "a.jpg,0.1,0.1,cat,1,0",
        "../../etc/passwd,0.1,0.1,cat,1,1",
        ",0.1,0.1,cat,1,1",
        "a.jpg,0.1,0.1,cat,1",
        "a.jpg,ten,0.1,cat,1,1",
    ]
    found = converted(tmp_path / "out", "table", write(tmp_path / "a.csv", "\n".join(lines) + "\n"))
    reasons = [found.rejects.get(f"a.csv, line {number}", "") for number in range(3, 13)]
    expected = [
        "x is 'nan'", "x is '1e308'", "further away than 2 times", "x or y is empty", "weight is '-1'",
        "sign is '0'", "'..'", "image's name", "5 fields", "x is 'ten'",
    ]  # fmt: skip
    assert [text in reason for text, reason in zip(expected, reasons, strict=True)] == 10 * [True], reasons
    assert found.manifest.found == {"byproducts": 11} and found.manifest.used == {"byproducts": 1}


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n", {}, "has no column file, x, y"),
        ("file;x;y\na;1;2\n", {}, "separated by ';'"),
        ("file,x,y,x\na,1,2,3\n", {}, "the column x twice"),
        ("file,x,y\na.jpg,1,2\n", {"label_column": "klass"}, "has no column klass"),
        ("file,x,y\na.jpg,1,2\n", {"base": 1}, "--base 1 goes with --units pixels"),
        ("file,x,y\na.jpg,1,2\n", {"fit": "center"}, "--fit center goes with --screen."),
        ("file,x,y\na.jpg,1,2\n", {"time_unit": "ms"}, "--time-unit ms goes with --kind scanpaths."),
        ("file,x,y,t\na.jpg,1,2,3\n", {"time_column": "t"}, "--time-column goes with --kind scanpaths, not"),
        (
            "file,x,y,who\na.jpg,1,2,b\n",
            {"annotator_column": "who"},
            "--annotator-column goes with --kind",
        ),
        (
            "file,x,y,s\na.jpg,1,2,1\n",
            {"kind": "scanpaths", "sign_column": "s"},
            "--sign-column goes with --kind points, not with scanpaths",
        ),
        ("file,x,y\na.jpg,1,2\n", {"separator": "ab"}, "--separator 'ab': allowed is one character"),
        ("file,x,y\na.jpg,1,2\n", {"boxes_reader": "voc"}, "--boxes-reader voc goes with --boxes."),
        ("file,x,y\na.jpg,,2\n", {}, "holds no usable entry (of 1, the first: a.csv, line 2"),
    ],
)
def test_an_unusable_table_is_one_error(tmp_path, text, options, message):
    with pytest.raises(SourceError) as error:
        converted(tmp_path / "out", "table", write(tmp_path / "a.csv", text), **options)
    assert message in str(error.value)


def test_json_has_no_separator(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"file": "a.png", "x": 0.1, "y": 0.3}\n')
    with pytest.raises(SourceError, match="--separator ; goes with a CSV or TSV"):
        converted(tmp_path / "out", "table", path, separator=";")


@pytest.mark.parametrize(
    ("kind", "unread"), [("points", "annotator, time not read"), ("scanpaths", "sign not read")]
)
def test_columns_that_the_other_kind_has_are_named(tmp_path, capsys, caplog, kind, unread):
    path = write(tmp_path / "a.csv", "file,x,y,time,annotator,sign\na.jpg,0.1,0.1,5,ann,1\n")
    converted(tmp_path / "out", "table", path, kind=kind)
    assert f"a.csv: {unread}: {kind} have no such field" in capsys.readouterr().err + caplog.text


@pytest.mark.parametrize(
    ("head", "options", "unread"),
    [
        (
            "Label,Weight,note",
            {},
            "Label (did you mean label?), Weight (did you mean weight?), note not read.",
        ),
        ("Label,label,note", {"label_column": "Label"}, "a.csv: label, note not read."),
        ("width,label,weight", {}, "a.csv: width not read."),
        ("label,weight,sign", {}, ""),
    ],
)
def test_columns_that_are_not_read_are_named(tmp_path, capsys, caplog, head, options, unread):
    path = write(tmp_path / "a.csv", f"file,x,y,{head}\na.jpg,0.1,0.1,1,1,1\nb.jpg,0.1,0.1,1,1,1\n")
    converted(tmp_path / "out", "table", path, **options)
    said = caplog.text or capsys.readouterr().err
    assert said.count("not read.") == bool(unread) and unread in said


def test_fields_that_are_not_read_are_named_wherever_they_are(tmp_path, capsys, caplog):
    lines = '{"file": "a", "x": 0.5, "y": 0.5}\n{"file": "a", "x": 0.5, "y": 0.5, "labels": "cat"}\n'
    converted(tmp_path / "out", "table", write(tmp_path / "a.jsonl", lines))
    said = caplog.text or capsys.readouterr().err
    assert "a.jsonl: labels (did you mean label?) not read." in said


def test_a_path_has_one_weight(tmp_path):
    """Lines of one path follow each other, or come later in the file."""
    lines = ["file,x,y,annotator,weight", "a.jpg,0.1,0.1,ann,2", "a.jpg,0.2,0.2,ann,3", "b.jpg,0.5,0.5,ann,",
             "a.jpg,0.3,0.3,ann,2", "a.jpg,0.4,0.4,ann,", "a.jpg,0.5,0.5,bob,3"]  # fmt: skip
    path = write(tmp_path / "a.csv", "\n".join(lines) + "\n")
    found = converted(tmp_path / "out", "table", path, kind="scanpaths")
    ann, bob = found.rows["a"]["scanpaths"]
    assert ann["x"] == near([0.1, 0.3]) and (ann["weight"], bob["weight"]) == (2, 3)
    assert found.rejects["a.csv, line 3"].startswith("the weight 3 in a path of the weight 2")
    assert found.rejects["a.csv, line 6"].startswith("the weight 1 (not stated) in a path of the weight 2")


def test_pixels_need_a_size(tmp_path):
    with pytest.raises(SourceError, match="the size of its image, which is not known: give --images"):
        converted(
            tmp_path / "out", "table", write(tmp_path / "a.csv", "file,x,y\na.jpg,1,2\n"), units="pixels"
        )


def test_images_that_fit_no_name_are_one_error(tmp_path):
    images = write_images(tmp_path / "photos", {"other.jpg": (4, 4)})
    with pytest.raises(SourceError) as error:
        converted(tmp_path / "out", "table", write(tmp_path / "a.csv", "file,x,y\na.jpg,1,2\n"), images)
    assert "It holds other.jpg; the images are called a." in str(error.value)


def gaze(tmp_path, *lines, head="file,x,y,time", **options):
    """The paths of a.png in a table of gaze with these lines, and what was rejected."""
    table = write(tmp_path / "a.csv", "\n".join([head, *lines, ""]))
    found = converted(tmp_path / "out", "table", table, kind="scanpaths", **options)
    return found.rows["a"]["scanpaths"], found.rejects


@pytest.mark.parametrize(
    "lost",
    [
        "a.png,,,100",
        "a.png,nan,0.5,100",
        "a.png,1e8,0.5,100",
        "a.png,.,.,",
        "x",
        ",,,100",
        "a.png,0.5,0.5,",
        "a.png,0.5,0.5,NA",
    ],
)
def test_a_blink_gives_its_time_to_no_sample(tmp_path, lost):
    (path,), rejects = gaze(
        tmp_path, "a.png,0.2,0.5,0", lost, "a.png,0.8,0.5,1000", "a.png,0.8,0.5,1100", "b.png,0.1,0.5,0"
    )
    assert list(rejects) == ["a.csv, line 3"]
    assert (path["time"], path["segment"]) == ([0, 1000, 1100], [0, 1, 1])
    (found,) = scanpaths_of({"scanpaths": [path]}, TraceColumn("scanpaths", False, True, False))
    assert held(found).tolist() == [0, 100, 0]


def test_a_fixation_has_its_own_duration_whatever_is_lost_after_it(tmp_path):
    lines = ["a.png,0.2,0.5,0,90,4", "a.png,,,100,0,4", "a.png,0.8,0.5,1000,100,4"]
    (path,), _ = gaze(tmp_path, *lines, head="file,x,y,time,duration,segment")
    assert (path["time"], path["duration"], path["segment"]) == ([0, 1000], [90, 100], [4, 4])


@pytest.mark.parametrize("head", ["file,x,y,time,annotator", "file,x,y,time,annotator,segment"])
def test_a_lost_sample_breaks_its_own_path_at_its_time(tmp_path, head):
    """Wherever its line stands."""
    lines = ["b.png,0.1,0.5,0,ann", "a.png,,,-5,bob", "a.png,,,15,ann", "a.png,0.1,0.5,0,ann",
             "a.png,0.5,0.5,0,bob", "a.png,0.3,0.5,20,ann", "a.png,0.7,0.5,20,bob", "a.png,0.2,0.5,10,ann",
             "c.png,,,0,ann"]  # fmt: skip
    lines = [f"{line},7" for line in lines] if head.endswith("segment") else lines
    (ann, bob), rejects = gaze(tmp_path, *lines, head=head)
    assert ann["x"] == near([0.1, 0.2, 0.3]) and ann["segment"] == [0, 0, 1]
    assert bob["segment"] == ([7, 7] if head.endswith("segment") else [0, 0])
    assert list(rejects) == [f"a.csv, line {number}" for number in (3, 4, 10)]


@pytest.mark.parametrize(
    ("lost", "segments"),
    [
        (b"a.png,0.5,0.5,NA,ann", ([0, 0, 1], [0, 0, 0])),
        (b"a.png,0.5,0.5,,ann", ([0, 0, 1], [0, 0, 0])),
        (b"a.png,1e8,0.5,20,ann", ([0, 0, 1], [0, 0, 0])),
        (b"a.png,0.5\xff,0.5,20,ann", ([0, 0, 1], [0, 0, 0])),
        (b"a.png,0.5\xff,0.5,NA,ann", ([0, 0, 1], [0, 0, 0])),
        (b"a.png,0.5,0.5,20,ann\xff", ([0, 0, 0], [0, 0, 0])),  # nobody knows whose it is
        (b"x", ([0, 0, 0], [0, 0, 0])),
    ],
)
def test_a_lost_sample_breaks_its_own_path_among_others(tmp_path, lost, segments):
    """The lost line stands between the line of one annotator and that of another."""
    before = [
        b"a.png,0.1,0.5,0,ann",
        b"a.png,0.1,0.5,0,bob",
        b"a.png,0.2,0.5,10,ann",
        b"a.png,0.2,0.5,10,bob",
    ]
    lines = [b"file,x,y,time,annotator", *before, lost, b"a.png,0.3,0.5,5000,ann", b"a.png,0.3,0.5,20,bob"]
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines))
    found = converted(tmp_path / "out", "table", tmp_path / "a.csv", kind="scanpaths")
    ann, bob = found.rows["a"]["scanpaths"]
    assert (ann["segment"], bob["segment"]) == segments and list(found.rejects) == ["a.csv, line 6"]


def test_one_bad_line_costs_itself_alone(tmp_path):
    images = write_images(tmp_path / "photos", {"a.png": (100, 100)})
    lines = [f"a.png,{x},10" for x in (10, 20, 5000, 30, 6000)]
    table = write(tmp_path / "a.csv", "\n".join(["file,x,y", *lines, ""]))
    found = converted(tmp_path / "out", "table", table, images, units="pixels")
    assert [point["x"] for point in found.rows["a"]["points"]] == near([0.1, 0.2, 0.3])
    assert list(found.rejects) == ["a.csv, line 4", "a.csv, line 6"]
    assert found.rejects["a.csv, line 6"].startswith("(60, 0.1) in ratios of the image is further away than")


def test_a_line_of_several_points_is_rejected_as_a_whole(tmp_path):
    lines = [
        f'{{"file": "a.png", "x": {x}, "y": [0.5, 0.5]}}' for x in ("[0.1, 0.2]", "[0.3, 50]", "[0.4, 0.5]")
    ]
    found = converted(tmp_path / "out", "table", write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert [point["x"] for point in found.rows["a"]["points"]] == near([0.1, 0.2, 0.4, 0.5])
    assert list(found.rejects) == ["a.jsonl, line 2"]


@pytest.mark.parametrize("kind", ["points", "scanpaths"])
def test_a_line_of_no_points_is_rejected(tmp_path, kind):
    lines = '{"file": "a.png", "x": [0.1], "y": [0.5]}\n{"file": "b.png", "x": [], "y": []}\n'
    found = converted(tmp_path / "out", "table", write(tmp_path / "a.jsonl", lines), kind=kind)
    assert list(found.rows) == ["a"] and found.rejects == {"a.jsonl, line 2": "x has no number"}


def test_a_lost_sample_of_gaze_costs_itself_alone(tmp_path):
    """EyeLink writes 1e8 for it."""
    lines = [f"a.png,{1e8 if n == 50 else 500 + n},400,{2 * n}" for n in range(100)]
    (path,), rejects = gaze(tmp_path, *lines, units="pixels", image_size=(1000, 800))
    assert (len(path["x"]), path["segment"]) == (99, [0] * 50 + [1] * 49)
    assert list(rejects) == ["a.csv, line 52"]


@pytest.mark.parametrize("between", [[], ["b.png,0.5,0.5,0"]])
def test_samples_are_in_the_order_of_time_wherever_their_lines_are(tmp_path, between):
    lines = ["a.png,0.1,0.5,200", "a.png,0.2,0.5,100", *between, "a.png,0.3,0.5,150"]
    (path,), _ = gaze(tmp_path, *lines)
    assert path["time"] == [100, 150, 200] and path["x"] == near([0.2, 0.3, 0.1])


def test_the_lines_of_a_path_all_have_a_segment_or_none(tmp_path):
    lines = ["a.png,0.1,0.5,0,3", "a.png,0.2,0.5,10,", "a.png,0.3,0.5,20,3"]
    (path,), rejects = gaze(tmp_path, *lines, head="file,x,y,time,segment")
    assert path["segment"] == [0, 1] and path["time"] == [0, 20]
    assert rejects == {"a.csv, line 3": "it has no segment, which other samples of its path have"}


@pytest.mark.parametrize(
    ("head", "bad", "rest"),
    [
        ("time", "", ["10", "20", "30"]),
        ("time,duration", "0,", ["10,5", "20,5", "30,5"]),
        ("time,segment", "0,", ["10,1", "20,1", "30,1"]),
        ("time,weight", "0,", ["10,2", "20,2", "30,2"]),
        ("time,duration", "0,5", ["10,", "20,", "30,"]),
    ],
)
def test_the_form_of_a_path_is_that_of_most_samples(tmp_path, head, bad, rest):
    lines = [f"a.png,0.1,0.5,{each}" for each in (bad, *rest)]
    (path,), rejects = gaze(tmp_path, *lines, head=f"file,x,y,{head}")
    assert path["time"] == [10, 20, 30] and list(rejects) == ["a.csv, line 2"]


def test_a_column_may_be_empty_in_some_paths_alone(tmp_path):
    lines = ["a.png,0.1,0.5,0,5,ann", "a.png,0.1,0.5,0,,bob", "a.png,0.2,0.5,9,5,ann", "a.png,0.2,0.5,9,,bob"]
    (ann, bob), rejects = gaze(tmp_path, *lines, head="file,x,y,time,duration,annotator")
    assert (ann["duration"], bob["duration"], rejects) == ([5, 5], None, {})


def test_of_two_forms_the_one_with_the_time_is_kept(tmp_path):
    (path,), rejects = gaze(tmp_path, "a.png,0.1,0.5,", "a.png,0.2,0.5,10")
    assert path["time"] == [10]
    assert rejects == {"a.csv, line 2": "it has no time, which other samples of its path have"}


def test_epoch_times_may_be_in_microseconds(tmp_path):
    lines = [f"a.png,0.1,0.5,{time}" for time in (1_700_000_000_000_000, 1_700_000_000_010_000, 1e17)]
    (path,), rejects = gaze(tmp_path, *lines, time_unit="us")
    assert path["time"] == near([1.7e12, 1.7e12 + 10])
    assert rejects == {"a.csv, line 4": "time is '1e+17'; allowed is a number from -1e+16 to 1e+16"}


@pytest.mark.parametrize("number", ["0.1_5", "1_0"])
def test_numbers_have_no_underscores(tmp_path, number):
    path = write(
        tmp_path / "a.csv",
        f"file,x,y,weight\na.png,0.1,0.5,1\na.png,{number},0.5,1\na.png,0.1,0.1,{number}\n",
    )
    found = converted(tmp_path / "out", "table", path)
    assert list(found.rejects) == ["a.csv, line 3", "a.csv, line 4"]


@pytest.mark.parametrize("reader", ["table", "coco_search18"])
def test_images_tell_their_sizes(tmp_path, reader):
    images = write_images(tmp_path / "photos", {"a.png": (200, 200)})
    path = write(tmp_path / "a.csv", "file,x,y\na.png,50,50\n")
    with pytest.raises(SourceError, match=r"--image-size goes without --images.* columns width and height"):
        converted(tmp_path / "out", reader, path, images, image_size=(100.0, 100.0))


def test_columns_tell_the_size_of_the_copy_that_a_screen_showed(tmp_path):
    images = write_images(tmp_path / "photos", {"a.png": (256, 192)})
    path = write(tmp_path / "a.csv", "file,x,y,width,height\na.png,1216,540,1024,768\n")
    options = {"units": "pixels", "screen": (1920, 1080), "fit": "center"}
    found = converted(tmp_path / "out", "table", path, images, **options)
    (point,) = found.rows["a"]["points"]
    assert (point["x"], point["y"], found.rows["a"]["width"]) == (0.75, 0.5, 256)


@pytest.mark.parametrize(
    ("options", "numbers", "warned"),
    [
        ({"units": "percent"}, "0.{n},0.5", True),
        ({"units": "pixels"}, "0.{n},1", True),
        ({"units": "pixels", "screen": (80, 80), "fit": "stretch"}, "0.{n},1", True),
        ({"units": "percent"}, "{n},0.5", False),  # one of 7 is at most 1
        ({"units": "pixels"}, "0,0", False),
        ({"units": "pixels"}, "-1,-1", False),
        ({"units": "ratio"}, "0.{n},0.5", False),
        ({"units": "ratio", "screen": (8, 8), "fit": "center"}, "0.{n},0.5", False),  # less than the image
    ],
)
def test_ratios_that_are_read_in_another_unit_are_a_warning(
    tmp_path, capsys, caplog, options, numbers, warned
):
    images = write_images(tmp_path / "photos", {"a.png": (40, 30)})
    lines = [f"a.png,{numbers.format(n=n)}" for n in range(1, 8)]
    path = write(tmp_path / "a.csv", "\n".join(["file,x,y", *lines, ""]))
    found = converted(tmp_path / "out", "table", path, images, **options)
    said = caplog.text or capsys.readouterr().err
    assert ("7 of 7 points in percent or pixels have no number above 1" in said) == warned
    assert not any("percent or pixels" in fact for fact in found.manifest.shown_facts())
