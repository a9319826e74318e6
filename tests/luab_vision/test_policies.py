"""RandAugment, AutoAugment, 3-Augment: where their operations take points, and that they are timm's."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from fixtures.with_timm import APART, needs_timm
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from luab_vision import operations, policies
from luab_vision.geometry import moved, warp
from luab_vision.operations import PLAIN, Canvas, Step, operation
from luab_vision.policies import AutoAugment, RandAugment, ThreeAugment, named_policy
from luab_vision.transforms import ColorJitter, ImageSettings, RandomErasing, TrainTransform, to_tensor

MOVING = ("ShearX", "ShearY", "TranslateXRel", "TranslateYRel", "Rotate")
EVERY = sorted({*policies.RANDOM, *(name for pair in policies.IMAGENET_V0 for name, *_ in pair)})
LEVELS = (0, 1, 4.3, 9, 10)

sizes = st.integers(40, 90)
inner = st.floats(0.15, 0.85)


def spot(height: int, width: int, point, sigma: float = 2.0) -> np.ndarray:
    """A smooth bright spot at a point in crop ratios, float32 `[h, w]`."""
    x, y = (np.arange(width) + 0.5) - point[0] * width, (np.arange(height) + 0.5) - point[1] * height
    return (200 * np.exp(-(x**2 + y[:, None] ** 2) / (2 * sigma**2))).astype(np.float32)


def center(pixels: np.ndarray) -> np.ndarray:
    """Where the brightness is centered, in pixels, x first."""
    pixels = np.asarray(pixels, np.float64)
    total = pixels.sum()
    return np.array(
        [
            (pixels.sum(0) * (np.arange(pixels.shape[1]) + 0.5)).sum() / total,
            (pixels.sum(1) * (np.arange(pixels.shape[0]) + 0.5)).sum() / total,
        ]
    )


def far_from_the_border(point, height, width, margin=10) -> bool:
    pixels = point * (width, height)
    return bool(((pixels > margin) & (pixels < np.array((width, height)) - margin)).all())


@given(st.sampled_from(MOVING), st.floats(0, 10), st.sampled_from([-1, 1]), sizes, sizes, inner, inner)
@settings(max_examples=300, deadline=None)
def test_a_bright_spot_is_found_where_the_point_went(name, level, sign, height, width, x, y):
    step = operation(name, level, sign, height, width, Canvas((0, 0, 0)))
    target = moved(np.array([x, y]), step.move)
    if not far_from_the_border(np.array([x, y]), height, width) or not far_from_the_border(
        target, height, width
    ):
        return
    planted = spot(height, width, (x, y))
    as_map = warp(Image.fromarray(planted), step.move, Image.Resampling.BILINEAR)
    np.testing.assert_allclose(center(as_map), target * (width, height), atol=0.05)  # pixels
    crop = Image.fromarray(np.repeat(planted.astype(np.uint8)[..., None], 3, 2))
    np.testing.assert_allclose(
        center(np.asarray(step.pixels(crop))[..., 0]), target * (width, height), atol=0.2
    )


def test_where_points_go_worked_by_hand():
    def goes(name, sign, point, height=100, width=200):
        return moved(np.array(point), operation(name, 10, sign, height, width, PLAIN).move).tolist()

    assert goes("TranslateXRel", 1, [0.5, 0.2]) == pytest.approx([0.05, 0.2])
    assert goes("TranslateYRel", -1, [0.5, 0.2]) == pytest.approx([0.5, 0.65])
    assert goes("ShearX", 1, [0.5, 1]) == pytest.approx([0.5 - 0.3 * 100 / 200, 1])  # 30 pixels at y = 100
    assert goes("ShearY", 1, [1, 0.9]) == pytest.approx([1, 0.9 - 0.3 * 200 / 100])
    # 30 degrees counterclockwise around the center: what is 40 pixels right of it goes up by 20.
    assert goes("Rotate", 1, [0.7, 0.5]) == pytest.approx([0.5 + 40 * np.cos(np.pi / 6) / 200, 0.3])
    assert goes("Rotate", -1, [0.5, 0.5]) == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("name", sorted(set(EVERY) - set(MOVING)))
@pytest.mark.parametrize("level", LEVELS)
def test_other_operations_leave_the_spot_where_it_is(name, level):
    gray = np.full((40, 60, 3), 90, np.uint8)
    gray[12:16, 40:44] = (150, 170, 140)
    step = operation(name, level, 1, 40, 60, PLAIN)
    assert step.move is None
    result = np.asarray(step.pixels(Image.fromarray(gray))).astype(int)
    differs = (np.abs(result - result[0, 0]) > 0).any(-1)
    assert not differs[:11].any() and not differs[17:].any()  # sharpness may change the next pixel
    assert not differs[:, :39].any() and not differs[:, 45:].any()


@given(st.integers(0, 2**32 - 1), st.sampled_from([RandAugment(probability=1, layers=3), AutoAugment()]))
@settings(max_examples=150, deadline=None)
def test_a_map_and_its_point_go_through_a_policy_together(seed, policy):
    """Of all the steps only the moves concern a map or a mask: `warp` takes it along."""
    rng = np.random.default_rng(seed)
    point = rng.uniform(0.3, 0.7, 2)
    drawn = Image.fromarray(spot(64, 96, point))
    for step in policy(64, 96, rng):
        if step.move is None:
            continue
        drawn, point = warp(drawn, step.move, Image.Resampling.BILINEAR), moved(point, step.move)
        if not far_from_the_border(point, 64, 96):
            return
    np.testing.assert_allclose(center(drawn), point * (96, 64), atol=0.1)


def test_the_crop_is_filled_with_the_models_neutral_color():
    red = Image.new("RGB", (40, 40), (250, 0, 0))
    step = operation("TranslateXRel", 10, 1, 40, 40, Canvas((0.485, 0.456, 0.406)))
    pixels = np.asarray(step.pixels(red))
    assert (pixels[:, 23:] == (124, 116, 104)).all() and (pixels[:, :20] == (250, 0, 0)).all()


# ---- Against timm


@pytest.fixture(scope="module")
def timms():
    """timm's module of policies alone: it needs Pillow and NumPy, and not torchvision."""
    spec = importlib.util.find_spec("timm")
    folder = APART / "timm" if spec is None or spec.origin is None else Path(spec.origin).parent
    spec = importlib.util.spec_from_file_location("timms_policies", folder / "data" / "auto_augment.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@needs_timm
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("sign", [1, -1])
def test_each_operation_is_timms(timms, monkeypatch, name, level, sign):
    if name == "PosterizeIncreasing" and level == 10:
        pytest.skip("timm keeps no bit, which Pillow rejects")
    monkeypatch.setattr(timms, "_randomly_negate", lambda value: sign * value)
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    crop = Image.fromarray(noise).resize((60, 40), Image.Resampling.BICUBIC)
    fill = (124, 116, 104)
    theirs = timms.AugmentOp(name, 1.0, level, {"img_mean": fill, "interpolation": Image.Resampling.BICUBIC})(
        crop
    )
    ours = operation(name, level, sign, 40, 60, Canvas(tuple(value / 255 for value in fill))).pixels(crop)
    apart = np.abs(np.asarray(ours).astype(int) - np.asarray(theirs))
    assert apart.max() <= (1 if name in MOVING else 0)


@needs_timm
def test_the_tables_are_timms(timms):
    assert list(policies.RANDOM) == timms._RAND_INCREASING_TRANSFORMS
    theirs = timms.auto_augment_policy_v0r({"img_mean": (0, 0, 0)})
    assert [[(op.name, op.prob, op.magnitude) for op in pair] for pair in theirs] == [
        list(pair) for pair in policies.IMAGENET_V0
    ]
    three = [pair[0].name for pair in timms.auto_augment_policy_3a({"img_mean": (0, 0, 0)})]
    assert three == ["Solarize", "Desaturate", "GaussianBlurRand"]


# ---- What is drawn


def drawn(policy, count=2000, seed=0):
    rng = np.random.default_rng(seed)
    return [policy(40, 60, rng) for _ in range(count)]


def test_randaugment_draws_every_operation_with_its_probability():
    steps = drawn(RandAugment(layers=2, probability=0.5))
    numbers = np.bincount([len(each) for each in steps], minlength=3) / len(steps)
    np.testing.assert_allclose(numbers, [0.25, 0.5, 0.25], atol=0.04)
    names, counts = np.unique([step.name for each in steps for step in each], return_counts=True)
    assert set(names) == set(policies.RANDOM)
    assert counts.min() > 0.6 * counts.mean()
    assert {len(each) for each in drawn(RandAugment(layers=3, probability=1), 20)} == {3}


def shifts(policy) -> np.ndarray:
    """Each translation to the side, in ratios of the crop."""
    steps = [step for each in drawn(policy, 6000) for step in each if step.name == "TranslateXRel"]
    return np.array([step.move[0, 2] for step in steps])


def test_the_magnitude_is_that_of_its_spelling():
    fixed = shifts(named_policy("rand-m4-inc1"))
    np.testing.assert_allclose(np.abs(fixed), 0.4 * 0.45, rtol=1e-12)
    assert 0.4 < (fixed > 0).mean() < 0.6
    spread = np.abs(shifts(named_policy("rand-m4-mstd0.5-inc1"))) / 0.045
    assert spread.mean() == pytest.approx(4, abs=0.1) and spread.std() == pytest.approx(0.5, abs=0.05)
    assert np.abs(shifts(named_policy("rand-m10-mstd0.5-inc1"))).max() == pytest.approx(0.45)


def test_autoaugment_draws_its_pairs():
    steps = drawn(AutoAugment(), 5000)
    found = {tuple(step.name for step in each) for each in steps}
    assert ("Rotate", "TranslateYRel") in found and ("Equalize", "ShearY") in found and () in found
    allowed = {tuple(name for name, *_ in pair) for pair in policies.IMAGENET_V0}
    assert {names for names in found if len(names) == 2} <= allowed


def test_3augment_is_one_of_three():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    seen = {}
    for steps in drawn(ThreeAugment(), 60):
        (step,) = steps
        assert step.move is None
        seen.setdefault(step.name, []).append(np.asarray(step.pixels(noise)))
    assert set(seen) == {"Grayscale", "Solarize", "GaussianBlur"}
    gray = seen["Grayscale"][0]
    assert (gray[..., 0] == gray[..., 1]).all() and (gray[..., 0] == gray[..., 2]).all()
    assert (seen["Solarize"][0] == np.asarray(ImageOps.solarize(noise, 128))).all()
    assert len({blurred.tobytes() for blurred in seen["GaussianBlur"]}) > 5  # of many radii
    assert all(blurred.std() <= np.asarray(noise).std() for blurred in seen["GaussianBlur"])


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("none", None),
        ("randaugment", RandAugment(9, 2, 0.5, 0.5)),
        ("rand-m9-mstd0.5-inc1", RandAugment(9, 2, 0.5, 0.5)),
        ("rand-m7-n3-p1-inc1", RandAugment(7, 3, 1, 0)),
        ("rand-m7.5", RandAugment(7.5, 2, 0.5, 0)),
        ("autoaugment", AutoAugment()),
        ("3augment", ThreeAugment()),
    ],
)
def test_policies_by_name(text, policy):
    assert named_policy(text) == policy


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rand", "take one of none, randaugment, autoaugment, 3augment, or such as rand-m9"),
        ("augmix-m3", "take one of none"),
        ("rand-m9-w0", "the section 'w0' is unknown"),
        ("rand-m9-inc0", "the section 'inc0' is unknown"),
        ("rand-n2", "give the magnitude, m0 to m10"),
        ("rand-m9-n1.5", "n as a whole number"),
        ("rand-m9-m7", "'rand-m9-m7': m is given twice"),
        ("rand-m9-inc1-inc1", "inc is given twice"),
        ("rand-m11", "'rand-m11': magnitude=11.0: a number of 0 to 10"),
        ("rand-m9-p1.5", "probability=1.5"),
        ("rand-m9-n0", "layers=0"),
        ("rand-m9-mstd101", "spread=101.0"),
    ],
)
def test_other_names_are_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        named_policy(text)


