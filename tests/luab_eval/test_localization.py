"""Localization: a model whose map is known; rows, folders and official layouts in -> numbers out."""

import json
import os
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from fixtures.boxed import box_xml, picture
from fixtures.miniatures import QUIET, color_classifier, paint, pass_colors_on, save_checkpoint, score
from fixtures.tiny_models import tiny_model
from PIL import Image
from torch import nn

from luab.commands.compare import main as compare
from luab.commands.localize import main
from luab_attention.boxes.boxes import ImageBoxes
from luab_eval import suite
from luab_eval.benchmark import ImageSet, Item
from luab_eval.benchmarks import WHERE, find_benchmark, find_benchmarks
from luab_eval.image_sets.boxes import BoxFolder, box_dataset, set_of_rows
from luab_eval.image_sets.class_maps import wnids
from luab_eval.localization import HITS, LocalizationScores, LocalizationTask, attention_of, maps_after
from luab_eval.models import Classifier, load_classifier
from luab_eval.predict import predict
from luab_eval.report.figures import figures
from luab_eval.statistics.intervals import moments_interval
from luab_eval.suite import run
from luab_eval.tasks import UnsuitedModel
from luab_vision.transforms import ImageSettings

SETTINGS = ImageSettings(size=32, mean=(0, 0, 0), std=(1, 1, 1), resize=48)
MAPPED = ("vit", "dinov2_with_registers", "beit", "convnext", "convnextv2", "resnet", "swin", "swinv2")


def color_model():
    """A ResNet whose map of class 0 is how red, of class 1 how green each 4x4 patch is."""
    model = tiny_model("resnet", embedding_size=3, hidden_sizes=[3], depths=[1], num_labels=2).eval()
    pass_colors_on(model)
    linear = model.classifier[-1]
    linear.weight.data = torch.tensor([[20.0, 0, 0], [0, 20.0, 0]])
    return model


def rows(*rows: dict, several: bool = False) -> Dataset:
    """A dataset of `rows` with the classes red and green."""
    label = ClassLabel(names=["red", "green"])
    objects = {"bbox": List(List(Value("float32"), length=4)), "category": List(Value("int64"))}
    columns = {"image": datasets.Image(), "objects": objects, "labels": List(label)}
    columns = columns if several else {"image": datasets.Image(), "objects": objects, "label": label}
    if "image_id" in rows[0]:
        columns["image_id"] = Value("string")
    return Dataset.from_list(list(rows), features=Features(columns))


def seen_by(model, images: ImageSet, cache: Path, labels=("red", "green")) -> LocalizationScores:
    answers = predict(Classifier("model", model, labels, SETTINGS), images, cache, QUIET)
    return LocalizationScores(answers.looks, answers.targets)


def test_a_model_that_sees_colors_finds_them(tmp_path):
    # The image is twice as wide as high and is not cropped: the red object on the far left still counts.
    image = picture(256, 128, (0, 32, 64, 96, "red"), (160, 32, 224, 96, "lime"))
    images, left_out = set_of_rows(
        "toy",
        rows(
            {"image": image, "label": 0, "objects": {"bbox": [[0, 32, 64, 64]], "category": [0]}},
            {"image": image, "label": 1, "objects": {"bbox": [[160, 32, 64, 64]], "category": [1]}},
            {"image": image, "label": 1, "objects": {"bbox": [], "category": []}},
            {"image": image, "label": -1, "objects": {"bbox": [[0, 0, 9, 9]], "category": [0]}},
        ),
    )
    assert [(item.id, item.target) for item in images.items] == [("0", 0), ("1", 1)]
    assert left_out == "1 image without a usable box, 1 image whose boxes are all of other classes"
    localization = seen_by(color_model(), images, tmp_path)
    boxes = localization.box_metrics()
    assert boxes["max_box_acc"] == boxes["max_box_acc_v2_iou_50"] == 1
    pointing = localization.pointing_metrics()
    assert pointing["pointing_game"] == pointing["pointing_game_class_mean"] == 1
    assert pointing["pointing_game_center"] == 0
    energy = localization.energy_metrics()
    assert energy["energy_pointing_game_uniform"] == pytest.approx(1 / 8)
    # Pooling smears a color over the next cell on each side.
    assert energy["energy_pointing_game"] > 3 / 8
    for metrics, name in (
        (boxes, "max_box_acc"),
        (boxes, "max_box_acc_v2"),
        (pointing, "pointing_game"),
        (energy, "energy_pointing_game"),
    ):
        assert metrics[name] == pytest.approx(localization.per_image(name).mean())


