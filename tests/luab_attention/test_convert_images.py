"""The images of a conversion: folder, zip, tar, Parquet; names that fit by their end, twice, or not."""

import json
import zipfile

import datasets
import pytest
from fixtures.converted import converted, near, write_images
from fixtures.factories import image_bytes, noise_image, write_tar

from luab_attention.convert.image_keys import ends, image_key, name_in_url
from luab_attention.converting import convert
from luab_data.errors import RejectedRecord, SourceError
from luab_data.rows.parquet_sizes import ParquetRows

FILES = {"cat/1.jpg": (8, 6), "dog/1.jpg": (8, 6), "cat/2.jpg": (8, 6)}


def table(path, *names):
    path.write_text("file,x,y\n" + "".join(f"{name},0.5,0.5\n" for name in names))
    return path


def packed(tmp_path, kind):
    folder = write_images(tmp_path / "photos", FILES)
    members = [(f"photos/{name}", (folder / name).read_bytes()) for name in FILES]
    if kind == "folder":
        return folder
    if kind == "tar":
        return write_tar(tmp_path / "photos.tar", members)
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
            for name, content in members:
                archive.writestr(name, content)
        return tmp_path / "photos.zip"
    rows = {"image": [{"path": name, "bytes": content} for name, content in members]}
    (tmp_path / "parquet").mkdir()
    features = datasets.Features({"image": datasets.Image()})
    datasets.Dataset.from_dict(rows, features).to_parquet(tmp_path / "parquet" / "train-0.parquet")
    return tmp_path / "parquet"


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "parquet"])
def test_images_are_found_wherever_they_are(tmp_path, kind):
    images = packed(tmp_path, kind)
    found = converted(
        tmp_path / "out", "table", table(tmp_path / "a.csv", "dog/1.jpg", "2", "cat/9.jpg"), images
    )
    assert sorted(found.rows) == ["2", "dog/1"]
    for key, name in (("dog/1", "dog/1.jpg"), ("2", "cat/2.jpg")):
        assert found.rows[key]["image"]["bytes"] == (tmp_path / "photos" / name).read_bytes()
    assert found.rejects == {"a.csv, line 4": "its image cat/9: there is no image of this name"}
    assert found.manifest.found["images"] == 2 and found.manifest.ignored["images"] == 1


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "parquet"])
def test_a_name_that_fits_two_files_is_rejected(tmp_path, kind):
    images = packed(tmp_path, kind)
    found = converted(tmp_path / "out", "table", table(tmp_path / "a.csv", "1.jpg", "2.jpg"), images)
    assert list(found.rows) == ["2"]
    assert found.rows["2"]["image"]["bytes"] == (tmp_path / "photos/cat/2.jpg").read_bytes()
    reason = found.rejects["a.csv, line 2"]
    assert "cat/1.jpg and " in reason and "dog/1.jpg: name it with its folder, or pass the folder" in reason
    assert found.manifest.found == {"images": 3, "byproducts": 2}
    assert found.manifest.rejected == {"byproducts": 1, "images": 2}
    assert found.manifest.ignored == {"byproducts": 0, "images": 0}


def test_each_of_many_files_of_a_name_is_counted(tmp_path):
    sizes = dict.fromkeys(["a/1.jpg", "b/1.jpg", "c/1.jpg", "d/2.jpg", "d/3.jpg"], (8, 6))
    images = write_images(tmp_path / "photos", sizes)
    found = converted(tmp_path / "out", "table", table(tmp_path / "a.csv", "1.jpg", "2.jpg"), images)
    assert (found.manifest.found["images"], found.manifest.ignored["images"]) == (4, 1)
    assert sorted(found.rejects) == ["1", "a.csv, line 2", "b/1.jpg", "c/1.jpg"]
    assert "fits a/1.jpg, b/1.jpg, c/1.jpg: name it" in found.rejects["b/1.jpg"]


def test_two_rows_of_one_name_are_two_images(tmp_path):
    rows = [
        {"bytes": image_bytes(noise_image(8, 6, seed), "PNG"), "path": name}
        for seed, name in enumerate(["a.png", "a.png", "b.png"])
    ]
    images = images_in_parquet(tmp_path / "images", train=rows)
    found = converted(tmp_path / "out", "table", table(tmp_path / "a.csv", "a.png", "b.png"), images)
    assert list(found.rows) == ["b"]
    assert "its name fits 2 images called a.png: keep one" in found.rejects["a.csv, line 2"]


