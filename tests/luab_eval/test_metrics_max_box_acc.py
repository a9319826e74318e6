"""MaxBoxAcc and MaxBoxAccV2 against OpenCV, against components found the plain way, and by hand."""

from itertools import product

import numba
import numpy as np
import pytest

from luab_eval.metrics.max_box_acc.bicubic import resized
from luab_eval.metrics.max_box_acc.compiled import compiled
from luab_eval.metrics.max_box_acc.contours import contour_boxes
from luab_eval.metrics.max_box_acc.iou import iou
from luab_eval.metrics.max_box_acc.max_box_acc import BoxAccuracy, min_max

FOUR = ((0, 1), (1, 0), (0, -1), (-1, 0))
EIGHT = tuple(step for step in product((-1, 0, 1), repeat=2) if step != (0, 0))


def random_image(rng: np.random.Generator, most: int = 14) -> np.ndarray:
    """A small 8-bit map of a kind that matters: noise, few levels (plateaus), a mask (holes), nothing."""
    shape = rng.integers(1, most, 2)
    kinds = (
        rng.integers(0, 256, shape),
        rng.integers(0, 3, shape) * 100,
        (rng.random(shape) < 0.6) * 255,
        rng.integers(0, 6, shape) * rng.integers(1, 52),
        np.zeros(shape),
    )
    return kinds[rng.integers(len(kinds))].astype(np.uint8)


def levels_of(image: np.ndarray) -> list[int]:
    """Thresholds just below each value: between two of them the mask stays the same."""
    return np.unique([0, *(image[image > 0].astype(int) - 1)]).tolist()


def regions(mask: np.ndarray, neighbours) -> list[set[tuple[int, int]]]:
    """Connected sets of (y, x), in the reading order of their first pixels, walking from pixel to pixel."""
    left, found = set(map(tuple, np.argwhere(mask).tolist())), []
    for start in map(tuple, np.argwhere(mask).tolist()):
        if start not in left:
            continue
        region, todo = set(), [start]
        left.discard(start)
        while todo:
            y, x = todo.pop()
            region.add((y, x))
            near = [(y + dy, x + dx) for dy, dx in neighbours if (y + dy, x + dx) in left]
            left.difference_update(near)
            todo += near
        found.append(region)
    return found


def box(region: set[tuple[int, int]], grow: int = 0) -> tuple[int, int, int, int]:
    ys, xs = zip(*region, strict=True)
    return min(xs) - grow, min(ys) - grow, max(xs) + 1 + grow, max(ys) + 1 + grow


def plain_contours(mask: np.ndarray) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    """The boxes of all contours of a mask, sorted, and that of the largest."""
    background = regions(np.pad(~mask, 1, constant_values=True), FOUR)
    holes = [{(y - 1, x - 1) for y, x in region} for region in background[1:]]  # the first one is outside
    boxes = [box(region) for region in regions(mask, EIGHT)] + [box(hole, grow=1) for hole in holes]
    filled = mask.copy()
    for y, x in set().union(*holes):
        filled[y, x] = True
    areas = {}
    for region in regions(filled, EIGHT):
        corners = [
            sum((y + dy, x + dx) in region for dy, dx in product((0, 1), repeat=2))
            for y, x in product(range(-1, mask.shape[0]), range(-1, mask.shape[1]))
        ]
        areas[box(region)] = corners.count(4) + corners.count(3) / 2, len(areas)
    return sorted(boxes), max(areas, key=areas.get, default=(0, 0, 0, 0))


def test_contours_of_all_levels_are_those_of_each_mask():
    rng = np.random.default_rng(0)
    for _ in range(60):
        image = random_image(rng)
        low, high, boxes, largest = contour_boxes(image)
        for t in levels_of(image):
            expected, expected_largest = plain_contours(image > t)
            assert sorted(map(tuple, boxes[(low <= t) & (t < high)].tolist())) == expected
            assert tuple(largest[t].tolist()) == expected_largest