def test_looking_at_the_other_object_is_a_miss(tmp_path):
    image = picture(128, 128, (0, 0, 64, 64, "red"), (64, 64, 128, 128, "lime"))
    objects = {"bbox": [[64, 64, 64, 64]], "category": [0]}
    images, _ = set_of_rows("toy", rows({"image": image, "label": 0, "objects": objects}))
    localization = seen_by(color_model(), images, tmp_path)
    assert localization.per_image("pointing_game") == localization.box_metrics()["max_box_acc_v2_iou_70"] == 0
    assert localization.per_image("energy_pointing_game") < 0.05
    # The rows' class 0, red, is the model's output 1.
    localization = seen_by(color_model(), images, tmp_path, labels=("green", "red"))
    assert localization.per_image("pointing_game") == localization.per_image("max_box_acc") == 1


def test_each_label_of_an_image_is_asked_with_its_own_boxes(tmp_path):
    image = picture(128, 128, (0, 0, 64, 64, "red"), (64, 64, 128, 128, "lime"))
    objects = {"bbox": [[64, 64, 64, 64], [0, 0, 64, 64]], "category": [1, 0]}
    row = {"image": image, "image_id": "a", "labels": [0, 1], "objects": objects}
    images, _ = set_of_rows("toy", rows(row, several=True))
    assert [item.id for item in images.items] == ["a/red", "a/green"]
    assert [boxes.bbox for boxes in images.boxes] == [[[0, 0, 64, 64]], [[64, 64, 64, 64]]]
    assert seen_by(color_model(), images, tmp_path).per_image("pointing_game").tolist() == [1, 1]


@pytest.mark.parametrize("ids", [["a", "a", "b"], [None, None, None]])
def test_ids_are_unique(ids):
    image = picture(64, 64, (0, 0, 32, 32, "red"))
    row = {"image": image, "label": 0, "objects": {"bbox": [[0, 0, 32, 32]], "category": [0]}}
    images, _ = set_of_rows("toy", rows(*(row | {"image_id": one} for one in ids)))
    assert [item.id for item in images.items] == [f"{number} {one}" for number, one in enumerate(ids)]


def test_errors_name_the_row_of_the_dataset(tmp_path):
    """Rows without a class are not read."""
    box = {"bbox": [[0, 0, 32, 32]], "category": [0]}
    good = {"image": picture(64, 64, (0, 0, 32, 32, "red")), "label": 0, "objects": box}
    bad = good | {"objects": box | {"category": [0, 1]}}
    own = rows(good | {"label": None}, good, bad)
    datasets.DatasetDict(validation=own).save_to_disk(tmp_path / "boxed")
    with pytest.raises(ValueError, match=r"toy, row 2 \(2\): column 'objects' has 1 boxes and 2 categories"):
        box_dataset("toy", f"{tmp_path / 'boxed'}@validation").image_set(Path())


def two_colored(number: int) -> dict:
    """A row of an image of its own with a red and a green object."""
    image = picture(128, 128, (0, 0, 64, 64, "red"), (64, 64, 128, 128, "lime"))
    image.putpixel((127, 0), (0, 0, int(number)))
    return {
        "image": image,
        "labels": [0, 1],
        "objects": {"bbox": [[0, 0, 64, 64], [64, 64, 64, 64]], "category": [0, 1]},
    }


def boxed(folder: Path, *own: dict) -> str:
    """The argument of a benchmark for `own` rows."""
    datasets.DatasetDict(validation=rows(*own, several=True)).save_to_disk(folder)
    return f"toy={folder}@validation?label_format=indices"


