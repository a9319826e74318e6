"""Maps, masks and boxes go where points go."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from luab_attention.targets import Byproduct, target_in_view
from luab_vision.geometry import WHOLE_IMAGE, View, random_resized_view
from luab_vision.places import boxes_in_crop, map_in_crop
from luab_vision.policies import RandAugment

SIZE = (60, 80)  # of the crop
POLICY = RandAugment(layers=3, probability=1, spread=3)


def drawn(seed: int, width: int, height: int) -> tuple[View, list[np.ndarray], np.random.Generator]:
    """A view of training and the moves of a policy."""
    rng = np.random.default_rng(seed)
    view = random_resized_view(width, height, rng, scale=(0.3, 1))
    return view, [step.move for step in POLICY(*SIZE, rng) if step.move is not None], rng


@given(st.integers(0, 2**32 - 1), st.integers(50, 120), st.integers(50, 120))
@settings(max_examples=300, deadline=None)
def test_a_spot_of_a_map_is_where_the_point_went(seed, width, height):
    view, moves, rng = drawn(seed, width, height)
    point = rng.uniform(0.1, 0.9, 2)
    x, y = (np.arange(width) + 0.5) / width - point[0], (np.arange(height) + 0.5) / height - point[1]
    crop_x, crop_y = x / view.width * SIZE[1], y / view.height * SIZE[0]  # pixels of the crop
    spot = 100 * np.exp(-(crop_x**2 + crop_y[:, None] ** 2) / (2 * 2.5**2))
    targets, weights = target_in_view(Byproduct(0, point[None], np.ones(1)), view, moves=moves)
    assume(weights.any())
    # The spot must be within the crop before each move, not only at its end.
    for number in range(len(moves) + 1):
        on_the_way, _ = target_in_view(Byproduct(0, point[None], np.ones(1)), view, moves=moves[:number])
        assume(((on_the_way > 0.2) & (on_the_way < 0.8)).all())

    found = map_in_crop(spot, view, SIZE, moves)

    assert found.shape == SIZE and found.dtype == np.float32
    total = found.sum(dtype=np.float64)
    center_x = (found.sum(0, dtype=np.float64) * (np.arange(SIZE[1]) + 0.5)).sum() / total
    center_y = (found.sum(1, dtype=np.float64) * (np.arange(SIZE[0]) + 0.5)).sum() / total
    assert center_x == pytest.approx(targets[0, 0] * SIZE[1], abs=0.3)  # pixels
    assert center_y == pytest.approx(targets[0, 1] * SIZE[0], abs=0.3)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_a_box_holds_all_that_is_left_of_its_mask(seed):
    view, moves, rng = drawn(seed, 90, 90)
    (left, right), (top, bottom) = (np.sort(rng.choice(90, 2, replace=False)) / 90 for _ in range(2))
    mask = np.zeros((90, 90))
    mask[round(top * 90) : round(bottom * 90), round(left * 90) : round(right * 90)] = 1
    boxes, shown = boxes_in_crop([[left, top, right, bottom]], view, moves)
    rows, columns = np.nonzero(map_in_crop(mask, view, SIZE, moves) > 0.5)
    if len(rows) == 0:
        return
    assert shown.all()
    slack = 1.0 * (1 + len(moves))  # pixels: each filter has rounded
    found = boxes[0] * np.tile((SIZE[1], SIZE[0]), 2)
    assert columns.min() >= found[0] - slack and columns.max() + 1 <= found[2] + slack
    assert rows.min() >= found[1] - slack and rows.max() + 1 <= found[3] + slack
    if not moves and len(rows) > 20:  # upright: no larger than the mask either
        assert columns.min() <= found[0] + 2 and columns.max() + 1 >= found[2] - 2


def test_boxes_worked_by_hand():
    left = np.array(((1.0, 0, -0.5), (0, 1.0, 0)))  # by half a crop
    boxes = [[0.6, 0.2, 0.9, 0.4], [0.1, 0.2, 0.3, 0.4], [0.2, 0.0, 0.8, 1.0]]
    found, shown = boxes_in_crop(boxes, WHOLE_IMAGE, [left])
    assert shown.tolist() == [True, False, True]
    np.testing.assert_allclose(found, [[0.1, 0.2, 0.4, 0.4], [0, 0, 0, 0], [0, 0, 0.3, 1]], atol=1e-12)
    back = np.array(((1.0, 0, 0.5), (0, 1.0, 0)))
    found, shown = boxes_in_crop(boxes, WHOLE_IMAGE, [left, back])  # what was cut off stays away
    assert shown.tolist() == [True, False, True]
    np.testing.assert_allclose(found[[0, 2]], [[0.6, 0.2, 0.9, 0.4], [0.5, 0, 0.8, 1]], atol=1e-12)
    quarter = np.array(((0, 1.0, 0), (-1.0, 0, 1.0)))  # x = y, y = 1 - x
    np.testing.assert_allclose(boxes_in_crop(boxes[:1], WHOLE_IMAGE, [quarter])[0], [[0.2, 0.1, 0.4, 0.4]])
    mirrored = View(0.5, 0, 0.5, 1, flipped=True)
    np.testing.assert_allclose(boxes_in_crop(boxes[:1], mirrored)[0], [[0.2, 0.2, 0.8, 0.4]])
    assert boxes_in_crop([], WHOLE_IMAGE)[0].shape == (0, 4)


def test_a_mask_fills_with_nothing():
    right = np.array(((1.0, 0, 0.25), (0, 1.0, 0)))
    found = map_in_crop(np.ones((10, 10)), WHOLE_IMAGE, 40, [right])
    assert (found[:, :9] == 0).all() and (found[:, 11:] == 1).all()
