"""The toy world: images and boxes are what they claim, annotators as documented, files as released."""

import csv
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagenet_ab.clicks import click
from imagenet_ab.fields import Annotation, Hover, Position, Record, TimedPoint
from imagenet_ab.record import parse_record
from imagenet_ab.rows import features
from imagenet_ab.simulate.annotators import ImageNetAnnotators, annotate
from imagenet_ab.simulate.images import CLASSES, draw
from imagenet_ab.simulate.release import ARCHIVE, choose_background, write_release
from imagenet_ab.simulate.sample import OUT, write_sample
from imagenet_ab.write import write_xml
from luab_data.simulate.drawing import Box


def pixels(label: int, background: int, seed: int, size=64, background_seed=0) -> tuple[np.ndarray, Box]:
    image, box = draw(
        label, background, size, np.random.default_rng(seed), np.random.default_rng(background_seed)
    )
    return np.asarray(image).astype(int), box


@pytest.mark.parametrize("label", range(len(CLASSES)), ids=CLASSES)
def test_the_box_holds_the_object_and_nothing_more(label):
    """Two images with the same object on other backgrounds are equal on the object only."""
    for seed in range(5):
        one, box = pixels(label, 0, seed, size=192)
        other, same_box = pixels(label, 5, seed, size=192)
        assert box == same_box
        equal = (one == other).all(-1)
        inside = equal[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1].copy()
        equal[box.y0 - 1 : box.y1 + 2, box.x0 - 1 : box.x1 + 2] = False
        assert equal.mean() < 0.002  # backgrounds agree by chance only
        for edge in (inside[:5], inside[-5:], inside[:, :5], inside[:, -5:]):
            assert edge.any()