def test_the_classes_of_an_image_are_one_image_of_intervals_and_tests(tmp_path):
    """Five images of nine classes, one model right on all and one on none: swaps of five say p = 2/32."""
    single = two_colored(4) | {"labels": [1]}
    argument = boxed(tmp_path / "rows", *map(two_colored, range(4)), single)
    for labels in (("red", "green"), ("green", "red")):
        model = Classifier(labels[0], color_model(), labels, SETTINGS, fingerprint=labels[0])
        run([model], find_benchmarks(f"where:{argument}"), Path(), tmp_path / "out", QUIET, load=None)
    table = figures([tmp_path / "out"])
    assert [row.images for row in table.rows] == [5, 5, 5]
    for row in table.rows:
        assert row.differences["green"].p == pytest.approx(2 / 32)
        assert row.differences["green"].differing == 5
    pointing = next(row for row in table.rows if row.metric == "pointing_game")
    assert pointing.estimates["red"].value == 1
    alike = moments_interval(1, 0, 9**2 / (4 * 2**2 + 1), 0, 1)  # as so many images of one weight
    assert pointing.estimates["red"].low == pytest.approx(float(alike[0]))


def test_figures_stay_those_of_the_pairs_of_image_and_class(tmp_path):
    """Of three pairs two are hit; one image has two of them. Its rows are one image, too."""
    both = two_colored(0)
    other = two_colored(1) | {"labels": [1], "objects": {"bbox": [[0, 0, 64, 64]], "category": [1]}}
    first, second = (
        both | {"labels": [k], "objects": {"bbox": [both["objects"]["bbox"][k]], "category": [k]}}
        for k in (0, 1)
    )
    classifier = Classifier("model", color_model(), ("red", "green"), SETTINGS)
    for own, ids in (
        ([both, other], [b"0/red", b"1/green"]),
        ([first, other, second], [b"0/red", b"1/green"]),
    ):
        (benchmark,) = find_benchmarks(f"pointing_game:{boxed(tmp_path / str(len(own)), *own)}")
        found = score(benchmark, tmp_path, classifier)
        assert found.ids.tolist() == ids
        assert found.metrics["pointing_game"] == pytest.approx(2 / 3)
        assert found.weights.tolist() == pytest.approx([4 / 3, 2 / 3])
        assert found.per_image.tolist() == pytest.approx([4 / 3, 0])
        assert found.targets.tolist() == [-1, 1]
        assert found.per_class() == {"red": 1, "green": 0.5}
    # Results with another box of its second class are not of the same boxes.
    both["objects"]["bbox"][1] = [0, 64, 64, 64]
    (benchmark,) = find_benchmarks(f"pointing_game:{boxed(tmp_path / 'corrected', both, other)}")
    again = score(benchmark, tmp_path, classifier)
    (benchmark,) = find_benchmarks(f"pointing_game:{boxed(tmp_path / 'same', two_colored(0), other)}")
    found = score(benchmark, tmp_path, classifier)
    assert (again.references == found.references).tolist() == [False, True]


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_a_map_that_is_not_finite_is_named(tmp_path, monkeypatch, kind):
    model = color_model() if kind == "resnet" else tiny_model("vit", num_labels=2).eval()
    attention = type(attention_of(model))
    name = "activation_maps" if kind == "resnet" else "maps"
    whole = getattr(attention, name)

    def broken(self, *arguments):
        maps = whole(self, *arguments).clone()
        maps[1, ..., 0, 0] = torch.nan
        return maps

    monkeypatch.setattr(attention, name, broken)
    images, _ = set_of_rows(
        "toy", rows(*(two_colored(k) | {"image_id": f"n{k}"} for k in "12"), several=True)
    )
    with pytest.raises(ValueError, match=r"model: its attention maps are NaN or infinite for n1/green: not"):
        seen_by(model, images, tmp_path)


def test_boxes_of_rows_are_those_of_the_upright_image(tmp_path):
    # The file lies on its side; people saw the red square at the top right, and drew the box there.
    on_its_side(tmp_path / "a.png", picture(64, 128, (32, 0, 64, 32, "red")))
    row = {
        "image": str(tmp_path / "a.png"),
        "label": 0,
        "objects": {"bbox": [[32, 0, 32, 32]], "category": [0]},
    }
    images, _ = set_of_rows("toy", rows(row))
    assert images.items[0].image == tmp_path / "a.png"
    assert (images.boxes[0].width, images.boxes[0].height) == (64, 128)
    assert seen_by(color_model(), images, tmp_path).per_image("pointing_game") == 1


