"""MixUp: blended pixels, labels by the shares, and the byproducts of both images by the same shares."""

import numpy as np
import pytest
import torch
from fixtures.clicked import clicked_dataset
from fixtures.factories import image_bytes
from fixtures.small_runs import options, write_config, write_splits
from fixtures.tiny_models import IMAGE_SIZE, NUM_LABELS, images, tiny_model
from PIL import Image
from torch.nn import functional as F

from luab import CutMix, LUABConfig, LUABModel, LUABTrainer, MixUp, ViewDataset
from luab_data.rows.columns import Columns
from luab_trainer.arguments import parse
from luab_trainer.data.collator import collate
from luab_trainer.data.dataset import without_mixing
from luab_trainer.data.mixup import blended, equal_shares
from luab_trainer.run import main, train
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings, TrainTransform

SIZE = 40


def scene(x: float, y: float, channel: int, size: int = 60) -> bytes:
    """Black with a disc of radius 0.1 around (x, y) in one channel."""
    centers = (np.arange(size) + 0.5) / size
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[np.hypot(centers - x, centers[:, None] - y) <= 0.1, channel] = 250
    return image_bytes(Image.fromarray(pixels), "PNG")


def scenes(count: int) -> list[dict]:
    """Row 0 has a red disc, the others a blue one."""
    rng, rows = np.random.default_rng(0), []
    for number in range(count):
        x, y = rng.uniform(0.15, 0.85, 2)
        image = {"bytes": scene(x, y, 2 if number else 0), "path": None}
        rows.append({"image": image, "label": number, "click": {"x": x, "y": y}})
    return rows


def samples(rows, mixup, seed=0, **options):
    transform = TrainTransform(ImageSettings(size=SIZE), scale=(0.3, 1.0))
    options = {"byproduct": "click", "num_labels": max(len(rows), 3), **options}
    return ViewDataset(rows, transform, seed, mixup=mixup, **options)


def test_each_spot_is_at_its_target_as_bright_as_its_share_of_labels_and_targets():
    rows, counted = scenes(8), {"own": 0, "other": 0, "gone": 0}
    for seed in range(200):
        sample = samples(rows, MixUp(alpha=1.0), seed)[0]
        share = float(sample["labels"][0])
        assert sample["labels"].sum() == pytest.approx(1, abs=1e-6)
        for point, weights, label, counts in zip(
            *(sample[f"target_{name}"] for name in ("points", "weights", "labels", "shares")), strict=True
        ):
            if not weights.any():
                assert counts == 0
                counted["gone"] += 1
                continue
            own = label == 0
            assert weights.tolist() == [1]
            assert counts == pytest.approx(share if own else 1 - share, abs=1e-6)
            assert counts == pytest.approx(float(sample["labels"][label]), abs=1e-6)
            if ((point > 0.03) & (point < 0.97)).all():
                x, y = (point[0] * SIZE).astype(int)
                bright = int(sample["pixel_values"][y, x, 0 if own else 2])
                assert bright == pytest.approx(250 * counts, abs=6)
                counted["own" if own else "other"] += 1
    assert min(counted.values()) > 10, counted


def pair(own: dict, other: dict) -> tuple[dict, dict]:
    """Two samples of 4 x 4 pixels and 3 classes; {class: (points, weights)} for each."""
    made = []
    for byproducts, color in ((own, 100), (other, 201)):
        targets = [[np.array(part, np.float32) for part in target] for target in byproducts.values()]
        made.append(
            {
                "pixel_values": torch.full((4, 4, 3), color, dtype=torch.uint8),
                "labels": F.one_hot(torch.tensor(list(byproducts)), 3).amax(0).float(),
                "target_points": [points for points, _ in targets],
                "target_weights": [weights for _, weights in targets],
                "target_labels": list(byproducts),
            }
        )
    return made[0], made[1]


