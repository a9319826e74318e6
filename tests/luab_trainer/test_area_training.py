"""Training on gaze, boxes, masks and heat maps: from the rows to the loss, and through run.py."""

import json
from itertools import product
from typing import get_args

import datasets
import numpy as np
import pytest
import torch
from fixtures.factories import image_bytes
from fixtures.looked import CLASSES, looked_dataset
from fixtures.small_runs import options, write_config
from fixtures.tiny_models import IMAGE_SIZE, tiny_model
from PIL import Image

from luab import CutMix, LUABConfig, LUABModel, LUABTrainer, MixUp, ViewDataset
from luab_attention.reading import Reading, read_rows
from luab_attention.shuffling import shuffle_byproducts
from luab_data.errors import SourceError
from luab_data.rows.columns import AREA_KINDS, ByproductKind, Columns
from luab_trainer.announcement import control_text, model_facts
from luab_trainer.arguments import parse
from luab_trainer.data import streaming as stream_module
from luab_trainer.data.collator import collate
from luab_trainer.data.inputs import read_inputs
from luab_trainer.data.stream_inputs import read_stream_inputs
from luab_trainer.data.streaming import StreamedSamples, StreamReader
from luab_trainer.losses.attention import AttentionLoss
from luab_trainer.pictures import attention_picture
from luab_trainer.run import main, train
from luab_vision.model_attention import attention_grid
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings, TrainTransform

SETTINGS = ImageSettings(size=IMAGE_SIZE, resize=IMAGE_SIZE)
SEVERAL = Columns(label="labels")


def samples(kind, count=8, several=False, transform=None, **more):
    rows = looked_dataset(count, several=several)
    if several:
        more = {"columns": SEVERAL, "num_labels": CLASSES, **more}
    return ViewDataset(rows, transform or TrainTransform(SETTINGS), byproduct=kind, **more)


def test_box_becomes_the_attention_term():
    """A box from 0.25 to 0.625 of the width, on a grid of 4: N = 0, 1, 1/2, 0; D = 0, 2/3, 1/3, 0."""
    maps = torch.zeros(1, 1, 1, 8)
    maps[..., 2:5] = 1
    attention = torch.tensor([0.1, 0.2, 0.3, 0.4]).view(1, 1, 1, 1, 4)
    assert AttentionLoss("energy", None, 0.0)(attention, maps=maps).tolist() == pytest.approx([0.65])
    assert AttentionLoss("hinge", None, 0.5)(attention, maps=maps).tolist() == pytest.approx([0.15])
    assert AttentionLoss("hinge", None, 0.7)(attention, maps=maps).tolist() == pytest.approx([0.0])
    expected = 2 / 3 * np.log(2 / 3 / 0.2) + 1 / 3 * np.log(1 / 3 / 0.3)
    assert AttentionLoss("kl", None, 0.0)(attention, maps=maps).tolist() == pytest.approx([expected])


def test_targets_of_one_map_are_merged_by_their_shares():
    maps = torch.zeros(1, 3, 1, 4)
    maps[0, 0, 0, 0] = maps[0, 1, 0, 1] = 1  # the third target is not usable
    attention = torch.tensor([0.1, 0.2, 0.3, 0.4]).view(1, 1, 1, 1, 4)
    energy, kl = AttentionLoss("energy", None, 0.0), AttentionLoss("kl", None, 0.0)
    assert energy(attention, maps=maps).tolist() == pytest.approx([0.7])
    assert kl(attention, maps=maps).tolist() == pytest.approx([0.5 * np.log(5) + 0.5 * np.log(2.5)])
    shares = torch.tensor([[0.6, 0.2, 0.2]])
    # N = 1 and 1/3; the row counts with 0.8, the shares of its usable targets.
    found = energy(attention, maps=maps, shares=shares).tolist()
    assert found == pytest.approx([0.8 * (1 - 0.1 - 0.2 / 3)])
    found = kl(attention, maps=maps, shares=shares).tolist()
    assert found == pytest.approx([0.8 * (0.75 * np.log(7.5) + 0.25 * np.log(1.25))])
    assert AttentionLoss("kl", None, 0.0)(attention, maps=torch.zeros(1, 2, 1, 4)).tolist() == [0.0]