def test_the_object_covers_a_modest_share_of_the_image_anywhere_in_the_frame():
    boxes = [pixels(seed % len(CLASSES), 0, seed)[1] for seed in range(200)]
    shares = [(box.x1 + 1 - box.x0) * (box.y1 + 1 - box.y0) / 64**2 for box in boxes]
    assert 0.05 < min(shares) < max(shares) < 0.24
    centers = np.array([((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2) for box in boxes]) / 64
    assert (centers.min(0) < 0.25).all()
    assert (centers.max(0) > 0.75).all()


def test_images_depend_on_their_random_numbers_only():
    assert (pixels(3, 2, seed=7)[0] == pixels(3, 2, seed=7)[0]).all()
    assert (pixels(3, 2, seed=7)[0] != pixels(3, 2, seed=8)[0]).any()
    assert pixels(3, 2, seed=7, size=40)[0].shape == (40, 40, 3)


BOX = Box(20, 30, 39, 49)  # a third of a 60 x 100 image wide, a fifth high; center (0.5, 0.4)


def records(count: int, model: ImageNetAnnotators) -> list[Record]:
    rng = np.random.default_rng(0)
    return [annotate("a/b", BOX, 60, 100, rng, model) for _ in range(count)]


def test_careful_clicks_are_gaussian_around_the_object():
    careful = records(1500, ImageNetAnnotators(careless=0, unselected=0, twice=0, hesitant=0, spread=0.2))
    clicks = np.array([list(click(each).values()) for each in careful])
    assert clicks.mean(0) == pytest.approx([0.5, 0.4], abs=0.01)
    assert clicks.std(0) == pytest.approx([0.2 * 20 / 60, 0.2 * 20 / 100], rel=0.1)


def test_careless_clicks_fall_anywhere():
    careless = records(1000, ImageNetAnnotators(careless=1, unselected=0, twice=0))
    clicks = np.array([list(click(each).values()) for each in careless])
    assert clicks.mean(0) == pytest.approx([0.5, 0.5], abs=0.04)
    assert clicks.std(0) == pytest.approx([12**-0.5] * 2, rel=0.1)


def test_shares_are_the_models():
    visits = [
        each.annotations
        for each in records(1500, ImageNetAnnotators(unselected=0.3, untouched=0.5, twice=0.1, hesitant=0.2))
    ]
    annotations = [each for visit in visits for each in visit]
    selected = [each for each in annotations if each.selected]
    assert np.mean([len(visit) == 2 for visit in visits]) == pytest.approx(0.1, abs=0.03)
    assert 1 - len(selected) / len(annotations) == pytest.approx(0.3, abs=0.03)
    assert np.mean([each.hovered_count == 0 for each in annotations]) == pytest.approx(0.15, abs=0.02)
    assert np.mean([len(each.selected_record) == 2 for each in selected]) == pytest.approx(0.2, abs=0.03)


def test_a_track_leads_from_the_border_to_the_click_in_time():
    for record in records(300, ImageNetAnnotators(unselected=0, hesitant=0, twice=0)):
        (annotation,) = record.annotations
        track, (end,) = annotation.mouse_tracking, annotation.selected_record
        enter, leave = annotation.hovered_record
        assert min(track[0].x, track[0].y, 1 - track[0].x, 1 - track[0].y) == pytest.approx(0, abs=1e-9)
        assert track[-1] == end
        times = [each.time for each in track]
        assert times == sorted(times)
        assert (times[0], end.time - times[0]) == (enter.time, annotation.estimate_time)
        assert leave.time > end.time
        # Ratios are those of rendered pixels, at most one outside.
        for each in track:
            column, row = each.x * annotation.image_width, each.y * annotation.image_height
            assert (column, row) == pytest.approx((round(column), round(row)))
            assert -1 <= round(column) <= annotation.image_width + 1


COUNT = st.none() | st.integers(0, 2**31 - 1)
TIME = st.integers(10**11, 10**14)  # below, a time would read as seconds
RATIO = st.floats(-0.5, 1.5)
TEXT = st.none() | st.text("AZaz09_-.<>&\"'é", min_size=1, max_size=60)
POINTS = st.lists(st.builds(TimedPoint, RATIO, RATIO, TIME), max_size=4).map(tuple)
PIXELS = st.floats(-(2**31) + 1, 2**31 - 1)
ANNOTATION = st.builds(
    Annotation,
    selected=st.booleans(),
    selected_count=COUNT,
    selected_record=POINTS,
    mouse_tracking=POINTS,
    hovered_count=COUNT,
    hovered_record=st.lists(st.builds(Hover, st.sampled_from(["enter", "leave"]), TIME), max_size=3).map(
        tuple
    ),
    estimate_time=st.none() | st.integers(1, 10**14),
    original_image_height=COUNT,
    original_image_width=COUNT,
    image_height=COUNT,
    image_width=COUNT,
    image_position=st.none() | st.builds(Position, PIXELS, PIXELS),
    worker_id=TEXT,
    assignment_id=TEXT,
    page_idx=COUNT,
)


@settings(max_examples=80, deadline=None)
@given(
    st.builds(
        Record, st.just("n01440764/n01440764_105"), st.lists(ANNOTATION, min_size=1, max_size=3).map(tuple)
    )
)
def test_what_is_written_reads_back(record):
    assert parse_record(write_xml(record)) == record


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    out = tmp_path_factory.mktemp("release")
    return write_release(
        out, seed=3, images_per_class=40, evaluation_images_per_class=4, size=32, progress=False
    )


def boxes(path) -> dict[str, Box]:
    with path.open() as file:
        return {
            line["file"]: Box(*(int(line[key]) for key in ("x0", "y0", "x1", "y1")))
            for line in csv.DictReader(file)
        }


def test_the_release_has_the_released_layout(release):
    found = {path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()}
    images = {
        f"images/{split}/{name}/{prefix.format(name)}{n}.JPEG"
        for split, prefix, count in (
            ("train", "{}_", 40),
            ("val", "val_", 4),
            ("test", "test_", 4),
            ("test_swapped", "test_", 4),
        )
        for name in CLASSES
        for n in range(count)
    }
    tables = {f"boxes_{split}.csv" for split in ("train", "val", "test", "test_swapped")}
    assert found == images | tables | {ARCHIVE}

    ids, twins, annotated_twice, empty_tracks = set(), 0, 0, 0
    with tarfile.open(release / ARCHIVE) as archive:
        for member in archive:
            xml = archive.extractfile(member).read()
            if "/._" in member.name:
                twins += 1
                continue
            record = parse_record(xml)
            assert member.name == f"imagenet_ab_v1_0/train_xml/{record.image_id}.xml"
            ids.add(record.image_id)
            annotated_twice += len(record.annotations) == 2
            empty_tracks += b"<mouseTracking></mouseTracking>" in xml
    train = {
        path.split("/", 2)[2].removesuffix(".JPEG") for path in images if path.startswith("images/train/")
    }
    assert 0 < len(train - ids) < 10  # a few images have no XML
    assert ids <= train
    assert min(twins, annotated_twice, empty_tracks) > 0


def test_the_swapped_test_shows_the_same_objects_on_other_backgrounds(release):
    assert boxes(release / "boxes_test.csv") == boxes(release / "boxes_test_swapped.csv")
    for file, box in boxes(release / "boxes_test.csv").items():
        one, other = (
            np.asarray(Image.open(release / "images" / split / file)).astype(int)
            for split in ("test", "test_swapped")
        )
        difference = np.abs(one - other).mean(-1)
        center = difference[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1]
        outside = np.delete(difference, np.s_[box.y0 : box.y1 + 1], axis=0)
        assert outside.mean() > center.mean()


def test_backgrounds_agree_at_the_given_rate():
    rng = np.random.default_rng(0)
    chosen = np.array([choose_background(3, 0.9, rng) for _ in range(3000)])
    assert (chosen == 3).mean() == pytest.approx(0.9, abs=0.02)
    others = np.bincount(chosen[chosen != 3], minlength=len(CLASSES)) / (chosen != 3).sum()
    assert others == pytest.approx([1 / 7, 1 / 7, 1 / 7, 0, 1 / 7, 1 / 7, 1 / 7, 1 / 7], abs=0.06)
    assert 3 not in {choose_background(3, 0.0, rng) for _ in range(200)}


def test_equal_arguments_write_equal_bytes(tmp_path):
    one, two, other = (
        write_release(
            tmp_path / str(n), seed=seed, images_per_class=2, evaluation_images_per_class=0, progress=False
        )
        for n, seed in enumerate((1, 1, 2))
    )
    assert (one / ARCHIVE).read_bytes() == (two / ARCHIVE).read_bytes() != (other / ARCHIVE).read_bytes()
    image = "images/train/star/star_1.JPEG"
    assert (one / image).read_bytes() == (two / image).read_bytes() != (other / image).read_bytes()


def test_the_packaged_sample_is_what_the_script_makes(tmp_path):
    write_sample(tmp_path / "again.parquet")
    packaged, again = pq.read_table(OUT), pq.read_table(tmp_path / "again.parquet")
    # JPEG bytes may differ with the version of the encoder; everything else may not.
    assert packaged.drop_columns("image").equals(again.drop_columns("image"))
    assert packaged.schema.metadata == again.schema.metadata


def test_the_packaged_sample_loads_with_its_features(tmp_path):
    sample = load_dataset(str(OUT.parents[1]), split="train", cache_dir=str(tmp_path))
    assert sample.features == features(CLASSES, images=True)
    assert len(sample) == 6 * len(CLASSES)
    assert any(each is None for each in sample["click"])
    assert sum(each is not None for each in sample["click"]) > 30
    assert all(image.size == (64, 64) for image in sample["image"])