def on_its_side(file: Path, upright: Image.Image) -> None:
    """A photo as a camera stores it: its pixels lie on their side, and EXIF says so."""
    exif = upright.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(file, exif=exif)


def test_xml_boxes_are_those_of_the_image_as_stored(tmp_path):
    (tmp_path / "images" / "n01440764").mkdir(parents=True)
    on_its_side(tmp_path / "images" / "n01440764" / "a.png", picture(375, 500))
    (tmp_path / "boxes").mkdir()
    xml = box_xml(("n01440764", 10, 0, 19, 9))  # of 500 x 375 pixels
    (tmp_path / "boxes" / "a.xml").write_bytes(xml)
    folder = BoxFolder("own", str(tmp_path / "images"), str(tmp_path / "boxes"))
    assert len(folder.image_set(tmp_path).items) == 1
    upright = xml.replace(b"<width>500</width><height>375<", b"<width>375</width><height>500<")
    (tmp_path / "boxes" / "a.xml").write_bytes(upright)
    with pytest.raises(
        ValueError, match=r"none of the 1 rows has a box .*a\.png: measure them on the image as stored"
    ):
        folder.image_set(tmp_path)


def look(model, pixel_values, classes):
    """[B, 3, H, W] and [B] -> maps and logits."""
    attention = attention_of(model)
    attention.watch(model)
    with torch.no_grad():
        logits = model(pixel_values).logits
        return maps_after(model, attention, tuple(pixel_values.shape[-2:]), classes), logits


@pytest.mark.parametrize("model_type", MAPPED)
def test_maps_of_every_family(model_type):
    model = tiny_model(model_type).eval()
    pixel_values = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    maps, _ = look(model, pixel_values, torch.tensor([0, 3, 4]))
    assert maps.attention.shape == maps.scores.shape == (3, *maps.scores.shape[1:])
    assert maps.attention.sum(dim=(1, 2)).numpy() == pytest.approx(1, abs=1e-5)
    assert ((maps.points > 0) & (maps.points < 1)).all()
    other, _ = look(model, pixel_values, torch.tensor([1, 3, 4]))
    of_class = model_type in ("convnext", "convnextv2", "resnet", "swin", "swinv2")
    assert torch.allclose(maps.scores[0], other.scores[0], atol=1e-6) != of_class  # CLS attention: no classes
    assert torch.allclose(maps.scores[1:], other.scores[1:], atol=1e-6)


def test_the_map_of_a_feature_map_model_averages_to_the_logit():
    model = tiny_model("convnextv2").eval()
    pixel_values = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    maps, logits = look(model, pixel_values.expand(5, -1, -1, -1), torch.arange(5))
    linear = model.classifier
    constant = (linear.weight @ model.convnextv2.layernorm.bias + linear.bias).detach()
    assert (maps.scores.mean(dim=(1, 2)) + constant).numpy() == pytest.approx(logits[0].numpy(), abs=1e-4)


@pytest.mark.parametrize("workers", [0, 2])
def test_first_and_last_pixel_of_a_box_are_compared(workers):
    # 2x2 pixels of a 4x4 image are 112x112 pixels of the map; the last one's index is 1, on the map 1 * 56.
    scores = np.zeros((40, 224, 224), np.float32)
    scores[:, :57, :57] = 1
    points = np.full((40, 2), 0.125, np.float32)
    items = [Item(str(number), Path(), 0) for number in range(40)]
    images = ImageSet(
        "toy", items, boxes=[ImageBoxes([[0, 0, 2, 2]], 4, 4)] * 39 + [ImageBoxes([[2, 2, 2, 2]], 4, 4)]
    )
    classifier = Classifier("model", tiny_model("vit"), ["a"], SETTINGS)
    question = LocalizationTask(classifier, [0], images, num_workers=workers)
    looks = question.keep(range(40), [np.zeros((40, 1)), scores, scores, points])
    assert looks[HITS].shape == (40, 4, 125)
    localization = LocalizationScores(looks, np.zeros(40, int))
    # The first 39: box 0..57 against 0..56, IoU 57**2 / 58**2.
    assert localization.per_image("max_box_acc_v2").tolist() == [1] * 39 + [0]
    assert localization.per_image("pointing_game").tolist() == [1] * 39 + [0]


