"""Gaze, boxes, masks and heat maps of a row in the crop, with values worked out by hand."""

import math

import numpy as np
import pytest
from fixtures.factories import image_bytes
from PIL import Image

from luab_attention.area_maps import Area, Gaze, Picture, area_in_view, map_grid
from luab_attention.areas import areas_of, picture_of
from luab_data.rows.columns import Columns
from luab_eval.alignment.people import GRID, Viewing, people_of
from luab_vision.geometry import WHOLE_IMAGE, View, move_of_pixels, random_resized_view

SIZE = (100, 50)  # width and height of the images


def areas(row, kind, classes=(0,), size=SIZE, **more):
    return areas_of(row, kind, Columns(), classes, size, **more)


def gray(values) -> dict:
    return {"bytes": image_bytes(Image.fromarray(np.array(values, np.uint8)), "PNG"), "path": None}


def boxes(*bbox, category=None):
    objects = {"bbox": list(bbox)} | ({} if category is None else {"category": category})
    return {"objects": objects, "width": 100, "height": 50}


def shares(values):
    return values / values.sum()


def test_a_box_gives_each_cell_the_share_that_it_covers():
    (area,) = areas(boxes([25, 0, 37.5, 50]), "boxes")
    expected = [[0, 2 / 3, 1 / 3, 0]]
    np.testing.assert_allclose(shares(area_in_view(area, WHOLE_IMAGE, (1, 4))), expected, atol=1e-6)
    flipped = area_in_view(area, WHOLE_IMAGE._replace(flipped=True), (1, 4))
    np.testing.assert_allclose(shares(flipped), [[0, 1 / 3, 2 / 3, 0]], atol=1e-6)
    # The half from 0.25 to 0.75 in 4 cells of 0.125: the box ends in the middle of the fourth... at 0.625.
    crop = View(0.25, 0, 0.5, 1)
    np.testing.assert_allclose(area_in_view(area, crop, (1, 4)), [[1, 1, 1, 0]], atol=1e-6)


def test_overlapping_boxes_count_once():
    (area,) = areas(boxes([0, 0, 50, 50], [25, 0, 50, 50]), "boxes")
    np.testing.assert_allclose(area_in_view(area, WHOLE_IMAGE, (2, 4)), [[1, 1, 1, 0]] * 2, atol=1e-6)


def test_boxes_are_of_the_classes_of_the_row():
    row = boxes([0, 0, 50, 50], [50, 0, 50, 50], category=[3, 4])
    assert [area.label for area in areas(row, "boxes", classes=[4])] == [4]
    assert [area.label for area in areas(row, "boxes", classes=[3, 4, 5])] == [3, 4]
    assert areas(row, "boxes", classes=[0]) == []
    with pytest.raises(ValueError, match="give categories"):
        areas(boxes([0, 0, 50, 50]), "boxes", classes=[3, 4])


