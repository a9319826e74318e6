"""Image and points move together, whatever the view."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from luab_vision.framing import framing
from luab_vision.geometry import (
    WHOLE_IMAGE,
    View,
    from_view,
    inside,
    other_orientation,
    random_resized_view,
    render,
    render_window,
    to_view,
)

BICUBIC = Image.Resampling.BICUBIC

sides = st.integers(8, 70)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def sized_views(draw) -> tuple[int, int, View]:
    """An image's width and height, and a view of it: of training (also flipped) or of evaluation."""
    width, height = draw(sides), draw(sides)
    if draw(st.booleans()):
        return width, height, random_resized_view(width, height, np.random.default_rng(draw(seeds)))
    crop = draw(st.integers(4, 40)), draw(st.integers(4, 40))
    more = draw(st.integers(0, 20))
    resize = draw(st.sampled_from([max(crop) + more, (crop[0] + more, crop[1])]))
    return width, height, framing(width, height, resize, crop).view


@given(sized_views(), seeds)
@settings(max_examples=300, deadline=None)
def test_mapping_into_the_view_and_back_is_the_identity(sized_view, seed):
    points = np.random.default_rng(seed).uniform(-0.5, 1.5, (7, 2))
    view = sized_view[2]
    np.testing.assert_allclose(from_view(to_view(points, view), view), points, atol=1e-9)
    np.testing.assert_allclose(to_view(from_view(points, view), view), points, atol=1e-9)


@given(sized_views(), seeds, st.integers(12, 64), st.integers(12, 64))
@settings(max_examples=400, deadline=None)
def test_a_bright_pixel_is_found_at_the_mapped_point(sized_view, seed, out_height, out_width):
    width, height, view = sized_view
    column, row = np.random.default_rng(seed).integers((width, height))
    image = Image.new("F", (width, height))
    image.putpixel((int(column), int(row)), 1000.0)
    mapped = to_view(np.array([(column + 0.5) / width, (row + 0.5) / height]), view)
    assume(inside(mapped))

    crop = np.asarray(render(image, view, (out_height, out_width)))

    assert crop.shape == (out_height, out_width)
    found_row, found_column = np.unravel_index(crop.argmax(), crop.shape)
    found = from_view([(found_column + 0.5) / out_width, (found_row + 0.5) / out_height], view)
    planted = np.array([(column + 0.5) / width, (row + 0.5) / height])
    # The brightest output pixel overlaps the planted pixel: half of one and half of the other apart at most.
    apart = np.abs(found - planted)
    assert apart[0] <= 0.5 / width + 0.5 * view.width / out_width + 1e-6
    assert apart[1] <= 0.5 / height + 0.5 * view.height / out_height + 1e-6


@given(st.integers(8, 60), st.integers(8, 60), seeds, st.integers(12, 64), st.integers(12, 64))
@settings(max_examples=300, deadline=None)
def test_a_bright_pixel_is_found_in_a_window_too(width, height, seed, out_height, out_width):
    rng = np.random.default_rng(seed)
    view = random_resized_view(width, height, rng)
    column, row = rng.integers((width, height))
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[row, column] = 255
    planted = np.array([(column + 0.5) / width, (row + 0.5) / height])
    assume(inside(to_view(planted, view)))

    crop = render_window(pixels, view, (out_height, out_width), "bilinear")

    assert crop.shape == (out_height, out_width, 3) and crop.dtype == torch.uint8
    bright = np.argwhere(crop[..., 0].numpy() == crop[..., 0].numpy().max())  # bytes tie: take their middle
    found_row, found_column = bright.mean(0)
    found = from_view([(found_column + 0.5) / out_width, (found_row + 0.5) / out_height], view)
    apart = np.abs(found - planted)
    assert apart[0] <= 0.5 / width + 0.5 * view.width / out_width + 1e-6
    assert apart[1] <= 0.5 / height + 0.5 * view.height / out_height + 1e-6


def test_worked_by_hand():
    # The right half of the image, its upper three quarters, mirrored.
    view = View(left=0.5, top=0.0, width=0.5, height=0.75, flipped=True)
    points = [[0.5, 0.0], [0.75, 0.375], [0.9, 0.75], [0.4, 0.2]]
    np.testing.assert_allclose(to_view(points, view), [[1, 0], [0.5, 0.5], [0.2, 1], [1.2, 0.2 / 0.75]])
    assert inside(to_view(points, view)).tolist() == [True, True, True, False]


def test_mapping_leaves_its_argument_alone():
    points = np.array([[0.25, 0.5]])
    to_view(points, View(0, 0, 1, 1, flipped=True))
    from_view(points, View(0, 0, 1, 1, flipped=True))
    assert points.tolist() == [[0.25, 0.5]]


