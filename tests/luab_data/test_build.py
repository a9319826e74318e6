"""The build: counts add up, a killed build ends like an undisturbed one, anyone opens the folder."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Image, List, load_dataset
from fixtures.factories import (
    WNIDS,
    files_of,
    image_bytes,
    noise_image,
    raw_byproducts,
    raw_images,
    record_xml,
    tar_of_tars,
)
from PIL import Image as PILImage

from imagenet_ab.build import build_imagenet_ab
from luab_data.build.finished import as_then
from luab_data.errors import RejectedRecord, SourceError
from luab_data.images.pillow import JPEG_QUALITY, checked_image

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def raw(tmp_path):
    """Six images of two classes; XML for five of them, and for one image that there is not."""
    payloads = raw_images(tmp_path / "train")
    ids = [*list(payloads)[1:], f"{WNIDS[0]}/{WNIDS[0]}_99"]
    raw_byproducts(tmp_path / "ab.tar.gz", ids)
    return tmp_path, payloads


def rejects_of(folder: Path) -> dict[tuple[str, str], str]:
    lines = (folder / "rejects.jsonl").read_text().splitlines()
    return {(line["source"], line["id"]): line["reason"] for line in map(json.loads, lines)}


def build(tmp_path, out="out", **arguments):
    arguments = {"images": tmp_path / "train", "byproducts": tmp_path / "ab.tar.gz", **arguments}
    return build_imagenet_ab(tmp_path / out, **arguments)


def open_built(folder: Path, cache: Path, **arguments):
    return load_dataset(str(folder), split="train", cache_dir=str(cache), **arguments)


def test_folder_opens_with_typed_columns_and_untouched_images(raw):
    tmp_path, payloads = raw
    summary = build(tmp_path)
    rows = open_built(tmp_path / "out", tmp_path / "cache")
    assert rows.features["label"] == ClassLabel(names=list(WNIDS))
    assert rows.features["image"] == Image()
    assert isinstance(rows.features["annotations"], List)
    assert summary.rows == len(rows) == 6
    assert {
        row["image_id"]: row["image"]["bytes"] for row in rows.cast_column("image", Image(decode=False))
    } == payloads
    by_id = {row["image_id"]: row for row in rows}
    without, with_xml = list(payloads)[:2]
    assert by_id[without]["annotations"] == []
    assert by_id[without]["click"] is None
    assert by_id[with_xml]["click"] == {"x": 0.5, "y": 0.25}
    assert by_id[with_xml]["label"] == 0
    streamed = open_built(tmp_path / "out", tmp_path / "cache", streaming=True)
    assert [row["image_id"] for row in streamed] == rows["image_id"][:]


def test_counts_add_up_and_each_reject_has_its_reason(raw):
    tmp_path, payloads = raw
    ids = list(payloads)
    (tmp_path / "train" / f"{ids[1]}.JPEG").write_bytes(payloads[ids[1]][:-40])  # cut off
    (tmp_path / "train" / f"{ids[2]}.JPEG").write_bytes(b"<html>not found</html>")
    (tmp_path / "train" / f"{ids[0]}.png").write_bytes(payloads[ids[0]])
    xml = "imagenet_ab_v1_0/train_xml"
    raw_byproducts(
        tmp_path / "ab.tar.gz",
        ids[1:4],
        more=[
            (f"{xml}/{ids[3]}.xml", record_xml(ids[3])),
            (f"{xml}/{ids[4]}.xml", b"<a><metadata><imageID>x</imageID>"),
            (f"{xml}/{ids[5]}.xml", record_xml(ids[0])),
            (f"{xml}/n09999999/n09999999_1.xml", record_xml("n09999999/n09999999_1")),
            (f"{xml}/{WNIDS[0]}/._{WNIDS[0]}_0.xml", b"\0"),
        ],
    )
    summary = build(tmp_path)
    assert summary.found == {"images": 7, "byproducts": 7}
    assert summary.used == {"images": 4, "byproducts": 1}
    assert summary.rejected == {"images": 3, "byproducts": 6}
    assert summary.ignored == {"images": 0, "byproducts": 1}
    assert (summary.rows, summary.facts["rows with annotations"]) == (4, 1)
    reasons = rejects_of(tmp_path / "out")
    assert "cannot be decoded" in reasons["images", ids[1]]
    assert "not an image" in reasons["images", ids[2]]
    assert "second file of this id" in reasons["images", f"{ids[0]}.png"]
    assert reasons["byproducts", ids[1]] == reasons["byproducts", ids[2]] == "its image was rejected"
    assert "second entry" in reasons["byproducts", ids[3]]
    assert ("byproducts", ids[4]) in reasons
    assert ids[0] in reasons["byproducts", ids[5]]
    assert "class" in reasons["byproducts", "n09999999/n09999999_1"]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["found"] == summary.found


def test_tar_of_tars_two_workers_and_small_shards_give_the_same_rows(raw):
    tmp_path, payloads = raw
    build(tmp_path)
    archive = tar_of_tars(tmp_path / "train.tar", payloads)
    build(tmp_path, "out2", images=archive, rows_per_shard=2, num_proc=2)
    build(tmp_path, "out1", images=archive, rows_per_shard=2)
    assert files_of(tmp_path / "out1") == files_of(tmp_path / "out2")
    one, many = (open_built(tmp_path / name, tmp_path / "cache") for name in ("out", "out1"))
    assert len(list((tmp_path / "out1" / "data").iterdir())) > 1
    assert one.with_format("arrow")[:].equals(many.with_format("arrow")[:])


class Killed(BaseException):
    pass


class StopAtRename:
    """Raises `Killed` at the n-th rename, before or after it: only renames change a build's state."""

    def __init__(self, monkeypatch, stop: int, after: bool):
        self.calls = 0
        for name in ("replace", "rename"):
            monkeypatch.setattr(Path, name, self.stopping(getattr(Path, name), stop, after))

    def stopping(self, original, stop, after):
        def rename(path, target):
            self.calls += 1
            if self.calls == stop and not after:
                raise Killed
            result = original(path, target)
            if self.calls == stop:
                raise Killed
            return result

        return rename