def test_a_mask_gives_each_cell_the_share_that_it_covers():
    row = {"masks": [{"label": 0, "image": gray([[255, 255, 0, 0, 0, 0]])}]}
    (area,) = areas(row, "masks", size=(60, 10))
    np.testing.assert_allclose(area_in_view(area, WHOLE_IMAGE, (1, 3)), [[1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(area_in_view(area, WHOLE_IMAGE, (1, 4)), [[1, 1 / 3, 0, 0]], atol=1e-6)
    assert areas({"masks": [{"image": gray([[0, 0]])}]}, "masks", size=(20, 10)) == []


def test_masks_of_one_class_are_united_and_heat_maps_averaged():
    left, both = gray([[255, 0, 0, 0]]), gray([[255, 255, 0, 0]])
    (mask,) = areas({"masks": [{"image": left}, {"image": both}]}, "masks", size=(40, 10))
    np.testing.assert_allclose(area_in_view(mask, WHOLE_IMAGE, (1, 4)), [[1, 1, 0, 0]], atol=1e-6)
    maps = [{"annotator": "a", "image": left}, {"annotator": "b", "image": both}]
    (heat,) = areas({"heatmaps": maps}, "heatmap", size=(40, 10))
    # Each has a mass of 1: 1 in the first cell, and half in each of two.
    np.testing.assert_allclose(
        shares(area_in_view(heat, WHOLE_IMAGE, (1, 4))), [[0.75, 0.25, 0, 0]], atol=1e-6
    )


def test_the_maps_of_an_annotator_are_averaged_as_luab_align_does():
    first, second = [[255, 0, 0, 0]], [[0, 0, 0, 0, 0, 0, 255, 255]]  # of other sizes
    last = [[0, 255, 0, 0]]
    maps = [("a", first), ("a", second), ("b", last), ("b", [[0, 0]])]  # an empty map says nothing
    row = {"heatmaps": [{"annotator": name, "image": gray(values)} for name, values in maps]}
    (heat,) = areas(row, "heatmap", size=(40, 10))
    # Half for b in the second cell; a's half is shared by the first and the last.
    found = area_in_view(heat, WHOLE_IMAGE, (1, 4))
    np.testing.assert_allclose(shares(found), [[0.25, 0.5, 0, 0.25]], atol=1e-6)
    viewings = [
        Viewing(name, np.zeros((0, 2)), np.zeros(0), picture.averages(WHOLE_IMAGE, (GRID, GRID)))
        for name, values in maps[:3]
        for picture in [picture_of(gray(values), "heatmaps", (40, 10))]
    ]
    people = people_of(viewings).map
    np.testing.assert_allclose(people.sum(axis=0).reshape(4, 14).sum(axis=1), shares(found)[0], atol=1e-6)


def test_two_annotators_count_the_same_however_much_they_looked():
    at_a, at_b = (
        {"annotator": "1", "x": [0.2], "y": [0.5]},
        {"annotator": "2", "x": [0.8] * 99, "y": [0.5] * 99},
    )
    (area,) = areas({"scanpaths": [at_a, at_b]}, "scanpath", sigma=0.01)
    found = shares(area_in_view(area, WHOLE_IMAGE, (1, 2)))
    np.testing.assert_allclose(found, [[0.5, 0.5]], atol=1e-6)


def test_fixations_count_by_duration_and_samples_until_the_next():
    fixations = {"x": [0.2, 0.8], "y": [0.5, 0.5], "duration": [300.0, 100.0]}
    (area,) = areas({"scanpaths": [fixations]}, "scanpath", sigma=0.01)
    np.testing.assert_allclose(shares(area_in_view(area, WHOLE_IMAGE, (1, 2))), [[0.75, 0.25]], atol=1e-6)
    samples = {"x": [0.2, 0.2, 0.8, 0.8], "y": [0.5] * 4, "time": [0.0, 100.0, 400.0, 500.0]}
    (area,) = areas({"scanpaths": [samples]}, "scanpath", sigma=0.01)
    np.testing.assert_allclose(shares(area_in_view(area, WHOLE_IMAGE, (1, 2))), [[0.8, 0.2]], atol=1e-6)


def test_sigma_is_of_the_image_and_wider_in_a_smaller_crop():
    area = Area(0, (Gaze(np.array([[0.5, 0.5]]), np.ones(1), (0.1, 0.1)),))
    crop = View(0.25, 0, 0.5, 1)  # half as wide: sigma is 0.2 of it
    across = area_in_view(area, crop, (1, 2000))[0].astype(float)
    centers = (np.arange(2000) + 0.5) / 2000
    at_one_sigma = across[np.argmin(abs(centers - 0.7))]
    assert at_one_sigma == pytest.approx(math.exp(-0.5), abs=1e-3)
    # As round in pixels: an image twice as wide as high has a sigma of 0.2 of its height.
    (round_,) = areas({"scanpaths": [{"x": [0.5], "y": [0.5]}]}, "scanpath", sigma=0.1)
    assert round_.parts[0].sigma == (0.1, 0.2)


def test_what_the_crop_shows_less_than_a_twentieth_of_is_no_target():
    (area,) = areas(boxes([0, 0, 100, 50]), "boxes")
    assert area_in_view(area, View(0, 0, 0.2, 0.2), (4, 4)).max() == 0  # 4 %
    assert area_in_view(area, View(0, 0, 0.3, 0.2), (4, 4)).min() == 1  # 6 %


def test_what_names_the_class_takes_the_place_of_what_names_none():
    whole, own = {"label": None, "x": [0.1], "y": [0.5]}, {"label": 2, "x": [0.9], "y": [0.5]}
    (area,) = areas({"scanpaths": [whole, own]}, "scanpath", classes=[2])
    assert area.label == 2 and area.parts[0].points.tolist() == [[0.9, 0.5]]
    (area,) = areas({"scanpaths": [whole, own]}, "scanpath", classes=[1])
    assert area.label == -1 and area.parts[0].points.tolist() == [[0.1, 0.5]]
    with pytest.raises(ValueError, match="needs a label"):
        areas({"scanpaths": [{"x": [0.1], "y": [0.5]}]}, "scanpath", classes=[1, 2])


def test_samples_outside_the_image_do_not_count():
    row = {"scanpaths": [{"x": [0.25, 1.2], "y": [0.5, 0.5]}]}
    (area,) = areas(row, "scanpath")
    assert area.parts[0].points.tolist() == [[0.25, 0.5]]
    far = {"x": [-3.0, 300.0], "y": [0.5, 0.5]}
    with pytest.raises(ValueError, match="not ratios"):
        areas({"scanpaths": [far]}, "scanpath")
    # Beside the image, as other rows or samples tell.
    assert areas({"scanpaths": [far]}, "scanpath", in_ratios=True) == []
    (area,) = areas({"scanpaths": [far, *row["scanpaths"]]}, "scanpath")
    assert area.parts[0].points.tolist() == [[0.25, 0.5]] and area.parts[0].weights.tolist() == [1]


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_a_weight_that_is_no_weight_is_refused(weight):
    with pytest.raises(ValueError, match=f"the weight {weight:g}; it is 0 or more"):
        areas({"scanpaths": [{"x": [0.5], "y": [0.5], "weight": weight}]}, "scanpath")


@pytest.mark.parametrize(
    ("row", "kind", "message"),
    [
        ({"masks": [{"image": None}]}, "masks", "without an image"),
        ({"masks": [{"image": {"bytes": b"no image", "path": None}}]}, "masks", "cannot read an image"),
        ({"heatmaps": [{"image": gray(np.zeros((2, 4, 3)))}]}, "heatmap", "mode RGB"),
        ({"heatmaps": [{"image": gray(np.ones((4, 2)))}]}, "heatmap", "2 x 4 pixels for one of 100 x 50"),
        (
            {"masks": [{"image": gray(np.ones((2, 4)))}, {"image": gray(np.ones((1, 2)))}]},
            "masks",
            "one size",
        ),
        (
            {"scanpaths": [{"x": [0.5], "y": [0.5], "label": "dog"}]},
            "scanpath",
            "column 'scanpaths' has an entry with the label 'dog'; allowed are a class number",
        ),
        ({"masks": [{"image": gray(np.ones((2, 4))), "label": 0.5}]}, "masks", "the label 0.5"),
    ],
)
def test_what_is_not_understood_is_refused(row, kind, message):
    with pytest.raises(ValueError, match=message):
        areas(row, kind)


@pytest.mark.parametrize("kind", ["scanpath", "boxes", "masks", "heatmap"])
@pytest.mark.parametrize("seed", range(20))
def test_a_planted_region_is_found_where_the_crop_shows_it(kind, seed):
    """The region is bright in the image; where the crop of the pixels is bright, the map is."""
    rng = np.random.default_rng(seed)
    width, height = 120, 80
    left, top = int(rng.integers(0, width - 20)), int(rng.integers(0, height - 20))
    pixels = np.zeros((height, width), np.uint8)
    pixels[top : top + 20, left : left + 20] = 255
    entry = {"image": gray(pixels)}
    row = {
        "objects": {"bbox": [[left, top, 20, 20]]}, "width": width, "height": height,
        "masks": [entry], "heatmaps": [entry],
        "scanpaths": [{"x": [(left + 10) / width], "y": [(top + 10) / height]}],
    }  # fmt: skip
    (area,) = areas(row, kind, size=(width, height), sigma=0.02)
    view = random_resized_view(width, height, rng, scale=(0.3, 1.0))
    x, y = round(view.left * width), round(view.top * height)
    window = pixels[y : y + round(view.height * height), x : x + round(view.width * width)]
    window = window[:, ::-1] if view.flipped else window
    found = area_in_view(area, view, window.shape)
    if kind != "scanpath":
        least = window.sum() / 255 >= 0.05 * 400
        np.testing.assert_allclose(found, window / 255 if least else 0 * window, atol=1e-5)
    elif found.any():
        at = np.unravel_index(found.argmax(), found.shape)
        inside = np.argwhere(window)
        assert len(inside) == 0 or np.abs(inside - at).sum(1).min() <= 2


def test_a_move_takes_the_map_along():
    (area,) = areas(boxes([0, 0, 25, 50]), "boxes")
    right = move_of_pixels(np.array([[1.0, 0, 2], [0, 1, 0]]), 4, 4)  # 2 of 4 pixels to the right
    found = area_in_view(area, WHOLE_IMAGE, (4, 4), [right])
    np.testing.assert_allclose(found, [[0, 0, 1, 0]] * 4, atol=1e-6)
    away = move_of_pixels(np.array([[1.0, 0, 4], [0, 1, 0]]), 4, 4)
    assert not area_in_view(area, WHOLE_IMAGE, (4, 4), [away]).any()


def test_maps_have_whole_cells_of_the_models_grid():
    assert [map_grid((n, n))[0] for n in (7, 14, 24, 8, 60)] == [56, 56, 72, 56, 60]
    assert map_grid((2, 3)) == (56, 57)


def test_a_picture_of_any_edges_is_averaged_exactly():
    picture = Picture(np.array([[1.0, 3.0]]), np.array([0, 0.3, 1]), np.array([0.0, 1]))
    np.testing.assert_allclose(picture.averages(WHOLE_IMAGE, (1, 2)), [[(0.3 + 3 * 0.2) / 0.5, 3]])
    assert picture.mass == pytest.approx(0.3 + 2.1)


def test_the_data_say_how_wide_gaze_is():
    row = {"scanpaths": [{"x": [0.5], "y": [0.5]}]}

    def across(source, **more):
        (area,) = areas({**row, "attention_source": source}, "scanpath", **more)
        return area.parts[0].sigma[0]

    assert across(None) == across({"sigma": None, "pixels_per_degree": None}) == across("a tracker") == 0.1
    assert across({"sigma": 0.03, "pixels_per_degree": 9.0}) == 0.03
    assert across({"sigma": None, "pixels_per_degree": 9.0}) == pytest.approx(2 * 9 / 100)
    assert across({"sigma": 0.03}, sigma=0.2) == 0.2
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"attention_source.sigma is .*; it is above 0, or null"):
            across({"sigma": bad})
