"""Policies of augmentation in training: points go with their pixels, alone and next to the mixes."""

import numpy as np
import pytest
import torch
from fixtures.factories import image_bytes
from fixtures.small_runs import options, write_config, write_splits
from PIL import Image, ImageOps
from torch.utils.data import DataLoader

from luab import BackgroundMix, CutMix, ViewDataset
from luab_attention.targets import Byproduct, target_in_view
from luab_data.rows.columns import Columns
from luab_trainer.announcement import augmentation_text
from luab_trainer.arguments import parse
from luab_trainer.data.collator import collate
from luab_trainer.run import main, train
from luab_vision import policies
from luab_vision.geometry import WHOLE_IMAGE, View
from luab_vision.operations import Step
from luab_vision.policies import AutoAugment, RandAugment, ThreeAugment
from luab_vision.transforms import ImageSettings, TrainTransform

SIZE = 48
MOVING = ("ShearX", "ShearY", "TranslateXRel", "TranslateYRel", "Rotate")
LEFT = np.array(((1.0, 0, -0.5), (0, 1.0, 0)))  # by half a crop
RIGHT = np.array(((1.0, 0, 0.5), (0, 1.0, 0)))


@pytest.fixture
def only_moves(monkeypatch):
    """RandAugment without the operations that change colors, so that a spot keeps its own."""
    monkeypatch.setattr(policies, "RANDOM", MOVING)
    return RandAugment(magnitude=7, layers=3, probability=0.8)


def scene(points, own: bool, size: int = 80) -> bytes:
    """Discs of radius 0.06: red on green, or in another image white on blue."""
    centers = (np.arange(size) + 0.5) / size
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[..., 1 if own else 2] = 200
    for x, y in points:
        pixels[np.hypot(centers - x, centers[:, None] - y) <= 0.06] = (250, 0, 0) if own else 250
    return image_bytes(Image.fromarray(pixels), "PNG")


def scenes(count: int, points: int = 1, seed: int = 0) -> list[dict]:
    """Row 0 is the only one without blue. Each has `points` clicks of its class."""
    rng, rows = np.random.default_rng(seed), []
    for number in range(count):
        places = rng.uniform(0.1, 0.9, (points, 2)).tolist()
        image = {"bytes": scene(places, number == 0), "path": None}
        rows.append({"image": image, "label": number, "click": places})
    return rows


def samples(rows, policy, seed=0, **more):
    transform = TrainTransform(ImageSettings(size=SIZE), scale=(0.4, 1.0), policy=policy)
    return ViewDataset(rows, transform, seed, byproduct="click", num_labels=max(3, len(rows)), **more)


def at(sample, point) -> torch.Tensor:
    """Red, green and blue at a point."""
    x, y = (min(int(value * SIZE), SIZE - 1) for value in point)
    return sample["pixel_values"][y, x].int()


@pytest.mark.parametrize(
    "more",
    [{}, {"mix": BackgroundMix(1.0, 0.2, holes=0)}, {"cutmix": CutMix(0.7)}],
    ids=["", "mix", "cutmix"],
)
def test_each_point_that_counts_is_where_its_spot_went(only_moves, more):
    rows, counted, lost, other = scenes(8, points=3), 0, 0, 0
    for seed in range(150):
        sample = samples(rows, only_moves, seed, **more)[0]
        for points, weights, label in zip(
            sample["target_points"], sample["target_weights"], sample["target_labels"], strict=True
        ):
            seen = weights > 0
            assert weights.sum() == pytest.approx(1 if seen.any() else 0, abs=1e-6)
            assert len({float(weight) for weight in weights[seen]}) <= 1
            assert (points[~seen] == -1).all()
            lost += int((~seen).sum())
            # The border of a crop shows the filter's blend with the neutral color.
            for point in points[seen & ((points > 0.03) & (points < 0.97)).all(-1)]:
                red, green, blue = at(sample, point).tolist()
                assert red > 170 and (green < 110 and blue < 110 if label == 0 else min(green, blue) > 170)
                counted += label == 0
                other += label != 0
    assert counted > 100 and lost > 50
    assert other > 20 or "cutmix" not in more


def test_a_point_that_any_step_moves_out_does_not_count_worked_by_hand():
    byproduct = Byproduct(0, np.array([[0.2, 0.5], [0.6, 0.5], [0.9, 0.5]]), np.array([0.2, 0.3, 0.5]))
    points, weights = target_in_view(byproduct, WHOLE_IMAGE, moves=[LEFT])
    np.testing.assert_allclose(points, [[-1, -1], [0.1, 0.5], [0.4, 0.5]], atol=1e-6)
    np.testing.assert_allclose(weights, [0, 0.375, 0.625], atol=1e-6)
    points, weights = target_in_view(byproduct, WHOLE_IMAGE, moves=[LEFT, RIGHT])  # and back, without pixels
    np.testing.assert_allclose(points, [[-1, -1], [0.6, 0.5], [0.9, 0.5]], atol=1e-6)
    np.testing.assert_allclose(weights, [0, 0.375, 0.625], atol=1e-6)
    # Outside the view before: what is moved in has no pixels either.
    assert target_in_view(byproduct, View(0.7, 0, 0.3, 1), moves=[RIGHT])[1].tolist() == [0, 0, 0]
    kept, weights = target_in_view(byproduct, WHOLE_IMAGE, "keep", [LEFT])
    np.testing.assert_allclose(kept, [[-0.3, 0.5], [0.1, 0.5], [0.4, 0.5]], atol=1e-6)
    np.testing.assert_allclose(weights, [0.2, 0.3, 0.5], atol=1e-6)