def test_names_are_read_without_images(tmp_path, monkeypatch):
    images, read = packed(tmp_path, "parquet"), []
    batches = ParquetRows.batches

    def noted(self, *args, **options):
        for batch in batches(self, *args, **options):
            read.append(batch.schema)
            yield batch

    monkeypatch.setattr(ParquetRows, "batches", noted)
    converted(tmp_path / "out", "table", table(tmp_path / "a.csv", "1.jpg", "2.jpg"), images)
    assert [schema.field("image").type.num_fields for schema in read] == [1, 2]  # the path, then both


def test_pixels_are_those_of_the_image_before_it_is_shrunk(tmp_path):
    images = write_images(tmp_path / "photos", {"cat/1.jpg": (400, 200)})
    (tmp_path / "a.csv").write_text("file,x,y\ncat/1.jpg,100,50\n")
    for side in (None, 100):
        options = {"units": "pixels", "max_side": side}
        found = converted(tmp_path / f"out{side}", "table", tmp_path / "a.csv", images, **options)
        assert found.rows["cat/1"]["points"] == [{"x": 0.25, "y": 0.25}]
        assert found.rows["cat/1"]["width"] == (side or 400)


def test_a_source_may_know_more_folders_than_there_are(tmp_path):
    images = packed(tmp_path, "folder") / "dog"
    path = table(tmp_path / "a.csv", "C:\\all\\dog\\1.jpg")
    found = converted(tmp_path / "out", "table", path, images)
    assert list(found.rows) == ["C:/all/dog/1"]


def test_cocos_ids_match_with_and_without_zeros(tmp_path):
    sizes = {"COCO_val2014_000000000009.jpg": (8, 6), "000000000012.jpg": (9, 6), "x/30.jpg": (10, 6)}
    images = write_images(tmp_path / "photos", sizes)
    path = table(tmp_path / "a.csv", "9", "12.jpg", "COCO_val2014_000000000030.jpg", "00012.jpg")
    found = converted(tmp_path / "out", "table", path, images)
    assert {name: row["width"] for name, row in found.rows.items()} == {
        "9": 8, "12": 9, "000000000030": 10,
    }  # fmt: skip
    assert found.rejects == {"a.csv, line 5": "its image 00012: there is no image of this name"}


def test_numbers_of_12_digits_keep_their_folders(tmp_path):
    names = ("cat/000000000001.jpg", "dog/000000000001.jpg", "dog/COCO_val2014_000000000002.jpg")
    images = write_images(tmp_path / "photos", dict(zip(names, [(8, 6), (9, 6), (10, 6)], strict=True)))
    (tmp_path / "a.csv").write_text(
        "file,x,y,label\n" + "".join(f"{name},0.5,0.5,{name[:3]}\n" for name in names)
    )
    for place in (None, images):
        found = converted(tmp_path / f"out{place is None}", "table", tmp_path / "a.csv", place)
        classes = found.dataset.features["label"].names
        assert {key: classes[row["label"]] for key, row in found.rows.items()} == {
            "cat/000000000001": "cat", "dog/000000000001": "dog", "dog/000000000002": "dog",
        }  # fmt: skip
        assert not found.rejects
    assert [row["width"] for row in found.rows.values()] == [8, 9, 10]


def test_cocos_ids_in_folders_match_with_and_without_zeros(tmp_path):
    sizes = {"9.jpg": (8, 6), "val/12.jpg": (9, 6), "COCO_val2014_000000000030.jpg": (10, 6)}
    images = write_images(tmp_path / "photos", sizes)
    names = ("val/COCO_val2014_000000000009.jpg", "val/000000000012.jpg", "all/val/30.jpg")
    found = converted(tmp_path / "out", "table", table(tmp_path / "a.csv", *names), images)
    assert {name: row["width"] for name, row in found.rows.items()} == {
        "val/000000000009": 8, "val/000000000012": 9, "all/val/30": 10,
    }  # fmt: skip


def test_a_damaged_image_costs_its_records_alone(tmp_path):
    images = packed(tmp_path, "folder")
    (images / "cat/2.jpg").write_bytes(image_bytes(noise_image(300, 300), "PNG")[:400])
    found = converted(tmp_path / "out", "table", table(tmp_path / "a.csv", "dog/1.jpg", "2", "2"), images)
    assert list(found.rows) == ["dog/1"]
    assert sorted(found.rejects) == ["2", "a.csv, line 3", "a.csv, line 4"]