@pytest.mark.parametrize("kind", AREA_KINDS)
def test_maps_are_where_the_pixels_are(kind):
    """Each image is black but for its region: where the crop is bright, the map is."""
    rows = looked_dataset(8)
    bright = [{**row, "image": row["masks"][0]["image"]} for row in rows if row["masks"]]
    transform = TrainTransform(SETTINGS, scale=(0.3, 1.0))
    checked = 0
    for seed in range(10):
        dataset = ViewDataset(bright, transform, seed, byproduct=kind, grid=(IMAGE_SIZE, IMAGE_SIZE))
        for sample in dataset:
            values, pixels = sample["target_maps"][0], sample["pixel_values"][..., 0].numpy() / 255
            if kind == "scanpath":  # the region's center is where people looked
                if values.any() and pixels.max() > 0.9:
                    weighted = (values * pixels).sum() / values.sum()
                    checked += weighted > 0.5
            elif values.any():
                assert np.abs(values - pixels).mean() < 0.03
                checked += 1
    assert checked > 40


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("kind", AREA_KINDS)
def test_a_batch_has_a_map_for_each_target(kind, several):
    batch = collate(list(samples(kind, several=several, transform=EvalTransform(SETTINGS))))
    targets = 2 if several else 1
    assert batch["target_maps"].shape == (8, targets, 56, 56) and "target_points" not in batch
    assert batch["target_maps"].amax(dim=(2, 3)).tolist() == [[float(b != 4)] * targets for b in range(8)]
    assert batch["target_labels"][4].tolist() == [-1] * targets
    expected = [[b % 5, (b + 1) % 5][:targets] for b in range(8) if b != 4]
    assert [sorted(row) for row in batch["target_labels"][[0, 1, 2, 3, 5, 6, 7]].tolist()] == list(
        map(sorted, expected)
    )


def test_the_models_grid_is_found():
    assert attention_grid(tiny_model("vit"), (IMAGE_SIZE, IMAGE_SIZE)) == (4, 4)
    model = tiny_model("convnext")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert attention_grid(model, (IMAGE_SIZE, IMAGE_SIZE))[0] >= 1
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("kind", AREA_KINDS)
def test_a_row_without_an_area_has_no_byproduct_loss(kind):
    model = tiny_model("vit", num_labels=CLASSES)
    luab = LUABModel(model, "both", byproduct=kind, mean=(0.5,) * 3, std=(0.5,) * 3).eval()
    terms = luab(**collate(list(samples(kind)))).terms
    assert terms["attention"].sum() > 0 and terms["attention"][4] == terms["point"][4] == 0


def test_the_point_term_regresses_the_center_of_mass():
    batch = collate(list(samples("boxes", transform=EvalTransform(SETTINGS))))
    luab = LUABModel(tiny_model("vit", num_labels=CLASSES), "point", mean=(0.5,) * 3, std=(0.5,) * 3)
    row = looked_dataset(8)[0]
    left, top, width, height = row["objects"]["bbox"][0]
    center = np.array([left + width / 2, top + height / 2]) / 40
    expected = (0.5 * (0.5 - center) ** 2).mean()  # the head starts at the center of the crop
    assert luab(**batch).terms["point"][0].item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("kind", AREA_KINDS)
def test_cutmix_cuts_the_maps_as_the_pixels(kind):
    rows = [{**row, "image": row["masks"][0]["image"]} for row in looked_dataset(8) if row["masks"]]
    seen = 0
    for seed in range(15):
        dataset = ViewDataset(
            rows, EvalTransform(SETTINGS), seed, byproduct=kind, cutmix=CutMix(), num_labels=CLASSES,
            grid=(IMAGE_SIZE, IMAGE_SIZE), sigma=0.1,
        )  # fmt: skip
        for sample in dataset:
            pixels = sample["pixel_values"][..., 0].numpy() / 255
            for values, label in zip(sample["target_maps"], sample["target_labels"], strict=True):
                assert 0 <= label < CLASSES
                if kind != "scanpath" and values.any():
                    assert ((values > 0.9) & (pixels < 0.1)).mean() < 0.02  # what is covered is gone
                seen += bool(values.any())
    assert seen > 100


