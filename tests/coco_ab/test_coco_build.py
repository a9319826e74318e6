"""The build of COCO-AB: three sources whose counts add up, boxes that follow the image, any interruption."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Image, List, load_dataset

from coco_ab.build import build_coco_ab
from coco_ab.images import open_images
from coco_ab.points import points
from coco_ab.simulate.release import write_release
from luab_data.errors import SourceError

SCRIPT = Path(__file__).resolve().parents[2] / "loading_scripts" / "coco_ab.py"
IMAGES = 12


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return write_release(tmp_path_factory.mktemp("release"), images=IMAGES)


@pytest.fixture
def raw(pristine, tmp_path):
    """A release that the test may change."""
    return Path(shutil.copytree(pristine, tmp_path / "raw"))


def sources(raw: Path) -> dict:
    return {
        "images": raw / "train2014",
        "instances": raw / "annotations" / "instances_train2014.json",
        "byproducts": raw / "coco_ab_v1_0.json",
    }


def build(raw: Path, out: str = "out", **arguments):
    return build_coco_ab(raw.parent / out, **{**sources(raw), **arguments})


def rows_of(folder: Path):
    return load_dataset(str(folder), split="train", cache_dir=str(folder.parent / "cache"))


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("data/*")}


def rejects_of(folder: Path) -> list[tuple[str, str, str]]:
    lines = map(json.loads, (folder / "rejects.jsonl").read_text().splitlines())
    return [(line["source"], line["id"], line["reason"]) for line in lines]


def change(path: Path, edit) -> None:
    """Rewrites a JSON file with what `edit` does to its content."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def released(raw: Path) -> tuple[list[dict], dict]:
    return tuple(json.loads(sources(raw)[name].read_text()) for name in ("byproducts", "instances"))


def test_folder_opens_with_typed_columns_and_all_that_the_files_say(raw):
    summary = build(raw)
    rows = rows_of(raw.parent / "out")
    assert len(rows) == summary.rows == IMAGES
    assert rows.features["image"] == Image()
    assert isinstance(rows.features["labels"], List)
    assert rows.features["labels"].feature.names[:2] == ["person", "bicycle"]
    assert isinstance(rows.features["points"].feature["label"], ClassLabel)
    records, coco = released(raw)
    names = {each["id"]: each["name"] for each in coco["categories"]}
    for row, image in zip(rows.cast_column("image", Image(decode=False)), coco["images"], strict=True):
        assert (row["image_id"], row["file_name"]) == (image["id"], image["file_name"])
        assert (row["width"], row["height"]) == (image["width"], image["height"])
        assert row["image"]["bytes"] == (raw / "train2014" / image["file_name"]).read_bytes()
        boxes = [each for each in coco["annotations"] if each["image_id"] == image["id"]]
        to_name = rows.features["labels"].feature.int2str
        assert [to_name(label) for label in row["objects"]["category"]] == [
            names[each["category_id"]] for each in boxes
        ]
        assert row["objects"]["bbox"] == [each["bbox"] for each in boxes]
        assert row["objects"]["area"] == [each["area"] for each in boxes]
        assert row["objects"]["iscrowd"] == [False] * len(boxes)
        assert row["labels"] == sorted(set(row["objects"]["category"]))
        own = [each for each in records if each["image_id"] == image["id"]]
        assert [each["worker_id"] for each in row["annotations"]] == [each["worker_id"] for each in own]
        placed = [(to_name(each["label"]), each["x"], each["y"], each["source"]) for each in row["points"]]
        assert placed == [tuple(each) for each in points(row["annotations"])]
    assert any(row["points"] for row in rows)


def test_points_lie_on_the_objects(raw):
    build(raw)
    inside = []
    for row in rows_of(raw.parent / "out").remove_columns("image"):
        for point in row["points"]:
            x, y = point["x"] * row["width"], point["y"] * row["height"]
            inside += [
                left <= x <= left + width and top <= y <= top + height
                for (left, top, width, height), label in zip(
                    row["objects"]["bbox"], row["objects"]["category"], strict=True
                )
                if label == point["label"]
            ]
    assert np.mean(inside) > 0.6  # two objects of a class share one icon


