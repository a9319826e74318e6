"""Images of a project: which are used, which are not and why, what is asked of each, what is known."""

import io
import json
import struct
import zlib
from dataclasses import asdict

import pytest
from PIL import Image

from luab_collect.gold import gold_in_ratios, read_gold
from luab_collect.items import ProjectItem, item_id, list_items, read_items, write_items
from luab_collect.media_types import media_type
from luab_collect.project import project_of
from luab_collect.settings import Settings
from luab_data.errors import RejectedRecord, SourceError


def encoded(kind="JPEG", size=(8, 6), **options):
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, kind, **options)
    return file.getvalue()


def put(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def project(tmp_path, task="select", classes=("cat", "dog"), **settings):
    size = {"images_per_page": 48, "pages_per_hit": 10} if task == "select" else {
        "images_per_page": 1, "pages_per_hit": 20,
    }  # fmt: skip
    given = {"name": "shop", "task": task, "images": tmp_path / "photos"} | size | settings
    given["classes"] = [each if isinstance(each, dict) else {"name": each} for each in classes]
    (tmp_path / "shop").mkdir(exist_ok=True)
    return project_of(tmp_path / "shop", Settings(**given | {"classes": tuple(given["classes"])}))


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def reasons(listed):
    return dict(listed.rejects.reasons)


def test_class_folders_say_of_which_class_an_image_may_be(tmp_path, photos):
    put(photos, cat__1=b"", dog__1=b"")
    for name in ("cat/1.jpg", "Dog/deep/2.PNG", "bird/3.jpg", "4.jpg"):
        path = photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded())
    listed = list_items(project(tmp_path))
    assert {item.file: item.classes for item in listed.items} == {
        "Dog/deep/2.PNG": ("dog",), "cat/1.jpg": ("cat",),
    }  # fmt: skip
    assert reasons(listed) == {"bird/3.jpg": "it is in no class folder", "4.jpg": "it is in no class folder"}
    assert "folders of no class: bird" in listed.notes
    assert listed.found == 4 and listed.rejects.ignored.total() == 2
    first = listed.items[-1]
    assert (first.width, first.height, first.id) == (8, 6, item_id("cat/1.jpg"))


def test_class_folders_of_which_none_is_a_class_are_named_with_the_fix(tmp_path, photos):
    for name in ("cats/1.jpg", "DOGS/2.jpg", "n01/3.jpg"):
        (photos / name).parent.mkdir()
        (photos / name).write_bytes(encoded())
    with pytest.raises(SourceError) as error:
        list_items(project(tmp_path))
    for part in (
        "3 images found",
        "cats (did you mean cat?)",
        "n01",
        "the classes are cat, dog",
        "column `folder`",
        "--candidates",
    ):
        assert part in str(error.value)


def test_a_flat_folder_is_asked_about_every_class(tmp_path, photos):
    (photos / "a.jpg").write_bytes(encoded())
    (item,) = list_items(project(tmp_path)).items
    assert item.classes == ("cat", "dog")


def test_candidates_of_a_file(tmp_path, photos):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (photos / name).write_bytes(encoded())
    (tmp_path / "list.csv").write_text("file,class\na.jpg,dog\na.jpg,cat\nb.jpg,cat\n")
    listed = list_items(project(tmp_path, candidates=tmp_path / "list.csv"))
    assert [item.classes for item in listed.items] == [("dog", "cat"), ("cat",)]
    assert reasons(listed) == {"c.jpg": "candidates does not list it"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("a.jpg,cow", "line 2: there is no class 'cow'"),
        ("../a.jpg,cat", "names 1 file that the project's images do not have"),
        ("/etc/passwd,cat", "do not have"),
        (",cat", "do not have"),
        ("a.jpg", "line 2: it has 1 values"),
        ("A.jpg,cat", r"did you mean a\.jpg"),
    ],
)
def test_unusable_candidates(tmp_path, photos, lines, expected):
    (photos / "a.jpg").write_bytes(encoded())
    (tmp_path / "list.csv").write_text(f"file,class\n{lines}\n")
    with pytest.raises(SourceError, match=expected):
        list_items(project(tmp_path, candidates=tmp_path / "list.csv"))