def squares(count: int) -> list[dict]:
    """Black images with a bright square, which is the object; of row 0 in red, of the others in blue."""
    rng, rows, size = np.random.default_rng(0), [], 60
    for number in range(count):
        left, top = (int(each) for each in rng.integers(5, 30, 2))
        inside = np.zeros((size, size), np.uint8)
        inside[top : top + 25, left : left + 25] = 255
        pixels = np.zeros((size, size, 3), np.uint8)
        pixels[..., 2 if number else 0] = inside // 255 * 250
        image, mask = (
            {"bytes": image_bytes(Image.fromarray(each), "PNG"), "path": None} for each in (pixels, inside)
        )
        rows.append(
            {
                "image": image, "label": number, "width": size, "height": size,
                "objects": {"bbox": [[left, top, 25, 25]], "category": [number]},
                "masks": [{"label": number, "image": mask}],
                "heatmaps": [{"label": number, "annotator": "a", "image": mask}],
            }
        )  # fmt: skip
    return rows


@pytest.mark.parametrize(
    "mixed", [{"mixup": MixUp(alpha=1.0)}, {"cutmix": CutMix()}], ids=["mixup", "cutmix"]
)
@pytest.mark.parametrize("kind", [kind for kind in AREA_KINDS if kind != "scanpath"])
def test_a_crop_is_as_bright_under_each_map_as_the_share_of_its_target(kind, mixed):
    """MixUp blends what is under the map; of CutMix, what is seen of an object is seen whole."""
    rows, counted = squares(6), {"own": 0, "other": 0, "gone": 0}
    transform = TrainTransform(SETTINGS, scale=(0.3, 1.0))
    for seed in range(100):
        sample = ViewDataset(
            rows, transform, seed, byproduct=kind, num_labels=6, grid=(IMAGE_SIZE, IMAGE_SIZE), **mixed
        )[0]
        maps, labels = sample["target_maps"], sample["target_labels"]
        shares = sample.get("target_shares", [1.0] * len(maps))
        for values, label, share in zip(maps, labels, shares, strict=True):
            around = np.stack([np.roll(values, move, (0, 1)) for move in product((-1, 0, 1), repeat=2)])
            inside = around.min(0) > 0.99  # not at a border, where pixels are between two
            if not values.any():
                counted["gone"] += 1
            elif inside.any():
                pixels = sample["pixel_values"][..., 2 if label else 0].numpy()
                assert np.median(pixels[inside]) == pytest.approx(250 * share, abs=6)
                counted["other" if label else "own"] += 1
                if "mixup" in mixed:
                    assert share == pytest.approx(float(sample["labels"][label]), abs=1e-6)
    assert min(counted["own"], counted["other"]) > 20, counted


def test_mixup_counts_the_maps_by_their_shares():
    dataset = samples("boxes", mixup=MixUp(alpha=1.0), num_labels=CLASSES)
    batch = collate(list(dataset))
    usable = (batch["target_maps"].amax(dim=(2, 3)) > 0).float()
    shares = batch["target_shares"]
    assert torch.all(shares * (1 - usable) == 0) and torch.all(shares.sum(1) <= 1 + 1e-6)
    assert (usable.sum(1) > 1).any()
    luab = LUABModel(tiny_model("vit", num_labels=CLASSES), "attention", byproduct="boxes",
                     mean=(0.5,) * 3, std=(0.5,) * 3)  # fmt: skip
    assert luab(**batch).loss.isfinite()


def write(folder, **splits):
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        rows.to_parquet(folder / f"{split}.parquet")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("looked")
    return write(folder, train=looked_dataset(16), test=looked_dataset(8, seed=1))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("config"))


@pytest.mark.parametrize(
    ("kind", "form"), [("scanpath", "kl"), ("boxes", "hinge"), ("masks", "energy"), ("heatmap", "hinge")]
)
def test_run_trains_and_evaluates_on_each(data, config, tmp_path, capsys, kind, form):
    main(options(config, data, tmp_path, byproduct=kind, attention_form=form, max_steps=2))
    said = capsys.readouterr().out
    assert f"byproduct                 {kind}" in said
    usable = f"usable {kind}" if kind in ("boxes", "masks") else f"a usable {kind}"
    assert f"13 of them (81.2%) with {usable}\n" in said
    share = "90%" if kind in ("boxes", "masks") else "50%"
    mixed = f"background mix            {share} of the crops with a byproduct\n"  # areas have no radius
    assert ("sigma of its source, or 0.1 of the image's width" in said) == (kind == "scanpath")
    assert mixed in said
    results = json.loads((tmp_path / "eval_results.json").read_text())
    assert results["eval_attention"] > 0
    assert "warning" not in said


