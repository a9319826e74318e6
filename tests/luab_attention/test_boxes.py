"""Boxes of all formats are read in one way: the same rule for odd ones, the same test of a hit."""

import datasets
import numpy as np
import pytest
from fixtures.boxed import SQUARE, boxed_row
from fixtures.tiny_models import tiny_model

from luab_attention.boxes.boxes import inside, usable
from luab_data.errors import SourceError
from luab_eval.byproducts.quality import measure
from luab_eval.image_sets.boxes import set_of_rows
from luab_eval.metrics.pointing_game.pointing_game import is_hit
from luab_eval.pointing import PointingGameEvaluator
from luab_vision.transforms import ImageSettings

NAN = float("nan")
ODD = [[4, 4, 8, 0], [4, 4, -8, 8], [NAN, 4, 8, 8], [400, 4, 8, 8], [20, 20, 30, 30], [4, 4, 8, float("inf")]]


def of_each_tool(rows) -> list[str]:
    """What the image sets, the pointing game and the byproducts leave out."""
    game = PointingGameEvaluator(
        rows.cast_column("image", datasets.Image(decode=False)), ImageSettings(size=32, resize=32)
    )
    asked = game(tiny_model("convnext"))["pointing_game_images"]
    images, note = set_of_rows("toy", rows)
    quality = measure(rows)
    assert asked == len(images.items) == quality.rows - quality.without_boxes == 1
    assert images.boxes[0].bbox == [SQUARE]
    assert quality.points.values["uniform"] == [1 / 16]
    return [game.boxes.note(), note, quality.left_out]


def test_all_tools_leave_out_the_same_boxes():
    notes = of_each_tool(boxed_row({"bbox": [SQUARE, *ODD], "category": [0] * 7}))
    assert set(notes) == {
        "2 boxes that are not four numbers, 2 boxes without width or height, "
        "2 boxes that reach out of their images"
    }


def test_a_box_of_another_class_is_no_hit():
    everywhere = [0, 0, 32, 32]
    assert set(of_each_tool(boxed_row({"bbox": [SQUARE, everywhere], "category": [0, 1]}))) == {""}
    rows = boxed_row({"bbox": [everywhere], "category": [1]})
    game = PointingGameEvaluator(
        rows.cast_column("image", datasets.Image(decode=False)), ImageSettings(size=32, resize=32)
    )
    assert game(tiny_model("convnext"))["pointing_game_images"] == 0
    assert game.boxes.note() == "1 image whose boxes are all of other classes"
    with pytest.raises(ValueError, match="1 image whose boxes are all of other classes"):
        set_of_rows("toy", rows)
    with pytest.raises(SourceError, match="none of the 1 rows has a box"):
        measure(rows)


def test_one_test_of_a_hit():
    """The `evaluate` module keeps a copy, which needs nothing of this package."""
    rng = np.random.default_rng(0)
    boxes = rng.integers(0, 8, (200, 3, 4))
    points = rng.integers(0, 12, (200, 2))
    found = [bool(inside(point, each)[0]) for point, each in zip(points, boxes, strict=True)]
    assert found == [is_hit(point, each) for point, each in zip(points, boxes, strict=True)]
    assert 0 < sum(found) < 200


def test_a_fraction_of_a_pixel_outside_is_usable():
    boxes = np.array([[-0.6, 0, 640.9, 480], [0, 0, 641, 481], [0, 0, 700, 480], [-50, 0, 40, 10]])
    assert usable(boxes, (640, 480))[0].tolist() == [True, True, False, False]