def bomb():
    """A PNG of a few hundred bytes that claims 60,000 x 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(10_000))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def test_hostile_files_are_left_out_with_their_reasons(tmp_path, photos):
    (tmp_path / "outside.jpg").write_bytes(encoded())
    (photos / "good.jpg").write_bytes(encoded())
    (photos / "a<b>&'\"; DROP TABLE items.jpg").write_bytes(encoded())
    (photos / "bomb.png").write_bytes(bomb())
    (photos / "script.svg").write_bytes(b"<svg onload='alert(1)'/>")
    (photos / "script.png").write_bytes(b"<svg onload='alert(1)'/>")
    (photos / "page.jpg").write_bytes(b"<html>")
    (photos / "cut.jpg").write_bytes(encoded(size=(64, 64))[:200])
    (photos / "tiff.tif").write_bytes(encoded("TIFF"))
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(photos / "moves.gif", save_all=True, append_images=frames[1:])
    (photos / "out.jpg").symlink_to(tmp_path / "outside.jpg")
    (photos / "dead.jpg").symlink_to("nowhere.jpg")
    (photos / "in.jpg").symlink_to("good.jpg")
    (photos / "folder").symlink_to(tmp_path)
    (photos / "new\nline.jpg").write_bytes(encoded())
    (photos / "back\\slash.jpg").write_bytes(encoded())
    (photos / "._good.jpg").write_bytes(b"resource fork")
    listed = list_items(project(tmp_path))
    assert {item.file for item in listed.items} == {"good.jpg", "in.jpg", "a<b>&'\"; DROP TABLE items.jpg"}
    found = reasons(listed)
    assert "claims 60000 x 60000 pixels" in found["bomb.png"]
    assert "SVG is not shown" in found["script.svg"] and "not an image" in found["script.png"]
    assert "not an image" in found["page.jpg"] and "cannot be decoded" in found["cut.jpg"]
    assert found["tiff.tif"] == "browsers do not show this TIFF; save it as PNG or JPEG"
    assert "GIF that moves" in found["moves.gif"]
    assert "leads out of the folder" in found["out.jpg"] and "leads nowhere" in found["dead.jpg"]
    assert "unsafe name" in found["new\\nline.jpg"] and "unsafe name" in found["back\\slash.jpg"]
    assert len(found) == 11 and listed.found == 14
    assert listed.rejects.ignored == {"links to folders": 1, ".jpg": 1}


def test_names_that_are_not_utf8_are_left_out(tmp_path, photos):
    (photos / "good.jpg").write_bytes(encoded())
    with open(bytes(photos) + b"/caf\xe9.jpg", "wb") as file:  # noqa: PTH123 (a name of bytes)
        file.write(encoded())
    listed = list_items(project(tmp_path))
    assert [item.file for item in listed.items] == ["good.jpg"]
    assert list(reasons(listed).values()) == ["the file's name is not UTF-8"]


def test_sizes_are_those_of_the_upright_image(tmp_path, photos):
    exif = Image.Exif()
    exif[0x0112] = 6
    (photos / "turned.jpg").write_bytes(encoded(exif=exif))
    (item,) = list_items(project(tmp_path, "place")).items
    assert (item.width, item.height, item.classes) == (6, 8, ())


def test_a_jpeg_with_a_second_picture_is_one_image(tmp_path, photos):
    """As phones write it, for depth or HDR; Pillow calls it MPO."""
    exif = Image.Exif()
    exif[0x0112] = 6
    smaller = Image.new("RGB", (4, 3))
    (photos / "phone.jpg").write_bytes(encoded("MPO", save_all=True, append_images=[smaller], exif=exif))
    (item,) = list_items(project(tmp_path, "place")).items
    assert (item.width, item.height) == (6, 8)
    assert media_type((photos / "phone.jpg").read_bytes()) == "image/jpeg"


def of_brand(brand, compatible):
    """An AVIF whose file names these brands."""
    content = encoded("AVIF", (16, 16))
    size = int.from_bytes(content[:4], "big")
    assert content[4:12] == b"ftypavif"
    return content[:8] + brand + content[12:16] + compatible.ljust(size - 16, b"\0") + content[size:]


def test_an_image_is_used_only_if_it_is_served(tmp_path, photos):
    (photos / "named.avif").write_bytes(of_brand(b"mif1", b"miafavif"))
    (photos / "nameless.avif").write_bytes(of_brand(b"mif1", b"miaf"))
    (photos / "good.jpg").write_bytes(encoded())
    listed = list_items(project(tmp_path))
    assert {item.file for item in listed.items} == {"good.jpg", "named.avif"}
    assert list(reasons(listed)) == ["nameless.avif"]
    assert media_type((photos / "named.avif").read_bytes()) == "image/avif"
    assert media_type(of_brand(b"mif1", b"heic")) is None


def test_a_folder_without_images_is_an_error(tmp_path, photos):
    (photos / "bad.jpg").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"holds no image .* 1 image found"):
        list_items(project(tmp_path))


def test_a_class_without_images_is_said(tmp_path, photos):
    (photos / "cat").mkdir()
    (photos / "cat" / "a.jpg").write_bytes(encoded())
    assert "no image is asked about for dog" in list_items(project(tmp_path)).notes


GOLD = """file,class,present,x0,y0,x1,y1
a.jpg,cat,yes,0,0,3,2
a.jpg,cat,,4,3,7,5
a.jpg,dog,no,,,,
b.jpg,,no,,,,
c.jpg,dog,,,,,
"""


def test_gold_is_in_ratios_and_survives_the_file(tmp_path, photos):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (photos / name).write_bytes(encoded())
    (tmp_path / "gold.csv").write_text(GOLD)
    made = project(tmp_path, gold=tmp_path / "gold.csv")
    listed = list_items(made)
    write_items(made.folder, listed)
    assert read_items(made) == listed.items
    gold = {item.file: item.gold for item in listed.items}
    assert gold["a.jpg"] == {"cat": ((0, 0, 0.5, 0.5), (0.5, 0.5, 1, 1)), "dog": None}
    assert gold["b.jpg"] == {"cat": None, "dog": None} and gold["c.jpg"] == {"dog": ()}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a.jpg,cat,perhaps,,,,", "present is 'perhaps'; allowed are yes and no"),
        ("a.jpg,,yes,,,,", "needs `present` no"),
        ("a.jpg,cat,no,1,1,2,2", "has no box"),
        ("a.jpg,cat,yes,2,1,1,2", "x0 <= x1"),
        ("a.jpg,cat,yes,1,1,2,", "the box is 1, 1, 2;"),
        ("a.jpg,cat,yes,nan,1,2,2", "the box is nan"),
        ("a.jpg,cat,yes,-1,1,2,2", "the box is -1"),
        ("a.jpg,cat,yes,1,1,1e308,2", "the box is"),
        ("a.jpg,cat,no,,,,\na.jpg,cat,yes,,,,", "line 3: 'cat' is present here, and not in a line above"),
        ("a.jpg,cat,yes,,,,\na.jpg,cat,no,,,,", "line 3: 'cat' is not present here"),
        (",cat,yes,,,,", "file is empty"),
        ("", "no line below its header"),
    ],
)
def test_unusable_gold(tmp_path, line, expected):
    (tmp_path / "gold.csv").write_text(f"file,class,present,x0,y0,x1,y1\n{line}\n")
    with pytest.raises(SourceError, match=expected):
        read_gold(tmp_path / "gold.csv", ("cat", "dog"))


def test_a_gold_box_outside_of_its_image_is_left_out(tmp_path, photos):
    with pytest.raises(RejectedRecord, match="ends at pixel 8, 5, and the image has 8 x 6"):
        gold_in_ratios({"cat": ((0, 0, 8, 5),)}, 8, 6)


@pytest.mark.parametrize("text", ["{", "[]", '{"id": 1}', "null", '{"gold": 1, "classes": 2}'])
def test_a_damaged_list_of_items_is_named(tmp_path, photos, text):
    made = project(tmp_path)
    (made.folder / "items.jsonl").write_text(text + "\n")
    with pytest.raises(SourceError, match=r"items\.jsonl, line 1: this is no item"):
        read_items(made)


def test_an_item_is_one_line_of_json():
    item = ProjectItem("0" * 16, "a.jpg", "f" * 64, 1, 2, ("cat",), {"cat": ((0.0, 0.0, 1.0, 1.0),)})
    assert json.loads(json.dumps(asdict(item)))["gold"] == {"cat": [[0, 0, 1, 1]]}