@pytest.mark.parametrize("after", [False, True])
def test_wherever_the_build_stops_a_second_run_ends_with_the_same_files(raw, monkeypatch, after):
    tmp_path, _ = raw
    build(tmp_path, "whole", rows_per_shard=3)
    expected = files_of(tmp_path / "whole")
    for stop in range(1, 100):
        with monkeypatch.context() as patch:
            StopAtRename(patch, stop, after)
            try:
                build(tmp_path, f"out-{stop}", rows_per_shard=3)
                break
            except Killed:
                pass
        build(tmp_path, f"out-{stop}", rows_per_shard=3)
        assert files_of(tmp_path / f"out-{stop}") == expected
    assert stop > 8


def test_a_finished_shard_is_not_made_again(raw, monkeypatch):
    tmp_path, _ = raw
    build(tmp_path, rows_per_shard=2)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert build(tmp_path, rows_per_shard=2).rows == 6
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """300 images and their XML, and in whole/ what is built from them."""
    folder = tmp_path_factory.mktemp("many")
    payloads = raw_images(folder / "train", per_class=150)
    raw_byproducts(folder / "ab.tar.gz", list(payloads))
    build(folder, "whole", rows_per_shard=20)
    return folder


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_whatever_ends_it_no_process_stays_and_the_next_run_finishes(many, tmp_path, sent, status):
    command = [
        sys.executable,
        str(REPOSITORY / "loading_scripts" / "imagenet_ab.py"),
        *("--images", str(many / "train"), "--byproducts", str(many / "ab.tar.gz")),
        *("--output-dir", str(tmp_path / "out"), "--rows-per-shard", "20", "--num-proc", "2"),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    first = tmp_path / "out" / ".build" / "00000.json"
    while not first.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(sent)
    assert process.wait(timeout=60) == status, "the build was over before it could be ended"
    assert (tmp_path / "out" / ".build").is_dir()
    for _ in range(1000):
        try:
            os.killpg(process.pid, 0)  # raises once no process of the group is left
            time.sleep(0.01)
        except ProcessLookupError:
            break
    else:
        pytest.fail("processes outlive the build")
    build(many, tmp_path / "out", rows_per_shard=20)
    assert files_of(tmp_path / "out") == files_of(many / "whole")


@pytest.mark.parametrize("finished", [True, False])
def test_other_arguments_or_changed_sources_are_refused(raw, monkeypatch, finished):
    tmp_path, payloads = raw
    if finished:
        build(tmp_path, rows_per_shard=3)
    else:
        with monkeypatch.context() as patch, pytest.raises(Killed):
            StopAtRename(patch, 4, after=False)  # one shard is finished
            build(tmp_path, rows_per_shard=3)
    with pytest.raises(SourceError, match="max_side: None then, 16 now"):
        build(tmp_path, max_side=16, rows_per_shard=3)
    (tmp_path / "train" / f"{next(iter(payloads))}.JPEG").write_bytes(b"changed")
    with pytest.raises(SourceError, match="images: "):
        build(tmp_path, rows_per_shard=3)


def test_files_that_no_source_reads_do_not_stop_a_build_from_going_on(raw, monkeypatch):
    tmp_path, _ = raw
    with monkeypatch.context() as patch, pytest.raises(Killed):
        StopAtRename(patch, 4, after=False)  # one shard is finished
        build(tmp_path, rows_per_shard=3)
    for name in (".DS_Store", f"{WNIDS[0]}/Thumbs.db", f"{WNIDS[0]}/._x.JPEG", "synsets.txt"):
        (tmp_path / "train" / name).write_bytes(b"x")
    assert build(tmp_path, rows_per_shard=3).rows == 6


@pytest.mark.parametrize("out", ["train/out", "train", f"train/{WNIDS[0]}/../out"])
def test_a_folder_to_write_inside_a_source_is_refused(raw, out):
    """What it gets would change the source, so that it could never be resumed."""
    tmp_path, _ = raw
    before = files_of(tmp_path / "train")
    with pytest.raises(SourceError, match=r"out=.* lies in the folder images='.*train', which is read"):
        build(tmp_path, out)
    assert files_of(tmp_path / "train") == before


@pytest.mark.parametrize(
    ("changed", "named"),
    [("luab_data.build.raw.code_hash", "code: "), ("PIL.__version__", "pillow: ")],
)
def test_an_interrupted_build_does_not_go_on_with_other_code(raw, monkeypatch, changed, named):
    tmp_path, _ = raw
    with monkeypatch.context() as patch, pytest.raises(Killed):
        StopAtRename(patch, 4, after=False)  # one shard is finished
        build(tmp_path, max_side=16, rows_per_shard=3)
    before = files_of(tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(changed, "9.9" if named == "pillow: " else lambda _: "0" * 64)
        with pytest.raises(SourceError, match=f"by code that changed since:\n  {named}.* then, .* now\n"):
            build(tmp_path, max_side=16, rows_per_shard=3)
    assert files_of(tmp_path / "out") == before
    build(tmp_path, max_side=16, rows_per_shard=3)


def test_a_finished_build_of_an_earlier_version_stays_one(raw, monkeypatch):
    tmp_path, _ = raw
    build(tmp_path)
    monkeypatch.setattr("luab_data.build.raw.code_hash", lambda _: "0" * 64)
    assert build(tmp_path).rows == 6


@pytest.mark.parametrize(
    ("then", "same"), [("a/b", True), ("a/b@v1", True), ("a/c", False), (f"a/b@{'1' * 40}", False)]
)
def test_a_finished_build_may_be_of_a_dataset_without_its_commit(then, same):
    now = {"images": f"a/b@{'0' * 40}", "max_side": 8}
    found = as_then({"images": then, "max_side": 8}, now)
    assert found == (now | {"images": then} if same else now)


def test_the_quality_of_what_is_shrunk_is_on_the_card_and_stays_the_same(raw, monkeypatch):
    tmp_path, _ = raw
    build(tmp_path, max_side=16)
    assert f"JPEG of quality\n{JPEG_QUALITY}." in (tmp_path / "out" / "README.md").read_text()
    monkeypatch.setattr("luab_data.build.dataset_folder.JPEG_QUALITY", 50)
    with pytest.raises(SourceError, match=f"jpeg_quality: {JPEG_QUALITY} then, 50 now"):
        build(tmp_path, max_side=16)


def test_a_folder_with_other_files_is_left_alone(raw):
    tmp_path, _ = raw
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("")
    with pytest.raises(SourceError, match="holds other files"):
        build(tmp_path)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_byproducts_without_images(raw):
    tmp_path, _ = raw
    summary = build(tmp_path, config="byproducts", images=None)
    rows = open_built(tmp_path / "out", tmp_path / "cache")
    assert "image" not in rows.column_names
    assert summary.rows == len(rows) == 6
    assert rows.features["label"].num_classes == 1000
    assert "license: apache-2.0" in (tmp_path / "out" / "README.md").read_text()


def test_classes_keep_a_subset(raw):
    tmp_path, _ = raw
    summary = build(tmp_path, classes=[WNIDS[1]])
    assert summary.rows == 3
    assert summary.ignored == {"images": 3, "byproducts": 3}
    assert open_built(tmp_path / "out", tmp_path / "cache").features["label"].names == [WNIDS[1]]


@pytest.mark.parametrize(
    ("more", "has"),
    [
        ({}, r"images='.*train' has no class 'n0144076A' \(did you mean n01440764\?\); it has n01440764, "),
        ({"config": "byproducts", "images": None}, r"byproducts='.*' has no class 'n0144076A' \(did you "),
    ],
)
def test_a_mistyped_class_is_named_before_anything_is_built(raw, more, has):
    tmp_path, _ = raw
    with pytest.raises(SourceError, match=f"classes: {has}"):
        build(tmp_path, classes=[WNIDS[1], "n0144076A"], **more)
    assert not (tmp_path / "out").exists()


def test_classes_of_no_imagenet_are_found_in_an_archive(tmp_path):
    raw_byproducts(tmp_path / "ab.tar.gz", ["n01440764/n01440764_0", "cat/cat_0", "dog/dog_0"])
    summary = build(tmp_path, config="byproducts", images=None, classes=["dog"])
    assert (summary.rows, summary.ignored) == (1, {"byproducts": 2})
    with pytest.raises(SourceError, match="has no class 'dgo'"):
        build(tmp_path, "typo", config="byproducts", images=None, classes=["dgo"])


def test_labels_of_chosen_classes_begin_at_0(raw):
    """So what is built of other classes has other labels: the two cannot be joined."""
    tmp_path, _ = raw
    for class_name in WNIDS:
        build(tmp_path, class_name, classes=[class_name])
        assert set(open_built(tmp_path / class_name, tmp_path / "cache")["label"]) == {0}


def test_not_one_row_is_an_error_that_names_the_reasons(raw):
    tmp_path, _ = raw
    raw_byproducts(tmp_path / "none.tar.gz", [])
    with pytest.raises(SourceError, match=r"not one row: 0 byproducts found.*rejects\.jsonl"):
        build(tmp_path, byproducts=tmp_path / "none.tar.gz")


def test_after_not_one_row_the_corrected_command_works_in_the_same_folder(raw):
    tmp_path, payloads = raw
    raw_byproducts(tmp_path / "none.tar.gz", [])
    with pytest.raises(SourceError, match="not one row"):
        build(tmp_path, byproducts=tmp_path / "none.tar.gz")
    assert build(tmp_path).rows == len(payloads)
    build(tmp_path, "undisturbed")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "undisturbed")


def test_files_of_many_bytes_make_smaller_row_groups_with_the_same_rows(raw, monkeypatch):
    tmp_path, payloads = raw
    build(tmp_path)
    monkeypatch.setattr("luab_data.build.batches.BYTES_PER_BATCH", 1)
    build(tmp_path, "small")
    whole, small = (pq.ParquetFile(next((tmp_path / out / "data").iterdir())) for out in ("out", "small"))
    assert (whole.num_row_groups, small.num_row_groups) == (1, len(payloads))
    assert small.read().equals(whole.read())


def test_pillow_warns_of_nothing_while_an_image_is_checked():
    exif = PILImage.Exif()
    exif[0x0112] = 1
    payload = io.BytesIO()
    noise_image(64, 48).save(payload, "JPEG", exif=exif.tobytes()[:-8])
    with pytest.warns(UserWarning, match="EXIF"), PILImage.open(payload) as image:
        image.getexif()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked_image(payload.getvalue(), max_side=32)


def test_threads_that_check_images_leave_the_filters_of_warnings_as_they_were(monkeypatch):
    """The first one in is the first one out: each would set back what it found."""
    both_are_in, first_is_out = threading.Barrier(2), threading.Event()

    def checked(payload, max_side):
        both_are_in.wait(timeout=60)
        if payload == b"second":
            assert first_is_out.wait(timeout=60)
            assert warnings.filters != before  # here they are still ignored
        return payload

    before = list(warnings.filters)
    monkeypatch.setattr("luab_data.images.pillow._checked", checked)
    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(checked_image, payload) for payload in (b"first", b"second"))
        first.result()
        first_is_out.set()
        second.result()
    assert warnings.filters == before


