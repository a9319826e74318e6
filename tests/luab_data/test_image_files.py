"""Which files of a folder are evaluated: those that `datasets` reads, and what is left out is said."""

import os
import shutil

import datasets
import pytest
from fixtures.miniatures import color_classifier, paint, save_checkpoint, score

from luab.commands.evaluate import main
from luab_data.images.files import image_files, list_images
from luab_data.images.pillow import SUFFIXES
from luab_eval.image_sets.class_maps import wnids
from luab_eval.image_sets.folders import Folder

CLASSES = (101, 444)


@pytest.fixture
def photos(tmp_path):
    """Two classes of images under every suffix, in capitals, and in folders of folders."""
    folder = tmp_path / "photos"
    for k in CLASSES:
        for suffix in SUFFIXES:
            paint(folder / wnids()[k] / f"0{suffix}", k)
        paint(folder / wnids()[k] / "1.JPG", k)
        paint(folder / wnids()[k] / "more" / "and more" / "2.png", k)
    return folder


@pytest.fixture
def littered(photos):
    """The same with all that may lie beside images."""
    paint(photos / "stray.png", 444)
    for name in ("README.md", "101.txt", "noname", ".DS_Store"):
        (photos / name).write_text("")
    own = photos / wnids()[101]
    (own / ".hidden").mkdir()
    paint(own / ".hidden" / "3.png", 101)
    os.mkfifo(own / "pipe.png")
    for name in ("round", "and round"):  # in circles
        (own / "more" / name).symlink_to(photos, target_is_directory=True)
        (photos / name).symlink_to(".", target_is_directory=True)
    paint(photos.parent / "private.png", 101)
    (own / "out.png").symlink_to(photos.parent / "private.png")
    (own / "absent.png").symlink_to("nothing.png")
    (own / "zero.png").symlink_to("/dev/zero")
    (own / "again.png").symlink_to("0.png")  # stays in the folder: an image
    return photos


def test_reads_what_datasets_reads(photos):
    rows = datasets.load_dataset("imagefolder", data_dir=str(photos), split="train")
    files = {image["path"] for image in rows.cast_column("image", datasets.Image(decode=False))["image"]}
    listing = list_images(photos)
    evaluated = {str(photos / name / image) for name in listing.classes for image in listing.images[name]}
    assert files <= evaluated
    assert len(evaluated) == len(listing) == 2 * (len(SUFFIXES) + 2)
    right = score(Folder(f"mine={photos}"), photos.parent, color_classifier()).per_image
    assert right.tolist() == [1, 1]  # all files of a class are one picture


def test_what_is_left_out_is_counted_and_nothing_hangs(littered):
    found = list_images(littered)
    assert found.classes == [wnids()[k] for k in CLASSES]
    assert len(found) == 2 * (len(SUFFIXES) + 2) + 1
    assert found.images[wnids()[101]] == sorted(found.images[wnids()[101]])
    assert found.note() == (
        "3 files that are no images (.md, .txt, no suffix), 1 image in no class folder, "
        "4 links to folders, 3 links out of the folder, 1 pipe or device, 2 hidden entries"
    )


def test_a_link_within_the_hubs_cache_is_followed(tmp_path):
    home = tmp_path / "datasets--me--photos"
    paint(home / "blobs" / "0a1b", 101)
    own = home / "snapshots" / "main" / wnids()[101]
    own.mkdir(parents=True)
    (own / "0.png").symlink_to("../../../blobs/0a1b")
    assert list_images(home / "snapshots" / "main").images == {wnids()[101]: ["0.png"]}


def test_published_folders_keep_their_layout(littered):
    own = littered / wnids()[101]
    names = {*(f"0{suffix}" for suffix in SUFFIXES), "1.JPG", "again.png", "out.png"}
    assert image_files(own) == sorted(names)


def test_the_report_says_what_was_left_out(littered, tmp_path, capsys):
    save_checkpoint(tmp_path / "model")
    out = tmp_path / "out"
    named = f"folder:mine={littered},occlusion:mine={littered}@0"
    options = ["--model", str(tmp_path / "model"), "--benchmarks", named, "--output-dir", str(out)]
    assert main([*options, "--num-workers", "0", "--device", "cpu"]) == 0
    note = "3 files that are no images (.md, .txt, no suffix)"
    shown = " ".join(capsys.readouterr().out.split())
    for text in (shown, (out / "report.md").read_text("utf-8"), (out / "report.html").read_text("utf-8")):
        said = f"Left out of Image folder (mine), Center occlusion (mine@0): {note}"
        assert text.count(said) == text.count(note) == 1


def test_a_folder_without_images_says_what_it_has(littered, tmp_path):
    for k in CLASSES:
        shutil.rmtree(littered / wnids()[k])
        (littered / wnids()[k]).mkdir()
    (littered / wnids()[101] / "photo.heic").write_text("")
    problem = Folder(f"mine={littered}").missing(tmp_path)
    assert "class folders without images (.jpg, " in problem
    assert "left out: 4 files that are no images (.heic, .md, .txt, no suffix)" in problem