def test_gaze_is_as_wide_as_the_data_say():
    rows = looked_dataset(4)
    source = {"device": None, "pixels_per_degree": None, "sigma": 0.25}
    told = rows.add_column("attention_source", [source] * 4)
    transform = EvalTransform(SETTINGS)
    by_data, given, usual, other = (
        np.stack([s["target_maps"][0] for s in ViewDataset(each, transform, byproduct="scanpath", **more)])
        for each, more in (
            (told, {}), (rows, {"sigma": 0.25}), (rows, {}), (told, {"sigma": 0.1})
        )
    )  # fmt: skip
    np.testing.assert_allclose(by_data, given, atol=1e-6)
    np.testing.assert_allclose(other, usual, atol=1e-6)
    assert by_data.mean() > 1.3 * usual.mean()


@pytest.mark.parametrize(
    ("kind", "more"), [("scanpath", {}), ("heatmap", {"loss": "none"}), ("masks", {"loss": "none"})]
)
def test_the_mix_is_of_any_kind_and_without_a_loss(data, config, tmp_path, kind, more):
    arguments = options(config, data, tmp_path, byproduct=kind, background_mix=1.0, max_steps=2, **more)
    trainer = train(*parse(arguments, "", "run.py"))
    dataset = trainer.train_dataset
    mixed, plain = dataset[0]["pixel_values"], ViewDataset(
        dataset.rows, dataset.to_sample.transform, dataset.seed, byproduct=kind
    )[0]["pixel_values"]  # fmt: skip
    assert (mixed != plain).float().mean() > 0.2


@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_a_stream_trains_on_each(data, config, tmp_path, kind):
    more = {"byproduct": kind, "streaming": True, "eval_split": None, "do_eval": False}
    main(options(config, data, tmp_path, max_steps=2, **more))


def test_an_evaluation_opens_no_training_image_for_its_boxes(data, config, tmp_path):
    more = {"byproduct": "boxes", "do_train": False, "model": str(tmp_path / "model"), "from_config": None}
    found = read_inputs(*parse(options(config, data, tmp_path, **more), ""))
    assert found.train_facts.with_target is None and found.eval_facts.with_target


@pytest.mark.parametrize("kind", ["masks", "heatmap"])
def test_a_stream_keeps_the_files_of_masks_and_maps(data, config, tmp_path, kind, monkeypatch):
    """Decoded, a mask of 640 x 480 takes 300 KB in the buffer instead of less than 1."""
    more = {"byproduct": kind, "streaming": True, "eval_split": None, "do_eval": False}
    stream = read_stream_inputs(*parse(options(config, data, tmp_path, max_steps=2, **more), ""))
    (column,) = stream.columns.of_byproduct(kind)
    stored = datasets.load_dataset("parquet", data_files=str(data / "train.parquet"), split="train")
    monkeypatch.setattr(datasets.Image, "decode_example", lambda *_, **__: pytest.fail("an image is decoded"))
    samples = StreamedSamples(stream.train, EvalTransform(SETTINGS), 0, shuffle_buffer=4, byproduct=kind,
                              columns=stream.columns, num_labels=CLASSES)  # fmt: skip
    found = {row["image"]["bytes"]: row[column] for row in samples.rows}
    for row in stored.with_format("arrow")[:].to_pylist():
        assert found[row["image"]["bytes"]] == row[column]
    assert len(found) == 16
    assert next(iter(samples))["target_maps"]


@pytest.mark.parametrize("more", [{}, {"shuffle_byproducts": 0}, {"streaming": True, "max_steps": 2}])
def test_a_run_says_which_boxes_it_leaves_out_and_needs_some(config, tmp_path, more):
    rows = looked_dataset(10)
    boxes = rows["objects"][:]
    boxes[0] = {"bbox": [[30, 30, 40, 5]], "category": boxes[0]["category"]}
    boxes[1] = {"bbox": boxes[1]["bbox"], "category": [(rows[1]["label"] + 1) % CLASSES]}
    feature, rows = rows.features["objects"], rows.remove_columns("objects")
    odd, none = (
        write(
            tmp_path / name, train=rows.add_column("objects", each, feature=feature), test=looked_dataset(5)
        )
        for name, each in (("odd", boxes), ("none", [boxes[0]] * 10))
    )
    read = read_stream_inputs if "streaming" in more else read_inputs
    given = {"byproduct": "boxes", **more} | ({"eval_split": "test"} if more else {})
    said = [
        note for note in read(*parse(options(config, odd, tmp_path, **given), "")).notes if "left out" in note
    ]
    assert len(said) == 1 and said[0].removeprefix("the first 10 rows: ").startswith(
        "objects: 2 of 8 boxes are left out: 1 box that reaches out of its image, 1 box of a class that"
    )
    assert said[0].startswith("the first 10 rows: ") == ("streaming" in more)
    if "streaming" not in more:
        message = (
            "none of the 10 training rows has a usable one .* 10 of 10 boxes are left out: 10 boxes that"
        )
        with pytest.raises(SourceError, match=message):
            read(*parse(options(config, none, tmp_path, **given), ""))