def test_a_choice_among_files_is_an_error(tmp_path):
    path, images = table(tmp_path / "a.csv", "cat/1.jpg"), packed(tmp_path, "folder")
    with pytest.raises(SourceError, match="--images-split val goes with a dataset on the Hub"):
        convert(tmp_path / "out", "table", path, images, images_split="val")
    with pytest.raises(SourceError, match="go with --images"):
        convert(tmp_path / "out", "table", path, images_config="small")


def images_in_parquet(folder, **splits):
    """A Parquet file a split, with the rows of its column `image`."""
    features = datasets.Features({"image": datasets.Image()})
    (folder / "data").mkdir(parents=True)
    for split, rows in splits.items():
        dataset = datasets.Dataset.from_dict({"image": rows}, features)
        dataset.to_parquet(folder / f"data/{split}-00000-of-00001.parquet")
    return folder


@pytest.mark.parametrize(
    ("split", "found"),
    [
        (None, ["a"]),
        ("validation", ["b"]),
        ("train+validation", ["a", "b"]),
        ("all", ["a", "b"]),
        ("", "--images-split ''"),
        ("train[:1]", "--images-split 'train\\[:1\\]'"),
    ],
)
def test_the_splits_of_a_parquet_folder(tmp_path, split, found):
    stored = image_bytes(noise_image(8, 6), "PNG")
    a, b = ([{"bytes": stored, "path": name}] for name in ("a.png", "b.png"))
    images = images_in_parquet(tmp_path / "images", train=a, validation=b)
    path = table(tmp_path / "a.csv", "a.png", "b.png")
    if isinstance(found, str):
        with pytest.raises(SourceError, match=found):
            convert(tmp_path / "out", "table", path, images, images_split=split)
    else:
        assert list(converted(tmp_path / "out", "table", path, images, images_split=split).rows) == found


def test_the_images_of_another_conversion(tmp_path):
    images = packed(tmp_path, "folder")
    path = table(tmp_path / "a.csv", "dog/1.jpg", "2")
    first = converted(tmp_path / "first", "table", path, images)
    second = converted(tmp_path / "second", "table", path, tmp_path / "first")
    assert sorted(second.rows) == ["2", "dog/1"]
    assert second.rows == first.rows
    assert second.manifest.rejected == {"byproducts": 0, "images": 0}


def test_an_image_without_a_name_is_rejected(tmp_path):
    stored = image_bytes(noise_image(8, 6), "PNG")
    rows = [{"bytes": stored, "path": "a.png"}, {"bytes": stored, "path": None}]
    images = images_in_parquet(tmp_path / "images", train=rows)
    found = converted(tmp_path / "out", "table", table(tmp_path / "a.csv", "a.png"), images)
    assert found.rejects == {"row 1": "no file name of the image and no text in image_id tell its id"}


def test_an_image_that_is_null_is_rejected_by_its_id(tmp_path):
    stored = image_bytes(noise_image(8, 6), "PNG")
    features = datasets.Features({"image": datasets.Image(), "image_id": datasets.Value("string")})
    rows = {"image": [{"bytes": stored, "path": None}, None], "image_id": ["a", "b"]}
    (tmp_path / "images").mkdir()
    datasets.Dataset.from_dict(rows, features).to_parquet(tmp_path / "images" / "train-0.parquet")
    found = converted(tmp_path / "out", "table", table(tmp_path / "a.csv", "a", "b"), tmp_path / "images")
    assert list(found.rows) == ["a"]
    assert found.rejects["b"] == "the row has no image"


def test_a_path_in_a_parquet_file_is_never_opened(tmp_path):
    kept = tmp_path / "b.png"
    kept.write_bytes(image_bytes(noise_image(8, 6), "PNG"))
    rows = [{"bytes": kept.read_bytes(), "path": "a.png"}, {"bytes": None, "path": str(kept)}]
    images = images_in_parquet(tmp_path / "images", train=rows)
    found = converted(tmp_path / "out", "table", table(tmp_path / "a.csv", "a.png", "b.png"), images)
    assert list(found.rows) == ["a"]
    assert "the dataset has the image's path alone, without its bytes" in found.rejects.values()


