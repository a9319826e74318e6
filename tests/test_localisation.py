"""Localisation: a model whose map is known, official box files good and bad, and rows in -> numbers out."""

import json

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image
from tiny_models import tiny_model
from torch import nn

from luab_data.errors import RejectedRecord, SourceError
from luab_trainer.commands.localise import main
from luab_trainer.evaluation.ilsvrc_boxes import BoxFile, load_ilsvrc_boxes, parse_box_file
from luab_trainer.evaluation.localisation import Judgement, Localisation, ScoreMap, score_maps
from luab_trainer.targets import Columns
from luab_trainer.transforms import ImageSettings

SETTINGS = ImageSettings(size=32, mean=(0, 0, 0), std=(1, 1, 1), resize=48)
MAPPED = ("vit", "dinov2_with_registers", "beit", "convnext", "convnextv2", "resnet", "swin", "swinv2")


def picture(width: int, height: int, *squares: tuple[int, int, int, int, str]) -> Image.Image:
    """A black image with rectangles x0, y0, x1, y1 (ends excluded) in a colour."""
    image = Image.new("RGB", (width, height))
    for *box, colour in squares:
        image.paste(colour, tuple(box))
    return image


def colour_model():
    """A ResNet whose map of class 0 is how red, of class 1 how green each 4x4 patch is."""
    model = tiny_model("resnet", embedding_size=3, hidden_sizes=[3], depths=[1], num_labels=2).eval()
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
            if "embedder" in name or "shortcut" in name:
                middle = module.kernel_size[0] // 2
                module.weight.data[range(3), range(3), middle, middle] = 1
        elif isinstance(module, nn.BatchNorm2d):
            module.running_var.fill_(1 - module.eps)
    linear = model.classifier[-1]
    linear.weight.data = torch.tensor([[20.0, 0, 0], [0, 20.0, 0]])
    return model


def test_a_model_that_sees_colours_finds_them():
    # The image is twice as wide as high and is not cropped: the red object on the far left still counts.
    image = picture(256, 128, (0, 32, 64, 96, "red"), (160, 32, 224, 96, "lime"))
    rows = [
        {"image": image, "label": 0, "objects": {"bbox": [[0, 32, 64, 64]], "category": [0]}},
        {"image": image, "label": 1, "objects": {"bbox": [[160, 32, 64, 64]], "category": [1]}},
        {"image": image, "label": 1, "objects": {"bbox": [], "category": []}},
    ]
    judgement = Localisation(rows, SETTINGS).judge(colour_model())
    found = judgement.metrics()
    assert found["localisation_images"] == 2
    assert found["max_box_acc"] == found["max_box_acc_v2_iou_50"] == 1
    assert found["pointing_game"] == found["pointing_game_class_mean"] == 1
    assert found["pointing_game_center"] == 0
    assert found["energy_pointing_game_uniform"] == pytest.approx(1 / 8)
    assert found["energy_pointing_game"] > 3 / 8  # pooling smears a colour over the next cell on each side
    assert judgement.labels == [0, 1]
    for name, values in judgement.per_image().items():
        assert found[name] == pytest.approx(values.mean())


def test_looking_at_the_other_object_is_a_miss():
    image = picture(128, 128, (0, 0, 64, 64, "red"), (64, 64, 128, 128, "lime"))
    rows = [{"image": image, "label": 0, "objects": {"bbox": [[64, 64, 64, 64]]}}]
    found = Localisation(rows, SETTINGS)(colour_model())
    assert found["pointing_game"] == found["max_box_acc_v2_iou_70"] == 0
    assert found["energy_pointing_game"] < 0.05
    # The rows' class 0 is the model's output 1.
    found = Localisation(rows, SETTINGS, outputs=[1, 0])(colour_model())
    assert found["pointing_game"] == found["max_box_acc"] == 1