def test_max_side_shrinks_larger_images_only():
    small, large = noise_image(40, 30), noise_image(300, 200)
    small_bytes = image_bytes(small, "JPEG")
    assert checked_image(small_bytes, max_side=40) == small_bytes
    with PILImage.open(io.BytesIO(checked_image(image_bytes(large, "JPEG"), max_side=150))) as shrunk:
        assert shrunk.size == (150, 100)
        expected = large.resize((150, 100), PILImage.Resampling.BICUBIC)
        assert np.abs(np.asarray(shrunk, float) - np.asarray(expected, float)).mean() < 3


def test_max_side_turns_the_image_upright_so_that_points_stay_right():
    stored = noise_image(300, 200)
    stored.paste((255, 255, 255), (0, 0, 150, 100))
    exif = PILImage.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    payload = io.BytesIO()
    stored.save(payload, "JPEG", exif=exif, quality=95)
    with PILImage.open(io.BytesIO(checked_image(payload.getvalue(), max_side=150))) as shrunk:
        assert shrunk.size == (100, 150)
        assert min(shrunk.getpixel((75, 30))) > 240  # stored top left is shown top right
        assert shrunk.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA"])
def test_every_mode_can_be_shrunk(mode):
    image = noise_image(64, 48).convert(mode)
    payload = image_bytes(image, "JPEG" if mode in ("L", "CMYK") else "PNG")
    with PILImage.open(io.BytesIO(checked_image(payload, max_side=32))) as shrunk:
        assert (shrunk.format, shrunk.size) == ("JPEG", (32, 24))