@pytest.mark.parametrize("kind", ["scanpath", "boxes"])
def test_several_labels_train_on_each(config, tmp_path, kind):
    data = write(tmp_path / "data", train=looked_dataset(8, several=True))
    main(options(config, data, tmp_path / "out", byproduct=kind, max_steps=1))


@pytest.mark.parametrize("kind", ["click", "boxes", "masks"])
def test_the_control_shuffles_and_says_so(tmp_path, config, capsys, kind):
    data = write(tmp_path / "data", train=looked_dataset(16))
    arguments = options(
        config, data, tmp_path / "out", byproduct=kind, shuffle_byproducts=3, background_mix=0
    )
    trainer = train(*parse(arguments, "", "run.py"))
    assert "  byproducts shuffled between the training rows, seed 3" in capsys.readouterr().out
    assert "byproducts shuffled" in (tmp_path / "out" / "README.md").read_text()
    name = "target_points" if kind == "click" else "target_maps"
    plain = ViewDataset(looked_dataset(16), EvalTransform(SETTINGS), byproduct=kind)
    shuffled = ViewDataset(trainer.train_dataset.rows, EvalTransform(SETTINGS), byproduct=kind)
    one, two = ([str(np.round(each[name], 3).tolist()) for each in rows] for rows in (plain, shuffled))
    assert sorted(one) == sorted(two) and sum(a != b for a, b in zip(one, two, strict=True)) > 8
    assert [each["target_labels"] for each in shuffled if each["target_labels"]] == [
        [each["labels"]] for each in shuffled if each["target_labels"]
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"background_mix": 0.0}, None),
        ({"background_mix": 0.9}, "train both with --background_mix 0"),
        ({"background_mix": 0.0, "label_policy": "authors"}, "train both with --label_policy keep"),
        (
            {"background_mix": 0.9, "label_policy": "authors"},
            "train both with --background_mix 0 --label_policy keep",
        ),
    ],
)
def test_the_control_says_what_else_differs(tmp_path, options, said):
    args = LUABConfig(output_dir=str(tmp_path), report_to="none", use_cpu=True, **options)
    text = control_text(args, 3)
    assert text.startswith("byproducts shuffled between the training rows, seed 3")
    assert text.endswith("seed 3") if said is None else text.endswith(f"with a plain run too, or {said}")


@pytest.mark.parametrize("kind", get_args(ByproductKind))
def test_the_control_takes_byproducts_between_portraits_and_landscapes(kind):
    """Each row looks at the left third; the control's too, stretched onto an image of the other shape."""
    rows = []
    for number in range(6):
        width, height = (60, 90) if number % 2 else (90, 60)
        left = np.zeros((height, width), np.uint8)
        left[:, : width // 3] = 255
        area = {"image": {"bytes": image_bytes(Image.fromarray(left), "PNG"), "path": None}}
        point = {"x": 1 / 6, "y": 0.5}
        rows.append(
            {
                "image": {"bytes": image_bytes(Image.new("RGB", (width, height))), "path": None},
                "label": number, "width": width, "height": height, "click": point,
                "annotations": [
                    {
                        "selected": True, "selected_record": [{**point, "time": 50}],
                        "mouse_tracking": [{**point, "time": 0}],
                    }
                ],
                "scanpaths": [{"x": [1 / 6], "y": [0.5]}], "masks": [area], "heatmaps": [area],
                "objects": {"bbox": [[0, 0, width / 3, height]], "category": [number]},
            }
        )  # fmt: skip
    table = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())
    for column in ("masks", "heatmaps"):
        table = table.cast_column(column, datasets.List({"image": datasets.Image()}))
    shuffled = shuffle_byproducts(table, kind, Columns())
    for row in ViewDataset(shuffled, EvalTransform(SETTINGS), byproduct=kind, grid=(1, 6)):
        assert row["target_labels"] == [row["labels"]]
        if "target_maps" in row:
            # The evaluation's crop is the image's middle, 2/3 of a landscape's width: 1/6 to 5/6.
            first = row["target_maps"][0][0].argmax()
            assert first == 0 and row["target_maps"][0][0, 3:].max() < 0.3
        else:
            assert len(row["target_points"][0])
    # In rows of their own a mask of the other shape is still of the stored pixels of a turned photo.
    if kind in ("masks", "heatmap"):
        column = {"masks": "masks", "heatmap": "heatmaps"}[kind]
        turned = [{**rows[0], column: rows[1][column]}]
        with pytest.raises(ValueError, match="60 x 90 pixels for one of 90 x 60"):
            ViewDataset(turned, EvalTransform(SETTINGS), byproduct=kind)[0]