def test_each_label_of_an_image_is_asked_with_its_own_boxes():
    image = picture(128, 128, (0, 0, 64, 64, "red"), (64, 64, 128, 128, "lime"))
    objects = {"bbox": [[64, 64, 64, 64], [0, 0, 64, 64]], "category": [1, 0]}
    rows = [{"image": image, "labels": [0, 1], "objects": objects}]
    maps = list(score_maps(colour_model(), rows, SETTINGS, Columns(label="labels"), batch_size=1))
    assert [(each.label, each.boxes) for each in maps] == [(0, [[0, 0, 64, 64]]), (1, [[64, 64, 64, 64]])]
    assert [tuple(each.point < 64) for each in maps] == [(True, True), (False, False)]


@pytest.mark.parametrize("model_type", MAPPED)
def test_maps_of_every_family(model_type):
    model = tiny_model(model_type).train()
    rng = np.random.default_rng(0)
    rows = [
        {
            "image": Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)),
            "label": label,
            "objects": {"bbox": [[0, 0, 50, 40]]},
        }
        for label in (0, 3, 4)
    ]
    maps = list(score_maps(model, rows, SETTINGS, batch_size=2))
    assert model.training  # as it was
    assert [each.label for each in maps] == [0, 3, 4]
    for each in maps:
        assert each.attention.shape == each.scores.shape
        assert each.attention.sum() == pytest.approx(1, abs=1e-5)
        assert ((each.point >= 0) & (each.point <= (50, 40))).all()
    other = next(score_maps(model, [{**rows[0], "label": 1}], SETTINGS))
    of_class = model_type in ("convnext", "convnextv2", "resnet", "swin", "swinv2")
    assert np.allclose(maps[0].scores, other.scores, atol=1e-6) != of_class  # CLS attention knows no classes


def test_the_map_of_a_feature_map_model_averages_to_the_logit():
    model = tiny_model("convnextv2").eval()
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    rows = [{"image": image, "label": label, "objects": {"bbox": [[0, 0, 9, 9]]}} for label in range(5)]
    means = np.array([each.scores.mean() for each in score_maps(model, rows, SETTINGS)])
    pixel_values = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255
    logits = model(pixel_values).logits[0].detach().numpy()
    linear = model.classifier
    constant = (linear.weight @ model.convnextv2.layernorm.bias + linear.bias).detach().numpy()
    assert means + constant == pytest.approx(logits, abs=1e-4)


def test_first_and_last_pixel_of_a_box_are_compared():
    # 2x2 pixels of a 4x4 image are 112x112 pixels of the map; the last one's index is 1, on the map 1 * 56.
    scores = np.zeros((224, 224))
    scores[:57, :57] = 1
    judgement = Judgement()
    judgement.add(ScoreMap("a", 0, scores, scores, np.array([0.5, 0.5]), [[0, 0, 2, 2]], 4, 4))
    assert judgement.metrics()["max_box_acc_v2"] == 1  # box 0..57 against 0..56: IoU 57**2 / 58**2


@pytest.fixture
def checkpoint(tmp_path):
    """The colour model's folder, with the classes red and green."""
    model = colour_model()
    model.config.id2label = {0: "red", 1: "green"}
    model.save_pretrained(tmp_path / "model")
    processor = {"size": {"height": 32, "width": 32}, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}
    (tmp_path / "model" / "preprocessor_config.json").write_text(json.dumps(processor))
    return tmp_path / "model"