def test_a_place_without_images_is_an_error(tmp_path):
    path = table(tmp_path / "a.csv", "1.jpg")
    (tmp_path / "a.tar.gz").write_bytes(b"\x1f\x8b" + bytes(600))
    for images, message in ((tmp_path / "a.tar.gz", "compressed tar"), ("no/such/place", "neither a folder")):
        with pytest.raises(SourceError, match=message):
            converted(tmp_path / "out", "table", path, images)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("a/b.JPG", "a/b"),
        ("./a//b.tar.png", "a/b.tar"),
        ("COCO_val2014_000000000009.jpg", "000000000009"),
        ("val2017/000000000009.jpg", "val2017/000000000009"),
        ("val2014/COCO_val2014_000000000009.jpg", "val2014/000000000009"),
        ("n01440764_1.JPEG", "n01440764_1"),
        ("e\u0301.png", "\u00e9"),
        ("no suffix", "no suffix"),
    ],
)
def test_keys_of_images(name, key):
    assert image_key(name) == key


@pytest.mark.parametrize("name", ["", "a/../b", "a\x00b", "x" * 501, "/"])
def test_names_that_are_no_keys(name):
    with pytest.raises(RejectedRecord):
        image_key(name)


def test_ends_and_addresses():
    assert list(ends("a/b/c")) == ["a/b/c", "b/c", "c"]
    assert name_in_url("https://host/x%20y/1.jpg?token=1") == "/x y/1.jpg"
    assert name_in_url("/data/local-files/?d=cats%2F1.jpg") == "cats/1.jpg"
    assert name_in_url("what?.jpg") == "what?.jpg"
    with pytest.raises(RejectedRecord, match="is no address of an image: Invalid IPv6 URL"):
        name_in_url("http://[x/1.jpg")


def test_true_boxes_that_fit_an_image_twice_are_said(tmp_path, capsys, caplog):
    xml = (
        "<annotation><size><width>8</width><height>6</height></size><object><name>cat</name><bndbox>"
        "<xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>4</ymax></bndbox></object></annotation>"
    )
    for name in ("a/1.xml", "b/1.xml", "a/2.xml"):
        (tmp_path / "boxes" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "boxes" / name).write_text(xml)
    path = table(tmp_path / "a.csv", "1.jpg", "2.jpg")
    found = converted(tmp_path / "out", "table", path, boxes=tmp_path / "boxes", boxes_reader="voc")
    assert [len(row["objects"]["bbox"]) for row in found.rows.values()] == [0, 1]
    said = capsys.readouterr().err + caplog.text
    assert "true boxes: 1 image has none, because several fit the name, such as 1: a/1 and b/1" in said


def test_links_out_of_the_folder_are_rejected_at_any_depth(tmp_path):
    images = write_images(tmp_path / "photos", {"cat/1.jpg": (8, 6), "2.jpg": (8, 6)})
    write_images(tmp_path / "secret", {"s.jpg": (9, 9)})
    for link in ("out.jpg", "cat/out2.jpg"):
        (images / link).symlink_to(tmp_path / "secret/s.jpg")
    (images / "nowhere.jpg").symlink_to("absent.jpg")
    (images / "again.jpg").symlink_to("cat/1.jpg")
    names = ("2.jpg", "out.jpg", "cat/out2.jpg", "nowhere.jpg", "again.jpg")
    found = converted(tmp_path / "out", "table", table(tmp_path / "a.csv", *names), images)
    assert sorted(found.rows) == ["2", "again"]
    reasons = [found.rejects[f"a.csv, line {number}"] for number in (3, 4, 5)]
    texts = ("out of the folder", "out of the folder", "leads nowhere")
    assert [text in reason for text, reason in zip(texts, reasons, strict=True)] == 3 * [True], reasons
    assert found.rows["again"]["image"]["bytes"] == (images / "cat/1.jpg").read_bytes()


def test_linked_folders_are_named_where_an_image_is_missing(tmp_path):
    write_images(tmp_path / "all", {"cat/1.jpg": (8, 6), "dog/2.jpg": (8, 6)})
    images = write_images(tmp_path / "photos", {"dog/2.jpg": (8, 6)})
    (images / "cat").symlink_to(tmp_path / "all/cat")
    (images / "dog/more").symlink_to(tmp_path / "all/dog")
    (images / "dog/3.jpg").symlink_to(tmp_path / "all/dog/2.jpg")
    names = table(tmp_path / "a.csv", "cat/1.jpg", "dog/2.jpg", "dog/3.jpg")
    found = converted(tmp_path / "out", "table", names, images)
    said = "2 linked folders are not followed (cat, dog/more): pass the folder itself, or put a copy in"
    assert list(found.rows) == ["dog/2"]
    assert f"there is no image of this name; {said}" in found.rejects["a.csv, line 2"]
    assert found.rejects["a.csv, line 4"].endswith("in its place, or pass the folder that the links lead to")
    with pytest.raises(SourceError, match=r"dog/3.jpg; .* called cat/1. 2 linked folders are not"):
        converted(tmp_path / "none", "table", table(tmp_path / "b.csv", "cat/1.jpg"), images)