@pytest.mark.parametrize(
    ("model_type", "kind", "warned"),
    [("convnext", "heatmap", True), ("convnext", "boxes", False), ("vit", "scanpath", False)],
)
def test_a_convnet_on_gaze_is_warned_about(tmp_path, model_type, kind, warned):
    args = LUABConfig(output_dir=str(tmp_path), byproduct=kind, report_to="none", use_cpu=True)
    luab = LUABModel(tiny_model(model_type), "attention", byproduct=kind)
    facts = dict(model_facts(luab, args, "random weights"))
    assert ("arXiv 2604.20027" in facts.get("warning", "")) == warned


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"byproduct": "boxes", "background_radius": 0.5},
            "background_radius 0.5 is the distance from a point",
        ),
        (
            {"byproduct": "boxes", "attention_radius": 0.2},
            "attention_radius 0.2 is the distance",
        ),
        ({"byproduct": "masks", "attention_sigma": 0.2}, "is for --byproduct scanpath"),
        ({"byproduct": "boxes", "attention_form": "energy", "attention_tolerance": 0.2}, "has no tolerance"),
        ({"attention_form": "kl", "attention_tolerance": 0.2}, "--attention_form kl has no tolerance"),
        ({"loss": "none", "shuffle_byproducts": 1}, "does nothing"),
        ({"shuffle_byproducts": -1}, "a seed, 0 or more"),
        ({"shuffle_byproducts": 1, "streaming": True}, "needs all rows before training"),
    ],
)
def test_options_that_do_not_go_together_are_refused(data, config, tmp_path, capsys, more, message):
    with pytest.raises(SystemExit):
        main(options(config, data, tmp_path, **more))
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda rows: rows.remove_columns("masks"), "masks", "no column 'masks'"),
        (lambda rows: rows.remove_columns("masks").add_column("masks", [1] * 8), "masks", "needed is a list"),
        (
            lambda rows: rows.remove_columns("scanpaths").add_column(
                "scanpaths", [[{"x": [0.1, 0.2], "y": [0.3]}]] * 8
            ),
            "scanpath",
            "lists x and y have different lengths",
        ),
        (
            lambda rows: rows.remove_columns("scanpaths").add_column(
                "scanpaths", [[{"x": [310.0], "y": [20.0]}]] * 8
            ),
            "scanpath",
            "no ratios",
        ),
        (
            lambda rows: rows.remove_columns("scanpaths").add_column(
                "scanpaths", [[{"label": "a", "x": [0.5], "y": [0.5]}]] * 8
            ),
            "scanpath",
            "number the classes of both the same way",
        ),
        (
            lambda rows: rows.map(lambda row: {"scanpaths": []}),
            "scanpath",
            "none of the 8 training rows has a usable one",
        ),
    ],
)
def test_columns_that_are_not_understood_are_refused_before_training(config, tmp_path, change, kind, message):
    data = write(tmp_path / "data", train=change(looked_dataset(8)))
    with pytest.raises(SystemExit, match=message):
        main(options(config, data, tmp_path / "out", byproduct=kind))


