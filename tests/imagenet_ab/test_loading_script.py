"""`loading_scripts/imagenet_ab.py` as a user runs it: from any folder, with errors in one line."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from datasets import load_dataset
from fixtures.factories import raw_byproducts, raw_images

from imagenet_ab.build import build_imagenet_ab
from luab_data import script
from luab_data.errors import SourceError
from luab_data.hub.publish import require_publishable
from luab_data.script import build_options

SCRIPT = Path(__file__).resolve().parents[2] / "loading_scripts" / "imagenet_ab.py"


def test_builds_reports_and_the_folder_opens(tmp_path, clients):
    payloads = raw_images(tmp_path / "train")
    raw_byproducts(tmp_path / "ab.tar.gz", list(payloads)[1:])
    sources = ("--images", "train", "--byproducts", "ab.tar.gz", "--output-dir", "out")
    former = ("--config", "default", "--max-side", "20", "--num-proc", "2")
    result = clients.script(SCRIPT, *sources, *former, cwd=tmp_path)
    assert result.status == 0, result.output
    assert "images: 6 found = 6 in rows + 0 rejected" in result.output
    assert "byproducts: 5 found = 5 in rows + 0 rejected" in result.output
    rows = load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert {row["image"].size for row in rows} == {(20, 15)}
    card = (tmp_path / "out" / "README.md").read_text()
    assert "han2023neglected" in card
    assert "license_name: imagenet" in card
    assert str(tmp_path) not in card + (tmp_path / "out" / "summary.json").read_text()

    other = clients.script(SCRIPT, *sources, cwd=tmp_path)
    assert other.status == 1
    assert other.output.startswith("error: out='out' was built with other arguments")
    assert "max_side: 20 then, None now" in other.output


def test_the_card_of_the_byproducts_alone_says_nothing_of_image_files(tmp_path):
    raw_byproducts(tmp_path / "ab.tar.gz", list(raw_images(tmp_path / "train")))
    build_imagenet_ab(tmp_path / "out", byproducts=tmp_path / "ab.tar.gz", config="byproducts")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Every XML was parsed and checked" in card and "The XML records were read without images." in card
    assert "kept unchanged" not in card and "shrunk" not in card and "were joined" not in card


class InterruptedWhileDeleted:
    def __del__(self):
        raise KeyboardInterrupt


def test_an_interrupt_that_python_ignores_ends_the_build_all_the_same(tmp_path):
    def build(out, **arguments):
        InterruptedWhileDeleted()
        for _ in range(1000):  # at work
            time.sleep(0.01)

    arguments = build_options(None, "").parse_args(["--output-dir", str(tmp_path / "out")])
    before = sys.unraisablehook
    with pytest.raises(SystemExit) as ended:
        script.run(arguments, build)
    assert ended.value.code == 130
    assert sys.unraisablehook is before


@pytest.mark.parametrize("option", ["--output-dir", "--out"])
def test_the_folder_has_the_option_of_the_other_commands_and_the_first_one(option):
    assert build_options(None, "").parse_args([option, "folder"]).output_dir == Path("folder")


def test_help_names_every_option(tmp_path):
    """In a fresh interpreter, which finds the packages from any folder."""
    command = [sys.executable, str(SCRIPT), "--help"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    for option in (
        "--images",
        "--byproducts",
        "--output-dir OUT, --out OUT",
        "--max-side",
        "--num-proc",
        "--rows-per-shard",
        "--push-to-hub",
    ):
        assert option in result.stdout


def test_a_public_push_of_images_is_refused_before_anything_is_read(tmp_path, clients):
    result = clients.script(
        SCRIPT,
        "--images",
        "x",
        "--byproducts",
        "y",
        "--output-dir",
        "o",
        "--push-to-hub",
        "me/ab",
        "--public",
        cwd=tmp_path,
    )
    assert result.status == 1
    assert "may not be given away" in result.output
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("public", "with_images", "may", "refused"),
    [
        (True, True, False, True),
        (True, True, True, False),
        (True, False, False, False),
        (False, True, False, False),
    ],
)
def test_what_may_be_public(public, with_images, may, refused):
    if refused:
        with pytest.raises(SourceError, match="--i-may-publish-the-images"):
            require_publishable(public, with_images, may)
    else:
        require_publishable(public, with_images, may)


@pytest.mark.parametrize("option", [{"images": "somewhere"}, {"max_side": 64}])
def test_options_of_images_are_refused_where_there_are_none(tmp_path, option):
    with pytest.raises(SourceError, match="has no images: leave "):
        build_imagenet_ab(tmp_path / "out", config="byproducts", **option)
