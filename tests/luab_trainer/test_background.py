"""The background mix: near the byproduct stay the image's pixels, elsewhere come another image's."""

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, Image, List, Value
from fixtures.factories import image_bytes
from fixtures.small_runs import options, write_config, write_splits
from PIL import Image as PillowImage

from luab_data.errors import SourceError
from luab_data.rows.columns import Columns
from luab_trainer.config import DISC, OBJECT
from luab_trainer.data.background import BackgroundMix
from luab_trainer.data.dataset import ViewDataset, ViewIterableDataset
from luab_trainer.plan import require_same_run, write_plan
from luab_trainer.run import main
from luab_vision.geometry import View, from_view, to_view
from luab_vision.operations import Canvas
from luab_vision.policies import named_policy
from luab_vision.transforms import EvalTransform, ImageSettings, TrainTransform

POINT = {"x": Value("float64"), "y": Value("float64")}
ALWAYS = BackgroundMix(share=1.0)


def scene(x: float, y: float, color: int, size: int = 60) -> bytes:
    """A red disc of radius 0.1 around (x, y) on a background of one channel."""
    centers = (np.arange(size) + 0.5) / size
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[..., color] = 200
    pixels[np.hypot(centers - x, centers[:, None] - y) <= 0.1] = (250, 0, 0)
    return image_bytes(PillowImage.fromarray(pixels), "PNG")


