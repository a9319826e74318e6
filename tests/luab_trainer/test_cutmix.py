"""CutMix: a rectangle of another image, labels by what is seen of both, and each click with its pixels."""

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Image, Value
from fixtures.clicked import clicked_dataset
from fixtures.factories import image_bytes
from fixtures.small_runs import options, write_config, write_splits
from fixtures.tiny_models import IMAGE_SIZE, NUM_LABELS, images, tiny_model
from PIL import Image as PillowImage
from torch.nn import functional as F
from transformers import TrainerCallback

from luab import BackgroundMix, CutMix, LUABConfig, LUABModel, LUABTrainer, ViewDataset
from luab_data.rows.columns import Columns
from luab_trainer.arguments import parse
from luab_trainer.data.collator import collate
from luab_trainer.data.cutmix import Rectangle, pasted
from luab_trainer.data.dataset import ViewIterableDataset
from luab_trainer.run import main, train
from luab_vision.geometry import View
from luab_vision.processors import square_processor
from luab_vision.transforms import EvalTransform, ImageSettings, TrainTransform

SIZE = 40


def scene(x: float, y: float, own: bool, size: int = 60) -> bytes:
    """A disc of radius 0.1 around (x, y): red on green, or in another image white on blue."""
    centers = (np.arange(size) + 0.5) / size
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[..., 1 if own else 2] = 200
    pixels[np.hypot(centers - x, centers[:, None] - y) <= 0.1] = (250, 0, 0) if own else 250
    return image_bytes(PillowImage.fromarray(pixels), "PNG")


def scenes(count: int, seed: int = 0) -> list[dict]:
    """Row 0 is the only one without blue."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        x, y = rng.uniform(0.15, 0.85, 2)
        image = {"bytes": scene(x, y, number == 0), "path": None}
        rows.append({"image": image, "label": number, "click": {"x": x, "y": y}})
    return rows


def samples(rows, cutmix, seed=0, **options):
    transform = TrainTransform(ImageSettings(size=SIZE), scale=(0.3, 1.0))
    options = {"byproduct": "click", "num_labels": max(len(rows), 3), **options}
    return ViewDataset(rows, transform, seed, cutmix=cutmix, **options)


def of_the_other(sample) -> torch.Tensor:
    """Which pixels of row 0 are another image's: bool `[h, w]`."""
    return sample["pixel_values"][..., 2] > 100


def at(sample, point) -> list[bool]:
    """Whether red, green and blue are high at a point."""
    x, y = (min(int(value * SIZE), SIZE - 1) for value in point)
    return (sample["pixel_values"][y, x] > 125).tolist()


def test_labels_are_the_shares_of_the_pixels_and_the_other_image_is_in_one_rectangle():
    rows, seen = scenes(8), []
    for seed in range(100):
        sample = samples(rows, CutMix(), seed)[0]
        other = of_the_other(sample)
        down, across = other.any(1).nonzero(), other.any(0).nonzero()
        if other.any():
            assert other[down.min() : down.max() + 1, across.min() : across.max() + 1].all()
        share = float(other.float().mean())
        assert sample["labels"].dtype == torch.float32
        assert sample["labels"][0] == pytest.approx(1 - share, abs=1e-6)
        assert sample["labels"].sum() == pytest.approx(1, abs=1e-6)
        assert int((sample["labels"] > 0).sum()) == (1 if share in (0, 1) else 2)
        seen.append(share)
    assert min(seen) < 0.05 and max(seen) > 0.7


def test_each_target_is_where_its_object_went_and_what_is_covered_does_not_count():
    rows, counted = scenes(8), {"kept": 0, "covered": 0, "other": 0}
    for seed in range(300):
        mixed, plain = (samples(rows, cutmix, seed)[0] for cutmix in (CutMix(), None))
        own, others = mixed["target_weights"][0], mixed["target_weights"][1:]
        assert mixed["target_labels"][0] == 0
        if plain["target_weights"][0].any():
            point = plain["target_points"][0][0]
            covered = at(mixed, point)[2]
            assert own.sum() == (0 if covered else 1)
            counted["covered" if covered else "kept"] += 1
            if not covered:
                np.testing.assert_array_equal(mixed["target_points"][0], plain["target_points"][0])
                assert at(mixed, point) == [True, False, False]
        for place, weights, label in zip(
            mixed["target_points"][1:], others, mixed["target_labels"][1:], strict=True
        ):
            assert weights.tolist() == [1] and at(mixed, place[0]) == [True, True, True]
            assert mixed["labels"][label] > 0
            counted["other"] += 1
    assert min(counted.values()) > 30, counted


