"""`luab show` and `luab.show(row)`: what the pictures show, and that names stay text."""

import io
import re

import datasets
import numpy as np
import pytest
import torch
from fixtures.tiny_models import IMAGE_SIZE, tiny_model
from PIL import Image

import luab
from luab.commands.byproducts import main as byproducts
from luab.commands.show import main
from luab.gallery.drawing import CLICK_COLORS, TIME_COLORS, time_color, with_traces
from luab.gallery.rows import ModelLook
from luab_data.rows.columns import Columns
from luab_eval.models import Classifier
from luab_trainer.data.background import BackgroundMix
from luab_vision.processors import square_processor
from luab_vision.transforms import ImageSettings

GRAY = Image.new("RGB", (120, 90), (128, 128, 128))


def record(x: float, y: float, time: float) -> dict:
    return {"x": x, "y": y, "time": time}


def annotation(*track: dict) -> dict:
    return {"selected": True, "selected_record": [track[-1]], "mouse_tracking": list(track)}


def is_color(image: Image.Image, x: float, y: float, color) -> bool:
    pixel = np.asarray(image)[int(y * image.height), int(x * image.width)]
    return bool(np.abs(pixel.astype(int) - color).max() <= 2)


def test_a_click_is_where_it_was_made():
    exhibit = luab.show({"image": GRAY, "label": 3, "click": {"x": 0.25, "y": 0.5}}, names=list("abcd"))
    picture = exhibit.panels[0]
    assert exhibit.title == "d" and picture.caption == "click"
    assert is_color(picture.image, 0.25, 0.5, CLICK_COLORS[0])
    assert is_color(picture.image, 0.75, 0.5, (128, 128, 128))


def test_points_of_several_classes_have_colors_and_names():
    points = [{"label": 0, "x": 0.2, "y": 0.2}, {"label": 2, "x": 0.8, "y": 0.8}]
    exhibit = luab.show({"image": GRAY, "labels": [0, 2], "points": points}, names=["ant", "bee", "cat"])
    assert exhibit.title == "ant, cat" and exhibit.panels[0].caption == "clicks: ant, cat"
    assert is_color(exhibit.panels[0].image, 0.2, 0.2, CLICK_COLORS[0])
    assert is_color(exhibit.panels[0].image, 0.8, 0.8, CLICK_COLORS[1])


def test_a_trace_is_colored_by_time():
    track = [record(0.1, 0.5, 1000), record(0.5, 0.5, 1500), record(0.9, 0.5, 2000)]
    drawn = with_traces(GRAY, [annotation(*track)])
    assert time_color(0) == tuple(TIME_COLORS[0].astype(int)) and time_color(1) == tuple(
        TIME_COLORS[-1].astype(int)
    )
    assert is_color(drawn, 0.3, 0.5, time_color(0.5)) and is_color(drawn, 0.7, 0.5, time_color(1.0))
    panels = luab.show({"image": GRAY, "label": 0, "annotations": [annotation(*track)]}).panels
    assert [panel.caption for panel in panels][:2] == ["image, no click", "trace, dark first, yellow last"]


def test_a_trace_is_drawn_where_its_samples_have_a_place_and_a_time():
    """COCO-AB has samples without a time; where the cursor left the image, nothing is drawn."""
    track = [{"x": x, "y": 0.5, "time_at": time} for x, time in ((0.1, 0), (0.3, 500), (0.9, None))]
    drawn = with_traces(GRAY, [{"mouse_tracking": track}, {"mouse_tracking": track[2:]}, None])
    assert is_color(drawn, 0.2, 0.5, time_color(1.0)) and is_color(drawn, 0.7, 0.5, (128, 128, 128))
    left = annotation(record(0.1, 0.5, 1000), record(0.3, 0.5, 1500), record(0.9, 0.5, 2000))
    hovered = [{"action": "enter", "time": 900}, {"action": "leave", "time": 1600}]
    left["hovered_record"] = [*hovered, {"action": "enter", "time": 1900}]
    drawn = with_traces(GRAY, [left])
    assert is_color(drawn, 0.2, 0.5, time_color(0.5)) and is_color(drawn, 0.6, 0.5, (128, 128, 128))