def test_sixteen_bits_a_pixel_are_scaled_and_not_clipped():
    ramp = PILImage.fromarray((np.arange(64, dtype=np.uint16) * 1024).reshape(1, 64).repeat(48, axis=0))
    with PILImage.open(io.BytesIO(checked_image(image_bytes(ramp, "PNG"), max_side=32))) as shrunk:
        values = np.asarray(shrunk.convert("L"), int)[12]
    assert np.abs(values - 8 * np.arange(32) - 2).max() < 8


def test_what_is_transparent_becomes_white_like_the_annotation_page():
    with PILImage.open(
        io.BytesIO(checked_image(image_bytes(PILImage.new("RGBA", (64, 48)), "PNG"), max_side=32))
    ) as shrunk:
        assert shrunk.getpixel((16, 12)) == (255, 255, 255)


@pytest.mark.parametrize("payload", [b"", b"GIF89a", b"\xff\xd8\xff\xe0", b"<svg/>"])
def test_what_is_no_image_is_rejected(payload):
    with pytest.raises(RejectedRecord):
        checked_image(payload)


def test_an_image_that_claims_too_many_pixels_is_rejected_before_it_is_decoded():
    with pytest.raises(RejectedRecord, match="allowed are 100,000,000"):
        checked_image(image_bytes(PILImage.new("1", (12_000, 12_000))))