def test_counts_add_up_and_each_reject_has_its_reason(raw):
    """Everything that can be wrong, once."""
    records, coco = released(raw)
    files = [each["file_name"] for each in coco["images"]]
    ids = [each["id"] for each in coco["images"]]
    (raw / "train2014" / files[0]).write_bytes(b"not an image")
    (raw / "train2014" / files[1]).unlink()
    (raw / "train2014" / "holiday.jpg").write_bytes((raw / "train2014" / files[2]).read_bytes())
    shutil.copy(raw / "train2014" / files[2], raw / "train2014" / "COCO_train2014_000000999999.jpg")
    (raw / "train2014" / "notes.txt").write_text("x")
    template = dict(records[-1])

    def edit_records(content):
        content[:] = [each for each in content if each["image_id"] not in ids[:6]]
        content += [{**template, "image_id": ids[n]} for n in (0, 1, 3, 3)]
        content += [{**template, "image_id": 888888}, {**template, "image_id": "9"}, {"image_id": ids[4]}]
        dragon = [{"actionType": "add", "iconType": "dragon", "pointTo": {"x": 0.5, "y": 0.5}}]
        content.append({**template, "image_id": ids[5], "actionHistories": dragon})

    def edit_coco(content):
        content["images"][2]["width"] += 1
        content["images"].append({"id": ids[3], "width": 1, "height": 1})
        some = content["annotations"][0]
        content["annotations"] += [
            {**some, "category_id": 12},
            {**some, "image_id": 777777},
            {**some, "bbox": [1, 2, float("nan"), 4]},
            {**some, "bbox": [1, 2, 3]},
        ]

    change(sources(raw)["byproducts"], edit_records)
    change(sources(raw)["instances"], edit_coco)
    summary = build(raw)

    reasons = rejects_of(raw.parent / "out")
    name = [file.removesuffix(".jpg") for file in files]
    expected = [
        ("images", name[0], "not an image"),
        ("byproducts", name[0], "its image was rejected"),
        ("instances", name[0], "its image was rejected"),
        ("byproducts", name[1], "there is no image"),
        ("instances", name[1], "there is no image"),
        ("images", name[2], "its boxes would not fit"),
        ("instances", name[2], "its image was rejected"),
        ("images", "holiday", "name is neither COCO_train2014_"),
        ("images", "COCO_train2014_000000999999", "does not list this image"),
        ("byproducts", "COCO_train2014_000000888888", "there is no image"),
        ("byproducts", "coco_ab_v1_0.json record ", "image_id is '9'"),
        ("instances", name[3], "second image of this id"),
        ("instances", f"object of {name[0]}", "does not list its category_id 12"),
        ("instances", "object of COCO_train2014_000000777777", "does not list its image"),
        ("instances", "annotations record ", "bbox 3 is nan"),
        ("instances", "annotations record ", "an array of 4"),
    ]
    left = list(reasons)
    for source, where, reason in expected:
        found = [each for each in left if each[0] == source and where in each[1] and reason in each[2]]
        assert found, (source, where, reason)
        left.remove(found[0])
    assert left == []

    rows = {row["image_id"]: row for row in rows_of(raw.parent / "out").remove_columns("image")}
    assert sorted(rows) == ids[3:]
    assert len(rows[ids[3]]["annotations"]) == 2
    assert [each["worker_id"] for each in rows[ids[4]]["annotations"]] == [None]
    assert rows[ids[5]]["annotations"][0]["action_histories"][0]["icon_type"] == "dragon"
    assert rows[ids[5]]["points"] == []
    assert summary.facts["actions with an icon of no COCO class"] == 1
    assert summary.ignored["images"] == 1
    for role in ("images", "byproducts", "instances"):
        assert summary.found[role] == summary.used[role] + summary.rejected[role]


@pytest.mark.parametrize("config", ["full", "byproducts"])
def test_a_cursor_on_no_page_costs_that_position_alone(raw, config):
    near = {"x": 0.25, "y": -9.5, "timeAt": 2}
    far = [{"x": 12.0, "y": 0.5, "timeAt": 1}, {"x": 0.5, "y": 450, "timeAt": 3}]

    def edit(content):
        content[0]["mouseTracking"] = [far[0], near, far[1]]

    change(sources(raw)["byproducts"], edit)
    without = {} if config == "full" else {"images": None, "instances": None}
    summary = build(raw, config=config, **without)
    assert summary.rejected["byproducts"] == 0
    assert summary.facts["cursor positions on no page, left out"] == 2
    image_id = released(raw)[0][0]["image_id"]
    [row] = [row for row in rows_of(raw.parent / "out") if row["image_id"] == image_id]
    assert row["annotations"][0]["mouse_tracking"] == [{"x": 0.25, "y": -9.5, "time_at": 2}]


def test_zip_two_processes_and_small_shards_give_the_same_rows(raw):
    build(raw)
    with zipfile.ZipFile(raw.parent / "train2014.zip", "w") as archive:
        for path in sorted((raw / "train2014").iterdir()):
            archive.write(path, f"train2014/{path.name}")
    build(raw, "zipped", images=raw.parent / "train2014.zip", num_proc=2, rows_per_shard=5)
    assert len(tables(raw.parent / "zipped")) == 3
    one, other = (rows_of(raw.parent / name).with_format("arrow")[:] for name in ("out", "zipped"))
    assert one.equals(other)


