"""`luab convert`: its help, its sources, what it prints, and what it refuses."""

import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from fixtures.converted import near, write_images

from luab.cli import main
from luab_attention.columns import KINDS, ColumnLayout, attention_features
from luab_attention.convert.source import AttentionSource
from luab_attention.converting import convert
from luab_attention.readers import reader_named, readers
from luab_data.errors import SourceError


def test_help_lists_every_source_with_its_summary(capsys):
    assert main(["convert", "--help"]) == 0
    shown = capsys.readouterr().out
    for name, summary in readers().items():
        assert summary and f"{name} " in shown and summary in shown


@pytest.mark.parametrize("name", readers())
def test_every_source_explains_its_options(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["convert", name, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for option in reader_named(name).option_names():
        assert f"--{option.replace('_', '-')}" in shown or f"--no-{option.replace('_', '-')}" in shown


def test_an_unknown_source_says_which_there_are(capsys):
    assert main(["convert", "salicom", "x"]) == 2
    assert "did you mean salicon" in (shown := capsys.readouterr().err).lower() or "salicon" in shown
    with pytest.raises(SourceError, match="there is no reader 'salicom'"):
        reader_named("salicom")


def test_converting_needs_no_torch():
    code = (
        "import sys, luab_attention.converting\n"
        "from luab_attention.readers import reader_named, readers\n"
        "for name in readers(): reader_named(name)\n"
        "sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_check_is_printed_and_warns(tmp_path, capsys, caplog):
    (tmp_path / "c.csv").write_text("file,x,y\n" + "a.jpg,0.2,0.7\n" * 60)
    (tmp_path / "i.json").write_text(
        '{"images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 100}], "categories": '
        '[{"id": 1, "name": "cat"}], "annotations": '
        '[{"image_id": 1, "category_id": 1, "bbox": [60, 10, 20, 20]}]}'
    )
    command = ["convert", "table", str(tmp_path / "c.csv"), "--boxes", str(tmp_path / "i.json")]
    main([*command, "--out", str(tmp_path / "out")])
    shown = capsys.readouterr()
    assert "of 60 points: as read 0.0 %, x and y swapped 100.0 %" in shown.out
    assert "60 found = 60 in rows + 0 rejected" in shown.out
    assert "100.0 % if x and y swapped, 0.0 % as read. Check the order" in shown.err + caplog.text
    main([*command, "--order", "yx", "--output-dir", str(tmp_path / "again")])
    shown = capsys.readouterr()
    assert "as read 100.0 %" in shown.out and "read otherwise" not in shown.err


def test_a_killed_conversion_resumes_and_other_options_are_refused(tmp_path, capsys):
    (tmp_path / "c.csv").write_text("file,x,y\na.jpg,0.2,0.7\n")
    command = ["convert", "table", str(tmp_path / "c.csv"), "--output-dir", str(tmp_path / "out")]
    main(command)
    shard = tmp_path / "out" / "data" / "train-00000.parquet"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-5])  # a damaged shard is made again
    main(command)
    assert shard.read_bytes() == whole
    capsys.readouterr()
    assert main([*command, "--order", "yx"]) == 1
    assert "order: 'xy' then, 'yx' now" in capsys.readouterr().err


def test_a_source_that_may_not_be_passed_on_is_not_uploaded():
    source = AttentionSource("Secret", "eye tracker", refusal="Its license forbids it.")
    with pytest.raises(SourceError, match=r"--push-to-hub: Secret may not be passed on.*Its license forbids"):
        source.require_may_be_passed_on("--push-to-hub")
    assert source.column()["may_be_passed_on"] is False
    AttentionSource("Open", "mouse").require_may_be_passed_on("--push-to-hub")


def test_what_is_known_about_ones_own_data_is_in_the_rows_and_on_the_card(tmp_path):
    (tmp_path / "c.csv").write_text("file,x,y\na.jpg,960,540\n")
    write_images(tmp_path / "photos", {"a.jpg": (640, 480)})
    command = ["convert", "table", str(tmp_path / "c.csv"), "--units", "pixels", "--screen", "1920x1080"]
    command += ["--images", str(tmp_path / "photos"), "--max-side", "320", "--out", str(tmp_path / "out")]
    about = ["--device", "eye tracker", "--license", "CC0", "--pixels-per-degree", "45", "--sigma", "0.02"]
    assert main([*command, *about]) == 0
    source = pq.read_table(tmp_path / "out" / "data").to_pylist()[0]["attention_source"]
    # 45 pixels of the screen, which shows the image 1440 wide; the row's image has 320
    assert (source["pixels_per_degree"], source["sigma"]) == near((10, 0.02))
    assert (source["device"], source["license"], source["may_be_passed_on"]) == ("eye tracker", "CC0", True)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "where people looked (eye tracker)" in card and "## License\n\nCC0" in card


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pixels-per-degree", "0"], "--pixels-per-degree 0: allowed is a number above 0, at most 10000"),
        (["--pixels-per-degree", "nan"], "--pixels-per-degree nan"),
        (["--sigma", "1.5"], "--sigma 1.5: allowed is a number above 0, at most 1."),
        (["--device", " "], "--device: allowed is a text of 1 to 1,000 characters"),
        (
            ["--do-not-pass-on", "Our ethics vote.", "--push-to-hub", "a/b"],
            "passed on, not even to a private repository: Our ethics vote. Leave the option out",
        ),
        (
            ["--do-not-pass-on", "Our ethics vote", "--push-to-hub", "a/b"],
            "ethics vote. Leave the option out",
        ),
    ],
)
def test_what_cannot_be_stated_is_refused_before_anything_is_read(tmp_path, capsys, options, message):
    (tmp_path / "c.csv").write_text("file,x,y\na.jpg,0.5,0.5\n")
    command = ["convert", "table", str(tmp_path / "c.csv"), "--out", str(tmp_path / "out")]
    assert main([*command, *options]) == 1
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_whether_data_may_be_passed_on_is_known_only_with_a_license(tmp_path, caplog, capsys):
    unknown = AttentionSource("Mine", "mouse")
    assert unknown.column()["may_be_passed_on"] is None
    assert unknown.stated(license="CC BY 4.0").column()["may_be_passed_on"] is True
    secret = AttentionSource("Secret", "eye tracker", refusal="Its license forbids it.")
    again = secret.stated(license="CC0", refusal="Mine.")
    assert again.refusal == "Its license forbids it." and again.may_be_passed_on is False
    (tmp_path / "c.csv").write_text("file,x,y\na.jpg,0.5,0.5\n")
    for number, stated in enumerate(({}, {"license": "CC0"})):
        convert(tmp_path / str(number), "table", tmp_path / "c.csv", stated=stated, store=Kept())
        said = capsys.readouterr().err + caplog.text
        assert ("the license of Human attention from a table is not known here" in said) == (not stated)
        caplog.clear()
    assert "Not known: the terms of the data" in (tmp_path / "0" / "README.md").read_text()