def test_contours_are_opencvs():
    cv2 = pytest.importorskip("cv2", reason="pip install opencv-python-headless")
    rng = np.random.default_rng(1)
    for _ in range(250):
        image = random_image(rng)
        low, high, boxes, largest = contour_boxes(image)
        for t in levels_of(image):
            _, mask = cv2.threshold(image, t, 255, cv2.THRESH_BINARY)
            contours = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
            corners = [(x, y, x + w, y + h) for x, y, w, h in map(cv2.boundingRect, contours)]
            assert sorted(map(tuple, boxes[(low <= t) & (t < high)].tolist())) == sorted(corners)
            by_area = [cv2.contourArea(contour) for contour in contours]
            expected = corners[int(np.argmax(by_area))] if corners else (0, 0, 0, 0)
            assert tuple(largest[t].tolist()) == expected


def nested(*widths: int) -> np.ndarray:
    """Square rings of these widths, from the outside in; every second one is 0, the others 200."""
    side, start = 2 * sum(widths), 0
    image = np.zeros((side, side), np.uint8)
    for i, width in enumerate(widths):
        image[start : side - start, start : side - start] = 200 * (i % 2 == 0)
        start += width
    return image


@pytest.mark.parametrize("image", [nested(2, 1, 25), nested(1, 1, 1, 1, 20), nested(1, 2, 1, 30)])
def test_a_thin_ring_around_a_large_island_is_the_largest_contour(image):
    boxes, largest = contour_boxes(image)[2:]
    assert set(map(tuple, largest[:200].tolist())) == {(0, 0, len(image), len(image))}
    assert not largest[200:].any()
    assert sorted(map(tuple, boxes.tolist())) == plain_contours(image > 0)[0]


def test_holes_that_open_at_once_are_two():
    # At t = 1 the two 0 at the top are holes: without either of them the block below would be larger.
    image = np.zeros((7, 8), np.uint8)
    image[:3, :5] = [[3, 3, 3, 3, 3], [3, 0, 2, 0, 3], [3, 3, 2, 3, 3]]
    image[5:] = 3
    largest = contour_boxes(image)[3]
    assert largest[1].tolist() == [0, 0, 5, 3]
    assert largest[2].tolist() == list(plain_contours(image > 2)[1]) == [0, 5, 8, 7]


def holes_and_islands(rng: np.random.Generator) -> np.ndarray:
    """A map of rings, some of them filled."""
    ys, xs = np.indices(rng.integers(10, 30, 2))
    image = np.zeros(ys.shape, np.uint8)
    for _ in range(rng.integers(2, 7)):
        radius = rng.integers(1, 14)
        distance = np.maximum(abs(ys - rng.integers(30)), abs(xs - rng.integers(30)))
        image[distance == radius] = rng.integers(1, 256)
        if rng.random() < 0.3:
            image[distance < radius - 1] = rng.integers(256)
    return image


def test_the_largest_contour_of_maps_with_islands_in_holes():
    rng = np.random.default_rng(4)
    for _ in range(40):
        image = holes_and_islands(rng)
        largest = contour_boxes(image)[3]
        for t in levels_of(image):
            assert tuple(largest[t].tolist()) == plain_contours(image > t)[1]


@pytest.mark.parametrize("shape", [(14, 14), (7, 7), (13, 9), (1, 1), (1, 20), (300, 260), (224, 224)])
def test_resizing_is_opencvs_to_the_last_bit(shape):
    cv2 = pytest.importorskip("cv2", reason="pip install opencv-python-headless")
    scores = np.random.default_rng(0).random(shape)
    expected = cv2.resize(scores, (224, 224), interpolation=cv2.INTER_CUBIC)
    assert np.array_equal(resized(scores, 224), expected)


def test_resizing_by_hand():
    # Twice the size: the new centres lie 1/4 and 3/4 between the old ones. With a = -0.75 the weights at 1/4
    # are -0.10546875, 0.87890625, 0.26171875, -0.03515625.
    found = resized(np.array([[0.0, 1.0, 0.0, 0.0]]).repeat(4, axis=0), 8)[0]
    assert found[1:7].tolist() == [0.26171875, 0.87890625, 0.87890625, 0.26171875, -0.10546875, -0.03515625]


IMAGES = 12


