"""The pointing game: boxes and maximum through the same view, misses and hits counted as by hand."""

import numpy as np
import pytest
import torch
from fixtures.factories import image_bytes, noise_image
from fixtures.tiny_models import images, tiny_model

from luab_attention.boxes.boxes import ImageBoxes
from luab_data.errors import SourceError
from luab_eval.pointing import PointingGameEvaluator, attention_maps, maxima, visible_boxes
from luab_vision.framing import framing
from luab_vision.geometry import WHOLE_IMAGE, View
from luab_vision.model_attention import spatial_attention
from luab_vision.transforms import ImageSettings

SETTINGS = ImageSettings(size=32, resize=32)


def test_maximum_is_a_pixel_center_x_first():
    maps = torch.zeros(2, 4, 8)
    maps[0, 1, 6] = 1
    maps[1, 3, 0] = 1
    assert maxima(maps).tolist() == [[6.5 / 8, 1.5 / 4], [0.5 / 8, 3.5 / 4]]


def test_boxes_become_ratios_of_the_crop():
    boxes = ImageBoxes([[10, 20, 30, 40]], 100, 200)
    assert visible_boxes(boxes, WHOLE_IMAGE).tolist() == [pytest.approx([0.1, 0.1, 0.3, 0.2])]


def test_boxes_are_cut_by_the_crop_and_those_outside_are_dropped():
    # 200x100 pixels, the middle 100x100: a box of x 40 to 100 keeps 50 to 100, a box of x 0 to 50 touches.
    boxes = ImageBoxes([[40, 10, 60, 50], [0, 0, 50, 100], [160, 0, 20, 20]], 200, 100)
    found = visible_boxes(boxes, framing(200, 100, 100, 100).view)
    assert found.tolist() == [pytest.approx([0, 0.1, 0.5, 0.5])]


def test_boxes_of_a_flipped_view_are_mirrored():
    found = visible_boxes(ImageBoxes([[0, 0, 20, 50]], 100, 100), View(0, 0, 1, 1, flipped=True))
    assert found.tolist() == [pytest.approx([0.8, 0, 0.2, 0.5])]


def test_attention_maps_are_the_losses_attention_upsampled():
    model, pixel_values = tiny_model("convnext").eval(), images(2)
    classes = torch.tensor([[0], [3]])
    attention = spatial_attention(model)
    attention.watch(model)
    with torch.no_grad():
        model(pixel_values)
        grid = attention.maps(model, (32, 32), classes)[:, 0, 0]
        found = attention_maps(model, pixel_values, classes)
    assert found.shape == (2, 1, 32, 32)
    cell = 32 // grid.shape[-1]
    assert grid.shape[-1] * cell == 32
    coarse = torch.nn.functional.interpolate(grid[:, None], size=(32, 32), mode="bilinear")
    torch.testing.assert_close(found, coarse)


def rows_around(points, size=4):
    """One image a point (crop ratios of a 32x32 image), with a small box around it."""
    return [
        {
            "image": {"bytes": image_bytes(noise_image(32, 32, seed=i)), "path": None},
            "label": i % 5,
            "objects": {"bbox": [[x * 32 - size / 2, y * 32 - size / 2, size, size]], "category": [i % 5]},
        }
        for i, (x, y) in enumerate(points)
    ]


@pytest.mark.parametrize("model_type", ["vit", "convnext"])
def test_hits_and_misses_are_counted(model_type):
    """Boxes are put around where the model looks (hits), then around other places (misses)."""
    model = tiny_model(model_type).eval()
    rows = rows_around([(0.5, 0.5)] * 6)
    game = PointingGameEvaluator(rows, SETTINGS, batch_size=4)
    pixel_values = torch.stack([question.pixel_values for question in game._questions()])
    with torch.no_grad():
        points = maxima(attention_maps(model, pixel_values, torch.arange(6)[:, None] % 5)[:, 0]).numpy()
    away = np.where(points < 0.5, points + 0.4, points - 0.4)
    mixed = [*points[:4], *away[4:]]
    assert PointingGameEvaluator(rows_around(mixed), SETTINGS, batch_size=4)(model) == {
        "pointing_game": pytest.approx(4 / 6),
        "pointing_game_class_mean": pytest.approx((0.5 + 1 + 1 + 1 + 0) / 5),  # class 0: images 0 and 5
        "pointing_game_center": pytest.approx(
            np.mean([np.abs(np.array(p) - 0.5).max() <= 2 / 32 for p in mixed])
        ),
        "pointing_game_images": 6,
    }
    assert game.primary_metric == "pointing_game"


def test_images_without_a_visible_box_are_left_out_and_training_mode_is_restored():
    rows = rows_around([(0.5, 0.5), (0.2, 0.2)])
    rows[0]["objects"] = {"bbox": [], "category": []}
    model = tiny_model("vit").train()
    assert PointingGameEvaluator(rows, SETTINGS)(model)["pointing_game_images"] == 1
    assert model.training


def test_of_no_question_there_is_no_rate():
    assert PointingGameEvaluator.metrics(torch.zeros(5, 3)) == {"pointing_game_images": 0}


def test_several_labels_are_asked_one_by_one():
    row = rows_around([(0.5, 0.5)])[0]
    row["labels"] = [1, 4]
    row["objects"] = {"bbox": [[0, 0, 32, 32], [10, 10, 4, 4]], "category": [1, 2]}
    from luab_data.rows.columns import Columns

    metrics = PointingGameEvaluator([row], SETTINGS, Columns(label="labels"))(tiny_model("convnext"))
    assert metrics["pointing_game_images"] == 1, "class 4 has no box"
    assert metrics["pointing_game"] == 1, "class 1 fills the image"


def test_a_map_that_is_not_finite_is_named(monkeypatch):
    """Its highest place was the first cell that is not a number."""
    from luab_eval import pointing

    def broken(*arguments):
        maps = attention_maps(*arguments).clone()
        maps[1, 0, 3, 3] = torch.nan
        return maps

    monkeypatch.setattr(pointing, "attention_maps", broken)
    rows = [row | {"image_id": f"n{number}"} for number, row in enumerate(rows_around([(0.5, 0.5)] * 5))]
    with pytest.raises(SourceError, match=r"map of image n1 has values that are not finite"):
        PointingGameEvaluator(rows, SETTINGS, batch_size=3)(tiny_model("vit"))
