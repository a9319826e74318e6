"""Maps, masks and boxes go where points go."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from luab_attention.targets import Byproduct, target_in_view
from luab_vision.geometry import WHOLE_IMAGE, View, from_view, random_resized_view
from luab_vision.places import boxes_in_crop, map_in_crop
from luab_vision.policies import RandAugment

SIZE = (60, 80)  # of the crop
POLICY = RandAugment(layers=3, probability=1, spread=3)


def drawn(seed: int, width: int, height: int) -> tuple[View, list[np.ndarray], np.random.Generator]:
    """A view of training and the moves of a policy."""
    rng = np.random.default_rng(seed)
    view = random_resized_view(width, height, rng, scale=(0.3, 1))
    return view, [step.move for step in POLICY(*SIZE, rng) if step.move is not None], rng


def centered(values: np.ndarray) -> np.ndarray:
    """Where a map is centered, in pixels, x first."""
    sides = [values.sum(axis, dtype=np.float64) for axis in (0, 1)]
    return np.array([(side * (np.arange(len(side)) + 0.5)).sum() / side.sum() for side in sides])


def test_a_spot_of_a_map_is_where_the_point_went():
    tested = 0
    for seed in range(300):
        width, height = 60 + seed % 50, 60 + seed % 37
        view, moves, rng = drawn(seed, width, height)
        point = from_view(rng.uniform(0.35, 0.65, 2), view)
        byproduct = Byproduct(0, point[None], np.ones(1))
        way = [target_in_view(byproduct, view, moves=moves[:number])[0] for number in range(len(moves) + 1)]
        if not all(((points > 0.15) & (points < 0.85)).all() for points in way):
            continue  # the border would cut the spot
        x, y = (np.arange(width) + 0.5) / width - point[0], (np.arange(height) + 0.5) / height - point[1]
        across, down = x / view.width * SIZE[1], y / view.height * SIZE[0]  # pixels of the crop
        found = map_in_crop(100 * np.exp(-(across**2 + down[:, None] ** 2) / (2 * 2.5**2)), view, SIZE, moves)
        assert found.shape == SIZE and found.dtype == np.float32
        np.testing.assert_allclose(centered(found), way[-1][0] * SIZE[::-1], atol=0.3)  # pixels
        tested += 1
    assert tested > 100


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
