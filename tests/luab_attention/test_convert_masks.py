"""Masks: COCO's runs, polygons, Label Studio's brush, class maps; and what is refused."""

import time

import numpy as np
import pytest

from luab_attention.convert.brush import brush_mask
from luab_attention.convert.masks import (
    Polygons,
    Runs,
    coco_counts,
    mask_pixels,
    polygon_mask,
    run_mask,
)
from luab_data.errors import RejectedRecord


def test_cocos_runs_go_down_the_columns():
    assert run_mask(Runs([1, 2, 3], 2, 3)).tolist() == [[False, False], [True, False], [True, False]]


def test_compressed_runs_are_those_of_cocos_tools():
    # pycocotools.mask.encode of a 3 x 4 mask (height, width) with rows 1 to 2 of columns 1 and 2.
    assert coco_counts("42102", 12) == [4, 2, 1, 2, 3]  # 4, 2, 1, then 2 - 2 and 3 - 1
    # 5 bits a character, the sixth says that more follow: 40 = 8 + 32.
    assert coco_counts(chr(48 + (8 | 32)) + chr(48 + 1), 100) == [40]


@pytest.mark.parametrize("text", ["\x00", "h", chr(48 + 32) * 9 + "0", "o"])
def test_broken_compressed_runs_are_refused(text):
    with pytest.raises(RejectedRecord):
        coco_counts(text, 10)


def test_runs_of_another_number_of_pixels_are_refused():
    for counts in ([1, 2], [7], [-1, 7]):
        with pytest.raises(RejectedRecord, match="not the 6"):
            run_mask(Runs(counts, 2, 3))
    with pytest.raises(RejectedRecord, match="allowed are"):
        run_mask(Runs([10**12], 10**6, 10**6))


def test_a_part_of_the_image_is_placed_in_it():
    mask = mask_pixels(Runs([0, 2], 2, 1, down=False, left=1, top=2), (4, 3))
    assert np.argwhere(mask).tolist() == [[2, 1], [2, 2]]
    with pytest.raises(RejectedRecord, match="does not fit"):
        mask_pixels(Runs([0, 2], 2, 1, down=False, left=3, top=0), (4, 3))


def test_a_polygon_holds_the_pixels_whose_center_it_holds():
    assert polygon_mask([[1, 0, 3, 0, 3, 2, 1, 2]], 4, 3).sum(axis=0).tolist() == [0, 2, 2, 0]
    triangle = polygon_mask([[0, 0, 4, 0, 0, 4]], 4, 4)
    assert triangle.sum(axis=1).tolist() == [3, 2, 1, 0]  # centers x + y < 4, the edge itself not
    two = polygon_mask([[0, 0, 1, 0, 1, 1, 0, 1], [0, 0, 2, 0, 2, 1, 0, 1]], 2, 1)
    assert two.tolist() == [[True, True]]  # two outlines are a union
    assert mask_pixels(Polygons([[-9, -9, 99, -9, 99, 99, -9, 99]]), (3, 2)).all()


def whole_image_mask(outlines, width, height):
    """The rule of `polygon_mask` over the whole image for each outline."""
    inside = np.zeros((height, width), bool)
    for outline in outlines:
        corners = np.asarray(outline, np.float64).reshape(-1, 2)
        flips = np.zeros((height, width + 1), np.int64)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            for row in range(height):
                if (row + 0.5 >= y0) != (row + 0.5 >= y1):
                    crossing = x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)
                    flips[row, int(np.clip(np.ceil(crossing - 0.5), 0, width))] += 1
        inside |= np.cumsum(flips[:, :width], axis=1) % 2 == 1
    return inside


@pytest.mark.parametrize("spread", [1, 0.3, 5, 1e12])
def test_each_outline_in_its_own_box_gives_the_masks_of_the_whole_image(spread):
    random = np.random.default_rng(0)
    for number in range(60):
        width, height = random.integers(1, 30, 2)
        outlines = []
        for _ in range(random.integers(0, 5)):
            corners = random.normal(0, spread, (random.integers(1, 9), 2))
            places = (random.uniform(-0.2, 1.2, 2) + corners) * (width, height)
            outlines.append((places.round() if number % 3 == 0 else places).ravel().tolist())
        expected = whole_image_mask(outlines, width, height)
        np.testing.assert_array_equal(polygon_mask(outlines, width, height), expected)


def test_many_outlines_cost_their_own_pixels_and_too_many_are_refused():
    small = [[x, x, x + 9, x, x, x + 9] for x in range(2000)]
    began = time.process_time()
    assert polygon_mask(small, 5000, 5000).any()
    assert time.process_time() - began < 5  # of the whole image each: minutes
    large = [[0, 0, 10_000, 0, 0, 10_000]] * 50_000
    with pytest.raises(RejectedRecord, match=r"50,000 outlines over 5,0.* pixels.*allowed are"):
        polygon_mask(large, 10_000, 10_000)
    zigzag = [[0, 0, *(number for x in range(200_000) for number in (x % 7, 10_000 * (x % 2)))]]
    with pytest.raises(RejectedRecord, match="1 outline over"):
        polygon_mask(zigzag, 100, 10_000)


def bits(*pairs):
    """Numbers in so many bits, as bytes."""
    text = "".join(f"{value:0{count}b}" for value, count in pairs)
    return list(int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big"))


def brush(total=16, runs=((1, 0, 1, 0), (1, 0, 1, 255))):
    """2 x 2 pixels of 4 bytes; runs: (repeated, kind of length, pixels, value)."""
    head = [(total, 32), (7, 5), (3, 4), (3, 4), (3, 4), (3, 4)]
    body = [
        pair
        for r, kind, pixels, value in runs
        for pair in ((r, 1), (kind, 2), (8 * pixels - 1, 4), (value, 8))
    ]
    return bits(*head, *body)


def test_a_brush_is_unpacked():
    assert brush_mask(brush(), 2, 2).tolist() == [[False, False], [True, True]]
    literal = bits((4, 32), (7, 5), (3, 4), (3, 4), (3, 4), (3, 4), (0, 1), (2, 2), (3, 4), *[(9, 8)] * 4)
    assert brush_mask(literal, 1, 1).tolist() == [[True]]


def test_a_broken_brush_is_refused():
    for packed, reason in ((brush()[:-3], "cut off"), (brush(total=12), "12 bytes"), ([], "cut off")):
        with pytest.raises(RejectedRecord, match=reason):
            brush_mask(packed, 2, 2)
    with pytest.raises(RejectedRecord, match="longer than its image"):
        brush_mask(brush(runs=((1, 0, 1, 0), (1, 0, 2, 255))), 2, 2)