def pair(own: dict, other: dict) -> tuple[dict, dict]:
    """Two samples of 10 x 10 pixels and 3 classes; {class: (points, weights)} for each."""
    made = []
    for byproducts, color in ((own, 0), (other, 255)):
        targets = [[np.array(part, np.float32) for part in target] for target in byproducts.values()]
        made.append(
            {
                "pixel_values": torch.full((10, 10, 3), color, dtype=torch.uint8),
                "labels": F.one_hot(torch.tensor(list(byproducts)), 3).amax(0).float(),
                "target_points": [points for points, _ in targets],
                "target_weights": [weights for _, weights in targets],
                "target_labels": list(byproducts),
            }
        )
    return made[0], made[1]


def test_a_target_of_many_points_keeps_what_is_seen_worked_by_hand():
    line = [[0.1, 0.5], [0.4, 0.5], [0.6, 0.5], [0.9, 0.5]]
    own, other = pair({0: (line, [0.1, 0.2, 0.3, 0.4])}, {2: (line, [0.4, 0.3, 0.2, 0.1])})
    mixed = pasted(own, other, Rectangle(5, 2, 10, 8))  # the right half, six tenths of the height
    torch.testing.assert_close(mixed["labels"], torch.tensor([0.7, 0.0, 0.3]))
    assert mixed["pixel_values"].float().mean() == pytest.approx(0.3 * 255)
    assert mixed["target_labels"] == [0, 2]
    np.testing.assert_allclose(mixed["target_weights"][0], [1 / 3, 2 / 3, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(mixed["target_weights"][1], [0, 0, 2 / 3, 1 / 3], rtol=1e-6)
    np.testing.assert_array_equal(mixed["target_points"][0][2:], -1)
    np.testing.assert_array_equal(mixed["target_points"][1][2:], np.float32(line[2:]))
    assert own["pixel_values"].max() == 0 and own["target_weights"][0].all()  # the inputs stay


def test_the_start_of_a_trace_whose_click_is_not_seen_is_no_target():
    line = [[0.1, 0.5], [0.8, 0.5]]
    little, enough = [0.04, 0.96], [0.06, 0.94]
    right, left = Rectangle(5, 0, 10, 10), Rectangle(0, 0, 5, 10)
    for weights, kept in ((little, [0, 0]), (enough, [1, 0])):
        own, other = pair({0: (line, weights)}, {2: (line, weights)})
        covered, shown = pasted(own, other, right), pasted(own, other, left)
        np.testing.assert_allclose(covered["target_weights"][0], kept)
        assert (covered["target_points"][0][1] == -1).all()
        assert shown["target_labels"] == ([0, 2] if any(kept) else [0])
    own, other = pair({1: (line, little)}, {1: (line, little)})
    assert pasted(own, other, right)["target_weights"][0].tolist() == [0, 0, 0, 1]


def test_a_class_of_both_images_has_one_target_and_the_whole_label():
    own, other = pair({1: ([[0.2, 0.2]], [1])}, {1: ([[0.8, 0.8]], [1])})
    mixed = pasted(own, other, Rectangle(5, 5, 10, 10))
    assert mixed["labels"].tolist() == [0, 1, 0]
    assert mixed["target_labels"] == [1]
    assert mixed["target_weights"][0].tolist() == [0.5, 0.5]
    np.testing.assert_allclose(mixed["target_points"][0], [[0.2, 0.2], [0.8, 0.8]], rtol=1e-6)
    covered = pasted(own, other, Rectangle(0, 0, 10, 10))
    assert covered["target_weights"][0].tolist() == [0, 1]


def test_a_click_of_the_other_image_that_is_not_in_the_rectangle_gives_no_target():
    own, other = pair({0: ([[0.2, 0.2]], [1])}, {2: ([[0.4, 0.8]], [1])})
    mixed = pasted(own, other, Rectangle(5, 5, 10, 10))
    assert mixed["labels"].tolist() == [0.75, 0, 0.25]
    assert mixed["target_labels"] == [0]
    outside = pasted(own, pair({0: ([[0.2, 0.2]], [1])}, {2: ([[-1, -1]], [0])})[1], Rectangle(0, 0, 10, 10))
    assert outside["target_labels"] == [0] and outside["target_weights"][0].tolist() == [0]


@pytest.mark.parametrize(
    ("point", "covered"),
    [((0.5, 0.5), True), ((0.499, 0.7), False), ((0.7, 0.499), False), ((1, 1), True), ((1 + 1e-7, 1), True),
     ((1.2, 0.7), False), ((-1, -1), False)],
)  # fmt: skip
def test_a_point_is_covered_with_its_pixel(point, covered):
    assert Rectangle(5, 5, 10, 10).covers(np.array([point]), 10, 10).tolist() == [covered]


def test_rectangles_have_the_crops_aspect_ratio_and_the_area_of_the_draw():
    rng = np.random.default_rng(0)
    found = [CutMix().rectangle(200, 100, rng) for _ in range(4000)]
    assert all(0 <= r.left <= r.right <= 100 and 0 <= r.top <= r.bottom <= 200 for r in found)
    whole = [r for r in found if r.left and r.top and r.right < 100 and r.bottom < 200]
    assert max(abs(2 * (r.right - r.left) - (r.bottom - r.top)) for r in whole) <= 3
    # A side s is clipped to s - s^2 / 4 on average, and s^2 is uniform: 2 (1/4 - 1/10 + 1/96).
    assert np.mean([r.area / 20_000 for r in found]) == pytest.approx(0.3208, abs=0.02)
    most = [CutMix(alpha=0.1).rectangle(100, 100, rng).area for _ in range(1000)]
    assert np.mean([area < 100 for area in most]) > 0.3  # of nearly one image only


def test_a_share_of_the_crops_is_cut_mixed_and_the_others_are_as_without():
    rows = scenes(200)
    for share, low, high in ((0.0, 0, 0), (0.4, 50, 110), (1.0, 180, 200)):
        changed = 0
        for mixed, plain in zip(samples(rows, CutMix(share)), samples(rows, None), strict=True):
            assert mixed["labels"].shape == (200,)
            if mixed["labels"].max() < 1:
                changed += 1
                continue
            assert torch.equal(mixed["pixel_values"], plain["pixel_values"])
            assert mixed["labels"].argmax() == plain["labels"]
            np.testing.assert_array_equal(mixed["target_points"], plain["target_points"])
        assert low <= changed <= high, share


def test_a_sample_depends_on_seed_epoch_and_row_only():
    dataset = samples(scenes(12), CutMix())
    one_by_one = [dataset[number] for number in range(12)]
    together = dataset.__getitems__(list(reversed(range(12))))[::-1]
    for alone, batched in zip(one_by_one, together, strict=True):
        assert torch.equal(alone["pixel_values"], batched["pixel_values"])
        assert torch.equal(alone["labels"], batched["labels"])
        assert alone["target_labels"] == batched["target_labels"]
    dataset.set_epoch(1)
    assert not torch.equal(dataset[0]["pixel_values"], one_by_one[0]["pixel_values"])


def test_a_row_alone_is_not_its_own_other_image():
    sample, plain = (samples(scenes(1), cutmix)[0] for cutmix in (CutMix(), None))
    assert torch.equal(sample["pixel_values"], plain["pixel_values"])
    assert sample["labels"].tolist() == [1, 0, 0]


def test_an_image_without_a_click_is_pasted_too():
    rows = scenes(2)
    rows[1]["click"] = None
    found = [samples(rows, CutMix(), seed)[0] for seed in range(20)]
    assert all(sample["target_labels"] == [0] for sample in found)
    assert sum(bool(sample["labels"][1] > 0) for sample in found) > 15


def test_without_a_byproduct_its_columns_are_not_needed():
    rows = [{name: row[name] for name in ("image", "label")} for row in scenes(4)]
    sample = samples(rows, CutMix(), byproduct=None)[0]
    assert sample.keys() == {"pixel_values", "row", "labels"}
    assert 0 < sample["labels"][0] < 1


class Seen(EvalTransform):
    """Always the same view."""

    def __init__(self, view: View):
        super().__init__(ImageSettings(size=SIZE))
        self.seen = view

    def view(self, width, height, rng=None):
        return self.seen


@pytest.mark.parametrize("policy", ["keep", "authors"])
def test_several_labels_count_by_their_images_shares(policy):
    points = [
        [{"label": 0, "x": 0.4, "y": 0.5}],
        [{"label": 1, "x": 0.2, "y": 0.5}, {"label": 2, "x": 0.8, "y": 0.5}],
    ]
    rows = [
        {"image": scene(0.4, 0.5, number == 0), "labels": labels, "points": points[number]}
        for number, labels in enumerate(([0, 1], [1, 2]))
    ]  # fmt: skip
    for seed in range(20):
        sample = ViewDataset(
            rows, Seen(View(0, 0, 0.5, 1)), seed, byproduct="click", cutmix=CutMix(), num_labels=4,
            columns=Columns(label="labels", point="points"), label_policy=policy,
        )[0]  # fmt: skip
        share = float(of_the_other(sample).float().mean())
        # The other image's class 2 is outside its own crop, so "authors" does not count it.
        expected = [1 - share, 1, share if policy == "keep" else 0, 0]
        assert sample["labels"].tolist() == pytest.approx(expected, abs=1e-6)


def bounds(changed: torch.Tensor) -> int:
    """The area of the smallest rectangle around all changed pixels `[h, w]`."""
    sides = [changed.any(axis).nonzero() for axis in (0, 1)]
    return int(np.prod([int(side.max() - side.min()) + 1 for side in sides])) if changed.any() else 0


def test_the_background_mix_comes_first_and_only_in_the_own_crop():
    blended = []

    class Counted(BackgroundMix):
        def blend(self, *arguments):
            blended.append(1)
            return super().blend(*arguments)

    rows, mix = clicked_dataset(10), Counted(radius=0.2)
    for number in range(10):
        before = samples(rows, None, mix=mix)[number]
        blended.clear()
        both = samples(rows, CutMix(), mix=mix)[number]
        assert len(blended) <= 1
        changed = (both["pixel_values"] != before["pixel_values"]).any(-1)
        share = 1 - float(both["labels"][before["labels"]])
        if both["labels"].max() < 1:
            assert bounds(changed) == pytest.approx(share * SIZE**2, abs=60)


def test_augmentations_that_do_not_move_pixels_come_after():
    black = TrainTransform(
        ImageSettings(size=SIZE), augmentations=[lambda crop, rng: PillowImage.new("RGB", crop.size)]
    )
    sample = ViewDataset(scenes(3), black, num_labels=3, cutmix=CutMix())[0]
    assert sample["pixel_values"].max() == 0
    assert 0 < sample["labels"][0] < 1


def test_a_stream_takes_what_came_before():
    columns = {
        "image": Image(),
        "label": Value("int64"),
        "click": {"x": Value("float64"), "y": Value("float64")},
    }
    stream = Dataset.from_list(scenes(20), features=Features(columns)).to_iterable_dataset()
    found = list(
        ViewIterableDataset(stream, TrainTransform(ImageSettings(size=SIZE)), num_labels=20, cutmix=CutMix())
    )
    assert found[0]["labels"].tolist() == [1, *[0] * 19]  # nothing came before
    assert sum(bool(sample["labels"].max() < 1) for sample in found) > 12
    for number, sample in enumerate(found):
        assert int(sample["labels"].nonzero().max()) <= number


def test_another_image_that_cannot_be_read_is_named():
    rows = scenes(2)
    rows[1]["image"] = {"bytes": rows[1]["image"]["bytes"][:200], "path": None}
    with pytest.raises(ValueError, match="Row 1: cannot read the image"):
        [samples(rows, CutMix(), seed)[0] for seed in range(5)]


@pytest.mark.parametrize(
    "wrong", [{"share": 1.1}, {"share": float("nan")}, {"alpha": 0.0}, {"alpha": float("inf")}]
)
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}="):
        CutMix(**wrong)


def test_without_the_number_of_classes_it_is_refused():
    with pytest.raises(ValueError, match="num_labels=None: with cutmix"):
        samples(scenes(2), CutMix(), num_labels=None)


# ---- In training


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_one_class_is_that_of_its_number(smoothing):
    luab = LUABModel(tiny_model("vit"), label_smoothing=smoothing)
    labels = torch.tensor([0, 3, 1, 4])
    shares = F.one_hot(labels, NUM_LABELS).float()
    by_number, by_share, halved = (
        luab(images(4), labels=each).terms["ce"] for each in (labels, shares, shares.bfloat16())
    )
    torch.testing.assert_close(by_number, by_share)
    torch.testing.assert_close(by_number, halved)
    other = torch.tensor([1, 1, 2, 0])
    mixed = 0.75 * shares + 0.25 * F.one_hot(other, NUM_LABELS)
    apart = 0.75 * by_number + 0.25 * luab(images(4), labels=other).terms["ce"]
    torch.testing.assert_close(luab(images(4), labels=mixed).terms["ce"], apart)


def test_a_batch_has_all_labels_as_shares_and_the_targets_of_both_images():
    batch = collate(list(samples(clicked_dataset(20), CutMix(0.5), num_labels=NUM_LABELS)))
    assert batch["labels"].shape == (20, NUM_LABELS) and batch["labels"].dtype == torch.float32
    torch.testing.assert_close(batch["labels"].sum(1), torch.ones(20))
    assert batch["target_labels"].shape == (20, 2)
    totals = batch["target_weights"].sum(-1)
    assert ((totals - 1).abs().lt(1e-6) | totals.eq(0)).all()


class Started(TrainerCallback):
    """Keeps the weights from before the first step."""

    def on_train_begin(self, args, state, control, model, **kwargs):
        self.weights = {name: value.clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize("model_type", ["vit", "convnext"])
@pytest.mark.parametrize(
    "extra", [{}, {"background_mix": 0.5, "label_smoothing_factor": 0.1, "random_erasing": 0.5}]
)
def test_a_run_trains(model_type, extra, tmp_path, capsys):
    data = write_splits(tmp_path / "data", train=16, validation=8)
    config = write_config(tmp_path / "config", model_type)
    arguments = options(config, data, tmp_path / "out", loss="both", cutmix=0.75, cutmix_alpha=0.5, **extra)
    started = Started()
    trainer = train(*parse(arguments, ""), callbacks=[started])
    assert "cutmix                    75% of the crops, alpha 0.5" in capsys.readouterr().out
    assert "75% of the crops, alpha 0.5" in (tmp_path / "out" / "README.md").read_text()
    assert trainer.train_dataset.to_sample.pairer.cutmix == CutMix(0.75, 0.5)
    assert trainer.eval_dataset.to_sample.pairer is None
    logged = trainer.state.log_history
    assert all(np.isfinite(logged[0][name]) and logged[0][name] > 0 for name in ("ce", "attention", "point"))
    assert any("eval_accuracy" in each for each in logged)
    changed = [
        not torch.equal(value, started.weights[name]) for name, value in trainer.luab.named_parameters()
    ]
    assert np.mean(changed) > 0.9


def test_a_run_resumes_only_with_the_same_cutmix(tmp_path):
    data, config = write_splits(tmp_path / "data", train=16), write_config(tmp_path / "config")
    saved = {"loss": "none", "do_eval": False, "save_strategy": "steps", "save_steps": 1}
    again = {**saved, "max_steps": 2, "resume_from_checkpoint": True}
    main(options(config, data, tmp_path / "with", **saved, cutmix=0.5))
    with pytest.raises(SystemExit, match=r"--cutmix_alpha is 0.2, the checkpoint's is 1.0"):
        main(options(config, data, tmp_path / "with", **again, cutmix=0.5, cutmix_alpha=0.2))
    main(options(config, data, tmp_path / "with", **again, cutmix=0.5))
    main(options(config, data, tmp_path / "without", **saved))
    with pytest.raises(SystemExit, match=r"--cutmix is 0.5, the checkpoint's is not set"):
        main(options(config, data, tmp_path / "without", **again, cutmix=0.5))
    main(options(config, data, tmp_path / "without", **again, cutmix_alpha=0.2))  # it changes nothing


def test_a_run_needs_no_clicks_without_a_loss_of_them(tmp_path):
    data, config = write_splits(tmp_path / "data", train=16), write_config(tmp_path / "config")
    rows = Dataset.from_parquet(str(data / "train.parquet")).remove_columns("click")
    rows.to_parquet(data / "train.parquet")
    main(options(config, data, tmp_path / "out", loss="none", cutmix=1.0))


def test_a_streamed_run_cuts_and_pastes(tmp_path, capsys):
    data, config = write_splits(tmp_path / "data", train=16), write_config(tmp_path / "config")
    main(options(config, data, tmp_path / "out", cutmix=1.0, streaming=True, do_eval=False))
    assert "100% of the crops, alpha 1" in capsys.readouterr().out


def test_a_run_with_several_labels_cuts_and_pastes(tmp_path):
    rows = clicked_dataset(16).remove_columns("label")
    rows = rows.add_column("labels", [[number % 3, 3] for number in range(16)])
    features = rows.features | {"labels": [ClassLabel(names=["ant", "bee", "cat", "dog"])]}
    (tmp_path / "data").mkdir()
    rows.cast(Features(features)).remove_columns("click").to_parquet(tmp_path / "data" / "train.parquet")
    config = write_config(tmp_path / "config")
    main(options(config, tmp_path / "data", tmp_path / "out", loss="none", cutmix=1.0, do_eval=False))


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [("cutmix", 1.5, "a share of the crops, 0 to 1"), ("cutmix_alpha", 0, "a number of more than 0")],
)
def test_wrong_options_are_refused_in_one_line(option, value, allowed, tmp_path, capsys):
    with pytest.raises(SystemExit):
        parse(options(tmp_path, tmp_path, tmp_path, **{option: value}), "")
    assert f"--{option} {float(value)}: give {allowed}." in capsys.readouterr().err.splitlines()[-1]


def trainer(folder, train, evaluated=None, **arguments):
    arguments = {"max_steps": 1, "save_strategy": "no", "use_cpu": True, "report_to": "none", **arguments}
    return LUABTrainer(
        tiny_model("vit"),
        LUABConfig(str(folder), **arguments),
        train_dataset=train,
        eval_dataset=evaluated,
        processing_class=square_processor(IMAGE_SIZE),
    )


def test_a_dataset_that_does_not_do_it_and_one_to_evaluate_on_that_does_are_refused(tmp_path):
    transform = EvalTransform(ImageSettings(size=IMAGE_SIZE))
    made = {"byproduct": "click", "num_labels": NUM_LABELS}
    plain = ViewDataset(clicked_dataset(8), transform, **made)
    cut = ViewDataset(clicked_dataset(8), transform, cutmix=CutMix(0.5), **made)
    with pytest.raises(ValueError, match=r"cutmix=CutMix\(0.5, 1\) and num_labels"):
        trainer(tmp_path, plain, cutmix=0.5)
    for wrong in (cut, {"first": plain, "second": cut}):
        with pytest.raises(ValueError, match="make it without cutmix"):
            trainer(tmp_path, cut, wrong)
    run = trainer(tmp_path, cut, plain, cutmix=0.5)
    run.train()
    assert "eval_accuracy" in run.evaluate()
    with pytest.raises(ValueError, match="make it without cutmix"):
        run.evaluate(cut)
    with pytest.raises(ValueError, match="make it without cutmix"):
        run.predict(cut)