# ---- In a transform


def test_a_policy_comes_before_the_augmentations_that_do_not_move_pixels():
    calls = []

    def note(name):
        return lambda crop, *_: calls.append(name) or crop

    transform = TrainTransform(
        ImageSettings(size=(20, 30)),
        augmentations=[note("augmentation")],
        policy=lambda height, width, rng: calls.append((height, width)) or [Step("a", note("step"))],
    )
    rng = np.random.default_rng(0)
    crop = to_tensor(Image.new("RGB", (30, 20)))
    steps = transform.steps(rng)
    transform.augment(transform.changed(crop, steps), rng)
    assert calls == [(20, 30), "step", "augmentation"]
    with pytest.raises(ValueError, match="take its methods view, steps"):
        transform(np.zeros((20, 30, 3), np.uint8), rng)


def test_a_transform_without_a_policy_draws_nothing_more():
    rng, other = (np.random.default_rng(0) for _ in range(2))
    assert TrainTransform(ImageSettings(size=20)).steps(rng) == ()
    assert rng.random() == other.random()


@given(st.integers(0, 2**32 - 1), st.integers(2, 37), st.integers(2, 27))
@settings(max_examples=100, deadline=None)
def test_color_jitter_leaves_the_spot_where_it_is_and_erasing_covers_it_or_not(seed, column, row):
    pixels = np.full((30, 40, 3), 100, np.uint8)
    pixels[row, column] = 240
    rng = np.random.default_rng(seed)
    jittered = np.asarray(ColorJitter(0.4)(Image.fromarray(pixels), rng)).astype(int).sum(-1)
    assert np.argwhere(jittered == jittered.max()).tolist() == [[row, column]]
    erased = np.asarray(RandomErasing(1.0, color=(0, 0, 0))(Image.fromarray(pixels), rng))
    left = (erased == pixels).all(-1)
    assert (erased[~left] == 0).all() and left.any() and not left.all()


def test_every_operation_is_named_once():
    assert not set(operations._COLORS) & set(operations._MOVES)
    assert set(EVERY) <= set(operations._COLORS) | set(operations._MOVES)