def test_images_that_cannot_be_read_count_once_with_all_that_belongs_to_them(raw):
    """A broken member of the zip, one without a record too: found when it is read, not when it is listed."""
    records, coco = released(raw)
    files = [each["file_name"] for each in coco["images"]]
    change(sources(raw)["byproducts"], lambda content: content.pop(0))
    with zipfile.ZipFile(raw.parent / "train2014.zip", "w") as archive:
        for name in files:
            archive.write(raw / "train2014" / name, f"train2014/{name}")
        places = [archive.getinfo(f"train2014/{name}").header_offset for name in files]
    content = bytearray((raw.parent / "train2014.zip").read_bytes())
    for place in places[:2]:
        content[place + 200] ^= 1
    (raw.parent / "train2014.zip").write_bytes(content)
    summary = build(raw, images=raw.parent / "train2014.zip")
    assert summary.rows == IMAGES - 2
    assert summary.rejected["images"] == summary.rejected["instances"] == 2
    lost = [file.removesuffix(".jpg") for file in files[:2]]
    own = [
        record for record in records[1:] if record["image_id"] in {each["id"] for each in coco["images"][:2]}
    ]
    assert summary.rejected["byproducts"] == len(own)
    assert {where for _, where, _ in rejects_of(raw.parent / "out")} == set(lost)


def test_images_named_as_in_the_sets_of_2017_give_the_same_rows(raw):
    build(raw)
    shutil.copytree(raw / "train2014", raw / "train2017")
    for path in (raw / "train2017").iterdir():
        path.rename(path.with_name(path.name.removeprefix("COCO_train2014_")))
    build(raw, "of2017", images=raw / "train2017")
    one, other = (rows_of(raw.parent / name).with_format("arrow")[:] for name in ("out", "of2017"))
    assert one.equals(other)


def test_boxes_shrink_with_the_image_and_points_stay(raw):
    build(raw)
    build(raw, "small", max_side=48)
    for row, small in zip(rows_of(raw.parent / "out"), rows_of(raw.parent / "small"), strict=True):
        assert small["image"].size == (small["width"], small["height"])
        assert max(small["image"].size) == 48
        scale = small["width"] / row["width"], small["height"] / row["height"]
        expected = np.array(row["objects"]["bbox"]) * (*scale, *scale)
        np.testing.assert_allclose(small["objects"]["bbox"], expected, rtol=1e-5)
        np.testing.assert_allclose(
            small["objects"]["area"], np.array(row["objects"]["area"]) * scale[0] * scale[1], rtol=1e-5
        )
        assert small["points"] == row["points"]
        assert small["annotations"] == row["annotations"]


def test_authors_rule_and_the_byproducts_alone(raw):
    summary = build(raw, "alone", config="byproducts", rule="authors", images=None, instances=None)
    records, _ = released(raw)
    assert summary.found == summary.used == {"byproducts": len(records)}
    rows = rows_of(raw.parent / "alone")
    assert set(rows.column_names) == {"image_id", "file_name", "points", "annotations"}
    assert {each["source"] for row in rows for each in row["points"]} == {"add"}
    assert sum(len(row["annotations"]) for row in rows) == len(records)
    assert "labels" not in summary.facts and "labels" not in summary.report()
    card = (raw.parent / "alone" / "README.md").read_text()
    assert "labels 0" not in card
    assert "license: apache-2.0" in card
    assert "moves and removals are ignored" in card
    assert "without images and COCO's annotations" in card
    assert "kept unchanged" not in card and "shrunk" not in card and "were joined" not in card


def test_exif_orientation_is_no_surprise(raw):
    """An upright image whose file is lying has the size that it is shown with."""
    from PIL import Image as PILImage

    _, coco = released(raw)
    path = raw / "train2014" / coco["images"][0]["file_name"]
    image = PILImage.open(path)
    exif = image.getexif()
    exif[0x0112] = 6
    image.transpose(PILImage.Transpose.ROTATE_90).save(path, "JPEG", exif=exif)
    build(raw)
    row = rows_of(raw.parent / "out")[0]
    assert row["image"].size == (row["width"], row["height"]) == image.size


def test_script_builds_reports_and_refuses_other_arguments(raw, clients):
    given = [text for name, path in sources(raw).items() for text in (f"--{name}", path)]
    run = partial(clients.script, SCRIPT, *given, "--output-dir", raw.parent / "out", cwd=raw.parent)
    result = run("--num-proc", "2", "--rows-per-shard", "4")
    assert result.status == 0, result.output
    assert f"images: {IMAGES} found = {IMAGES} in rows + 0 rejected" in result.output
    assert f"instances: {IMAGES} found = {IMAGES} in rows + 0 rejected" in result.output
    card = (raw.parent / "out" / "README.md").read_text()
    assert "han2023neglected" in card
    assert "license_name: coco" in card
    assert str(raw.parent) not in card + (raw.parent / "out" / "summary.json").read_text()
    other = run("--rule", "authors", "--rows-per-shard", "4")
    assert other.status == 1
    assert "rule: 'final' then, 'authors' now" in other.output
    public = run("--push-to-hub", "me/ab", "--public")
    assert public.status == 1
    assert "may not be given away" in public.output