def test_images_that_differ_by_their_suffix_are_two(tmp_path):
    (tmp_path / "a.csv").write_text(
        "file,x,y,label\na.jpg,.1,.1,cat\na.PNG,.9,.9,dog\nb.jpg,.5,.5,cat\nb,.6,.6,cat\nc.jpg.png,.5,.5,cat\n"
    )
    found = converted(tmp_path / "out", "table", tmp_path / "a.csv")
    assert {key: [p["x"] for p in row["points"]] for key, row in found.rows.items()} == {
        "a.jpg": near([0.1]), "a.png": near([0.9]), "b": near([0.5, 0.6]), "c.jpg": near([0.5]),
    }  # fmt: skip
    assert [row["label"] for row in found.rows.values()] == [0, 1, 0, 0]


@pytest.mark.parametrize("parquet", [False, True])
def test_an_exact_file_name_wins(tmp_path, parquet):
    """Of `b` only the JPEG is named, and of `c` none."""
    sizes = {
        "x/a.jpg": (8, 6),
        "x/a.png": (9, 6),
        "b.gif": (11, 6),
        "b.jpg": (10, 6),
        "c.jpg": (4, 4),
        "c.png": (4, 5),
    }
    images = write_images(tmp_path / "photos", sizes)
    if parquet:
        rows = [{"path": name, "bytes": (images / name).read_bytes()} for name in sizes]
        images = images_in_parquet(tmp_path / "parquet", train=rows)
    path = table(tmp_path / "a.csv", "a.jpg", "a.png", "b.jpg", "c")
    found = converted(tmp_path / "out", "table", path, images)
    assert {key: row["width"] for key, row in found.rows.items()} == {"a.jpg": 8, "a.png": 9, "b": 10}
    assert found.rejects["a.csv, line 5"].endswith("c.jpg and c.png: name it with its suffix")
    assert found.manifest.ignored["images"] == 1


def test_files_that_differ_by_the_case_of_their_suffix_are_not_told_apart(tmp_path):
    images = write_images(tmp_path / "photos", {"a.jpg": (8, 6), "a.JPG": (9, 6), "b.jpg": (8, 6)})
    found = converted(tmp_path / "out", "table", table(tmp_path / "a.csv", "a.jpg", "b.jpg"), images)
    assert list(found.rows) == ["b"]
    assert found.rejects["a.csv, line 2"].endswith("its name fits a.JPG and a.jpg: keep one")


def test_a_name_that_contains_another_is_not_it(tmp_path):
    images = write_images(tmp_path / "photos", {"a.jpg": (8, 6), "a.jpg.png": (9, 6), "a.gif": (7, 6)})
    for names, widths in ((["a.jpg", "a.gif", "a.jpg.png"], [8, 7, 9]), (["a.jpg.png"], [9])):
        path = table(tmp_path / "a.csv", *names)
        found = converted(tmp_path / f"out{len(names)}", "table", path, images)
        assert [row["width"] for row in found.rows.values()] == widths and not found.rejects


def test_true_boxes_are_those_of_the_same_suffix(tmp_path):
    for named, of_truth in ((("a.jpg", "a.png"), ("a.jpg", "a.png")), (("a.jpg",), ("a.jpg", "a.png"))):
        out = tmp_path / str(len(named))
        out.mkdir()
        truth = {
            "images": [
                {"id": n, "file_name": name, "width": 10, "height": 10} for n, name in enumerate(of_truth)
            ],
            "categories": [{"id": 1, "name": "cat"}],
            "annotations": [
                {"image_id": n, "category_id": 1, "bbox": [n, 0, 5, 5]} for n in range(len(of_truth))
            ],
        }
        (out / "boxes.json").write_text(json.dumps(truth))
        path = table(out / "a.csv", *named)
        found = converted(out / "out", "table", path, boxes=out / "boxes.json")
        boxes = [row["objects"]["bbox"] for row in found.rows.values()]
        assert boxes == [[[n, 0, 5, 5]] for n in range(len(named))]
