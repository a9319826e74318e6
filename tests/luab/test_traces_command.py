"""`luab traces`: each tool on a small dataset of gaze, and on the samples of ImageNet-AB and COCO-AB."""

import csv
import gzip
import io
import json
import math
import re
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from fixtures.factories import image_bytes, noise_image

from luab.commands.traces import TOOLS, main
from luab.traces import plots
from luab.traces.density import density_map
from luab.traces.rows import SIZES, TraceRows, boxes_of, open_rows
from luab_attention.columns import SOURCE_FEATURE, column_feature
from luab_attention.traces.export import TRIAL
from luab_attention.traces.features import FEATURES
from luab_attention.traces.rows import trace_column
from luab_attention.traces.scanpath import Scanpath
from luab_data.rows.splits import Part

WIDTH, HEIGHT = 600, 400
MOVE = {"x": [0.0, 0.5], "y": [0.0, 1.0], "time": [0.0, 500.0], "segment": [0, 0]}  # 500 px in 500 ms
LINE = {
    "x": np.linspace(0.1, 0.9, 20),
    "y": np.full(20, 0.5),
    "time": np.arange(20) * 16.0,
    "segment": [0] * 20,
}
BROKEN = {"x": [0.1, 0.2, 0.8, 0.9], "y": [0.5] * 4, "time": [0.0, 100, 1000, 1100], "segment": [0, 0, 1, 1]}
EMPTY = {"x": [], "y": [], "time": [], "segment": []}
HOSTILE = '<script>alert(1)</script> $\\frac{1}{0$ "'


def entry(path, annotator):
    return {"annotator": annotator} | {name: list(values) for name, values in path.items()}


def write_gaze(folder, more=()):
    """Three rows: two annotators; a program's line and nothing; a trace in two segments."""
    label = datasets.ClassLabel(names=["cat", "dog"])
    paths = [
        [entry(MOVE, "a"), entry(BROKEN, "b")],
        [entry(LINE, "bot"), entry(EMPTY, "a")],
        [entry(BROKEN, "=1+1")],
    ]
    encoded = [image_bytes(noise_image(60, 40, seed)) for seed in range(3)]
    rows = datasets.Dataset.from_dict(
        {
            "image": [{"bytes": each, "path": None} for each in encoded],
            "image_id": ["one", HOSTILE, "three"],
            "width": [WIDTH] * 3,
            "height": [HEIGHT] * 3,
            "label": [0, 1, 0],
            "objects": [{"bbox": [[0.0, 0.0, 300.0, 400.0]], "category": [0]}] * 3,
            "scanpaths": [*paths[:2], [*paths[2], *more]],
        },
        features=datasets.Features(
            {
                "image": datasets.Image(),
                "image_id": datasets.Value("string"),
                "width": datasets.Value("int32"),
                "height": datasets.Value("int32"),
                "label": label,
                "objects": {
                    "bbox": datasets.List(datasets.List(datasets.Value("float32"))),
                    "category": datasets.List(label),
                },
                "scanpaths": column_feature("scanpaths", ("annotator", "time", "segment"), None),
            }
        ),
    )
    folder.mkdir()
    rows.to_parquet(str(folder / "train.parquet"))
    return rows


@pytest.fixture
def gaze(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_gaze(tmp_path / "gaze")
    return tmp_path / "gaze"


def load(folder, split="train"):
    return datasets.load_dataset(str(folder), split=split, cache_dir=str(folder.parent / "cache2"))


def failing(capsys, *arguments) -> str:
    assert main([str(each) for each in arguments]) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_explains_its_options(tool, capsys):
    with pytest.raises(SystemExit) as ended:
        main([tool, "--help"])
    assert ended.value.code == 0
    assert f"luab traces {tool}" in (shown := capsys.readouterr().out) and "--split" in shown


def test_an_unknown_tool_says_which_there_are(capsys):
    assert main(["filtering"]) == 2
    assert "did you mean filter" in (shown := capsys.readouterr().err)
    assert all(f"  {name} " in shown for name in TOOLS)


def test_report_counts_every_trace(gaze, tmp_path, capsys):
    assert main(["report", str(gaze), "--output", str(tmp_path / "r.json")]) == 0
    shown = capsys.readouterr().out
    assert "4 traces of 3 of 3 rows, 30 samples, 4 annotators; 1 entry without a sample" in shown
    assert "annotator bot: 1 of 1 traces are straight lines" in shown
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["checks"]["straight_line"] == 1 and found["checks"]["jumps"] == 0
    assert found["spreads"]["samples"] == np.percentile([2, 4, 20, 4], (5, 50, 95)).tolist()
    # MOVE is held at (0, 0), BROKEN's time is half on the left, half on the right.
    assert found["agreement"] == 0.0 and found["images_with_agreement"] == 1
    assert np.sum(found["dwell_thirds"]) == pytest.approx(1)


def test_features_in_pixels(gaze, tmp_path, capsys):
    out = tmp_path / "f.csv"
    options = ["--units", "pixels", "--dispersion", "20", "--speed", "500", "--output", str(out)]
    assert main(["features", str(gaze), *options]) == 0
    assert "4 traces in" in (shown := capsys.readouterr().out) and "1 entry without a sample" in shown
    assert "fixed rate" not in shown
    with out.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0])[6:] == list(FEATURES)
    assert [(line["row"], line["trace"], line["annotator"]) for line in lines] == [
        ("0", "0", "a"), ("0", "1", "b"), ("1", "0", "bot"), ("2", "0", "'=1+1"),
    ]  # fmt: skip
    assert float(lines[0]["path_length"]) == pytest.approx(500)
    assert float(lines[0]["speed_mean"]) == pytest.approx(1000)
    assert float(lines[1]["path_length"]) == pytest.approx(120, abs=1e-3)
    assert lines[1]["segments"] == "2" and lines[2]["straight_line"] == "True"
    # Its class has a box on the left half, the other row's class has none.
    assert [line["in_boxes"] for line in lines] == ["1.0", "0.5", "", "0.5"]
    assert lines[0]["acceleration_max"] == "" and lines[0]["click_ms"] == ""