@given(sides, sides, seeds)
@settings(max_examples=200, deadline=None)
def test_a_click_on_the_crops_border_is_inside_flipped_or_not(width, height, seed):
    view = random_resized_view(width, height, np.random.default_rng(seed))
    right, bottom = view.left + view.width, view.top + view.height
    corners = np.array([(x, y) for x in (view.left, right) for y in (view.top, bottom)], np.float32)
    for flipped in (False, True):
        assert inside(to_view(corners, view._replace(flipped=flipped))).all()
    beyond = np.array([(view.left - 1 / width, view.top), (right, bottom + 1 / height)])
    assert not inside(to_view(beyond, view)).any()


@given(sides, sides, seeds)
@settings(max_examples=300, deadline=None)
def test_random_views_lie_on_pixels_within_the_image(width, height, seed):
    view = random_resized_view(width, height, np.random.default_rng(seed), scale=(0.2, 0.5), ratio=(0.5, 2))
    pixels = np.array([view.left * width, view.top * height, view.width * width, view.height * height])
    np.testing.assert_allclose(pixels, pixels.round(), atol=1e-9)
    left, top, w, h = pixels.round()
    assert left >= 0 and top >= 0 and w >= 1 and h >= 1
    assert left + w <= width and top + h <= height
    # Sides are rounded to pixels, so compare what half a pixel more or less allows.
    assert (w - 0.5) * (h - 0.5) <= 0.5 * width * height + 1
    assert (w - 0.5) / (h + 0.5) <= 2 and (w + 0.5) / (h - 0.5) >= 0.5


def test_random_views_cover_scales_positions_and_flips():
    rng = np.random.default_rng(0)
    views = [random_resized_view(224, 224, rng) for _ in range(2000)]
    areas = np.array([v.width * v.height for v in views])
    assert 0.07 < areas.min() < 0.12 and 0.95 < areas.max() <= 1
    assert 0.45 < areas.mean() < 0.55  # uniform in 0.08 to 1, the largest ones fit less often
    assert 0.45 < np.mean([v.flipped for v in views]) < 0.55
    free = [(v.left / (1 - v.width), v.top / (1 - v.height)) for v in views if max(v.width, v.height) < 0.8]
    np.testing.assert_allclose(np.mean(free, axis=0), 0.5, atol=0.03)


@pytest.mark.parametrize(("width", "height"), [(1000, 10), (10, 1000), (1, 1)])
def test_an_image_that_no_crop_fits_gives_the_central_crop(width, height):
    view = random_resized_view(width, height, np.random.default_rng(0), scale=(1, 1))
    assert min(view.width * width, view.height * height) == pytest.approx(min(width, height))
    ratio = view.width * width / (view.height * height)
    assert 0.7 < ratio < 1.4
    assert view.left + view.width / 2 == pytest.approx(0.5, abs=1 / width)


@pytest.mark.parametrize("resize", [48, (40, 64), (20, 30), 10])
def test_evaluations_framing_is_resize_then_crop(resize):
    noise = np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)
    image = Image.fromarray(noise).resize((90, 60))
    resized = image.resize((resize * 3 // 2, resize) if isinstance(resize, int) else resize[::-1], BICUBIC)
    left, top = (resized.width - 32) // 2, (resized.height - 24) // 2
    expected = np.asarray(resized.crop((left, top, left + 32, top + 24)), int)  # black where nothing is

    found = framing(90, 60, resize, (24, 32))

    assert (np.asarray(found.render(image, BICUBIC)) == expected).all()
    inside_it = slice(max(0, -top) + 2, 22 - max(0, -top)), slice(max(0, -left) + 2, 30 - max(0, -left))
    if resized.width >= 32:
        assert np.abs(np.asarray(render(image, found.view, (24, 32)), int) - expected)[inside_it].max() <= 2


def test_a_sliver_of_an_image_takes_no_memory():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 3000, 3), np.uint8))
    found = framing(3000, 3, 30, (24, 40))
    resized = image.resize((30000, 30), BICUBIC)
    expected = np.asarray(resized.crop((14980, 3, 15020, 27)), int)
    assert np.abs(np.asarray(found.render(image, BICUBIC), int) - expected).max() <= 1
    padded = framing(3000, 3, 30, (40, 40)).render(image, BICUBIC)
    assert np.abs(np.asarray(padded, int) - np.asarray(resized.crop((14980, -5, 15020, 35)), int)).max() <= 1
    thin = Image.new("RGB", (60_000, 1), "white")
    assert framing(60_000, 1, 4096, 4096).render(thin, BICUBIC).size == (4096, 4096)  # else 3 terabytes


def test_rendering_the_whole_image_at_its_size_keeps_it():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8))
    pixels = np.asarray(image)
    assert (np.asarray(render(image, WHOLE_IMAGE, (6, 9))) == pixels).all()
    mirrored = render(image, WHOLE_IMAGE._replace(flipped=True), (6, 9))
    assert (np.asarray(mirrored) == pixels[:, ::-1]).all()


def test_a_square_has_the_orientation_of_every_image():
    stated = np.array([[4, 3], [4, 3], [3, 3], [3, 4]])
    assert other_orientation(stated, [3, 4]).tolist() == [True, True, False, False]
    assert not other_orientation(stated, [5, 5]).any()