def test_targets_worked_by_hand():
    own, other = pair({0: ([[0.2, 0.2]], [1])}, {2: ([[0.4, 0.8], [0.6, 0.8]], [0.25, 0.75])})
    mixed = blended(own, other, 0.75)
    assert mixed["pixel_values"].unique().tolist() == [125]  # 0.75 x 100 + 0.25 x 201 = 125.25
    assert mixed["labels"].tolist() == [0.75, 0, 0.25]
    assert mixed["target_labels"] == [0, 2] and mixed["target_shares"] == [0.75, 0.25]
    assert mixed["target_weights"][1].tolist() == [0.25, 0.75]
    assert own["pixel_values"].unique().tolist() == [100] and own["target_labels"] == [0]


def test_a_class_of_both_has_one_target_mixed_by_the_shares():
    own, other = pair({1: ([[0.2, 0.2]], [1])}, {1: ([[0.8, 0.8], [-1, -1]], [1, 0])})
    mixed = blended(own, other, 0.75)
    assert mixed["labels"].tolist() == [0, 1, 0]
    assert mixed["target_labels"] == [1] and mixed["target_shares"] == [1]
    assert mixed["target_weights"][0].tolist() == [0.75, 0.25, 0]
    np.testing.assert_allclose(mixed["target_points"][0], [[0.2, 0.2], [0.8, 0.8], [-1, -1]], rtol=1e-6)


def test_the_targets_of_an_image_divide_its_share_and_what_it_lacks_is_missing():
    points = ([[0.5, 0.5]], [1])
    own, other = pair({0: points, 1: points, 2: ([[-1, -1]], [0])}, {2: points})
    assert equal_shares(own["target_weights"]) == [0.5, 0.5, 0]
    mixed = blended(own, other, 0.6)
    assert mixed["target_labels"] == [0, 1, 2]
    assert mixed["target_shares"] == pytest.approx([0.3, 0.3, 0.4])
    assert mixed["target_weights"][2].tolist() == [0, 1]
    alone = blended(own, pair({2: ([[-1, -1]], [0])}, {2: ([[-1, -1]], [0])})[1], 0.6)
    assert alone["target_shares"] == pytest.approx([0.3, 0.3, 0])


@pytest.mark.parametrize("model_type", ["vit", "convnext"])
@pytest.mark.parametrize("loss", ["point", "both"])
def test_terms_are_linear_in_the_two_images(model_type, loss):
    """What the rule is for: the loss of a blend is lambda of one image's and 1 - lambda of the other's.

    ViT has one map for all classes, where the attention's targets are merged, so only the point's term is.
    """
    luab = LUABModel(tiny_model(model_type), loss).eval()
    pixels = images(1).expand(3, -1, -1, -1)
    rng = np.random.default_rng(0)
    own, other = pair({0: (rng.random((1, 2)), [1])}, {2: (rng.random((1, 2)), [1])})
    for each in (own, other):
        each["target_shares"] = [1.0]
        each["labels"] = F.pad(each["labels"], (0, NUM_LABELS - 3))
    batch = collate([own, other, blended(own, other, 0.7)])
    terms = luab(pixels, **{name: batch[name] for name in batch if name != "pixel_values"}).terms
    for name in ("ce", "point") if model_type == "vit" else terms:
        a, b, mixed = terms[name].tolist()
        assert mixed == pytest.approx(0.7 * a + 0.3 * b, rel=1e-4), name


def test_a_share_of_the_crops_is_blended_and_the_others_are_as_without():
    rows = scenes(200)
    for share, low, high in ((0.0, 0, 0), (0.4, 50, 110), (1.0, 195, 200)):
        changed = 0
        for mixed, plain in zip(samples(rows, MixUp(share, 1.0)), samples(rows, None), strict=True):
            if mixed["labels"].max() < 1:
                changed += 1
                continue
            assert torch.equal(mixed["pixel_values"], plain["pixel_values"])
            assert mixed["target_shares"] == equal_shares(plain["target_weights"])
        assert low <= changed <= high, share


