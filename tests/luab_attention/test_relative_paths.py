"""Every source is read from a path relative to the working folder, as from an absolute one."""

from pathlib import Path

import pytest
from fixtures.attention_files import FOLDERS, NO_SIZES, SEEDS, VOC, write_files
from fixtures.converted import converted, write_images

from luab_attention.converting import convert
from luab_attention.readers import readers

SOURCES = [*((name, False) for name in SEEDS), *((name, True) for name in FOLDERS)]


def test_every_source_is_here():
    assert {name for name, _ in SOURCES} == set(readers())


@pytest.mark.parametrize(("name", "folder"), SOURCES)
def test_a_relative_path_gives_the_rows_of_an_absolute_one(tmp_path, monkeypatch, name, folder):
    file, content, options = ("", b"", {}) if folder else SEEDS[name]
    write_files(tmp_path / "in", FOLDERS[name] if folder else {file: content})
    write_images(tmp_path / "photos", {"a.jpg": (8, 6)})
    images = Path("photos") if name in NO_SIZES else None
    monkeypatch.chdir(tmp_path)
    relative = converted(tmp_path / "relative", name, Path("in") / file, images, **options)
    absolute = converted(tmp_path / "absolute", name, tmp_path / "in" / file, images, **options)
    assert relative.rejects == absolute.rejects
    assert relative.rows and relative.manifest.shards == absolute.manifest.shards  # their SHA-256


def test_true_boxes_and_the_output_may_be_relative_too(tmp_path, monkeypatch):
    write_files(tmp_path, {"in/a.csv": b"file,x,y\na.jpg,0.2,0.2\n", "boxes/a.xml": VOC.encode()})
    monkeypatch.chdir(tmp_path)
    manifest = convert("out", "table", "in/a.csv", boxes="boxes")
    assert manifest.facts["of these inside, as read"] == 1