def test_features_say_how_many_traces_have_no_fixed_rate(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rested = {"x": [0.1, 0.3, 0.5, 0.7], "y": [0.5] * 4, "time": [0.0, 16, 2016, 2032], "segment": [0] * 4}
    write_gaze(tmp_path / "gaze", more=[entry(rested, "mouse")])
    out, even = tmp_path / "f.csv", tmp_path / "even"
    assert main(["features", str(tmp_path / "gaze"), "--output", str(out)]) == 0
    said = capsys.readouterr().out
    assert "1 trace without a fixed rate" in said and "luab traces resample" in said
    assert main(["resample", str(tmp_path / "gaze"), "--output-dir", str(even)]) == 0
    assert main(["features", str(even), "--output", str(out)]) == 0
    assert "fixed rate" not in capsys.readouterr().out
    with out.open(newline="") as file:
        (mouse,) = (line for line in csv.DictReader(file) if line["annotator"] == "mouse")
    assert mouse["fixations_idt"] == mouse["fixations_ivt"] == "1"


def test_boxes_without_a_category_are_of_the_rows_class(tmp_path):
    """Unless another one names it, as everywhere. In a row without a class nothing is."""
    rows = write_gaze(tmp_path / "rows")
    left, right = [0.0, 0.0, WIDTH / 2, HEIGHT], [WIDTH / 2, 0.0, WIDTH / 2, HEIGHT]
    objects = [
        {"bbox": [left], "category": [-1]},
        {"bbox": [left, right], "category": [-1, 1]},
        {"bbox": [left], "category": [-1]},
    ]
    changed = {"objects": objects, "label": [0, 1, None]}
    for name, values in changed.items():
        feature = rows.features[name]
        rows = rows.remove_columns(name).add_column(name, values, feature=feature)
    traced = TraceRows(rows, Part("train", 0, 3), trace_column(rows.features), "image_id")
    boxes = boxes_of(traced, None)
    found = [boxes(each.row) for each in traced.read("objects", "label", *SIZES)]
    assert found[0].tolist() == [[0, 0, 0.5, 1]] and found[1].tolist() == [[0.5, 0, 0.5, 1]]
    assert found[2] is None


@pytest.mark.parametrize("label", ["cat", 0.0, None])
def test_boxes_without_categories_are_of_whatever_class_a_row_has(tmp_path, label):
    row = {"image_id": ["a"], "label": [label], "width": [10], "height": [10]}
    row |= {"scanpaths": [[{"x": [0.5], "y": [0.5]}]], "objects": [{"bbox": [[0.0, 0.0, 5.0, 10.0]]}]}
    dtype = "string" if isinstance(label, str) else "float32"
    features = {"image_id": datasets.Value("string"), "label": datasets.Value(dtype)}
    features |= {name: datasets.Value("int32") for name in ("width", "height")}
    features |= {"scanpaths": column_feature("scanpaths", (), None)}
    features |= {"objects": {"bbox": datasets.List(datasets.List(datasets.Value("float32")))}}
    rows = datasets.Dataset.from_dict(row, features=datasets.Features(features))
    traced = TraceRows(rows, Part("train", 0, 1), trace_column(rows.features), "image_id")
    boxes = boxes_of(traced, None)
    (found,) = (boxes(each.row) for each in traced.read("objects", "label", *SIZES))
    assert found.tolist() == [[0, 0, 0.5, 1]]


def write_turned(folder, upright):
    """Two rows of 60 x 40 pixels with a box; the file of the first is turned, and unless `upright` both."""
    rows = write_gaze(folder).select([0, 2])
    images = [{"bytes": turned_bytes(noise_image(60, 40, seed)), "path": None} for seed in range(2)]
    if upright:
        images[1] = {"bytes": image_bytes(noise_image(60, 40, 1)), "path": None}
    rows = rows.remove_columns("image").add_column("image", images, feature=datasets.Image())
    rows.to_parquet(str(folder / "train.parquet"))


def turned_bytes(image) -> bytes:
    exif = image.getexif()
    exif[274] = 6  # orientation: turn right
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("of_files", [False, True])
def test_boxes_of_turned_photos_are_skipped_and_counted(tmp_path, monkeypatch, capsys, of_files):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_turned(tmp_path / "rows", upright=True)
    options = []
    if of_files:
        options = ["--boxes", tmp_path / "xml"]
        write_xml(tmp_path / "xml", "one", "three")
    arguments = ["features", tmp_path / "rows", "--output", tmp_path / "f.csv", *options]
    assert main([str(each) for each in arguments]) == 0
    with (tmp_path / "f.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["in_boxes"] for line in lines] == ["", "", "0.5"]
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("skipped: 1 box of an image of another orientation")
    assert "the first of one" in said and "1 image without a usable box" in said


def write_xml(folder, *names):
    folder.mkdir()
    for name in names:
        (folder / f"{name}.xml").write_text(
            f"<annotation><size><width>{WIDTH}</width><height>{HEIGHT}</height></size><object><name>cat</name>"
            "<bndbox><xmin>0</xmin><ymin>0</ymin><xmax>299</xmax><ymax>399</ymax></bndbox></object></annotation>"
        )


def test_boxes_that_are_all_of_turned_photos_are_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_turned(tmp_path / "rows", upright=False)
    said = failing(capsys, "features", tmp_path / "rows", "--output", tmp_path / "f.csv")
    assert "another orientation" in said and not (tmp_path / "f.csv").exists()


def test_boxes_out_of_their_image_and_of_other_classes_are_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = write_gaze(tmp_path / "rows")
    objects = [{"bbox": [[10, 60, 590, 395]], "category": [0]}] * 2 + [
        {"bbox": [[0, 0, 300, 400]], "category": [1]}
    ]
    feature = rows.features["objects"]
    rows = rows.remove_columns("objects").add_column("objects", objects, feature=feature)
    rows.to_parquet(str(tmp_path / "rows" / "train.parquet"))
    assert main(["features", str(tmp_path / "rows"), "--output", str(tmp_path / "f.csv")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "skipped: 2 boxes that reach out of their images, 2 images without a usable box, 1 image "
        "whose boxes are all of other classes"
    )


def test_features_as_parquet_have_types_and_nulls(gaze, tmp_path):
    out = tmp_path / "f.parquet"
    assert main(["features", str(gaze), "--output", str(out)]) == 0
    table = pq.read_table(out)
    assert table["samples"].to_pylist() == [2, 4, 20, 4] and table["click_ms"].null_count == 4
    assert table["straight_line"].to_pylist() == [False, False, True, False]


def test_time_on_the_object_of_coco_abs_sample(tmp_path):
    out = tmp_path / "f.parquet"
    assert main(["features", "coco_ab", "--output", str(out)]) == 0
    shares = [share for share in pq.read_table(out)["on_object"].to_pylist() if share is not None]
    assert len(shares) > 10 and all(0 <= share <= 1 for share in shares) and np.mean(shares) > 0.2


def test_pixel_features_need_thresholds_in_pixels(gaze, tmp_path, capsys):
    shown = failing(capsys, "features", gaze, "--units", "pixels", "--output", tmp_path / "f.csv")
    assert "--units pixels: give --dispersion and --speed" in shown
    options = ["--units", "degrees", "--dispersion", "1", "--speed", "30"]
    shown = failing(capsys, "features", gaze, *options, "--output", tmp_path / "f.csv")
    assert "no pixels_per_degree" in shown and not (tmp_path / "f.csv").exists()
    assert ".csv, .tsv, .parquet" in failing(capsys, "features", gaze, "--output", tmp_path / "f.xls")


def test_filter_writes_what_is_kept_and_why_not(gaze, tmp_path, capsys):
    out = tmp_path / "clean"
    options = ["--min-samples", "3", "--no-straight-lines", "--output-dir", str(out)]
    assert main(["filter", str(gaze), *options]) == 0
    assert (
        "4 traces = 2 kept + 2 rejected (1 by min_samples, 1 by no_straight_lines)" in capsys.readouterr().out
    )
    summary = json.loads((out / "summary.json").read_text())
    assert summary["found"] == summary["kept"] + summary["rejected"] == 4
    assert sum(summary["rejected_by_criterion"].values()) == summary["rejected"]
    rejects = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    assert [(each["row"], each["trace"], each["criterion"]) for each in rejects] == [
        (0, 0, "min_samples"), (1, 0, "no_straight_lines"),
    ]  # fmt: skip
    assert rejects[0]["reason"] == "2 samples; at least 3 is allowed" and rejects[1]["image_id"] == HOSTILE
    before, after = load(gaze), load(out)
    assert after.features == before.features and len(after) == 3
    assert [[path["annotator"] for path in row["scanpaths"]] for row in after] == [["b"], ["a"], ["=1+1"]]
    assert after[0]["scanpaths"][0] == before[0]["scanpaths"][1]
    plain = datasets.Image(decode=False)
    images = [rows.cast_column("image", plain)["image"] for rows in (before, after)]
    assert [each["bytes"] for each in images[0]] == [each["bytes"] for each in images[1]]


def test_filter_of_annotations_leaves_the_clicks(tmp_path, capsys):
    out = tmp_path / "clean"
    assert main(["filter", "imagenet_ab", "--min-samples", "20", "--output-dir", str(out)]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert 0 < summary["rejected"] < summary["found"] == summary["kept"] + summary["rejected"]
    before, after = datasets.load_dataset("imagenet_ab", split="train"), load(out)
    columns = ["click", "annotations"]
    found = 0
    for old, new in zip(before.select_columns(columns), after.select_columns(columns), strict=True):
        assert new["click"] == old["click"] and len(new["annotations"]) == len(old["annotations"])
        for was, now in zip(old["annotations"], new["annotations"], strict=True):
            keeps = not 0 < len(was["mouse_tracking"]) < 20
            assert now == (was if keeps else {**was, "mouse_tracking": []})
            found += not keeps
    assert found == summary["rejected"]


def test_filter_counts_what_it_cannot_measure(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_late(tmp_path / "late")
    out = tmp_path / "clean"
    options = ["--min-rate", "0.5", "--max-outside", "0.5", "--output-dir", str(out)]
    assert main(["filter", str(tmp_path / "late"), *options]) == 0
    assert "kept although not measured: 1 min_rate" in capsys.readouterr().out
    summary = json.loads((out / "summary.json").read_text())
    assert summary["kept"] == 3 and summary["kept_without_measure"] == {"min_rate": 1, "max_outside": 0}


def test_filter_refuses_what_it_cannot_do(gaze, tmp_path, capsys):
    assert "needs a criterion: --min-samples" in failing(
        capsys, "filter", gaze, "--output-dir", tmp_path / "x"
    )
    for option, bad in (("--max-outside", "nan"), ("--max-outside", "2"), ("--max-gap", "-1")):
        shown = failing(capsys, "filter", gaze, option, bad, "--output-dir", tmp_path / "x")
        assert f"{option} {bad}: allowed are numbers from 0" in shown
    shown = failing(capsys, "features", gaze, "--rest", "nan", "--output", tmp_path / "f.csv")
    assert "--rest nan: allowed are numbers from 0" in shown
    options = ("--min-samples", 1, "--output-dir", gaze)
    assert "there is something already" in failing(capsys, "filter", gaze, *options)
    assert not list(tmp_path.glob(".*.partial"))


def test_resample_keeps_segments_apart(gaze, tmp_path):
    out = tmp_path / "even"
    assert main(["resample", str(gaze), "--rate", "100", "--method", "linear", "--output-dir", str(out)]) == 0
    rows = load(out)
    move, broken = rows[0]["scanpaths"]
    assert move["time"] == [10.0 * k for k in range(51)] and move["annotator"] == "a"
    assert move["x"][25] == pytest.approx(0.25) and move["y"][25] == pytest.approx(0.5)
    assert not [x for x in broken["x"] if 0.2 + 1e-6 < x < 0.8 - 1e-6]
    assert broken["segment"] == [0] * 11 + [1] * 11
    assert rows[1]["scanpaths"][1]["x"] == []


def test_resample_adds_a_column_to_annotations(tmp_path):
    out = tmp_path / "even"
    assert main(["resample", "imagenet_ab", "--split", "train[:5]", "--output-dir", str(out)]) == 0
    rows = load(out)
    assert len(rows) == 5 and "annotations" in rows.column_names
    times = np.array(rows[0]["scanpaths"][0]["time"])
    assert np.allclose(np.diff(times), 1000 / 60) and times[0] == 0
    assert "samples" in json.dumps(json.loads((out / "summary.json").read_text()))


def test_fixations_and_traces_without_times_are_not_resampled(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for name, fields in (("fixations", ("time", "duration")), ("places", ())):
        value = {"x": [0.1], "y": [0.1]} | {field: [1.0] for field in fields}
        features = datasets.Features({"scanpaths": column_feature("scanpaths", fields, None)})
        (tmp_path / name).mkdir()
        rows = datasets.Dataset.from_dict({"scanpaths": [[value]]}, features=features)
        rows.to_parquet(str(tmp_path / name / "train.parquet"))
    shown = failing(capsys, "resample", tmp_path / "fixations", "--output-dir", tmp_path / "x")
    assert "resampling needs samples, and column 'scanpaths' has fixations" in shown
    options = ("--to", "bids", "--output", tmp_path / "bids")
    assert "BIDS needs samples" in failing(capsys, "export", tmp_path / "fixations", *options)
    shown = failing(capsys, "resample", tmp_path / "places", "--output-dir", tmp_path / "x")
    assert "resampling needs times" in shown and not (tmp_path / "x").exists()
    assert main(["report", str(tmp_path / "places")]) == main(["report", str(tmp_path / "fixations")]) == 0


def test_density_counts_annotators_the_same(gaze, tmp_path):
    one = Scanpath(np.array([[0.25, 0.5]]), None, np.zeros(1, int))
    many = Scanpath(np.full((99, 2), (0.75, 0.5)), np.arange(99.0), np.zeros(99, int))
    found = density_map([one, many], (1, 2), (0.05, 0.05))
    assert found[0].tolist() == pytest.approx([0.5, 0.5], abs=1e-6)
    assert density_map([one, many], (1, 4), None)[0].tolist() == pytest.approx([0, 0.5, 0, 0.5])
    assert density_map([Scanpath(np.array([[2.0, 2.0]]), None, np.zeros(1, int))], (2, 2), (0.1, 0.1)) is None
    out = tmp_path / "d.parquet"
    assert main(["density", str(gaze), "--grid", "4", "6", "--output", str(out)]) == 0
    table = pq.read_table(out).to_pylist()
    assert [(row["row"], row["traces"], row["height"], row["width"]) for row in table] == [
        (0, 2, 4, 6), (1, 1, 4, 6), (2, 1, 4, 6),
    ]  # fmt: skip
    assert all(sum(row["density"]) == pytest.approx(1, abs=1e-5) for row in table)


def write_people(folder, ids):
    """Rows of two images, a row a person: all look at one place of the first, at another of the second."""
    place = {"one": 0.1, "two": 0.9, None: 0.5, "": 0.5}
    rows = {
        "image_id": ids,
        "scanpaths": [
            [{"annotator": f"person {at}", "x": [place[image]], "y": [place[image]]}]
            for at, image in enumerate(ids)
        ],
    }
    folder.mkdir()
    datasets.Dataset.from_dict(rows).to_parquet(str(folder / "train.parquet"))


@pytest.mark.parametrize("ids", [["one", "one", "two", "two"], ["one", "two", "one", "two"]])
def test_rows_of_one_image_are_put_together(tmp_path, monkeypatch, ids):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_people(tmp_path / "rows", ids)
    assert main(["report", str(tmp_path / "rows"), "--output", str(tmp_path / "r.json")]) == 0
    found = json.loads((tmp_path / "r.json").read_text())
    assert (found["rows"], found["rows_with_traces"], found["annotators"]) == (4, 4, 4)
    assert (found["agreement"], found["images_with_agreement"]) == (1.0, 2)
    assert found["agreement_of_other_images"] == 0.0
    out = tmp_path / "d.parquet"
    options = ["--grid", "2", "2", "--sigma", "0", "--output", str(out)]
    assert main(["density", str(tmp_path / "rows"), *options]) == 0
    table = pq.read_table(out).to_pylist()
    first = [ids.index("one"), ids.index("two")]
    assert [(row["row"], row["image_id"], row["traces"]) for row in table] == [
        (first[0], "one", 2), (first[1], "two", 2),
    ]  # fmt: skip
    assert [row["density"] for row in table] == [[1, 0, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize("none", [None, ""])
def test_rows_without_an_id_are_images_of_their_own(tmp_path, monkeypatch, none):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_people(tmp_path / "rows", [none, "one", none, "one"])
    traced = open_rows(Namespace(
        dataset=str(tmp_path / "rows"), config=None, split="train[1:]", column=None, id_column="image_id"
    ))  # fmt: skip
    assert [[row.number for row in rows] for rows in traced.read_images()] == [[1, 3], [2]]
    traced = replace(traced, id_column="absent")
    assert [[row.number for row in rows] for rows in traced.read_images()] == [[1], [2], [3]]


def write_wide(folder, source, sizes=True):
    """An image of 600 x 200 pixels that was looked at in its middle; `source` is the record beside it."""
    features = {"scanpaths": column_feature("scanpaths", (), None)}
    row = {"scanpaths": [[{"x": [0.5], "y": [0.5]}]]}
    if sizes:
        row |= {"width": [600], "height": [200]}
        features |= {name: datasets.Value("int32") for name in ("width", "height")}
    if source:
        row |= {"attention_source": [source]}
        features["attention_source"] = SOURCE_FEATURE
    folder.mkdir()
    rows = datasets.Dataset.from_dict(row, features=datasets.Features(features))
    rows.to_parquet(str(folder / "train.parquet"))


# The source's own sigma; a degree of 24 pixels, of 600; and what is usual.
@pytest.mark.parametrize(
    "source, sigma", [({"sigma": 0.1}, 0.1), ({"pixels_per_degree": 24.0}, 0.04), ({}, 0.03)]
)
def test_density_is_round_in_pixels_and_as_wide_as_the_source_says(tmp_path, monkeypatch, source, sigma):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_wide(tmp_path / "gaze", source)
    for given, expected in ([], sigma), (["--sigma", "0.05"], 0.05):
        out = tmp_path / "d.parquet"
        options = ["--grid", "200", "600", "--output", str(out)]  # cells are pixels
        assert main(["density", str(tmp_path / "gaze"), *options, *given]) == 0
        (row,) = pq.read_table(out).to_pylist()
        heat = np.array(row["density"]).reshape(200, 600)
        assert row["sigma"] == pytest.approx(expected)
        far = round(expected * 600)
        peak = heat[100, 300]
        assert heat[100, 300 + far] / peak == pytest.approx(math.exp(-0.5), abs=0.02)
        assert heat[100 + far, 300] / peak == pytest.approx(math.exp(-0.5), abs=0.02)


def test_density_needs_the_shape_of_the_image_unless_it_counts_in_cells(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_wide(tmp_path / "gaze", {"pixels_per_degree": 24.0}, sizes=False)
    out = tmp_path / "d.parquet"
    shown = failing(capsys, "density", tmp_path / "gaze", "--output", out)
    assert "row 0: the size of an image is not known" in shown and "(--sigma 0)" in shown
    assert main(["density", str(tmp_path / "gaze"), "--sigma", "0", "--output", str(out)]) == 0
    (row,) = pq.read_table(out).to_pylist()
    assert row["sigma"] is None and max(row["density"]) == 1
    shown = failing(capsys, "plot", tmp_path / "gaze", "--output-dir", tmp_path / "plots")
    assert "the size of an image is not known" in shown and "--sigma" in shown
    options = ["--sigma", "0.05", "--output-dir", str(tmp_path / "plots")]
    assert main(["plot", str(tmp_path / "gaze"), *options]) == 0
    for bad in ("-1", "2", "nan"):
        assert "above 0 and at most 1" in failing(
            capsys, "density", tmp_path / "gaze", "--sigma", bad, "--output", out
        )


def test_plot_draws_the_density_of_luab_align(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(plots, "density_map", lambda paths, grid, sigma: asked.append((grid, sigma)))
    write_wide(tmp_path / "gaze", {"sigma": 0.1})
    assert main(["plot", str(tmp_path / "gaze"), "--output-dir", str(tmp_path / "plots")]) == 0
    ((grid, sigma),) = asked
    assert grid == (21, 64) and sigma == pytest.approx((0.1, 0.3))


@pytest.mark.parametrize("kind, magic", [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_plot_writes_figures_and_a_page_without_markup_from_data(gaze, tmp_path, kind, magic):
    outs = [tmp_path / "plots", tmp_path / "again"]
    for out in outs:
        assert main(["plot", str(gaze), "--format", kind, "--rows", "5", "--output-dir", str(out)]) == 0
    files = sorted(outs[0].glob(f"row-*.{kind}"))
    assert len(files) == 3 and all(file.read_bytes().startswith(magic) for file in files)
    assert all(file.read_bytes() == (outs[1] / file.name).read_bytes() for file in files)
    page = (outs[0] / "index.html").read_text()
    assert page.count("data:image/webp") == 3 and "luab traces plot" in page
    assert "alert(1)" in page and not re.search(r"<script", page)


def test_pymovements_columns_in_pixels(gaze, tmp_path):
    out = tmp_path / "g.csv"
    assert main(["export", str(gaze), "--to", "pymovements", "--output", str(out)]) == 0
    with out.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 30
    names = ("row", "image_id", "trace", "segment", "time", "x_pix", "y_pix")
    assert [lines[1][name] for name in names] == ["0", "one", "0", "0", "500.0", "300.0", "400.0"]
    pymovements = pytest.importorskip("pymovements", reason="pip install 'luab[traces]'")
    read = pymovements.gaze.from_csv(
        str(out), time_column="time", pixel_columns=["x_pix", "y_pix"],
        trial_columns=list(TRIAL),
    )  # fmt: skip
    assert read.samples["pixel"].to_list()[1] == [300.0, 400.0]


def test_rows_of_one_image_are_trials_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = write_gaze(tmp_path / "rows").remove_columns("image_id").add_column("image_id", ["one"] * 3)
    rows.to_parquet(str(tmp_path / "rows" / "train.parquet"))
    out = tmp_path / "g.csv"
    assert main(["export", str(tmp_path / "rows"), "--to", "pymovements", "--output", str(out)]) == 0
    with out.open(newline="") as file:
        trials = {tuple(line[name] for name in TRIAL) for line in csv.DictReader(file)}
    # A move, a trace in two segments, a line, and another trace in two segments.
    assert len(trials) == 6


def test_an_export_tells_of_traces_without_times(tmp_path, capsys):
    (tmp_path / "gaze").mkdir()
    rows = {"width": [10], "height": [10], "scanpaths": [[{"x": [0.2, 0.4], "y": [0.5, 0.5]}]]}
    datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "gaze" / "train.parquet")
    out = tmp_path / "g.csv"
    assert main(["export", str(tmp_path / "gaze"), "--to", "pymovements", "--output", str(out)]) == 0
    assert "1 trace without times: of these `time` is empty" in capsys.readouterr().out
    with out.open(newline="") as file:
        assert [line["time"] for line in csv.DictReader(file)] == ["", ""]


def test_bids_recordings_have_a_rate_and_gaps(gaze, tmp_path, capsys):
    out = tmp_path / "bids"
    options = ["--to", "bids", "--rate", "10", "--recorded-eye", "cyclopean", "--output", str(out)]
    assert main(["export", str(gaze), *options]) == 0
    events = out / "sub-b" / "beh" / "sub-b_task-viewing_run-1_events.tsv"
    stem = events.with_name("sub-b_task-viewing_run-1_recording-eye1")  # BIDS wants it of eye trackers
    table = gzip.decompress(stem.with_name(f"{stem.name}_physio.tsv.gz").read_bytes()).decode().splitlines()
    assert (
        len(table) == 12
        and table[0] == "0.000\t60.000\t200.000"
        and table[11] == "1100.000\t540.000\t200.000"
    )
    assert [line.split("\t")[1] for line in table[2:10]] == ["n/a"] * 8
    sidecar = json.loads(stem.with_name(f"{stem.name}_physio.json").read_text())
    assert sidecar["SamplingFrequency"] == 10 and sidecar["PhysioType"] == "eyetrack"
    assert sidecar["Columns"] == ["timestamp", "x_coordinate", "y_coordinate"]
    # Pixels of the image are not those of the screen: BIDS' word is custom, with a field that says so.
    assert sidecar["SampleCoordinateSystem"] == "custom"
    assert "image" in sidecar["SampleCoordinateSystemDescription"]
    # The event covers the recording, with the gap.
    assert events.read_text().endswith("0.000000\t1.100000\tone\n") and sidecar["StartTime"] == 0
    other = tmp_path / "mouse"
    assert main(["export", str(gaze), "--to", "bids", "--output", str(other)]) == 0
    sidecar = json.loads((other / "sub-b" / "beh" / "sub-b_task-viewing_run-1_physio.json").read_text())
    assert sidecar["PhysioType"] == "generic" and "SampleCoordinateSystem" not in sidecar
    people = (out / "participants.tsv").read_text().splitlines()
    assert people == ["participant_id", "sub-11", "sub-a", "sub-b", "sub-bot"]
    assert "there is something already" in failing(capsys, "export", gaze, *options)


def write_late(folder):
    """A trace from 5 to 15 s with a gap; one without times; one with a time far off; nothing."""
    late = {"x": [0.1] * 4, "y": [0.1] * 4, "time": [5000.0, 6000, 14000, 15000], "segment": [0, 0, 1, 1]}
    paths = [late, late | {"time": None}, late | {"time": [0.0, 500, 1.6e12, 1.6e12 + 500]}, None]
    feature = column_feature("scanpaths", ("time", "segment"), None)
    rows = datasets.Dataset.from_dict(
        {"image_id": ["one"], "width": [10], "height": [10], "scanpaths": [paths]},
        features=datasets.Features(
            {
                "image_id": datasets.Value("string"),
                "width": datasets.Value("int32"),
                "height": datasets.Value("int32"),
                "scanpaths": feature,
            }
        ),
    )
    folder.mkdir()
    rows.to_parquet(str(folder / "train.parquet"))


def test_bids_is_on_one_clock_and_rejects_what_has_no_recording(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_late(tmp_path / "late")
    out = tmp_path / "bids"
    assert main(["export", str(tmp_path / "late"), "--to", "bids", "--rate", "2", "--output", str(out)]) == 0
    said = f"1 trace in {out}; 1 entry without a sample left out; 2 rejected, see rejects.jsonl"
    assert said in capsys.readouterr().out
    stem = out / "sub-unknown" / "beh" / "sub-unknown_task-viewing_run-1"
    assert stem.with_name(f"{stem.name}_events.tsv").read_text().endswith("5.000000\t10.000000\tone\n")
    assert json.loads(stem.with_name(f"{stem.name}_physio.json").read_text())["StartTime"] == 5
    table = gzip.decompress(stem.with_name(f"{stem.name}_physio.tsv.gz").read_bytes()).decode().splitlines()
    assert len(table) == 21 and table[0].startswith("5000.000\t") and table[-1].startswith("15000.000\t")
    rejects = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    assert [(each["row"], each["trace"]) for each in rejects] == [(0, 1), (0, 2)]
    assert "without times" in rejects[0]["reason"] and "at most 10,000,000" in rejects[1]["reason"]
    assert (out / ".bidsignore").read_text() == "rejects.jsonl\n"


def test_resample_rejects_a_trace_without_times_and_keeps_the_others(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_late(tmp_path / "late")
    out = tmp_path / "even"
    assert main(["resample", str(tmp_path / "late"), "--rate", "2", "--output-dir", str(out)]) == 0
    assert "1 rejected, see rejects.jsonl" in capsys.readouterr().out
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["found"], summary["traces"], summary["rejected"]) == (3, 2, 1)
    (reject,) = map(json.loads, (out / "rejects.jsonl").read_text().splitlines())
    assert (reject["row"], reject["trace"], reject["image_id"]) == (0, 1, "one")
    (row,) = load(out)
    assert [len(each["x"]) for each in row["scanpaths"]] == [6, 4, 0]
    for bad in ("0", "nan", "inf"):
        shown = failing(capsys, "resample", tmp_path / "late", "--rate", bad, "--output-dir", tmp_path / "x")
        assert f"--rate {bad}" in shown


@pytest.mark.parametrize("passed_on", [False, True, None])
def test_what_is_made_of_data_says_whether_it_may_be_passed_on(tmp_path, monkeypatch, passed_on):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = write_gaze(tmp_path / "plain")
    source = {"device": "tracker", "license": "PhysioNet\n# 1.5.0", "may_be_passed_on": passed_on}
    values = [None, source, source]
    rows = rows.add_column("attention_source", values, feature={n: SOURCE_FEATURE[n] for n in source})
    (tmp_path / "gaze").mkdir()
    rows.to_parquet(str(tmp_path / "gaze" / "train.parquet"))
    gaze = str(tmp_path / "gaze")
    made = {name: tmp_path / name for name in ("filter", "resample", "export")}
    assert main(["filter", gaze, "--min-samples", "1", "--output-dir", str(made["filter"])]) == 0
    assert main(["resample", gaze, "--output-dir", str(made["resample"])]) == 0
    assert main(["export", gaze, "--to", "bids", "--output", str(made["export"])]) == 0
    for name, folder in made.items():
        said = (folder / ("README" if name == "export" else "README.md")).read_text()
        assert ("**Do not pass this dataset on.**" in said) == (passed_on is False)
        assert said.count("License of the source: PhysioNet") == 1 and "\n# 1.5.0" not in said


def test_a_row_without_a_size_has_no_pixels(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "gaze.jsonl").write_text(
        json.dumps({"scanpaths": [{name: MOVE[name] for name in ("x", "y", "time")}]})
    )
    out = tmp_path / "bids"
    shown = failing(capsys, "export", tmp_path / "gaze.jsonl", "--to", "bids", "--output", out)
    assert "row 0, trace 0: the size of an image is not known" in shown
    assert not out.exists() and not list(tmp_path.glob(".*.partial"))
    assert main(["features", str(tmp_path / "gaze.jsonl"), "--output", str(tmp_path / "f.csv")]) == 0


def test_a_bad_trace_names_its_row(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_gaze(tmp_path / "gaze", more=[entry({**MOVE, "y": [0.0]}, "c")])
    shown = failing(capsys, "report", tmp_path / "gaze")
    assert "row 2, column 'scanpaths': a scanpath whose lists have different lengths" in shown


def test_the_page_lists_every_feature():
    page = (Path(__file__).parents[2] / "docs" / "traces.md").read_text(encoding="utf-8")
    for name, (unit, words) in FEATURES.items():
        assert f"| `{name}` | {unit} | {words} |" in page