def test_a_crop_has_a_rectangle_or_a_blend_and_cutmix_is_as_without_mixup():
    rows, kinds = scenes(150), {"cut": 0, "blend": 0, "none": 0}
    alone = samples(rows, None, cutmix=CutMix(0.5))
    for both, cut, plain in zip(
        samples(rows, MixUp(0.3, 1.0), cutmix=CutMix(0.5)), alone, samples(rows, None), strict=True
    ):
        assert "target_shares" in both and "target_shares" not in cut
        if cut["labels"].max() < 1:
            kinds["cut"] += 1
            assert torch.equal(both["pixel_values"], cut["pixel_values"])
            assert both["target_shares"] == equal_shares(cut["target_weights"])
        elif both["labels"].max() < 1:
            kinds["blend"] += 1
        else:
            kinds["none"] += 1
            assert torch.equal(both["pixel_values"], plain["pixel_values"])
    assert kinds["cut"] == pytest.approx(75, abs=20) and kinds["blend"] == pytest.approx(45, abs=18)
    with pytest.raises(ValueError, match=r"cutmix has 0\.8 of the crops and mixup 0\.5"):
        samples(rows, MixUp(0.5), cutmix=CutMix(0.8))


def test_lambda_is_drawn_from_beta():
    rows = scenes(2)
    shares = [
        float(samples(rows, MixUp(alpha=2.0), seed, byproduct=None)[0]["labels"][0]) for seed in range(300)
    ]
    shares = np.array([share for share in shares if share < 1])
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    assert shares.var() == pytest.approx(1 / (4 * 5), abs=0.015)  # of Beta(2, 2)


def test_a_sample_depends_on_seed_epoch_and_row_only():
    dataset = samples(scenes(12), MixUp(0.7), cutmix=CutMix(0.3))
    one_by_one = [dataset[number] for number in range(12)]
    together = dataset.__getitems__(list(reversed(range(12))))[::-1]
    for alone, batched in zip(one_by_one, together, strict=True):
        assert torch.equal(alone["pixel_values"], batched["pixel_values"])
        assert alone["target_shares"] == batched["target_shares"]
    plain = without_mixing(dataset)[0]
    assert isinstance(plain["labels"], int) and "target_shares" not in plain


def test_several_labels_count_by_their_images_shares():
    rows = [
        {"image": scene(0.5, 0.5, 0), "labels": [0, 1], "points": [{"label": 0, "x": 0.5, "y": 0.5}]},
        {"image": scene(0.5, 0.5, 2), "labels": [1, 2], "points": [{"label": 1, "x": 0.5, "y": 0.5}]},
    ]
    sample = ViewDataset(
        rows, EvalTransform(ImageSettings(size=SIZE)), 1, byproduct="click", mixup=MixUp(alpha=1.0),
        columns=Columns(label="labels", point="points"), num_labels=4,
    )[0]  # fmt: skip
    share = float(sample["labels"][0])
    assert 0 < share < 1
    assert sample["labels"].tolist() == pytest.approx([share, 1, 1 - share, 0])
    assert sample["target_labels"] == [0, 1]
    assert sample["target_shares"] == pytest.approx([share, 1 - share])


def test_a_batch_has_the_shares_of_its_targets():
    batch = collate(list(samples(clicked_dataset(20), MixUp(0.5), num_labels=NUM_LABELS)))
    assert batch["target_shares"].shape == batch["target_labels"].shape == (20, 2)
    assert batch["target_shares"].sum(1).max() <= 1 + 1e-6
    assert (batch["target_shares"][batch["target_labels"] < 0] == 0).all()
    assert "target_shares" not in collate(list(samples(clicked_dataset(4), None, num_labels=NUM_LABELS)))


@pytest.mark.parametrize(
    "wrong", [{"share": 1.1}, {"share": float("nan")}, {"alpha": 0.0}, {"alpha": float("inf")}]
)
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}="):
        MixUp(**wrong)
    with pytest.raises(ValueError, match="num_labels=None: with mixup"):
        samples(scenes(2), MixUp(), num_labels=None)