def test_kill_9_and_the_next_run_finishes_with_the_same_rows(raw):
    build(raw, "whole", rows_per_shard=1)
    given = [text for name, path in sources(raw).items() for text in (f"--{name}", str(path))]
    command = [sys.executable, SCRIPT, *given, "--output-dir", raw.parent / "out", "--rows-per-shard", "1"]
    killed = subprocess.Popen(
        [*map(str, command), "--num-proc", "2"], stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 100
    while not list(raw.parent.glob("out/data/*")) and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert len(tables(raw.parent / "out")) > 0
    build(raw, rows_per_shard=1)
    assert tables(raw.parent / "out") == tables(raw.parent / "whole")
    assert not (raw.parent / "out" / ".build").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": None}, r"images is missing: pass the folder train2014 or train2014\.zip \(http"),
        ({"images": "nowhere"}, "neither a folder nor a zip"),
        ({"images": "raw/annotations"}, r"holds no images of train2014: pass the folder that does"),
        ({"instances": None}, r"instances is missing: pass instances_train2014\.json, which is in http"),
        ({"instances": "nowhere.json"}, "there is no such file"),
        ({"instances": "raw/coco_ab_v1_0.json"}, "is not a JSON object"),
        ({"byproducts": "raw/annotations"}, r"holds no coco_ab_v1_0\.json"),
        ({"byproducts": "raw/annotations/instances_train2014.json"}, "is not a JSON array"),
        ({"byproducts": "nowhere.json"}, "neither a file, nor a folder, nor a Hub repository"),
        ({"config": "sample"}, "allowed are full, byproducts"),
        ({"config": "byproducts"}, "'byproducts' has no images: leave images='.*train2014' out"),
        ({"config": "byproducts", "images": None}, "has no images: leave instances='.*json' out"),
        ({"rule": "last"}, "take one of final, authors"),
        ({"max_side": 0}, "must be 1 or more"),
    ],
)
def test_wrong_arguments_say_what_is_allowed(raw, monkeypatch, arguments, message):
    monkeypatch.chdir(raw.parent)
    with pytest.raises(SourceError, match=message):
        build(raw, **arguments)


def test_a_file_of_other_classes_is_refused(raw):
    change(sources(raw)["instances"], lambda coco: coco["categories"].append({"id": 5, "name": "aeroplane"}))
    with pytest.raises(SourceError, match=r"other classes than COCO's 80: \{5: 'aeroplane'\}"):
        build(raw)


def test_a_whole_release(coco_release, tmp_path):
    images = coco_release.images
    build_coco_ab(tmp_path / "out", **sources(coco_release.folder))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["used"] == {"byproducts": images - 1, "images": images, "instances": images}
    assert summary["rejected"] == {"byproducts": 0, "images": 0, "instances": 0}
    counts = [len(row["annotations"]) for row in rows_of(tmp_path / "out").remove_columns("image")]
    assert sorted(counts) == [0, 0, *[1] * (images - 3), 2]


def test_a_folder_above_the_images_is_read_and_other_sets_are_named(raw, monkeypatch):
    said = []
    monkeypatch.setattr("luab_data.sources.roots.logger.warning", said.append)
    (raw / "val2014").mkdir()
    for number in range(3):
        (raw / "val2014" / f"COCO_val2014_{number:012d}.jpg").write_bytes(b"")
    assert open_images(raw).place == raw / "train2014"
    assert str(raw / "train2014") in said[0]
    with pytest.raises(SourceError, match=r"holds images of another set \(COCO_val2014_000000000000, "):
        open_images(raw / "val2014")


def test_records_of_another_years_images_are_a_failed_build_with_ids_of_both(raw):
    records = [{"image_id": number} for number in range(900000, 900005)]
    (raw / "coco_ab_v1_0.json").write_text(json.dumps(records))
    with pytest.raises(SourceError, match=r"not one of 5 byproducts .*COCO_train2014_000000900000"):
        build(raw)


@pytest.mark.parametrize("member", ["annotations", "images", "categories"])
def test_instances_without_a_member_are_an_error(raw, member):
    path = raw / "annotations" / "instances_train2014.json"
    content = json.loads(path.read_text())
    for changed in ({**content, member: []}, {name: content[name] for name in content if name != member}):
        path.write_text(json.dumps(changed))
        with pytest.raises(SourceError, match=r"instances=.*instances_train2014\.json"):
            build(raw)