def with_paths(rows: datasets.Dataset, *paths: dict) -> datasets.Dataset:
    """The rows with this gaze, one viewing a row."""
    return rows.remove_columns("scanpaths").add_column("scanpaths", [[path] for path in paths])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weight": -1.0}, r"whose weight is not 0 or more \(in row 2: -1\)"),
        ({"weight": float("nan")}, r"whose weight is not 0 or more \(in row 2: nan\)"),
        ({"weight": float("inf")}, r"whose weight is not 0 or more \(in row 2: inf\)"),
        ({"duration": [-1.0]}, r"a duration that is not 0 ms or more \(in row 2: -1\)"),
        ({"duration": [None]}, r"a duration that is not 0 ms or more \(in row 2: nan\)"),
    ],
)
def test_a_path_that_could_not_be_weighed_is_refused_before_training(wrong, message):
    good = {"x": [0.5], "y": [0.5], "weight": 1.0, "duration": [100.0]}
    rows = with_paths(looked_dataset(8), *[good, {**good, "weight": None}, {**good, **wrong}], *[good] * 5)
    with pytest.raises(SourceError, match=message):
        read_rows(rows, Reading(), "scanpath")


@pytest.mark.parametrize("streaming", [False, True])
def test_gaze_far_beside_the_image_does_not_count_and_is_said(config, tmp_path, capsys, streaming):
    """Row 0 has a sample 6 image widths away, all of row 1 is so far: a narrow image on a screen."""
    beside, near = {"x": [6.0, 0.5], "y": [0.5, 0.5]}, {"x": [0.5, 0.6], "y": [0.5, 0.5]}
    rows = with_paths(looked_dataset(8), beside, {"x": [6.0, -4.0], "y": [0.5, 0.5]}, *[near] * 6)
    data = write(tmp_path / "data", train=rows)
    more = {"byproduct": "scanpath", "max_steps": 1, "do_eval": False, "eval_split": None}
    if streaming:
        more["streaming"] = True
    main(options(config, data, tmp_path / "out", **more))
    assert (
        "scanpaths: 3 of 16 samples, in 2 rows, are further than 2 times the image's size from its corner"
    ) in capsys.readouterr().err
    dataset = ViewDataset(rows, EvalTransform(SETTINGS), byproduct="scanpath")
    assert [len(dataset[number]["target_labels"]) for number in range(3)] == [1, 0, 1]
    alone = [{**row, "image": row["image"]} for row in rows]
    with pytest.raises(ValueError, match="Row 1: column 'scanpaths' holds positions that are not ratios"):
        ViewDataset(alone, EvalTransform(SETTINGS), byproduct="scanpath")[1]


def test_gaze_in_another_unit_is_refused_though_some_of_it_could_be_ratios():
    pixels = {"x": [1.0, 20.0, 30.0], "y": [1.0, 20.0, 35.0]}
    rows = with_paths(looked_dataset(8), *[pixels] * 8)
    message = (
        r"no ratios of the image, .*in 8 rows, the first is row 0: \(20, 20\).*16 are further than 2 times "
        "its size from its corner, 8 in it; in 0 rows all are, in 8 one is in it. Divide"
    )
    with pytest.raises(SourceError, match=message):
        read_rows(rows, Reading(), "scanpath")
    with pytest.raises(SourceError, match=message):
        ViewDataset(rows, EvalTransform(SETTINGS), byproduct="scanpath")


def test_pixels_whose_lost_samples_are_at_0_are_refused():
    """(0, 0) lies in the image also in ratios; people do not look at exactly this corner."""
    rows = with_paths(looked_dataset(8), *[{"x": [20.0, 0.0], "y": [30.0, 0.0]}] * 8)
    message = "8 are further than 2 times its size from its corner, 0 in it; in 8 rows all are, in 0 one is"
    with pytest.raises(SourceError, match=message):
        read_rows(rows, Reading(), "scanpath")


def test_most_rows_in_pixels_are_refused_though_a_row_of_ratios_has_more_samples():
    pixels, ratios = {"x": [20.0], "y": [30.0]}, {"x": [0.5] * 20, "y": [0.5] * 20}
    rows = with_paths(looked_dataset(8), *[pixels] * 5, *[ratios] * 3)
    with pytest.raises(SourceError, match=r"5 are further .* 60 in it; in 5 rows all are, in 3 one is in it"):
        read_rows(rows, Reading(), "scanpath")


