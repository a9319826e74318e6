"""An object is cut out around its click: within the radius, along its own border."""

import multiprocessing

import cv2
import numpy as np
import pytest
import torch

from luab_trainer.config import DISC, LUABConfig
from luab_trainer.data import cutout
from luab_trainer.data.background import BackgroundMix, _distance
from luab_trainer.data.cutout import SIDE, SURE, cut_out, seen
from luab_trainer.data.kept import Kept
from luab_vision.geometry import WHOLE_IMAGE, View, from_view
from luab_vision.transforms import EvalTransform, ImageSettings

HALF = 0.2  # of the square's side


def scene(center=(0.5, 0.5), size=(96, 96), seed=0):
    """A red square on a blue ground, both mottled: pixels uint8 `[h, w, 3]`, and where the square is."""
    rng = np.random.default_rng(seed)
    y, x = ((np.arange(side) + 0.5) / side for side in size)
    square = (abs(y[:, None] - center[1]) < HALF) & (abs(x - center[0]) < HALF)
    pixels = np.where(square[..., None], (200, 40, 40), (40, 60, 180)) + rng.normal(0, 25, (*size, 3))
    return torch.from_numpy(pixels.clip(0, 255).astype(np.uint8)), square


def cut(pixels, click, radius, view=WHOLE_IMAGE, size=None, kept=None):
    """The object in a view, by default of the whole image, [h, w]; None if there is no cut."""
    distance = _distance((SIDE, SIDE), WHOLE_IMAGE, np.array([click]))
    found = cut_out(pixels.numpy(), distance, radius, kept)
    return None if found is None else seen(found, view, size or pixels.shape[:2])


def overlap(found, square):
    return (found & square).sum() / (found | square).sum()


@pytest.mark.parametrize("click", [(0.5, 0.5), (0.4, 0.45), (0.62, 0.6)])
@pytest.mark.parametrize("size", [(96, 96), (60, 120), (32, 32)])
def test_the_object_is_cut_out_from_wherever_it_was_clicked(click, size):
    pixels, square = scene(size=size)
    found = cut(pixels, click, 0.35)
    assert found.shape == size and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1
    y, x = ((np.arange(side) + 0.5) / side for side in size)
    distance = np.hypot(x - click[0], y[:, None] - click[1])
    assert overlap(found > 0.5, square & (distance <= 0.35)) > 0.8
    assert overlap(distance <= 0.35, square) < 0.6


def test_nothing_beyond_the_radius_is_the_objects():
    pixels, square = scene()
    found = cut(pixels, (0.5, 0.5), 0.15)
    rows, columns = np.nonzero(found > 0.5)
    assert np.hypot((columns + 0.5) / 96 - 0.5, (rows + 0.5) / 96 - 0.5).max() < 0.15 + 1.5 / SIDE
    assert (found > 0.5).sum() < 0.6 * square.sum()


def test_what_is_next_to_the_click_stays_whatever_its_color():
    """A dark button on the object, just under the click."""
    pixels, square = scene()
    pixels[46:51, 46:51] = torch.tensor([10, 10, 10], dtype=torch.uint8)
    found = cut(pixels, (0.5, 0.5), 0.35)
    assert found[46:51, 46:51].min() > 0.9
    assert overlap(found > 0.5, square) > 0.8


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("size", [(40, 40), (64, 96), (20, 90)])
def test_a_crop_shows_its_part_of_the_object(flipped, size):
    pixels, square = scene(size=(192, 192))
    view = View(0.25, 0.125, 0.625, 0.75, flipped)
    crop = EvalTransform(ImageSettings(size=size)).crop(
        np.repeat(255 * square[..., None], 3, -1).astype(np.uint8), view
    )
    found = cut(pixels, (0.45, 0.5), 0.35, view, size)
    assert found.shape == size
    assert overlap(found > 0.5, crop[..., 0].numpy() > 127) > 0.75


def test_colors_that_say_nothing_leave_the_middle():
    flat = torch.full((64, 64, 3), 90, dtype=torch.uint8)
    found = cut(flat, (0.5, 0.5), 0.4)
    distance = np.hypot((np.arange(64) + 0.5) / 64 - 0.5, (np.arange(64)[:, None] + 0.5) / 64 - 0.5)
    assert found[distance < SURE * 0.4 - 1 / SIDE].min() == 1
    assert found[distance > SURE * 0.4 + 1.5 / SIDE].max() == 0


@pytest.mark.parametrize("radius", [0.6, 0.75, 2.0])
def test_the_farthest_part_of_the_image_is_background_whatever_the_radius(radius):
    pixels, square = scene()
    found = cut(pixels, (0.5, 0.5), radius)
    assert overlap(found > 0.5, square) > 0.8


def test_a_radius_of_too_few_pixels_is_no_cut():
    pixels, _ = scene()
    assert cut(pixels, (0.5, 0.5), 0.001) is None
    black = torch.zeros_like(pixels)
    crops = [
        BackgroundMix(radius=0.001, shape=shape).blend(
            pixels, black, pixels.numpy(), WHOLE_IMAGE, np.array([[0.5, 0.5]]), np.random.default_rng(0)
        )
        for shape in ("object", DISC)
    ]
    assert torch.equal(*crops)  # then the disc stays