def test_command_compares_models(checkpoint, tmp_path, capsys):
    for name, colour in (("green", "lime"), ("red", "red")):  # alphabetical: not the model's order
        (tmp_path / "images" / name).mkdir(parents=True)
        picture(128, 128, (0, 0, 64, 64, colour)).save(tmp_path / "images" / name / "a.png")
    (tmp_path / "boxes.csv").write_text(
        "file,x0,y0,x1,y1,width,height\ngreen/a.png,0,0,63,63,128,128\nred/a.png,64,64,127,127,128,128\n"
    )
    sources = ["--images", str(tmp_path / "images"), "--boxes", str(tmp_path / "boxes.csv")]
    output = tmp_path / "out" / "localisation.json"
    assert main(["--model", str(checkpoint), *sources, "--output", str(output), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["metric", "model"]
    assert ["pointing_game", "50.0", "%"] in [line.split() for line in printed]
    written = json.loads(output.read_text())["model"]
    assert written["ids"] == ["green/a", "red/a"]
    assert written["per_image"]["pointing_game"] == [1, 0]
    assert written["metrics"]["max_box_acc"] == 0.5


def test_command_says_what_is_wrong(checkpoint, tmp_path, capsys):
    assert main(["--model", str(checkpoint), "--images", str(tmp_path)]) == 1
    assert "either --images and --boxes, or --dataset" in capsys.readouterr().err
    file = tmp_path / "boxes.csv"
    file.write_text("file,x0,y0,x1,y1,width,height\nblue/a.png,0,0,63,63,128,128\n")
    (tmp_path / "blue").mkdir()
    picture(9, 9).save(tmp_path / "blue" / "a.png")
    assert main(["--model", str(checkpoint), "--images", str(tmp_path), "--boxes", str(file)]) == 1
    assert "none of the model's 2 classes: blue" in capsys.readouterr().err


def test_wrong_models_and_images_are_named():
    rows = [{"image": b"no image", "label": 0, "image_id": "n1/x", "objects": {"bbox": [[0, 0, 1, 1]]}}]
    with pytest.raises(ValueError, match=r"Row 0 \(n1/x\): cannot read the image"):
        Localisation(rows, SETTINGS)(tiny_model("vit"))
    with pytest.raises(ValueError, match="not a Linear's"):
        Localisation(rows, SETTINGS)(nn.Linear(1, 1))
    with pytest.raises(ValueError, match="no image was added"):
        Localisation([], SETTINGS)(tiny_model("vit"))
    with pytest.raises(ValueError, match="Supported model types"):
        Localisation(rows, SETTINGS)(tiny_model("mobilevit"))


OFFICIAL = """<annotation>
	<folder>val</folder>
	<filename>ILSVRC2012_val_00000002</filename>
	<source><database>ILSVRC_2012</database></source>
	<size><width>500</width><height>375</height><depth>3</depth></size>
	<segmented>0</segmented>
	{objects}
</annotation>"""
OBJECT = (
    "<object><name>{}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
    "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def box_xml(*objects: tuple) -> bytes:
    return OFFICIAL.format(objects="".join(OBJECT.format(*each) for each in objects)).encode()


def test_an_official_file():
    xml = box_xml(("n09193705", 45, 49, 499, 162), ("n09193705", 2, 69, 437, 207))
    expected = (("n09193705", (45, 49, 499, 162)), ("n09193705", (2, 69, 437, 207)))
    assert parse_box_file(xml) == BoxFile(500, 375, expected)
    assert parse_box_file(box_xml()) == BoxFile(500, 375, ())


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (b"", "not well-formed"),
        (b"\x00\x05\x16\x07", "not well-formed"),
        (b"<a><object/></a>", "0 size elements"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "DOCTYPE"),
        (b"<a>" * 100, "nested deeper"),
        (b"<a>" + b" " * 2_000_000, "more than 1,048,576 bytes"),
        (box_xml(("n1", 10, 0, 5, 9)), "object 1: the box 10, 0, 5, 9 ends before it begins"),
        (box_xml(("n1", 0, 0, 5, 9), ("n1", "1e3", 0, 5, 9)), "object 2: xmin is '1e3'"),
        (box_xml(("n1", -1, 0, 5, 9)), "object 1: xmin is '-1'"),
        (box_xml(("n1", 0, 0, 501, 9)), "object 1: xmax is '501', allowed is a whole number from 0 to 500"),
        (box_xml(("n1", "9" * 5000, 0, 5, 9)), "object 1: xmin is '99999"),
        (box_xml(("n1", "²", 0, 5, 9)), "object 1: xmin is '²'"),
        (box_xml(("", 0, 0, 5, 9)), "object 1: name occurs 1 times or is empty"),
        (box_xml(("n1", "", 0, 5, 9)), "object 1: xmin occurs"),
        (box_xml().replace(b"<segmented>", b"<object/><segmented>"), "object 1: 0 bndbox"),
        (box_xml().replace(b"500", b"0"), "size: width is '0'"),
    ],
)
def test_a_bad_file_is_rejected_with_the_reason(xml, reason):
    with pytest.raises(RejectedRecord) as error:
        parse_box_file(xml)
    assert reason in error.value.reason


def official(root, layout: str):
    """Two images and their box files, flat or in class folders -> images, boxes."""
    wnids = ("n01443537", "n01440764")
    for number, wnid in enumerate(wnids, start=1):
        name = f"ILSVRC2012_val_0000000{number}"
        folder = root / "images" / (wnid if layout == "folders" else "")
        folder.mkdir(parents=True, exist_ok=True)
        picture(500, 375, (100, 100, 200, 200, "red")).save(folder / f"{name}.JPEG")
        (root / "boxes" / "val").mkdir(parents=True, exist_ok=True)
        (root / "boxes" / "val" / f"{name}.xml").write_bytes(box_xml((wnid, 100, 100, 199, 199)))
    (root / "boxes" / "val" / "._ILSVRC2012_val_00000001.xml").write_bytes(b"\x00\x05\x16\x07")
    return root / "images", root / "boxes"


@pytest.mark.parametrize("layout", ["flat", "folders"])
def test_official_boxes_become_a_dataset(tmp_path, layout):
    images, boxes = official(tmp_path, layout)
    rows = load_ilsvrc_boxes(images, boxes)
    assert isinstance(rows, Dataset)
    by_label = {row["label"]: row for row in rows}
    assert set(by_label) == {0, 1}  # tench, goldfish
    assert rows.features["label"].names[1] == "n01443537"
    assert by_label[1]["objects"] == {"bbox": [[100, 100, 100, 100]], "category": [1]}
    name = "ILSVRC2012_val_00000001"
    assert by_label[1]["image_id"] == (name if layout == "flat" else f"n01443537/{name}")
    assert by_label[1]["image"].size == (500, 375)
    found = Localisation(rows, SETTINGS)(colour_model())
    assert found["localisation_images"] == 2


def test_official_boxes_that_do_not_fit_are_refused(tmp_path):
    images, boxes = official(tmp_path, "flat")
    with pytest.raises(SourceError, match="none of the 1 labels"):
        load_ilsvrc_boxes(images, boxes, ["n01440764"])
    with pytest.raises(SourceError, match="not a folder"):
        load_ilsvrc_boxes(images, tmp_path / "absent")
    with pytest.raises(SourceError, match="not a folder"):
        load_ilsvrc_boxes(tmp_path / "absent", boxes)
    with pytest.raises(SourceError, match="no XML file"):
        load_ilsvrc_boxes(images, images)
    file = boxes / "val" / "ILSVRC2012_val_00000002.xml"
    file.write_bytes(box_xml(("n01440764", 1, 1, 2, 2), ("n01443537", 1, 1, 2, 2)))
    with pytest.raises(SourceError, match="objects of 2 classes"):
        load_ilsvrc_boxes(images, boxes)
    file.write_bytes(b"<a>")
    with pytest.raises(SourceError, match=r"ILSVRC2012_val_00000002\.xml: not well-formed"):
        load_ilsvrc_boxes(images, boxes)
    for each in images.iterdir():
        each.rename(each.with_name(f"other_{each.name}"))
    with pytest.raises(SourceError, match="none of the 2 XML files"):
        load_ilsvrc_boxes(images, boxes)