def test_later_rows_of_a_stream_in_another_unit_are_said_and_refused(monkeypatch, caplog):
    """The first rows were ratios. One row in pixels is said, more than those in ratios are refused."""
    monkeypatch.setattr(stream_module, "FIRST_ROWS", 8)
    near, pixels = {"x": [0.5], "y": [0.5]}, {"x": [20.0, 31.0], "y": [9.0, 9.0]}
    good = with_paths(looked_dataset(8), pixels, *[near] * 7)
    bad = with_paths(looked_dataset(8), *[pixels] * 5, *[near] * 3)
    features = good.cast_column("image", datasets.Image(decode=False)).features
    reader = StreamReader(features, Reading(whole=False), "scanpath", ".")
    first, later = (rows.cast(features)[:] for rows in (good, bad))
    reader(first, range(8))
    assert (
        "gaze of the 8 rows that were read so far: 2 of 9 samples, in 1 rows, are further than 2 times the "
        "image's size from its corner; as all outside it, they do not count, and 1 of these rows have no "
        "others"
    ) in caplog.text
    with pytest.raises(SourceError, match=r"up to row 15 .* 10 are .*, 3 in it; in 5 rows"):
        reader(later, range(8, 16))


def test_resuming_with_another_shuffle_is_refused(data, config, tmp_path):
    more = {"byproduct": "boxes", "save_strategy": "steps", "save_steps": 1, "do_eval": False}
    main(options(config, data, tmp_path, shuffle_byproducts=1, **more))
    with pytest.raises(SystemExit, match="--shuffle_byproducts is not set, the checkpoint's is 1"):
        main(options(config, data, tmp_path, max_steps=2, resume_from_checkpoint=True, **more))


def test_python_trains_on_masks(tmp_path):
    config = LUABConfig(
        output_dir=str(tmp_path), byproduct="masks", max_steps=1, logging_steps=1, report_to="none",
        use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    trainer = LUABTrainer(
        tiny_model("vit", num_labels=CLASSES), config, train_dataset=samples("masks"),
        processing_class=square_processor(IMAGE_SIZE),
    )  # fmt: skip
    trainer.train()
    assert [log["attention"] for log in trainer.state.log_history if "attention" in log]


def in_python(folder, dataset, **more):
    config = LUABConfig(str(folder), max_steps=1, report_to="none", use_cpu=True, disable_tqdm=True, **more)
    return LUABTrainer(
        tiny_model("convnext", num_labels=CLASSES), config, train_dataset=dataset,
        processing_class=square_processor(IMAGE_SIZE),
    )  # fmt: skip


def test_python_learns_from_what_the_dataset_has(tmp_path):
    trainer = in_python(tmp_path, samples("scanpath", sigma=0.2))
    assert (trainer.args.byproduct, trainer.args.attention_sigma) == ("scanpath", 0.2)
    assert (trainer.luab.attention.radius, trainer.luab.attention.tolerance) == (None, 0.5)  # of gaze
    several = samples("boxes", several=True, label_policy="authors")
    assert in_python(tmp_path, several, loss="none").args.label_policy == "authors"
    assert in_python(tmp_path, samples(None), byproduct="masks").args.byproduct == "masks"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"byproduct": "trace"}, "byproduct='trace', but the training dataset is made with byproduct='scan"),
        ({"attention_sigma": 0.1, "byproduct": "scanpath"}, "attention_sigma=0.1, but .* with sigma=0.2"),
        ({"attention_radius": 0.1}, "--attention_radius 0.1 is the distance from a point"),
    ],
)
def test_python_refuses_arguments_that_are_not_the_datasets(tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        in_python(tmp_path, samples("scanpath", sigma=0.2), **given)


def test_the_sigma_is_in_the_plan_wherever_it_counts(data, config, tmp_path):
    """Without an attention loss it says what the background mix keeps."""
    more = {"byproduct": "scanpath", "loss": "none", "background_mix": 0.5, "save_steps": 1}
    more |= {"save_strategy": "steps", "do_eval": False}
    main(options(config, data, tmp_path, attention_sigma=0.05, **more))
    with pytest.raises(SystemExit, match=r"--attention_sigma is 0\.2, the checkpoint's is 0\.05"):
        again = {"max_steps": 2, "resume_from_checkpoint": True, "attention_sigma": 0.2}
        main(options(config, data, tmp_path, **again, **more))


def test_pictures_for_trackers_light_the_map():
    dataset = samples("boxes", transform=EvalTransform(SETTINGS))
    luab = LUABModel(tiny_model("vit", num_labels=CLASSES), "attention", byproduct="boxes",
                     mean=(0.5,) * 3, std=(0.5,) * 3)  # fmt: skip
    one, two = (np.asarray(attention_picture(luab, [dataset[number]])) for number in (0, 4))
    assert one.shape == two.shape
    half = one.shape[1] // 2
    assert one[:, :half].mean() < two[:, :half].mean() - 10  # dark outside the box; row 4 has none