def test_the_authors_labels_go_with_points_that_are_moved_out():
    rows = [
        {
            "image": scene([(0.2, 0.5), (0.8, 0.5)], True),
            "labels": [0, 1, 2],
            "points": [{"label": 0, "x": 0.2, "y": 0.5}, {"label": 1, "x": 0.8, "y": 0.5}],
        }
    ]
    transform = TrainTransform(
        ImageSettings(size=SIZE),
        scale=(1, 1),
        flip=0,
        policy=lambda height, width, rng: [Step("left", lambda crop: crop, LEFT)],
    )
    columns = Columns(label="labels", point="points")
    for policy, labels in (("keep", [1, 1, 1]), ("authors", [0, 1, 1])):
        sample = ViewDataset(
            rows, transform, byproduct="click", columns=columns, num_labels=3, label_policy=policy
        )[0]
        assert sample["labels"].tolist() == labels
    assert sample["target_labels"] == [1]
    np.testing.assert_allclose(sample["target_points"][0], [[0.3, 0.5]], atol=1e-6)


COLORS = ((250, 0, 0), (0, 250, 0), (0, 0, 250))


def of_color(pixels: torch.Tensor, number: int) -> torch.Tensor:
    """Which pixels are of a class's color, with the filter's blend of at most a third with black."""
    others = [each for each in range(3) if each != number]
    return (pixels[..., number] > 165) & (pixels[..., others] < 85).all(-1)


def test_the_authors_policy_keeps_the_labels_whose_spot_the_crop_shows(only_moves):
    """Three classes, each with a disc of its color on black, and a click in its middle.

    A class that is kept has its color where its target is. Of one that is not, the crop shows half a disc at
    most: half of 52 pixels, in crops of half of the image.
    """
    rng, kept, lost = np.random.default_rng(0), 0, 0
    centers = (np.arange(80) + 0.5) / 80
    columns = Columns(label="labels", point="points")
    transform = TrainTransform(ImageSettings(size=SIZE), scale=(0.5, 0.5), policy=only_moves)
    for seed in range(80):
        places = np.add([(0.2, 0.2), (0.8, 0.3), (0.4, 0.8)], rng.uniform(-0.1, 0.1, (3, 2)))
        pixels = np.zeros((80, 80, 3), np.uint8)
        for (x, y), color in zip(places, COLORS, strict=True):
            pixels[np.hypot(centers - x, centers[:, None] - y) <= 0.06] = color
        points = [{"label": at, "x": x, "y": y} for at, (x, y) in enumerate(places.tolist())]
        row = {"image": image_bytes(Image.fromarray(pixels), "PNG"), "labels": [0, 1, 2], "points": points}
        sample = ViewDataset(
            [row], transform, seed, byproduct="click", columns=columns, num_labels=3, label_policy="authors"
        )[0]
        labels = sample["labels"].tolist()
        assert sorted(sample["target_labels"]) == [at for at in range(3) if labels[at]]
        for label, target in zip(sample["target_labels"], sample["target_points"], strict=True):
            if ((target > 0.05) & (target < 0.95)).all():
                red, green, blue = at(sample, target[0]).tolist()
                assert of_color(torch.tensor((red, green, blue)), label), (seed, label)
                kept += 1
        for label in range(3):
            if not labels[label]:
                assert of_color(sample["pixel_values"].int(), label).sum() <= 32, (seed, label)
                lost += 1
    assert kept > 50 and lost > 50


def test_each_repetition_of_a_row_has_its_point_on_its_spot(only_moves):
    """As `--repeated_augmentation 3` draws it: the same row, three views of its own."""
    rows, counted = scenes(4), 0
    for seed in range(40):
        dataset = samples(rows, only_moves, seed)
        views = dataset.__getitems__([(0, again) for again in range(3)])
        assert len({sample["pixel_values"].numpy().tobytes() for sample in views}) == 3
        for sample in views:
            for points, weights in zip(sample["target_points"], sample["target_weights"], strict=True):
                for point in points[(weights > 0) & ((points > 0.03) & (points < 0.97)).all(-1)]:
                    red, green, blue = at(sample, point).tolist()
                    assert red > 170 and green < 110 and blue < 110
                    counted += 1
    assert counted > 60


