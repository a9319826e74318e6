"""Mask images: binary, class maps, ImageNet-S's numbers, and files that are no masks."""

import pickle

import numpy as np
import pytest
from fixtures.converted import converted, write_images
from fixtures.factories import image_bytes
from PIL import Image

from luab_attention.convert.conversion import Conversion
from luab_attention.readers import reader_named
from luab_data.build.batches import groups
from luab_data.errors import SourceError


def save(path, values, format="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image_bytes(Image.fromarray(np.array(values, np.uint8)), format))


def inside(mask):
    return (np.asarray(mask["image"]) == 255).astype(int).tolist()


def test_binary_masks_in_class_folders(tmp_path):
    save(tmp_path / "m/cat/1_mask.png", [[0, 1, 255]])
    save(tmp_path / "m/dog/1_mask.png", [[9, 0, 0]])
    save(tmp_path / "m/dog/2.png", [[9, 0, 0]])
    images = write_images(tmp_path / "photos", {"1.jpg": (30, 10)})
    options = {"folders": "class", "mask_suffix": "_mask"}
    found = converted(tmp_path / "out", "mask_folders", tmp_path / "m", images, **options)
    assert [(m["label"], inside(m)) for m in found.rows["1"]["masks"]] == [(0, [[0, 1, 1]]), (1, [[1, 0, 0]])]
    assert found.rejects == {"dog/2.png": "its name does not end with '_mask'"}


def test_class_maps_give_a_mask_for_each_class(tmp_path):
    save(tmp_path / "m/a/1.png", [[0, 1, 2, 255]])
    save(tmp_path / "m/a/2.png", [[0, 3, 2, 2]])
    save(tmp_path / "m/a/3.png", [[0, 255, 0, 0]])
    save(tmp_path / "m/a/4.jpg", [[0, 1, 2, 2]], "JPEG")
    (tmp_path / "m/a/5.png").write_bytes(b"no image")
    (tmp_path / "m/a/6.png").write_bytes((tmp_path / "m/a/1.png").read_bytes()[:45])
    options = {"pixels": "classes", "names": ["cat", "dog"]}
    found = converted(tmp_path / "out", "mask_folders", tmp_path / "m", **options)
    row = found.rows["a/1"]
    assert [(m["label"], inside(m)) for m in row["masks"]] == [(0, [[0, 1, 0, 0]]), (1, [[0, 0, 1, 0]])]
    assert (row["width"], row["height"], row["labels"]) == (4, 1, [0, 1])
    texts = {"2": "the class 3, but there are 2 names", "3": "0 classes", "5": "not an image", "6": "decoded"}
    assert all(text in found.rejects[f"a/{name}.png"] for name, text in texts.items())
    assert "save it as PNG" in found.rejects["a/4.jpg"]


def test_imagenet_s_counts_red_and_green_and_ignores_1000(tmp_path):
    save(tmp_path / "m/n01440764/n01440764_9.png", [[[44, 1, 0], [232, 3, 0], [0, 0, 0], [5, 0, 0]]])
    save(tmp_path / "m/n01440764/n01440764_8.png", [[[232, 3, 0], [0, 0, 0]]])
    save(tmp_path / "m/n01440764/n01440764_7.png", [[[152, 3, 0], [0, 0, 0]]])  # 920
    found = converted(tmp_path / "out", "imagenet_s", tmp_path / "m")
    masks = found.rows["n01440764/n01440764_9"]["masks"]
    names = found.dataset.features["labels"].feature.names
    assert [(names[m["label"]], inside(m)) for m in masks] == [("5", [[0, 0, 0, 1]]), ("300", [[1, 0, 0, 0]])]
    assert "0 classes" in found.rejects["n01440764/n01440764_8.png"]
    assert "the class 920" in found.rejects["n01440764/n01440764_7.png"]
    (tmp_path / "names.txt").write_text("\n".join(f"c{n}" for n in range(1, 301)))
    found = converted(tmp_path / "2", "imagenet_s", tmp_path / "m", names=tmp_path / "names.txt")
    assert found.dataset.features["labels"].feature.names == ["c300", "c5"]


def test_imagenet_s_names_with_a_byte_order_mark(tmp_path):
    save(tmp_path / "m/a/1.png", [[[1, 0, 0], [0, 0, 0]]])
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbftench\r\ngoldfish\r\n")
    found = converted(tmp_path / "out", "imagenet_s", tmp_path / "m", names=tmp_path / "names.txt")
    assert found.dataset.features["labels"].feature.names == ["tench"]
    (tmp_path / "names.txt").write_bytes(b"ch\xe8vre\n")
    with pytest.raises(SourceError, match=r"--names .*line 1: byte 0xe8 is not UTF-8"):
        converted(tmp_path / "2", "imagenet_s", tmp_path / "m", names=tmp_path / "names.txt")


def test_options_that_contradict_each_other_are_an_error(tmp_path):
    save(tmp_path / "m/a.png", [[1]])
    for options in ({"names": ["a"]}, {"ignore": [9]}, {"folders": "class", "pixels": "classes"}):
        with pytest.raises(SourceError, match="goes with"):
            converted(tmp_path / "out", "mask_folders", tmp_path / "m", **options)


@pytest.mark.parametrize("reader", ["mask_folders", "imagenet_s"])
def test_rows_are_made_where_the_mask_files_are_not(tmp_path, reader):
    save(tmp_path / "m/a/1.png", [[[1, 0, 0], [2, 0, 0], [0, 0, 0]]])
    save(tmp_path / "m/a/2.png", [[[1, 0, 0], [0, 0, 0], [0, 0, 0]]])
    options = {"pixels": "classes"} if reader == "mask_folders" else {}
    raw = Conversion(
        reader_named(reader).read(tmp_path / "m", **options), reader_named(reader).source, tmp_path / "m"
    )
    save(tmp_path / "m/a/2.png", [[0]], "JPEG")  # changed since
    (group,) = groups(raw.pairs(), 10)
    size = (tmp_path / "m/a/1.png").stat().st_size
    assert group[0].byproducts.nbytes == size  # one file, whatever the number of its classes
    for file in (tmp_path / "m/a").iterdir():
        file.unlink()
    elsewhere = pickle.loads(pickle.dumps((raw.to_batch(), group)))
    made = elsewhere[0](elsewhere[1], raw.features().arrow_schema)
    (row,) = made.table.to_pylist()
    assert row["image_id"] == "a/1" and len(row["masks"]) == 2
    assert [(reject.id, reject.reason) for reject in made.rejects] == [
        ("a/2.png", "a mask in JPEG, which may have lost its values: save it as PNG")
    ]


def test_a_mask_file_that_is_gone_rejects_its_record_alone(tmp_path):
    save(tmp_path / "m/cat/1.png", [[1]])
    save(tmp_path / "m/dog/1.png", [[1]])
    reader = reader_named("mask_folders")
    records = reader.read(tmp_path / "m", folders="class")
    raw = Conversion(records, reader.source, tmp_path / "m")
    (tmp_path / "m/cat/1.png").unlink()
    made = raw.to_batch()([pair.load() for pair in raw.pairs()], raw.features().arrow_schema)
    (row,) = made.table.to_pylist()
    assert [mask["label"] for mask in row["masks"]] == [1]
    assert [reject.id for reject in made.rejects] == ["cat/1.png"]
    assert "internal error" not in made.rejects[0].reason
