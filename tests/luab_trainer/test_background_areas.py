"""The background mix of boxes, masks, gaze and heat maps: only what is inside is the image's own."""

import numpy as np
import pytest
import torch
from fixtures.factories import image_bytes
from PIL import Image

from luab_attention.area_maps import Area, Gaze, Picture
from luab_data.rows.columns import AREA_KINDS
from luab_trainer.config import LUABConfig
from luab_trainer.data import area_mix
from luab_trainer.data.background import BackgroundMix, objects_in_view
from luab_trainer.data.dataset import ViewDataset
from luab_vision.geometry import WHOLE_IMAGE, View
from luab_vision.operations import Canvas
from luab_vision.policies import named_policy
from luab_vision.transforms import ImageSettings, TrainTransform

SIZE, CROP = 60, 48
VIEWS = [WHOLE_IMAGE, View(0.2, 0.1, 0.7, 0.8), View(0.1, 0, 0.6, 0.9, flipped=True)]
WITHOUT_HOLES = BackgroundMix(share=1.0, holes=0.0)


def png(pixels) -> dict:
    return {"bytes": image_bytes(Image.fromarray(np.asarray(pixels, np.uint8)), "PNG"), "path": None}


def row(number: int, kind: str, rng) -> dict:
    """A red square on green in the first row, on blue in all others, with what tells of it."""
    x, y = rng.integers(6, 34, 2)
    pixels = np.zeros((SIZE, SIZE, 3))
    pixels[..., 1 if number == 0 else 2] = 200
    pixels[y : y + 20, x : x + 20] = (250, 0, 0)
    inside = np.zeros((SIZE, SIZE))
    inside[y : y + 20, x : x + 20] = 255
    center = {"x": [(x + 10) / SIZE], "y": [(y + 10) / SIZE]}
    told = {
        "boxes": {"objects": {"bbox": [[x, y, 20, 20]], "category": [number]}, "width": SIZE, "height": SIZE},
        "masks": {"masks": [{"label": number, "image": png(inside)}]},
        "heatmap": {"heatmaps": [{"annotator": "a", "image": png(inside)}]},
        "scanpath": {"scanpaths": [center]},
    }[kind]
    return {"image": png(pixels), "label": number, **told}


def samples(kind, mix, seed=0, policy=None, count=6):
    rng = np.random.default_rng(seed)
    rows = [row(number, kind, rng) for number in range(count)]
    policy = named_policy(policy or "none", Canvas((0, 0, 0)))
    transform = TrainTransform(ImageSettings(size=CROP), scale=(0.5, 1.0), policy=policy)
    return ViewDataset(rows, transform, seed, byproduct=kind, mix=mix, grid=(CROP, CROP))


@pytest.mark.parametrize("kind", AREA_KINDS)
def test_only_what_is_inside_is_the_images_own(kind):
    for seed in range(25):
        sample = samples(kind, WITHOUT_HOLES, seed)[0]
        pixels = sample["pixel_values"].int()
        light = torch.from_numpy(sample["target_maps"][0])
        if not light.any():
            assert (pixels[..., 2] < 100).all()  # the object is not in this crop: not mixed
            continue
        red = (pixels[..., 0] > 200) & (pixels[..., 1:] < 60).all(dim=-1)
        assert red[light > 0.95].float().mean() > 0.99, seed  # also where the crop cuts the object
        away = light < 1e-6 if kind != "scanpath" else light < 0.03
        around = torch.nn.functional.max_pool2d(1 - away.float()[None], 5, 1, 2)[0] == 0
        assert (pixels[around][:, 2] > 150).all(), seed  # another image's background
        assert (pixels[around][:, :2] < 60).all(), seed  # neither its object nor the own background