class Inverting:
    """Counts its crops, and inverts them: then a green background is purple."""

    def __init__(self):
        self.crops = 0

    def __call__(self, height, width, rng):
        self.crops += 1
        return [Step("Invert", ImageOps.invert)]


def test_another_background_comes_before_the_policy_and_is_changed_with_the_crop():
    policy, rows = Inverting(), scenes(6)
    mixed = samples(rows, policy, mix=BackgroundMix(1.0, 0.2, holes=0))
    plain = samples(rows, None, mix=BackgroundMix(1.0, 0.2, holes=0))
    for number in range(6):
        assert torch.equal(mixed[number]["pixel_values"], 255 - plain[number]["pixel_values"])
    assert policy.crops == 6  # the donors have none of their own


def test_both_images_of_a_cutmix_have_steps_of_their_own():
    policy, rows = Inverting(), scenes(6)
    sample = samples(rows, policy, cutmix=CutMix())[0]
    assert policy.crops == 2 and sample["labels"].max() < 1
    plain = samples(rows, None, cutmix=CutMix())[0]
    assert torch.equal(sample["pixel_values"], 255 - plain["pixel_values"])


@pytest.mark.parametrize("policy", [RandAugment(), AutoAugment(), ThreeAugment()], ids=str)
def test_a_sample_depends_on_seed_epoch_and_row_only(policy):
    dataset = samples(scenes(12), policy, mix=BackgroundMix(), cutmix=CutMix(0.5))
    alone = collate([dataset[number] for number in range(12)])
    loaded = DataLoader(dataset, batch_size=6, num_workers=2, collate_fn=collate)
    for part, batch in enumerate(loaded):
        for name, values in batch.items():
            own = alone[name][6 * part : 6 * part + 6]
            assert torch.equal(values, own[:, : values.shape[1]] if name.startswith("target") else own)
    dataset.set_epoch(1)
    assert not torch.equal(dataset[0]["pixel_values"], alone["pixel_values"][0])


# ---- In a run


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_config(folder / "config")
    write_splits(folder / "data", train=16, validation=8)
    return folder


@pytest.mark.parametrize(
    ("augment", "said"),
    [
        ("rand-m9-mstd0.5-inc1", "RandAugment m9-n2-p0.5-mstd0.5"),
        ("autoaugment", "AutoAugment (ImageNet, v0r)"),
        ("3augment", "3-Augment"),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_run_says_and_does_it(folders, tmp_path, capsys, augment, said, streaming):
    arguments = options(
        folders / "config", folders / "data", tmp_path, augment=augment, streaming=streaming, color_jitter=0.3
    )
    trainer = train(*parse(arguments, ""))
    text = f"random crops of 8% to 100% of the image, flips, {said}, color jitter 0.3"
    assert text in capsys.readouterr().out and text in (tmp_path / "README.md").read_text()
    transform = trainer.train_dataset.to_sample.transform
    assert transform.policy is not None
    assert getattr(trainer.eval_dataset.to_sample.transform, "policy", None) is None
    canvas = getattr(transform.policy, "canvas", None)
    assert canvas is None or canvas.fill == transform.settings.neutral


def test_a_run_resumes_only_with_the_same_policy(folders, tmp_path):
    saved = {"loss": "none", "do_eval": False, "save_strategy": "steps", "save_steps": 1}
    again = {**saved, "max_steps": 2, "resume_from_checkpoint": True}
    main(options(folders / "config", folders / "data", tmp_path, **saved, augment="randaugment"))
    with pytest.raises(SystemExit, match="--augment is 3augment, the checkpoint's is randaugment"):
        main(options(folders / "config", folders / "data", tmp_path, **again, augment="3augment"))
    with pytest.raises(SystemExit, match="--augment is not set, the checkpoint's is randaugment"):
        main(options(folders / "config", folders / "data", tmp_path, **again))
    main(options(folders / "config", folders / "data", tmp_path, **again, augment="randaugment"))


def test_an_unknown_policy_is_refused_in_one_line(folders, tmp_path, capsys):
    with pytest.raises(SystemExit):
        parse(options(folders / "config", folders / "data", tmp_path, augment="trivial"), "")
    assert "--augment 'trivial' is unknown; take one of none, randaugment" in capsys.readouterr().err


def test_a_policy_of_your_own_is_named():
    def upside_down(height, width, rng):
        return [Step("turn", ImageOps.flip, np.array([[1.0, 0, 0], [0, -1.0, 1.0]]))]

    transform = TrainTransform(ImageSettings(size=SIZE), scale=(1, 1), flip=0, policy=upside_down)
    assert augmentation_text(transform).endswith("of the image, no flips, upside_down")
    rows = scenes(1)
    (x, y), (point,) = (
        rows[0]["click"][0],
        ViewDataset(rows, transform, byproduct="click")[0]["target_points"],
    )
    np.testing.assert_allclose(point, [[x, 1 - y]], atol=1e-6)