def spots(rng: np.random.Generator) -> tuple[np.ndarray, tuple[float, float, float]]:
    """A 14x14 map with three spots, and the first one's place and radius in ratios of the map."""
    ys, xs = (np.indices((14, 14)) + 0.5) / 14
    spots = np.column_stack([rng.uniform(0.2, 0.8, (3, 2)), rng.uniform(0.1, 0.3, 3)])
    scores = sum(np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / r**2) for x, y, r in spots)
    return scores + 0.05 * rng.random((14, 14)), tuple(spots[0])


def test_accuracy_is_that_of_opencv_at_every_threshold():
    cv2 = pytest.importorskip("cv2", reason="pip install opencv-python-headless")
    rng = np.random.default_rng(2)
    accuracy, counts = BoxAccuracy(interval=0.05), np.zeros((4, 20), int)
    for _ in range(IMAGES):
        scores, (x, y, radius) = spots(rng)
        width, height = rng.integers(80, 500, 2).tolist()
        ends = np.array([[x - radius, y - radius, x + radius, y + radius], [0, 0, 0.1, 0.1]])
        real = (ends.clip(0, 1) * [width, height, width, height]).astype(int).tolist()
        accuracy.add(accuracy.hits_of(scores, real, width, height))
        cam = cv2.resize(scores, (224, 224), interpolation=cv2.INTER_CUBIC)
        cam = cam - cam.min()
        gray = (cam / cam.max() * 255).astype(np.uint8)
        on_map = [
            [int(v * 224.0 / side) for v, side in zip(each, (width, height) * 2, strict=True)]
            for each in real
        ]
        for column, t in enumerate(np.arange(0, 1, 0.05)):
            _, mask = cv2.threshold(gray, int(t * gray.max()), 255, cv2.THRESH_BINARY)
            contours = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
            boxes = [
                (x, y, min(x + w, 223), min(y + h, 223)) for x, y, w, h in map(cv2.boundingRect, contours)
            ]
            largest = boxes[int(np.argmax([cv2.contourArea(contour) for contour in contours]))]
            best = [iou(np.array(some), np.array(on_map)).max() for some in ([largest], boxes)]
            counts[:, column] += [best[0] >= 0.5, best[1] >= 0.3, best[1] >= 0.5, best[1] >= 0.7]
    shares = (counts / IMAGES).max(axis=1)
    assert 0 < shares[3] < shares[1] < 1  # the maps are neither trivial nor hopeless
    found = accuracy.compute()
    assert [
        found["max_box_acc"],
        *(found[f"max_box_acc_v2_iou_{i}"] for i in (30, 50, 70)),
    ] == shares.tolist()
    assert found["max_box_acc_v2"] == pytest.approx(shares[1:].mean())
    assert accuracy.hits().mean(axis=1).tolist() == shares.tolist()


def plain_iou(a, b) -> float:
    """Of two boxes whose last pixels belong to them, counted pixel by pixel."""
    first, second = (
        {(x, y) for x in range(x0, x1 + 1) for y in range(y0, y1 + 1)} for x0, y0, x1, y1 in (a, b)
    )
    return len(first & second) / len(first | second)


def test_iou_counts_pixels():
    boxes = np.array([[0, 0, 3, 3], [2, 2, 5, 4], [7, 7, 7, 7]])
    expected = [[plain_iou(a, b) for b in boxes.tolist()] for a in boxes.tolist()]
    assert iou(boxes, boxes).tolist() == expected
    assert expected[0][1] == 4 / (16 + 12 - 4)


def blocks(*filled: tuple[int, int, int, int, float]) -> np.ndarray:
    """A 224x224 map that is 0 but for blocks (x0, y0, x1, y1, value), ends excluded."""
    scores = np.zeros((224, 224))
    for x0, y0, x1, y1, value in filled:
        scores[y0:y1, x0:x1] = value
    return scores


def test_one_block_by_hand():
    accuracy = BoxAccuracy()
    # The block's box is 50..150 by 50..100 (x + width, not the last pixel): 101 x 51 pixels on the map of an
    # image twice as large. The real box is 50..150 by 50..150 on the map: IoU 51 / 101, just above 0.5.
    accuracy.add(accuracy.hits_of(blocks((50, 50, 150, 100, 1.0)), [[100, 100, 301, 301]], 448, 448))
    assert accuracy.hits()[:, 0].tolist() == [True, True, True, False]
    assert accuracy.compute()["max_box_acc_v2"] == pytest.approx(2 / 3)