def test_the_target_is_lit_where_the_crop_shows_the_click():
    look = ModelLook(Columns(), min_crop=1.0)
    row = {"image": GRAY, "label": 0, "click": {"x": 0.25, "y": 0.5}}
    for number in range(4):  # some crops are mirrored
        crop = look.exhibit(row, number).panels[-1]
        assert crop.caption == "training crop, target within 0.25 of the click"
        light = np.asarray(crop.image.convert("L")).astype(int)
        row_of_click = light[light.shape[0] // 2]
        brightest = row_of_click.argmax() / len(row_of_click)
        assert min(brightest, 1 - brightest) < 0.45 and row_of_click.min() < 60 < 100 < row_of_click.max()


def test_a_row_without_a_click_or_with_it_outside_says_so():
    row = {"image": GRAY, "label": 0, "click": None}
    assert luab.show(row).panels[-1].caption == "training crop, no target"
    corner = {"image": GRAY, "label": 0, "click": {"x": 0.0, "y": 0.0}}
    captions = {ModelLook(Columns(), min_crop=0.08).exhibit(corner, n).panels[-1].caption for n in range(8)}
    assert "training crop, its target is outside" in captions


def test_names_stay_text_in_a_notebook():
    hostile = "<script>alert(1)</script>"
    shown = luab.show({"image": GRAY, "label": 0, "image_id": hostile}, names=[hostile])._repr_html_()
    assert "<script" not in shown and "&lt;script&gt;" in shown


def test_attention_that_is_not_finite_is_named(monkeypatch):
    odd = torch.full((1, 1, IMAGE_SIZE, IMAGE_SIZE), torch.nan)
    monkeypatch.setattr("luab.gallery.rows.attention_maps", lambda *_: odd)
    settings = ImageSettings(size=IMAGE_SIZE)
    model = Classifier("m", tiny_model("vit"), [str(n) for n in range(10)], settings)
    shown = ModelLook(Columns(), models=[model]).exhibit({"image": GRAY, "label": 0})
    assert shown.panels[-1].caption.endswith(", attention that is not finite")


def test_encoded_images_are_read_as_training_reads_them():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    GRAY.save(file, "JPEG", exif=exif)
    shown = luab.show({"image": {"bytes": file.getvalue(), "path": None}, "label": 0})
    assert shown.panels[0].size == (90, 120)
    with pytest.raises(ValueError, match="the row has no 'photo'; it has image"):
        luab.show({"image": GRAY}, image="photo")


def test_the_command_writes_one_page_with_nothing_from_elsewhere(tmp_path, capsys):
    hostile = '<img src=x onerror="alert(1)">'
    features = datasets.Features(
        photo=datasets.Image(),
        species=datasets.ClassLabel(names=[hostile, "b"]),
        tap_x=datasets.Value("float32"),
        tap_y=datasets.Value("float32"),
    )
    columns = {"photo": [GRAY] * 6, "species": [0, 1] * 3, "tap_x": [60.0] * 6, "tap_y": [45.0] * 6}
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(tmp_path / "data")
    for name in ("one", "two"):
        model = tiny_model("vit")
        model.save_pretrained(tmp_path / name / "model")
        square_processor(IMAGE_SIZE).save_pretrained(tmp_path / name / "model")
    models = [str(tmp_path / name / "model") for name in ("one", "two")]
    options = ["--image-column", "photo", "--label-column", "species", "--x-column", "tap_x"]
    options += ["--y-column", "tap_y", "--point-units", "pixels", "--rows", "4", "--model", *models]
    page = tmp_path / "pages" / "show.html"
    assert main([str(tmp_path / "data"), *options, "--output", str(page)]) == 0
    assert f"4 of 6 rows in {page}" in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert text.count('<li class="exhibit">') == 4 and hostile not in text and "&lt;img src=x" in text
    assert not re.findall(r'(?:src|href)="(?!data:image/webp;base64,)', text)
    # Each row: the image with its click, what is kept, the training crop, and where the two models look.
    assert text.count("<figure>") == 20 and text.count("times even") == 2 * 8
    assert text.count("one/model: ") == 2 * 4 == text.count("two/model: ")


def test_cocos_points_and_cursor_are_shown(tmp_path):
    page = tmp_path / "show.html"
    assert main(["coco_ab", "--rows", "6", "--output", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "clicks: " in text and "trace, dark first" in text


def test_what_a_run_understands_is_shown(tmp_path):
    """More rows than are drawn, labels in words, points in a file beside the class folders."""
    for number in range(15):
        folder = tmp_path / "data" / ("ant" if number % 2 else "bee")
        folder.mkdir(parents=True, exist_ok=True)
        GRAY.save(folder / f"{number}.png")
    lines = [f"{'ant' if n % 2 else 'bee'}/{n}.png,0.5,0.5" for n in range(15)]
    (tmp_path / "clicks.csv").write_text("\n".join(["file_name,x,y", *lines]) + "\n", encoding="utf-8")
    page = tmp_path / "show.html"
    options = ["--points-file", str(tmp_path / "clicks.csv"), "--rows", "5", "--output", str(page)]
    assert main([str(tmp_path / "data"), *options]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("<figcaption><bdi>click</bdi>") == 5
    texts = {"image": [GRAY] * 15, "label": ["ant", "bee", "cat"] * 5, "click": [{"x": 0.5, "y": 0.5}] * 15}
    datasets.Dataset.from_dict(texts).cast_column("image", datasets.Image()).save_to_disk(tmp_path / "texts")
    assert main([str(tmp_path / "texts"), "--rows", "4", "--output", str(page)]) == 0
    assert len(re.findall("<header><bdi>(ant|bee|cat)</bdi>", page.read_text(encoding="utf-8"))) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rows", "0"], "--rows 0: it must be 1 or more"),
        (["--min-crop", "2"], "--min-crop 2.0: a share of the image"),
        (["--split", "nosuch"], "nosuch"),
        (["--point-column", "nosuch"], "nosuch"),
    ],
)
def test_what_cannot_be_shown_is_one_line(options, message, capsys, tmp_path):
    assert main(["imagenet_ab", *options, "--output", str(tmp_path / "show.html")]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error and error.startswith("luab show: ")


def lists_of(labels: list[list[int]], folder) -> str:
    """A dataset with these lists for labels, points of no class, and boxes of anything."""
    boxes = {"bbox": [[0.0, 0.0, 60.0, 90.0]], "category": [0]}
    columns = {"image": [GRAY] * len(labels), "labels": labels, "objects": [boxes] * len(labels)}
    columns["points"] = [[{"label": 0, "x": 0.25, "y": 0.5}]] * len(labels)
    datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image()).save_to_disk(folder)
    return str(folder)


def test_errors_and_notes_name_the_commands_own_options(tmp_path, capsys):
    unclear = lists_of([[0, 1], [1, 0]], tmp_path / "unclear")
    page = ["--output", str(tmp_path / "show.html")]
    for command, more in ((main, page), (byproducts, [])):
        assert command([unclear, *more]) == 1
        said = capsys.readouterr().err
        assert "--label-format indices, or --label-format multi_hot" in said and "_format" not in said
        read = [unclear, "--label-format", "multi_hot", *more]
        assert command(read) == 0
        assert "note: labels: column 'labels' is read as multi-hot" in capsys.readouterr().err
        assert command([*read, "--x-column", "cx", "--y-column", "cy"]) == 1
        assert "no column 'cx'" in (said := capsys.readouterr().err) and "Set --x-column" in said
    multi_hot = lists_of([[0, 1, 1], [1, 0, 0]], tmp_path / "clear")
    for command, more in ((main, page), (byproducts, [])):
        assert command([multi_hot, *more]) == 0
        assert "(label format indices reads lists of class numbers)" in capsys.readouterr().err
    assert "read as multi-hot" in (tmp_path / "show.html").read_text(encoding="utf-8")


def gray(values) -> Image.Image:
    return Image.fromarray(np.asarray(values, np.uint8))


def looked() -> dict:
    """A row with everything in the left half of the image."""
    half = gray(np.repeat([[255, 0]], 60, axis=1).repeat(90, axis=0))
    return {
        "image": GRAY,
        "label": 0,
        "width": 120,
        "height": 90,
        "objects": {"bbox": [[12, 9, 36, 72]], "category": [0]},
        "masks": [{"label": 0, "image": half}],
        "heatmaps": [{"label": 0, "image": half}],
        "scanpaths": [{"x": [0.25, None, 0.25], "y": [0.2, 0.5, 0.8], "duration": [100.0, 100.0, 100.0]}],
    }


def test_gaze_boxes_masks_and_maps_are_drawn_where_they_are():
    row = looked()
    for name, caption in (
        ("objects", "1 box"), ("masks", "1 mask"), ("heatmaps", "1 heat map"), ("scanpaths", "1 scanpath")
    ):  # fmt: skip
        only = {key: value for key, value in row.items() if key == name or key in ("image", "label")}
        picture = luab.show(only).panels[0]
        assert picture.caption == caption
        changed = (np.asarray(picture.image).astype(int) - 128).any(axis=-1)
        assert changed[:, : changed.shape[1] // 2].mean() > 0.004
        assert not changed[:, int(changed.shape[1] * 0.55) :].any(), name
    drawn = np.asarray(luab.show({**row, "masks": None, "heatmaps": []}).panels[0].image)
    scale = drawn.shape[1] / 120
    assert tuple(drawn[int(45 * scale), int(12 * scale) + 1]) == (0, 158, 115)  # the box's left edge


@pytest.mark.parametrize("kind", ["scanpath", "boxes", "masks", "heatmap"])
def test_the_crop_is_lit_where_the_map_is(kind):
    look = ModelLook(Columns(), byproduct=kind, min_crop=1.0)
    for number in range(4):  # some crops are mirrored
        crop = look.exhibit(looked(), number).panels[-1]
        assert crop.caption == f"training crop, lit by its target ({kind})"
        light = np.asarray(crop.image.convert("L")).astype(float)
        halves = sorted((light[:, : light.shape[1] // 2].mean(), light[:, light.shape[1] // 2 :].mean()))
        assert halves[1] > 1.3 * halves[0]
    nothing = {**looked(), "label": 3, "scanpaths": None} | {
        name: [{**entry, "label": 0} for entry in looked()[name]] for name in ("masks", "heatmaps")
    }
    assert look.exhibit(nothing).panels[-1].caption == "training crop, no target"


def test_the_command_shows_gaze_without_classes(tmp_path, capsys):
    rows = datasets.Dataset.from_dict(
        {"image": [GRAY] * 3, "scanpaths": [[{"x": [0.25], "y": [0.5]}]] * 3},
        features=datasets.Features(
            image=datasets.Image(),
            scanpaths=datasets.List({name: datasets.List(datasets.Value("float32")) for name in "xy"}),
        ),
    )
    (tmp_path / "data").mkdir()
    rows.to_parquet(tmp_path / "data" / "train.parquet")
    page = tmp_path / "show.html"
    assert main([str(tmp_path / "data"), "--output", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.count(">1 scanpath<") == 3 and "no label" in text and "(scanpath)" in text
    assert main([str(tmp_path / "data"), "--byproduct", "masks", "--output", str(page)]) == 1
    assert "no column 'masks'" in capsys.readouterr().err


def test_what_the_background_mix_keeps_is_shown_before_gray():
    pixels = np.full((120, 120, 3), (40, 60, 180), np.uint8)
    pixels[40:80, 40:80] = (200, 40, 40)
    pixels += np.random.default_rng(0).integers(0, 20, pixels.shape, np.uint8)
    row = {"image": Image.fromarray(pixels), "label": 0, "click": {"x": 0.5, "y": 0.5}}
    (panel,) = (each for each in luab.show(row).panels if "background mix" in each.caption)
    assert panel.caption == "what the background mix keeps, object within radius 0.75"
    kept = np.asarray(panel.image.resize((120, 120)), int)
    assert np.ptp(kept[:25], axis=(0, 1)).max() == 0  # gray
    assert (kept[48:72, 48:72, 0] > 190).all()
    small = ModelLook(Columns(), mix=BackgroundMix(radius=0.1, holes=0.0)).exhibit(row)
    (panel,) = (each for each in small.panels if "radius 0.1" in each.caption)
    assert (np.asarray(panel.image.resize((120, 120)), int)[40:46, 40:46, 0] < 150).all()
    assert not any("mix" in each.caption for each in luab.show({**row, "click": None}).panels)


def test_the_background_mix_is_shown_as_training_does_it():
    points = [{"label": 0, "x": 0.2, "y": 0.2}, {"label": 1, "x": 0.8, "y": 0.8}]
    look = ModelLook(Columns(point="points"), mix=BackgroundMix(radius=0.2, holes=0.0, shape="disc"))

    def shown(label):
        row = {"image": Image.new("RGB", (100, 100), (9, 9, 9)), "label": label, "points": points}
        (panel,) = (each for each in look.exhibit(row).panels if "background mix" in each.caption)
        pixels = np.asarray(panel.image.resize((100, 100)), int)[..., 0]
        return panel.caption, pixels[20, 20] == 9, pixels[80, 80] == 9

    assert shown(0) == ("what the background mix keeps, disc within radius 0.2", True, False)
    assert shown([0, 1])[1:] == (True, True)
    assert shown([0, 2]) == ("no background mix: a label has no point", True, True)
