"""The images of `luab convert` from a dataset on the Hub: any split of any configuration."""

import io
import zipfile

import datasets
import pytest
from fixtures.factories import image_bytes, noise_image

from luab_attention.converting import convert
from luab_data.errors import SourceError

CARD = b"""---
configs:
- config_name: small
  data_files: [{split: train, path: small/train.parquet}, {split: val, path: small/val.parquet}]
- config_name: large
  data_files: [{split: train, path: large/train.parquet}]
---
"""


def parquet(name, width, **columns):
    image = {"bytes": image_bytes(noise_image(width, 6), "PNG"), "path": name}
    rows = datasets.Dataset.from_dict({"image": [image], **columns})
    buffer = io.BytesIO()
    rows.cast_column("image", datasets.Image()).to_parquet(buffer)
    return buffer.getvalue()


def width_of(folder, choice):
    """The width of the row's image, or the error's line."""
    try:
        convert(folder / "out", "table", folder / "a.csv", "you/photos", **choice)
    except SourceError as error:
        return str(error)
    return datasets.load_dataset(str(folder / "out"), split="train")[0]["width"]


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ({"images_config": "small", "images_split": "val"}, 9),
        ({"images_config": "large"}, 10),
        ({"images_config": "small"}, 8),
        ({"images_config": "small", "images_split": "test"}, "--images-split 'test' of images='you/photos'"),
        ({"images_config": "huge"}, "--images-config 'huge' of images='you/photos'"),
        ({}, "--images-config of images='you/photos': Config name is missing"),
    ],
)
def test_a_split_of_a_configuration(hub, clients, tmp_path, choice, found):
    files = {"small/train.parquet": 8, "small/val.parquet": 9, "large/train.parquet": 10}
    parquets = {path: parquet("a.png", width) for path, width in files.items()}
    hub.add("dataset", "you/photos").add(**{"README.md": CARD, **parquets})
    (tmp_path / "a.csv").write_text("file,x,y\na.png,0.5,0.5\n")
    result = clients.call(width_of, tmp_path, choice)
    assert result.status == 0, result.output
    assert result.value == found if isinstance(found, int) else found in result.value


def test_images_that_are_named_by_a_column(hub, clients, tmp_path):
    named = parquet(None, 9, image_id=["photos/a"], label=[1])
    hub.add("dataset", "you/photos").add(**{"train.parquet": named})
    (tmp_path / "a.csv").write_text("file,x,y\na.png,0.5,0.5\n")
    result = clients.call(width_of, tmp_path, {})
    assert result.status == 0, result.output
    assert result.value == 9


@pytest.mark.parametrize("packed", [False, True])
def test_images_that_are_files_of_the_repository(hub, clients, tmp_path, packed):
    image = image_bytes(noise_image(9, 6), "PNG")
    files = {"train/a.png": image, "train/b.png": image}
    if packed:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        files = {"train.zip": buffer.getvalue()}
    hub.add("dataset", "you/photos").add(**files)
    (tmp_path / "a.csv").write_text("file,x,y\na.png,0.5,0.5\n")
    result = clients.call(width_of, tmp_path, {})
    assert result.status == 0, result.output
    assert result.value == 9


@pytest.mark.parametrize("width", [9, 10])
def test_several_images_of_a_name_end_a_stream_and_the_same_image_again_does_not(
    hub, clients, tmp_path, width
):
    images = [
        (name, image_bytes(noise_image(side, 6), "PNG"))
        for name, side in (("a/1.png", 9), ("b/1.png", width))
    ]
    rows = datasets.Dataset.from_dict(
        {"image": [{"bytes": content, "path": name} for name, content in images]}
    )
    buffer = io.BytesIO()
    rows.cast_column("image", datasets.Image()).to_parquet(buffer)
    hub.add("dataset", "you/photos").add(**{"train.parquet": buffer.getvalue()})
    (tmp_path / "a.csv").write_text("file,x,y\n1.png,0.5,0.5\n")
    result = clients.call(width_of, tmp_path, {})
    assert result.status == 0, result.output
    if width == 9:
        assert result.value == 9
        assert "the same image again" in (tmp_path / "out/rejects.jsonl").read_text()
    else:
        assert "several images that fit the name '1'" in result.value
        assert "download the dataset and pass its folder" in result.value