def test_versions_differ_where_the_object_is_not_the_largest_part():
    scores = blocks((0, 0, 60, 60, 0.9), (100, 100, 140, 140, 0.9))
    accuracy = BoxAccuracy()
    accuracy.add(accuracy.hits_of(scores, [[100, 100, 140, 140]], 224, 224))
    found = accuracy.compute()
    assert (found["max_box_acc"], found["max_box_acc_v2"]) == (0, 1)


def test_the_threshold_is_chosen_over_all_images():
    # The object is the inner block in one image and the outer one in the other: no threshold serves both.
    scores = blocks((20, 20, 200, 200, 0.5), (90, 90, 130, 130, 1.0))
    accuracy = BoxAccuracy()
    accuracy.add(accuracy.hits_of(scores, [[90, 90, 130, 130]], 224, 224))
    accuracy.add(accuracy.hits_of(scores, [[20, 20, 200, 200]], 224, 224))
    assert accuracy.compute()["max_box_acc"] == 0.5
    accuracy.add(accuracy.hits_of(scores, [[90, 90, 130, 130]], 224, 224))
    found = accuracy.compute()
    assert found["max_box_acc"] == 2 / 3
    # 0.5 is level 127 of 255: from 127 / 255 on the outer block is gone.
    assert found["max_box_acc_threshold"] == pytest.approx(0.499)


def test_a_map_without_contrast_gives_the_first_pixel():
    for scores in (np.zeros((7, 7)), np.full((7, 7), np.nan)):
        assert not min_max(scores).any()
        accuracy = BoxAccuracy()
        accuracy.add(accuracy.hits_of(scores, [[0, 0, 0, 0]], 224, 224))
        assert accuracy.compute()["max_box_acc_v2"] == 1


def test_normalize_can_be_left_out():
    scores = blocks((50, 50, 100, 100, 0.5)) + 0.25
    raw, scaled = BoxAccuracy(), BoxAccuracy()
    raw.add(raw.hits_of(scores, [[50, 50, 100, 100]], 224, 224, normalize=False))
    scaled.add(scaled.hits_of(scores, [[50, 50, 100, 100]], 224, 224))
    assert raw.compute()["max_box_acc_threshold"] == pytest.approx(0.33)  # the ground is 63 of at most 191
    assert scaled.compute()["max_box_acc_threshold"] == 0


@pytest.mark.parametrize(
    ("scores", "boxes", "message"),
    [
        (np.zeros(5), [[0, 0, 1, 1]], "height, width"),
        (np.zeros((0, 5)), [[0, 0, 1, 1]], "height, width"),
        (np.array([[0, np.inf]]), [[0, 0, 1, 1]], "finite"),
        (np.eye(4), [], "at least one"),
        (np.eye(4), [[3, 0, 1, 1]], "x0 <= x1"),
        (np.eye(4), [[0, 0, 1, np.nan]], "x0 <= x1"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_wrong_input_is_named(scores, boxes, message):
    with pytest.raises(ValueError, match=message):
        BoxAccuracy().hits_of(scores, boxes, 224, 224)


def test_no_image_no_accuracy():
    with pytest.raises(ValueError, match="no image"):
        BoxAccuracy().compute()


def test_commands_start_without_numba(clients, tmp_path):
    """Its import takes long, and only maps need it."""
    script = tmp_path / "commands.py"
    imports = "import sys, luab.cli, luab_trainer.run, luab_eval.predict"
    script.write_text(f"{imports}; sys.exit('numba' in sys.modules)")
    assert clients.script(script).status == 0


def test_loops_are_compiled_without_a_folder_to_keep_them(monkeypatch):
    njit, asked = numba.njit, []

    def without_folder(*functions, **options):
        asked.append(bool(options.get("cache")))
        if options.get("cache"):
            return refuse
        return njit(*functions, **options)

    def refuse(function):
        raise RuntimeError("cannot cache function: no locator available")  # as numba

    monkeypatch.setattr(numba, "njit", without_folder)
    assert compiled(lambda value: value + 1)(1) == 2
    assert asked == [True, False]