class Kept:
    """A store that leaves the shards where they are."""

    def open(self):
        pass

    def holds(self, name, sha256):
        return False

    def add(self, path, name, sha256):
        pass


def test_the_columns_have_the_fields_that_there_are():
    plain = attention_features(ColumnLayout(dict.fromkeys(KINDS, ()), sized=False))
    assert list(plain["points"].feature) == ["x", "y"] and list(plain["masks"].feature) == ["image"]
    assert list(plain["objects"]) == ["bbox"] and "label" not in plain and "width" not in plain
    whole = attention_features(ColumnLayout({"points": ("label", "weight", "sign")}, ("cat",), single=True))
    assert list(whole["points"].feature) == ["label", "x", "y", "weight", "sign"]
    assert whole["label"].names == ["cat"] and whole["points"].feature["label"].names == ["cat"]
    full = ("annotator", "task", "label", "weight", "time", "duration", "segment")
    path = attention_features(ColumnLayout({"scanpaths": full}, ("cat",)))["scanpaths"].feature
    assert list(path) == ["annotator", "task", "label", "x", "y", "weight", "time", "duration", "segment"]


@pytest.mark.parametrize(("units", "warned"), [("ratio", True), ("percent", False)])
def test_samples_in_another_unit_are_warned_about_without_boxes(tmp_path, capsys, caplog, units, warned):
    (tmp_path / "c.csv").write_text("file,x,y\n" + "a.jpg,20,70\n" * 6)
    command = ["convert", "table", str(tmp_path / "c.csv"), "--kind", "scanpaths", "--units", units]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err + caplog.text
    assert ("6 of 6 points are outside their image: they may be in another unit" in said) == warned


@pytest.mark.parametrize("option", ["--public", "--private", "--keep-shards", "--i-may-publish-the-images"])
def test_options_of_an_upload_go_with_it(tmp_path, capsys, option):
    (tmp_path / "c.csv").write_text("file,x,y\na.jpg,0.2,0.7\n")
    assert main(["convert", "table", str(tmp_path / "c.csv"), "--out", str(tmp_path / "out"), option]) == 1
    assert f"{option} goes with --push-to-hub." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unusable_file_is_named_by_its_source(tmp_path, capsys):
    (tmp_path / "c.csv").write_text("file;x;y\n")
    assert main(["convert", "table", str(tmp_path / "c.csv"), "--out", str(tmp_path / "out")]) == 1
    shown = capsys.readouterr().err
    assert f"table: '{tmp_path / 'c.csv'}' has no column" in shown and "byproducts=" not in shown