@pytest.mark.parametrize("radius", [0.05, 0.085, 0.2])
def test_each_of_several_points_keeps_what_is_next_to_it(radius):
    flat = np.full((64, 64, 3), 90, np.uint8)
    points = np.array([[0.24, 0.26], [0.73, 0.71]])
    found = cut_out(flat, _distance((SIDE, SIDE), WHOLE_IMAGE, points), radius)
    for x, y in points:
        assert found[int(y * SIDE), int(x * SIDE)] == 1


@pytest.mark.parametrize("view", [WHOLE_IMAGE, View(0.21, 0.07, 0.63, 0.84), View(0.4, 0.3, 0.5, 0.6, True)])
def test_a_crop_interpolates_linearly_between_the_parts(view):
    """At the places of the crop's pixels in the image, worked out by `from_view`."""
    found = np.random.default_rng(0).random((SIDE, SIDE)).astype(np.float32)
    h, w = 30, 50
    x, y = (np.arange(w) + 0.5) / w, (np.arange(h) + 0.5) / h
    places = from_view(np.stack(np.meshgrid(x, y), axis=-1), view) * SIDE - 0.5
    places = places.clip(0, SIDE - 1)
    first = np.minimum(places.astype(int), SIDE - 2)
    (i, j), (u, v) = np.moveaxis(first, -1, 0), np.moveaxis(places - first, -1, 0)
    by_hand = (
        found[j, i] * (1 - u) * (1 - v)
        + found[j, i + 1] * u * (1 - v)
        + found[j + 1, i] * (1 - u) * v
        + found[j + 1, i + 1] * u * v
    )
    np.testing.assert_allclose(seen(found, view, (h, w)), by_hand, atol=2e-3)


def noise(seed):
    """An image whose cut depends on the first clusters of its colors."""
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
    return torch.from_numpy(cv2.blur(pixels, (9, 9)))


def cuts(kept=None):
    return np.stack([cut(noise(seed), (0.4, 0.45), 0.35, kept=kept) for seed in range(30)])


def test_a_cut_is_the_same_again():
    found = cuts()
    cv2.setRNGSeed(7)
    np.testing.assert_array_equal(cuts(), found)


def test_what_was_cut_out_is_kept(monkeypatch):
    worked_out, kept = cuts(), Kept(cutout.BYTES, 1000)
    np.testing.assert_array_equal(cuts(kept), worked_out)
    monkeypatch.setattr(cutout, "_grab_cut", None)
    np.testing.assert_array_equal(cuts(kept), worked_out)


@pytest.mark.parametrize(
    ("seed", "click", "radius"), [(1, (0.4, 0.45), 0.35), (0, (0.5, 0.45), 0.35), (0, (0.4, 0.45), 0.3)]
)
def test_another_image_click_or_radius_is_another_object(seed, click, radius):
    kept = Kept(cutout.BYTES, 1000)
    cut(noise(0), (0.4, 0.45), 0.35, kept=kept)
    found = cut(noise(seed), click, radius, kept=kept)
    np.testing.assert_array_equal(found, cut(noise(seed), click, radius))


def _child(queue):
    queue.put(cuts())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_cut_is_the_same_in_the_processes_of_a_data_loader(method):
    assert cv2.getNumThreads() == 1
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=_child, args=(queue,))
    process.start()
    np.testing.assert_array_equal(queue.get(timeout=60), cuts())
    process.join()


def test_the_mix_shows_less_of_the_own_background_than_a_disc():
    pixels, square = scene()
    green = torch.zeros_like(pixels)
    green[..., 1] = 255
    shown = {}
    for shape in ("object", DISC):
        mix = BackgroundMix(radius=0.35, holes=0.0, shape=shape)
        crops = [
            mix.blend(
                pixels,
                green,
                pixels.numpy(),
                WHOLE_IMAGE,
                np.array([[0.5, 0.5]]),
                np.random.default_rng(seed),
            )
            for seed in range(10)
        ]
        own = torch.stack(crops)[..., 1].numpy() < 150
        shown[shape] = own[:, square].mean(), own[:, ~square].mean()
    assert shown["object"][0] > 0.98 and shown["object"][1] < 0.04
    assert shown[DISC][1] > 0.05


def test_a_hole_is_in_the_object_and_smaller_than_it():
    pixels, square = scene()
    black = torch.zeros_like(pixels)
    for seed in range(30):
        whole, holed = (
            BackgroundMix(radius=0.35, holes=holes).blend(
                pixels,
                black,
                pixels.numpy(),
                WHOLE_IMAGE,
                np.array([[0.5, 0.5]]),
                np.random.default_rng(seed),
            )
            for holes in (0.0, 1.0)
        )
        assert (holed <= whole).all()
        left = ((holed.sum(-1) > 60).numpy() & square).sum() / square.sum()
        assert 0.4 < left < 0.97


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="shape='box': take 'object' or 'disc'"):
        BackgroundMix(shape="box")
    with pytest.raises(ValueError, match="--background_shape disc is what stays around a point"):
        LUABConfig("out", use_cpu=True, byproduct="masks", background_shape=DISC)