def test_wrong_models_rows_and_images_are_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    row = {"image": str(tmp_path / "a.png"), "label": 0, "image_id": "n1/x"}
    objects = {"bbox": [[0, 0, 1, 1]], "category": [0]}
    with pytest.raises(ValueError, match=r"toy, row 0 \(n1/x\): cannot read the image"):
        set_of_rows("toy", rows({**row, "objects": objects}))
    with pytest.raises(ValueError, match="none of the 1 rows has a box"):
        set_of_rows("toy", rows({**row, "objects": {"bbox": [], "category": []}}))
    with pytest.raises(ValueError, match=r"no column 'objects'.*image, label"):
        set_of_rows("toy", rows({**row, "objects": objects}).remove_columns("objects"))
    numbers = rows({**row, "objects": objects}).cast_column("label", Value("int64"))
    numbers = numbers.add_column("width", [1]).add_column("height", [1])
    assert set_of_rows("toy", numbers)[0].classes == ("0",), "class numbers are their own names"
    for model in (nn.Linear(1, 1), tiny_model("levit")):
        with pytest.raises(UnsuitedModel, match=r"where (Linear|LevitFor\w*) looks: it(s last Linear| says)"):
            attention_of(model)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The color model's folder, with the classes red and green."""
    folder = tmp_path_factory.mktemp("checkpoint") / "model"
    model = color_model()
    model.config.id2label = {0: "red", 1: "green"}
    model.save_pretrained(folder)
    kind = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}}
    processor = {**kind, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


@pytest.fixture
def colored(tmp_path):
    """A red and a green object in class folders, and a CSV in which the red one's box is wrong."""
    for name, color in (("green", "lime"), ("red", "red")):  # alphabetical: not the model's order
        (tmp_path / "images" / name).mkdir(parents=True)
        picture(128, 128, (0, 0, 64, 64, color)).save(tmp_path / "images" / name / "a.png")
    (tmp_path / "boxes.csv").write_text(
        "file,x0,y0,x1,y1,width,height\ngreen/a.png,0,0,63,63,128,128\nred/a.png,64,64,127,127,128,128\n"
    )
    return tmp_path


OPTIONS = ["--device", "cpu", "--num-workers", "0"]


def test_command_compares_models(checkpoint, colored, capsys):
    blind = tiny_model("vit", num_labels=2)
    blind.config.id2label = {0: "green", 1: "red"}
    blind.save_pretrained(colored / "blind")
    (colored / "blind" / "preprocessor_config.json").write_bytes(
        (checkpoint / "preprocessor_config.json").read_bytes()
    )
    models = ["--model", str(checkpoint), "--model", str(colored / "blind")]
    sources = ["--images", str(colored / "images"), "--boxes", str(colored / "boxes.csv")]
    out = colored / "out"
    assert main([*models, *sources, "--output-dir", str(out), *OPTIONS]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert printed[0] == ["metric,", "in", "%", "model", "blind"]
    assert next(line for line in printed if line[0] == "pointing_game")[:2] == ["pointing_game", "50.0"]
    assert ["images", "2", "2"] in printed
    found = json.loads((out / "results.json").read_text())["benchmarks"]
    assert found["localization:images"]["models"]["model"]["metrics"]["max_box_acc"] == 0.5
    entry = found["pointing_game:images"]["models"]["model"]
    assert entry["per_class"] == {"green": 1, "red": 0}
    with np.load(out / entry["per_image"], allow_pickle=False) as kept:
        assert kept["ids"].tolist() == [b"green/a", b"red/a"]
        assert kept["score"].tolist() == [1, 0]
    assert "MaxBoxAccV2 at IoU 0.7" in (out / "report.html").read_text()
    assert compare([str(out)]) == 0
    assert "Pointing game (images)" in capsys.readouterr().out


def test_results_with_other_boxes_are_not_compared(colored, tmp_path):
    """The red object's box is corrected between the evaluations of two models."""
    source = f"images={colored / 'images'}{os.pathsep}{colored / 'boxes.csv'}"
    out = tmp_path / "out"

    def evaluated(name):
        model = Classifier(name, color_model(), ["red", "green"], SETTINGS, fingerprint=name)
        run([model], find_benchmarks(f"where:{source}"), Path(), out, QUIET, load=None)

    evaluated("a")
    evaluated("b")
    assert all(row.remark == "" for row in figures([out]).rows)
    text = (colored / "boxes.csv").read_text()
    (colored / "boxes.csv").write_text(text.replace("64,64,127,127", "0,0,63,63"))
    evaluated("b")
    with pytest.raises(
        ValueError, match=r"a and b .* 1 of 2 images have another class, other boxes .* red/a;"
    ):
        figures([out])


def test_command_reads_a_dataset(checkpoint, colored, capsys):
    image = Image.open(colored / "images" / "red" / "a.png")
    row = {"image": image, "label": 0, "objects": {"bbox": [[0, 0, 64, 64]], "category": [0]}}
    datasets.DatasetDict(validation=rows(row, row)).save_to_disk(colored / "boxed")
    dataset = ["--dataset", str(colored / "boxed"), "--split", "validation[1:]"]
    assert main(["--model", str(checkpoint), *dataset, "--output-dir", str(colored / "out"), *OPTIONS]) == 0
    printed = capsys.readouterr().out
    assert ["pointing_game", "100.0"] in [line.split() for line in printed.splitlines()]
    assert ["images", "1"] in [line.split() for line in printed.splitlines()]


def test_command_keeps_the_results_of_another_split(checkpoint, colored, capsys):
    image = Image.open(colored / "images" / "red" / "a.png")
    row = {"image": image, "label": 0, "objects": {"bbox": [[0, 0, 64, 64]], "category": [0]}}
    datasets.DatasetDict(validation=rows(row, row), test=rows(row)).save_to_disk(colored / "boxed")
    dataset = ["--dataset", str(colored / "boxed"), "--output-dir", str(colored / "out"), *OPTIONS]
    assert main(["--model", str(checkpoint), *dataset]) == 0
    assert main(["--model", str(checkpoint), *dataset, "--split", "test"]) == 0
    found = json.loads((colored / "out" / "results.json").read_text())["benchmarks"]
    counts = {key: entry["models"]["model"]["n"] for key, entry in found.items() if "pointing" in key}
    assert counts["pointing_game:boxed"] == 1 and counts["pointing_game:boxed@test"] == 1
    assert "Pointing game (boxed@test)" in (colored / "out" / "report.md").read_text()


def test_command_reads_labels_as_training_does_and_says_how_once(checkpoint, colored, caplog):
    image = Image.open(colored / "images" / "red" / "a.png")
    objects = {"bbox": [[0.0, 0.0, 64.0, 64.0]]}
    named = [{"image": image, "label": name, "objects": objects} for name in (" red", "green")]
    datasets.DatasetDict(validation=datasets.Dataset.from_list(named)).save_to_disk(colored / "named")
    with caplog.at_level("WARNING", logger="datasets"):
        arguments = ["--model", str(checkpoint), "--dataset", str(colored / "named"), *OPTIONS]
        assert main([*arguments, "--output-dir", str(colored / "out")]) == 0
    said = [message for message in caplog.messages if message.startswith("labels: ")]
    read = "labels: column 'label' has 2 names as text, sorted, without the spaces around them: green, red."
    assert said == [read]
    found = json.loads((colored / "out" / "results.json").read_text())["benchmarks"]
    assert found["pointing_game:named"]["models"]["model"]["per_class"].keys() == {"green", "red"}


def test_command_counts_images_without_boxes(checkpoint, colored, capsys):
    picture(64, 64, (0, 0, 32, 32, "red")).save(colored / "images" / "red" / "alone.png")
    sources = ["--images", str(colored / "images"), "--boxes", str(colored / "boxes.csv")]
    out = ["--output-dir", str(colored / "out")]
    assert main(["--model", str(checkpoint), *sources, *out, *OPTIONS]) == 0
    assert "Left out: 1 image without boxes." in capsys.readouterr().out


def test_command_leaves_out_boxes_of_the_stored_pixels_and_says_so(checkpoint, colored, capsys):
    on_its_side(colored / "images" / "red" / "a.png", picture(64, 128, (0, 0, 32, 32, "red")))
    file = colored / "boxes.csv"
    header, green = file.read_text().splitlines()[:2]
    file.write_text(f"{header}\n{green}\nred/a.png,0,32,31,63,128,64\n")
    sources = ["--images", str(colored / "images"), "--boxes", str(file)]
    arguments = ["--model", str(checkpoint), *sources, "--output-dir", str(colored / "out"), *OPTIONS]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert ["images", "1"] in [line.split() for line in printed.splitlines()]
    assert "Left out: 1 box of an image of another orientation" in printed
    assert "red/a.png: measure them on the upright image" in printed
    assert "Left out of " in (colored / "out" / "report.html").read_text()
    file.write_text(f"{header}\nred/a.png,0,32,31,63,128,64\n")
    assert main(arguments) == 1
    assert "red/a.png: measure them on the upright image" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["red=1", "red?x", "red@home", f"red{os.pathsep}1, 2"])
def test_a_folder_of_any_name(checkpoint, colored, name):
    (colored / "images").rename(colored / name)
    (colored / "boxes.csv").rename(colored / f"{name}.csv")
    row, other = (
        {
            "image": Image.open(colored / name / color / "a.png"),
            "label": label,
            "objects": {"bbox": [[0, 0, 64, 64]], "category": [label]},
        }
        for label, color in enumerate(("red", "green"))
    )
    rows_of = colored / f"rows {name}"
    datasets.DatasetDict(validation=rows(row, other)).save_to_disk(rows_of)
    folders = ["--images", str(colored / name), "--boxes", str(colored / f"{name}.csv")]
    out = colored / "out"
    for source, images in ((folders, name), (["--dataset", str(rows_of)], rows_of.name)):
        assert main(["--model", str(checkpoint), *source, "--output-dir", str(out), *OPTIONS]) == 0
        found = json.loads((out / "results.json").read_text())["benchmarks"]
        assert found[f"pointing_game:{images}"]["models"]["model"]["n"] == 2


def test_command_says_what_is_wrong(checkpoint, colored, capsys):
    model = ["--model", str(checkpoint), "--output-dir", str(colored / "out"), *OPTIONS]
    assert main([*model, "--images", str(colored)]) == 1
    assert "either --images and --boxes, or --dataset" in capsys.readouterr().err
    assert main([*model, "--images", str(colored), "--boxes", "nowhere"]) == 1
    assert "found no CSV or folder of XML files nowhere" in capsys.readouterr().err
    file = colored / "boxes.csv"
    file.write_text("file,x0,y0,x1,y1,width,height\nblue/a.png,0,0,63,63,128,128\n")
    (colored / "images" / "red").rename(colored / "images" / "blue")
    assert main([*model, "--images", str(colored / "images"), "--boxes", str(file)]) == 1
    assert "is none of the model's 2 classes: blue" in capsys.readouterr().err


def test_a_model_that_does_not_show_where_it_looks(colored, capsys):
    model = tiny_model("swiftformer", num_labels=2)
    model.config.id2label = {0: "red", 1: "green"}
    model.save_pretrained(colored / "mobile")
    processor = {"image_processor_type": "ViTImageProcessor", "size": {"height": 64, "width": 64}}
    (colored / "mobile" / "preprocessor_config.json").write_text(json.dumps(processor))
    sources = ["--images", str(colored / "images"), "--boxes", str(colored / "boxes.csv")]
    model = ["--model", str(colored / "mobile"), "--output-dir", str(colored / "out"), *OPTIONS]
    assert main([*model, *sources]) == 1
    message = capsys.readouterr().err
    named = "pointing_game:images of mobile: it is not known where SwiftFormerForImageClassification looks"
    assert f"{named}: its logits are the mean of head and dist_head" in message


def test_official_layout_as_a_benchmark(tmp_path):
    """Two validation images, half in a class's color; the model's map is highest there."""
    for k, left in ((100, True), (555, False)):
        name = f"ILSVRC2012_val_{k:08d}"
        file = tmp_path / "imagenet" / "val" / wnids()[k] / f"{name}.JPEG"
        paint(file, k)
        color = Image.open(file).resize((100, 200))
        image = picture(200, 200)
        image.paste(color, (0 if left else 100, 0))
        image.save(file, "png")
        xml = box_xml((wnids()[k], 0, 0, 99, 199), ("n01440764", 0, 0, 199, 199)).replace(b"500", b"200")
        (tmp_path / "imagenet" / "ILSVRC2012_bbox_val_v3" / "val").mkdir(parents=True, exist_ok=True)
        (tmp_path / "imagenet" / "ILSVRC2012_bbox_val_v3" / "val" / f"{name}.xml").write_bytes(
            xml.replace(b"375", b"200")
        )
    save_checkpoint(tmp_path / "model")
    classifier = load_classifier(str(tmp_path / "model"))
    found = score(find_benchmark("pointing_game"), tmp_path, classifier)
    # Both boxes are on the left; what is of another class (the whole image) does not count.
    assert found.per_class() == {wnids()[100]: 1, wnids()[555]: 0}
    assert found.metrics["pointing_game_center"] == 1
    for kind in WHERE:
        assert find_benchmark(kind.name).missing(tmp_path, partial=True) is None
        scores = score(find_benchmark(kind.name), tmp_path, classifier)
        assert scores.metrics[kind.primary] == scores.per_image.mean()
    assert len(list((tmp_path / "cache").glob("*/imagenet_val-boxes-*"))) == 1  # one pass for all three


def test_boxes_that_are_missing_are_named(tmp_path):
    for k in (0, 1):
        paint(tmp_path / "imagenet" / "val" / wnids()[k] / f"ILSVRC2012_val_{k + 1:08d}.JPEG", k)
    benchmark = find_benchmark("localization")
    assert benchmark.absent(tmp_path)
    message = benchmark.missing(tmp_path, partial=True)
    assert "ILSVRC2012_bbox_val_v3/**/ILSVRC2012_val_<number>.xml" in message and "found none of" in message
    (tmp_path / "imagenet" / "bbox").mkdir()
    assert "no XML file" in benchmark.missing(tmp_path, partial=True)
    (tmp_path / "imagenet" / "bbox" / "ILSVRC2012_val_00000001.xml").write_bytes(
        box_xml(("n01440764", 1, 1, 9, 9))
    )
    assert benchmark.missing(tmp_path, partial=True) is None
    (images,) = benchmark.image_sets(tmp_path)
    assert [item.id for item in images.items] == [f"{wnids()[0]}/ILSVRC2012_val_00000001.JPEG"]
    assert images.boxes == (ImageBoxes([[1, 1, 9, 9]], 500, 375),)
    for k in range(2, 1000):
        paint(tmp_path / "imagenet" / "val" / wnids()[k] / f"ILSVRC2012_val_{k + 1:08d}.JPEG", k)
    assert "no XML file for 999 images, such as n01443537/ILSVRC2012_val_00000002" in benchmark.missing(
        tmp_path
    )


def test_a_model_that_is_not_suited_is_skipped(tmp_path):
    paint(tmp_path / "val" / "star" / "a.png", 100)
    (tmp_path / "boxes.csv").write_text("file,x0,y0,x1,y1,width,height\nstar/a.png,0,0,3,3,8,8\n")
    named = f"pointing_game:toy=val{os.pathsep}boxes.csv", "folder:toy=val"
    benchmarks = [find_benchmark(text) for text in named]
    model = color_classifier([100, 200], labels=["star", "ring"])
    results = suite.run([model], benchmarks, tmp_path, tmp_path / "out", QUIET, None).content
    assert set(results["benchmarks"]) == {"toy"}
    assert "where ColorClassifier looks: " in results["skipped"]["pointing_game:toy of colors"]


@pytest.mark.parametrize("argument", ["toy", "toy=images", "toy=@train", "=a:b", "toy=:boxes.csv"])
def test_arguments_that_name_no_boxes(argument):
    with pytest.raises(ValueError, match=r"written localization:NAME=IMAGES.BOXES or NAME=DATASET@SPLIT"):
        find_benchmark(f"localization:{argument}")
