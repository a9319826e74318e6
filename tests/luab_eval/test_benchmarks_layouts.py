"""Files that are absent, partial or not as published: the message shows what was expected and found."""

from pathlib import Path

import pytest
from fixtures.miniatures import paint

from luab_eval.benchmarks import find_benchmark
from luab_eval.benchmarks.backgrounds import VARIANTS
from luab_eval.benchmarks.corruptions import CORRUPTIONS
from luab_eval.image_sets.class_maps import wnids
from luab_eval.suite import usable


def problem(name: str, root: Path, partial: bool = False) -> str:
    message = find_benchmark(name).missing(root, partial)
    assert message is not None
    assert "expected" in message and "found" in message
    return message


@pytest.fixture(scope="module")
def complete_val(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("complete")
    for k, wnid in enumerate(wnids()):
        paint(root / "imagenet" / "val" / wnid / f"ILSVRC2012_val_{k + 1:08d}.JPEG", k)
    return root


def test_a_complete_layout_has_no_problem(complete_val):
    for name in ("imagenet", "real", "occlusion"):
        assert find_benchmark(name).missing(complete_val) is None


def test_hidden_and_foreign_files_are_no_problem(complete_val):
    val = complete_val / "imagenet" / "val"
    (val / "valprep.sh").write_text("")
    (val / ".DS_Store").write_text("")
    (val / ".ipynb_checkpoints").mkdir()
    (val / wnids()[0] / "._ILSVRC2012_val_00000001.JPEG").write_text("")
    assert find_benchmark("imagenet").missing(complete_val) is None
    (images,) = find_benchmark("imagenet").image_sets(complete_val)
    assert len(images.items) == 1000


def test_absent_folders_name_where_they_were_looked_for(tmp_path):
    message = problem("imagenet_a", tmp_path)
    assert "imagenet-a/<wnid>/<image>" in message
    assert str(tmp_path) in message


def test_partial_class_folders_are_an_error_unless_wanted(tmp_path):
    paint(tmp_path / "imagenet-r" / wnids()[1] / "a.jpg", 1)
    message = problem("imagenet_r", tmp_path)
    assert "1 of 200 class folders" in message
    assert "--partial" in message
    assert find_benchmark("imagenet_r").missing(tmp_path, partial=True) is None


def test_folders_of_other_classes_are_always_an_error(tmp_path):
    paint(tmp_path / "imagenet-a" / wnids()[0] / "a.jpg", 0)  # tench is not one of ImageNet-A's 200
    assert wnids()[0] in problem("imagenet_a", tmp_path, partial=True)


def test_v2_with_wnid_folders(tmp_path):
    paint(tmp_path / "imagenetv2-matched-frequency" / wnids()[0] / "a.jpg", 0)
    assert wnids()[0] in problem("imagenet_v2", tmp_path, partial=True)


def test_class_folders_without_images(tmp_path):
    (tmp_path / "sketch" / wnids()[0]).mkdir(parents=True)
    assert "without images" in problem("imagenet_sketch", tmp_path, partial=True)


def test_flat_images_without_a_ground_truth(tmp_path):
    paint(tmp_path / "imagenet" / "val" / "ILSVRC2012_val_00000001.JPEG", 1)
    message = problem("imagenet", tmp_path)
    assert "LOC_val_solution.csv" in message and "ILSVRC2012_validation_ground_truth.txt" in message


def test_flat_images_that_the_ground_truth_does_not_know(tmp_path):
    paint(tmp_path / "imagenet" / "val" / "ILSVRC2012_val_00000001.JPEG", 1)
    (tmp_path / "imagenet" / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n")
    assert "ILSVRC2012_val_00000001.JPEG" in problem("imagenet", tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [("a,b\n1,2\n", "ImageId and PredictionString"), ("ImageId,PredictionString\nx,cat 1\n", "cat")],
)
def test_tables_that_are_not_kaggles(tmp_path, table, message):
    paint(tmp_path / "imagenet" / "val" / "ILSVRC2012_val_00000001.JPEG", 1)
    (tmp_path / "imagenet" / "LOC_val_solution.csv").write_text(table)
    assert message in problem("imagenet", tmp_path)


def test_validation_images_that_are_not_where_they_are_said_to_be(tmp_path):
    message = find_benchmark("imagenet", val=str(tmp_path / "nowhere")).missing(tmp_path)
    assert f"found no folder {tmp_path / 'nowhere'} (--val)" in message


def test_real_needs_the_images_numbers(tmp_path):
    paint(tmp_path / "imagenet" / "val" / wnids()[0] / "renamed.jpg", 0)
    with pytest.raises(ValueError, match=r"ILSVRC2012_val_00000001.*renamed\.jpg"):
        next(find_benchmark("real").image_sets(tmp_path))


def test_missing_corruptions_and_severities_are_named(tmp_path):
    for corruption in CORRUPTIONS[1:]:
        for severity in range(1, 6):
            paint(tmp_path / "imagenet-c" / corruption / str(severity) / wnids()[0] / "a.JPEG", 0)
    assert "no gaussian_noise" in problem("imagenet_c", tmp_path)
    for severity in (1, 2, 3, 5):
        paint(tmp_path / "imagenet-c" / "gaussian_noise" / str(severity) / wnids()[0] / "a.JPEG", 0)
    assert "gaussian_noise/4" in problem("imagenet_c", tmp_path, partial=True)


def test_missing_background_variants_are_named(tmp_path):
    for variant in VARIANTS[:2]:
        paint(tmp_path / "bg_challenge" / variant / "val" / "00_dog" / "a.JPEG", 0)
    assert "mixed_rand/val" in problem("backgrounds", tmp_path, partial=True)
    paint(tmp_path / "bg_challenge" / "mixed_rand" / "val" / "00_dog" / "a.JPEG", 0)
    assert find_benchmark("backgrounds").missing(tmp_path, partial=True) is None
    assert "only_bg_t/val" in problem("backgrounds", tmp_path)


def test_imagenet_o_needs_the_validation_set(tmp_path):
    for wnid in (wnids()[1], wnids()[51]):
        paint(tmp_path / "imagenet-o" / wnid / "a.jpg", 0)
    assert "imagenet/val" in problem("imagenet_o", tmp_path, partial=True)


def test_a_suite_skips_the_absent_and_stops_at_the_partial(tmp_path):
    paint(tmp_path / "imagenet-r" / wnids()[1] / "a.jpg", 1)
    benchmarks = [find_benchmark(name) for name in ("imagenet_a", "imagenet_r")]
    with pytest.raises(ValueError, match=r"imagenet_r: expected .*imagenet-r/<wnid>"):
        usable(benchmarks, tmp_path, skip_absent=True)
    present, absent = usable(benchmarks, tmp_path, skip_absent=True, partial=True)
    assert [benchmark.name for benchmark in present] == ["imagenet_r"]
    assert "imagenet-a.tar" in absent["imagenet_a"]
    with pytest.raises(ValueError, match="imagenet_a: expected"):
        usable(benchmarks, tmp_path, skip_absent=False, partial=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("imagenet_z", "no benchmark 'imagenet_z'"),
        ("imagenet:3", "takes no argument"),
        ("occlusion:2", "0 to 1"),
        ("occlusion:half", "0 to 1"),
        ("occlusion:toy=val@2", "0 to 1"),
        ("occlusion:toy=", "SIDE, NAME=PATH, NAME=DATASET@SPLIT"),
        ("folder:val", "folder:NAME=PATH"),
    ],
)
def test_benchmarks_that_cannot_be_meant(text, message):
    with pytest.raises(ValueError, match=message):
        find_benchmark(text)


def test_two_benchmarks_of_one_name(tmp_path):
    paint(tmp_path / "val" / "a" / "a.png", 0)
    twice = [find_benchmark("folder:val=val"), find_benchmark("folder:val=val")]
    with pytest.raises(ValueError, match="twice: val"):
        usable(twice, tmp_path, skip_absent=False)