@pytest.mark.parametrize("kind", AREA_KINDS)
@pytest.mark.parametrize("policy", ["rand-m9-n3-p1-inc1", "autoaugment"])
def test_what_moves_the_pixels_moves_what_was_mixed(kind, policy, monkeypatch):
    """A crop of light alone is mixed and moved as its target is."""
    monkeypatch.setattr(BackgroundMix, "background", lambda self, crop, view, areas: torch.zeros_like(crop))
    compared = 0
    for seed in range(12):
        dataset = samples(kind, WITHOUT_HOLES, seed, policy)
        transform = dataset.to_sample.transform
        changed = transform.changed

        def moved_only(crop, steps, changed=changed):
            return changed(crop, [step for step in steps if step.move is not None])

        monkeypatch.setattr(transform, "changed", moved_only)
        monkeypatch.setattr(transform, "crop", lambda pixels, view: torch.full((CROP, CROP, 3), 255).byte())
        sample = dataset[0]
        light = sample["target_maps"][0]
        if light.any():
            compared += 1
            kept = sample["pixel_values"][..., 0].numpy() / 255
            assert kept[light > 0.95].mean() > 0.9, seed
            assert kept[light < 0.02].mean() < 0.1, seed
    assert compared > 4


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_a_box_and_a_mask_stay_to_the_pixel(view):
    inside = np.zeros((SIZE, SIZE), bool)
    inside[12:30, 15:45] = True
    edges = np.arange(SIZE + 1) / SIZE
    mask = Area(0, (Picture(inside, edges, edges),))
    size = (round(view.height * SIZE), round(view.width * SIZE))
    left, top = round(view.left * SIZE), round(view.top * SIZE)
    expected = inside[top : top + size[0], left : left + size[1]]
    expected = expected[:, ::-1] if view.flipped else expected
    for level in (area_mix.LEVELS[0], 0.3, area_mix.LEVELS[1]):
        np.testing.assert_allclose(area_mix.kept([mask], view, size, level), expected, atol=1e-5)
    np.testing.assert_array_less(expected - 1e-6, area_mix.covered([mask], view, size) + 1e-5)


def test_of_gaze_a_disc_stays_which_the_level_draws():
    gaze = Area(0, (Gaze(np.array([[0.5, 0.5]]), np.ones(1), (0.1, 0.1)),))
    for level in area_mix.LEVELS:
        near = area_mix.kept([gaze], WHOLE_IMAGE, (200, 200), level)
        # The middle of the edge is at the level: exp(-d^2 / (2 sigma^2)) = level.
        radius = 0.1 * np.sqrt(-2 * np.log(level))
        assert (near >= 0.5).mean() == pytest.approx(np.pi * radius**2, rel=0.03)


def test_a_hole_leaves_most_of_the_object_and_is_in_it():
    inside = np.zeros((SIZE, SIZE), bool)
    inside[12:30, 15:45] = True
    edges = np.arange(SIZE + 1) / SIZE
    white = torch.full((CROP, CROP, 3), 255, dtype=torch.uint8)
    left = []
    for view in VIEWS:
        for seed in range(60):
            whole, holed = (
                BackgroundMix(holes=holes).blend(
                    white,
                    torch.zeros_like(white),
                    white.numpy(),
                    view,
                    [Area(0, (Picture(inside, edges, edges),))],
                    np.random.default_rng(seed),
                )
                for holes in (0.0, 1.0)
            )
            assert (holed <= whole).all()
            left.append(float(holed.float().sum() / whole.float().sum()))
    assert 0.5 < min(left) < max(left) < 1
    assert np.mean(left) == pytest.approx(0.8, abs=0.06)  # discs of 0.25 on average, partly outside


def test_a_label_without_an_area_in_the_view_is_not_mixed():
    edges = np.array([0, 0.5, 1])
    left = Area(0, (Picture(np.array([[1, 0], [1, 0]]), edges, edges),))
    assert objects_in_view(0, [left], WHOLE_IMAGE) == [left]
    assert objects_in_view(0, [left], View(0.5, 0, 0.5, 1)) is None
    assert objects_in_view(torch.tensor([1.0, 1.0]), [left], WHOLE_IMAGE) is None
    assert objects_in_view(torch.tensor([1.0, 0.0]), [left], WHOLE_IMAGE) == [left]
    assert objects_in_view(0, [], WHOLE_IMAGE) is None


@pytest.mark.parametrize("kind", AREA_KINDS)
def test_areas_have_no_radius(kind):
    with pytest.raises(ValueError, match=r"--background_radius 0.3 is the distance from a point"):
        LUABConfig("out", use_cpu=True, byproduct=kind, background_radius=0.3)
    assert LUABConfig("out", use_cpu=True, byproduct=kind, background_mix=0.5).background_mix == 0.5


@pytest.mark.parametrize("sigma", [(0.001, 0.002), (0.03, 0.05), (0.2, 0.1), (3.0, 3.0)])
@pytest.mark.parametrize("view", VIEWS)
def test_the_light_of_gaze_is_that_of_each_pixel(sigma, view):
    """Also at the crop's borders: it is interpolated, and off by 3 % of the peak at most."""
    points = np.random.default_rng(0).random((7, 2))
    gaze = Area(0, (Gaze(points, np.full(7, 1 / 7), sigma), Gaze(points[:1], np.ones(1), sigma)))
    peak = gaze.density(WHOLE_IMAGE, area_mix.GRID).max()
    light = area_mix._light(gaze, view, (CROP, 2 * CROP))
    exact = (gaze.density(view, (CROP, 2 * CROP)) / peak).clip(0, 1)
    np.testing.assert_allclose(light, exact, atol=0.03)