def scenes(count: int, seed: int = 0) -> list[dict]:
    """The first image has a green background, all others a blue one."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        x, y = rng.uniform(0.15, 0.85, 2)
        image = {"bytes": scene(x, y, 1 if number == 0 else 2), "path": None}
        rows.append({"image": image, "label": number, "click": {"x": x, "y": y}})
    return rows


def samples(rows, mix, seed=0, **options):
    transform = TrainTransform(ImageSettings(size=40), scale=(0.6, 1.0))
    return ViewDataset(rows, transform, seed, byproduct="click", mix=mix, **options)


def green(sample) -> float:
    """The share of green pixels, which only the first image has."""
    return float((sample["pixel_values"][..., 1] > 100).float().mean())


@pytest.mark.parametrize("seed", range(20))
def test_only_what_is_near_the_click_is_the_images_own(seed):
    sample = samples(scenes(8), BackgroundMix(share=1.0, radius=0.3, holes=0.0), seed)[0]
    if not sample["target_weights"][0].any():
        assert green(sample) > 0.8  # the object is outside this crop: not mixed
        return
    pixels = sample["pixel_values"].int()
    x, y = sample["target_points"][0][0]
    at = pixels[min(int(y * 40), 39), min(int(x * 40), 39)]
    assert at[0] > 150 and at[2] < 60  # the object is where the target says
    centers = (torch.arange(40) + 0.5) / 40
    distance = torch.hypot(centers - x, centers[:, None] - y)
    # A crop shows 0.6 of the area or more, so a ratio of the image is at most 1.6 ratios of the crop.
    far = pixels[distance > 1.6 * (0.3 + 0.05)]
    assert not (far[:, 0] > 60).any()  # nobody's object: not even the other image's
    assert not (far[:, 1] > 60).any()  # and nothing of the own background
    assert (far[:, 2] > 150).all()


def test_the_radius_is_a_ratio_of_the_image_whatever_the_crop():
    mix = BackgroundMix(radius=0.3, holes=0.0, shape=DISC)
    white = torch.full((200, 100, 3), 255, dtype=torch.uint8)
    center = np.array([[0.5, 0.5]], np.float32)
    for view in (View(0, 0, 1, 1), View(0.25, 0, 0.5, 1), View(0, 0.1, 1, 0.7, flipped=True)):
        shares = []
        for seed in range(200):
            crop = mix.blend(
                white, torch.zeros_like(white), white.numpy(), view, center, np.random.default_rng(seed)
            )
            rows, columns = np.nonzero(crop[..., 0].numpy() > 127)
            kept = np.stack([(columns + 0.5) / 100, (rows + 0.5) / 200], axis=-1)
            spread = from_view(kept, view) - from_view(center[0], view)
            assert np.hypot(*spread.T).max() <= 0.3
            shares.append(float((crop.float() / 255).mean()) * view.width * view.height)
        # The area of a disc, averaged over radii from 0.15 to 0.3: pi (0.3^3 - 0.15^3) / (3 * 0.15).
        assert np.mean(shares) == pytest.approx(np.pi * (0.3**3 - 0.15**3) / 0.45, rel=0.1)


@pytest.mark.parametrize(
    "view", [View(0, 0, 1, 1), View(0.25, 0, 0.5, 1), View(0, 0.1, 1, 0.7, flipped=True)], ids=str
)
def test_a_hole_shows_the_background_within_the_radius_only_and_leaves_some_of_the_object(view):
    white = torch.full((200, 100, 3), 255, dtype=torch.uint8)
    black = torch.zeros_like(white)
    center = np.array([[0.5, 0.5]], np.float32)
    for seed in range(200):
        whole, holed = (
            BackgroundMix(radius=0.3, holes=holes, shape=DISC).blend(
                white, black, white.numpy(), view, center, np.random.default_rng(seed)
            )
            for holes in (0.0, 1.0)
        )
        assert (holed <= whole).all()  # beyond the radius, nothing comes back
        assert holed.sum() > 0.35 * whole.sum()
        rows, columns = np.nonzero((whole[..., 0].int() - holed[..., 0].int()).numpy() > 127)
        hole = np.stack([(columns + 0.5) / 100, (rows + 0.5) / 200], axis=-1)
        hole = from_view(hole, view) - from_view(center[0], view)  # in image ratios
        assert np.ptp(hole, axis=0).max() < 2 * 0.7 * 0.3 + 0.02  # a disc of 0.7 times the radius, at most
        assert np.hypot(*hole.T).min() < (0.5 - 0.35) * 0.3 + 0.02


def test_a_share_of_the_mixed_crops_has_a_hole():
    white = torch.full((40, 40, 3), 255, dtype=torch.uint8)
    view, center = View(0, 0, 1, 1), np.array([[0.5, 0.5]], np.float32)
    for share in (0.0, 0.5, 1.0):
        crops = [
            [
                BackgroundMix(radius=0.4, holes=holes, shape=DISC).blend(
                    white, torch.zeros_like(white), white.numpy(), view, center, np.random.default_rng(seed)
                )
                for holes in (0.0, share)
            ]
            for seed in range(200)
        ]
        assert np.mean([not torch.equal(*pair) for pair in crops]) == pytest.approx(share, abs=0.1)


def test_an_object_is_never_covered_whole():
    """Squares whose side the radius fits: 0.8 of it. With a hole, less of one is seen, but always some."""
    rows = []
    for number in range(4):
        pixels = np.zeros((60, 60, 3), np.uint8)
        pixels[..., 2] = 200
        pixels[21:39, 21:39] = (250, 0, 0)  # 0.3 of the image
        image = {"bytes": image_bytes(PillowImage.fromarray(pixels), "PNG"), "path": None}
        rows.append({"image": image, "label": number, "click": {"x": 0.5, "y": 0.5}})

    def red(holes: float, seed: int) -> list[float]:
        mix = BackgroundMix(share=1.0, radius=0.24, holes=holes, shape=DISC)
        mixed = ViewDataset(rows, Seen(View(0, 0, 1, 1)), seed, byproduct="click", mix=mix)
        return [float((sample["pixel_values"][..., 0] > 125).float().mean()) for sample in mixed]

    whole, holed = (np.array([red(holes, seed) for seed in range(50)]) for holes in (0.0, 1.0))
    assert (holed < whole).mean() > 0.95
    assert holed.min() > 0.05 * 0.3**2
    assert (whole <= 0.3**2 + 0.01).all() and np.mean(whole) > 0.8 * 0.3**2
    assert red(1.0, 7) == red(1.0, 7) != red(1.0, 8)  # the seed decides


def test_a_share_of_the_crops_is_mixed_and_the_others_are_as_without():
    rows = scenes(200)
    for share, low, high in ((0.0, 0, 0), (0.4, 30, 90), (1.0, 100, 200)):
        pairs = zip(samples(rows, BackgroundMix(share, radius=0.2)), samples(rows, None), strict=True)
        changed = sum(not torch.equal(mixed["pixel_values"], plain["pixel_values"]) for mixed, plain in pairs)
        assert low <= changed <= high, share


def test_targets_and_labels_are_those_without_the_mix():
    rows = scenes(12)
    for mixed, plain in zip(samples(rows, ALWAYS), samples(rows, None), strict=True):
        assert mixed["labels"] == plain["labels"]
        np.testing.assert_array_equal(mixed["target_points"], plain["target_points"])
        np.testing.assert_array_equal(mixed["target_weights"], plain["target_weights"])


def test_a_sample_depends_on_seed_epoch_and_row_only():
    dataset = samples(scenes(12), ALWAYS)
    one_by_one = [dataset[number]["pixel_values"] for number in range(12)]
    together = dataset.__getitems__(list(reversed(range(12))))[::-1]
    assert all(torch.equal(a, b["pixel_values"]) for a, b in zip(one_by_one, together, strict=True))
    dataset.set_epoch(1)
    assert not torch.equal(dataset[0]["pixel_values"], one_by_one[0])


def test_an_image_without_a_click_is_never_mixed_and_gives_no_background():
    rows = scenes(2)
    rows[1]["click"] = None  # the only other image: the first can only get its own background
    for seed in range(10):
        mixed, plain = samples(rows, ALWAYS, seed), samples(rows, None, seed)
        assert torch.equal(mixed[1]["pixel_values"], plain[1]["pixel_values"])
        assert green(mixed[0]) > 0.7


def uncovered(view: View, *places: tuple[float, float]) -> float:
    """The share of a background that shows the objects at these places."""
    pixels = np.zeros((100, 100, 3), np.uint8)
    at = (np.arange(100) + 0.5) / 100
    for x, y in places:
        pixels[np.hypot(at - x, at[:, None] - y) <= 0.15] = (250, 0, 0)
    crop = TrainTransform(ImageSettings(size=40)).crop(pixels, view)
    assert (crop[..., 0] > 150).any()
    covered = BackgroundMix().background(crop, view, to_view(np.array(places), view))
    return float((covered[..., 0] > 150).float().mean())


@pytest.mark.parametrize("flipped", [False, True])
def test_a_background_shows_no_object_at_its_other_side_either(flipped):
    """Half a crop away is another object, or in a small crop the same one."""
    assert uncovered(View(0.35, 0.3, 0.3, 0.4, flipped), (0.5, 0.5)) == 0
    assert uncovered(View(0, 0, 1, 1, flipped), (0.2, 0.3), (0.7, 0.8)) == 0
    assert uncovered(View(0.2, 0, 0.5, 1, flipped), (0.3, 0.3), (0.6, 0.9)) == 0


class Seen(EvalTransform):
    """Always the same view."""

    def __init__(self, view: View):
        super().__init__(ImageSettings(size=40))
        self.seen = view

    def view(self, width, height, rng=None):
        return self.seen


@pytest.mark.parametrize("byproduct", ["trace", "click+trace"])
def test_of_a_trace_only_the_end_is_at_the_object(byproduct):
    click = {"x": 0.75, "y": 0.5}
    path = [{"x": 0.25, "y": place, "time": 2000 * place - 400} for place in (0.7, 0.8, 0.9)]
    annotation = {
        "selected": True,
        "selected_record": [{**click, "time": 2000.0}],
        "mouse_tracking": [*path, {**click, "time": 2000.0}],
    }
    rows = [
        {"image": scene(0.75, 0.5, color), "label": 0, "click": click, "annotations": [annotation]}
        for color in (1, 2)
    ]
    for width in (1, 0.5):
        mixed, plain = (
            ViewDataset(rows, Seen(View(0, 0, width, 1)), byproduct=byproduct, mix=mix)[0]
            for mix in (BackgroundMix(share=1.0, radius=0.35), None)
        )
        assert (mixed["target_weights"][0] > 0).sum() > 2  # some of the path is a target
        if width == 1:
            assert (mixed["pixel_values"][:, :15, 1] < 100).all()
        else:  # the object is not in the crop
            assert torch.equal(mixed["pixel_values"], plain["pixel_values"])


@pytest.mark.parametrize(
    "elsewhere", [{"x": 1.4, "y": 0.5}, [{"label": 7, "x": 0.5, "y": 0.5}]], ids=["outside", "another class"]
)
def test_a_point_that_does_not_tell_where_the_object_is_mixes_nothing(elsewhere):
    for number in range(2):  # the image itself, or the one that would give the background
        rows = scenes(2)
        rows[number]["click"] = elsewhere
        for seed in range(10):
            mixed, plain = (samples(rows, mix, seed)[0] for mix in (ALWAYS, None))
            assert torch.equal(mixed["pixel_values"], plain["pixel_values"])


def several(points: list[list[dict]], labels: list[list[int]]) -> Dataset:
    image = {"bytes": scene(0.5, 0.5, 1), "path": None}
    donor = {"bytes": scene(0.1, 0.1, 2), "path": None}
    rows = [
        {"image": image if number == 0 else donor, "labels": own, "points": clicks}
        for number, (own, clicks) in enumerate(zip(labels, points, strict=True))
    ]
    columns = {
        "image": Image(),
        "labels": List(Value("int64")),
        "points": List({"label": Value("int64"), **POINT}),
    }
    return Dataset.from_list(rows, features=Features(columns))


def test_with_several_labels_no_object_is_lost():
    at = [{"label": 0, "x": 0.5, "y": 0.5}]
    donor = [{"label": 2, "x": 0.1, "y": 0.1}]
    options = {"columns": Columns(label="labels", point="points"), "num_labels": 3}
    whole = several([at, donor], [[0], [2]])
    lacking = several([at, donor], [[0, 1], [2]])  # nobody clicked on class 1
    blue = [
        [
            (samples(rows, ALWAYS, seed, **options)[0]["pixel_values"][..., 2] > 100).any()
            for seed in range(20)
        ]
        for rows in (whole, lacking)
    ]
    assert any(blue[0]) and not any(blue[1])


@pytest.mark.parametrize("byproduct", ["click", "boxes"])
def test_an_object_that_an_augmentation_moves_out_of_the_crop_is_not_lost(byproduct, monkeypatch):
    mixed = []
    monkeypatch.setattr(BackgroundMix, "blend", lambda self, crop, *given: mixed.append(1) or crop)
    policy = named_policy("rand-m9-n3-p1-inc1", Canvas((0, 0, 0)))
    transform = TrainTransform(ImageSettings(size=40), scale=(0.6, 1.0), policy=policy)
    rows = scenes(8)
    for row, x in zip(rows, [0.02, 0.98] * 4, strict=True):  # a small move takes it out
        row["click"] = {"x": x, "y": 0.5}
        box = [max(60 * x - 1, 0), 29, 2, 2]
        row["objects"] = {"bbox": [box], "category": [row["label"]]}
        row |= {"width": 60, "height": 60}
    count = [0, 0]
    for seed in range(20):
        dataset = ViewDataset(rows, transform, seed, byproduct=byproduct, mix=ALWAYS)
        for number in range(len(rows)):
            mixed.clear()
            sample = dataset[number]
            target = sample["target_weights" if byproduct == "click" else "target_maps"][0]
            assert bool(mixed) == bool(target.any())
            count[bool(mixed)] += 1
    assert min(count) > 20


def test_a_background_that_cannot_be_read_is_named():
    rows = scenes(2)
    rows[1]["image"] = {"bytes": rows[1]["image"]["bytes"][:200], "path": None}
    with pytest.raises(ValueError, match="Row 1: cannot read the image"):
        [samples(rows, ALWAYS, seed)[0] for seed in range(10)]


def test_a_stream_mixes_in_what_came_before():
    columns = {"image": Image(), "label": Value("int64"), "click": POINT}
    stream = Dataset.from_list(scenes(20), features=Features(columns)).to_iterable_dataset()
    transform = TrainTransform(ImageSettings(size=40), scale=(0.6, 1.0))
    mix = BackgroundMix(share=1.0, radius=0.2)
    mixed = list(ViewIterableDataset(stream, transform, byproduct="click", mix=mix))
    plain = list(ViewIterableDataset(stream, transform, byproduct="click"))
    assert torch.equal(mixed[0]["pixel_values"], plain[0]["pixel_values"])  # nothing came before
    assert (
        sum(not torch.equal(a["pixel_values"], b["pixel_values"]) for a, b in zip(mixed, plain, strict=True))
        > 9
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 1.1},
        {"share": -0.1},
        {"radius": 0.0},
        {"radius": float("nan")},
        {"holes": 1.5},
        {"holes": float("nan")},
    ],
)
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BackgroundMix(**wrong)


@pytest.mark.parametrize("loss", ["none", "attention"])
def test_a_run_mixes_says_so_and_resumes_only_with_the_same_mix(loss, tmp_path, capsys):
    data, config = write_splits(tmp_path / "data", train=16), write_config(tmp_path / "config")
    mixed = {
        "loss": loss,
        "background_mix": 0.75,
        "do_eval": False,
        "save_strategy": "steps",
        "save_steps": 1,
    }
    main(options(config, data, tmp_path / "out", **mixed))
    fact = f"75% of the crops with a byproduct, object within radius {ALWAYS.radius:g}"
    assert f"background mix            {fact}\n" in capsys.readouterr().out
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"| background mix | {fact} |" in card
    again = {**mixed, "max_steps": 2, "resume_from_checkpoint": True}
    with pytest.raises(SystemExit, match="--background_radius"):
        main(options(config, data, tmp_path / "out", **again, background_radius=0.2))
    with pytest.raises(SystemExit, match="--background_shape is disc, the checkpoint's is object"):
        main(options(config, data, tmp_path / "out", **again, background_shape=DISC))
    main(options(config, data, tmp_path / "out", **again))


def test_a_checkpoint_from_before_the_cut_resumes_with_discs(tmp_path):
    before = {"--background_mix": 0.75, "--background_radius": 0.75}
    write_plan(tmp_path, before)
    require_same_run(tmp_path, before | {"--background_shape": DISC})
    with pytest.raises(SourceError, match="--background_shape is object, the checkpoint's is disc"):
        require_same_run(tmp_path, before | {"--background_shape": OBJECT})


def test_without_a_mix_its_radius_may_change_on_resume(tmp_path):
    data, config = write_splits(tmp_path / "data", train=16), write_config(tmp_path / "config")
    saved = {"loss": "none", "do_eval": False, "save_strategy": "steps", "save_steps": 1}
    main(options(config, data, tmp_path / "out", **saved))
    again = {**saved, "max_steps": 2, "resume_from_checkpoint": True}
    main(options(config, data, tmp_path / "out", **again, background_radius=0.2))
    assert (tmp_path / "out" / "checkpoint-2").is_dir()


def test_a_run_that_mixes_needs_clicks(tmp_path):
    data, config = write_splits(tmp_path / "data", train=16), write_config(tmp_path / "config")
    rows = Dataset.from_parquet(str(data / "train.parquet")).remove_columns("click")
    rows.to_parquet(data / "train.parquet")
    with pytest.raises(SystemExit, match="click"):
        main(options(config, data, tmp_path / "out", loss="none", background_mix=1.0))


def test_an_evaluation_says_nothing_of_the_mix_and_needs_no_clicks(tmp_path, capsys):
    data, config = write_splits(tmp_path / "data", train=16), write_config(tmp_path / "config")
    run = {"loss": "none", "background_mix": 1.0}
    main(options(config, data, tmp_path / "out", **run))
    rows = Dataset.from_parquet(str(data / "train.parquet")).remove_columns("click")
    rows.to_parquet(data / "train.parquet")
    capsys.readouterr()
    only = {**run, "do_train": False, "model": tmp_path / "out", "eval_split": "train"}
    main(options(None, data, tmp_path / "again", **only))
    said = capsys.readouterr().out
    assert "rows to evaluate on" in said and "background mix" not in said and "click" not in said


def test_a_click_among_many_rows_without_one_finds_a_background():
    """Two rows of 200 have a click: each is the other's background, after about 200 tries."""
    rows = scenes(200)
    for number, row in enumerate(rows):
        if number not in (0, 100):
            row["click"] = None
    mixed = [samples(rows, BackgroundMix(share=1.0, radius=0.3), seed)[0] for seed in range(20)]
    usable = [sample for sample in mixed if sample["target_weights"][0].any()]
    assert len(usable) > 10
    assert sum(green(sample) < 0.6 for sample in usable) >= len(usable) - 1


def test_a_streams_next_epoch_does_not_depend_on_the_one_before():
    """Positions in a stream are other rows in each epoch: nothing that is known of one may be kept."""
    rows = Dataset.from_list(
        [row | {"click": None} if number % 2 else row for number, row in enumerate(scenes(120))],
        features=Features({"image": Image(), "label": Value("int64"), "click": POINT}),
    )

    def second_epoch(after_the_first: bool) -> list:
        stream = rows.to_iterable_dataset(num_shards=1).shuffle(seed=0, buffer_size=120)
        transform = TrainTransform(ImageSettings(size=40), scale=(0.6, 1.0))
        dataset = ViewIterableDataset(stream, transform, byproduct="click", mix=ALWAYS)
        if after_the_first:
            list(dataset)
        dataset.set_epoch(1)
        return [sample["pixel_values"] for sample in dataset]

    for fresh, later in zip(second_epoch(False), second_epoch(True), strict=True):
        assert torch.equal(fresh, later)