# ---- In training


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for model_type in ("vit", "convnext"):
        write_config(folder / model_type, model_type)
    write_splits(folder / "data", train=16, validation=8)
    return folder


@pytest.mark.parametrize(
    ("model_type", "extra"),
    [("vit", {"background_mix": 0.5, "augment": "randaugment"}), ("convnext", {"cutmix": 0.5}),
     ("vit", {"streaming": True, "label_smoothing_factor": 0.1})],
)  # fmt: skip
def test_a_run_trains(folders, tmp_path, capsys, model_type, extra):
    given = {"loss": "both", "mixup": 0.5, "mixup_alpha": 0.8, **extra}
    trainer = train(*parse(options(folders / model_type, folders / "data", tmp_path, **given), ""))
    said = "50% of the crops, alpha 0.8"
    assert f"mixup                     {said}" in capsys.readouterr().out
    assert f"| mixup | {said} |" in (tmp_path / "README.md").read_text()
    assert trainer.train_dataset.to_sample.pairer.mixup == MixUp(0.5, 0.8)
    assert trainer.eval_dataset.to_sample.pairer is None
    logged = trainer.state.log_history
    assert all(np.isfinite(logged[0][name]) and logged[0][name] > 0 for name in ("ce", "attention", "point"))


def test_a_run_resumes_only_with_the_same_mixup(folders, tmp_path):
    saved = {"loss": "none", "do_eval": False, "save_strategy": "steps", "save_steps": 1}
    again = {**saved, "max_steps": 2, "resume_from_checkpoint": True}
    main(options(folders / "vit", folders / "data", tmp_path, **saved, mixup=0.5))
    with pytest.raises(SystemExit, match=r"--mixup_alpha is 0.4, the checkpoint's is 0.2"):
        main(options(folders / "vit", folders / "data", tmp_path, **again, mixup=0.5, mixup_alpha=0.4))
    with pytest.raises(SystemExit, match=r"--mixup is not set, the checkpoint's is 0.5"):
        main(options(folders / "vit", folders / "data", tmp_path, **again))
    main(options(folders / "vit", folders / "data", tmp_path, **again, mixup=0.5))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"mixup": 1.5}, "--mixup 1.5: give a share of the crops, 0 to 1."),
        ({"mixup_alpha": 0}, "--mixup_alpha 0.0: give a number of more than 0."),
        ({"mixup": 0.6, "cutmix": 0.5}, "--cutmix 0.5 and --mixup 0.6: a crop has one of them"),
    ],
)
def test_wrong_options_are_refused_in_one_line(tmp_path, capsys, given, reason):
    with pytest.raises(SystemExit):
        parse(options(tmp_path, tmp_path, tmp_path, **given), "")
    assert reason in capsys.readouterr().err.splitlines()[-1]


def test_datasets_that_do_something_else_are_refused(tmp_path):
    transform = EvalTransform(ImageSettings(size=IMAGE_SIZE))
    made = {"byproduct": "click", "num_labels": NUM_LABELS}
    plain = ViewDataset(clicked_dataset(8), transform, **made)
    mixed = ViewDataset(clicked_dataset(8), transform, mixup=MixUp(0.5, 0.4), **made)

    def trainer(train_dataset, eval_dataset=None, **arguments):
        return LUABTrainer(
            tiny_model("vit"),
            LUABConfig(str(tmp_path), max_steps=1, save_strategy="no", use_cpu=True, **arguments),
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=square_processor(IMAGE_SIZE),
        )

    with pytest.raises(ValueError, match=r"make it with mixup=MixUp\(0.5, 0.2\) and num_labels"):
        trainer(plain, mixup=0.5)
    with pytest.raises(ValueError, match="has mixup, and a crop of two images"):
        trainer(mixed, mixed)
    args = trainer(mixed, plain).args
    assert (args.mixup, args.mixup_alpha) == (0.5, 0.4)
