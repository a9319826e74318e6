"""Where the image is among a source's numbers, and what the check of a conversion finds."""

import numpy as np
import pytest

from luab_attention.convert.check import (
    COMPARED,
    FROM_0,
    FROM_1,
    MIRRORED,
    SWAPPED,
    Positions,
    Truth,
    check_row,
    check_warning,
    reading_counts,
)
from luab_attention.convert.frames import ImagePixels, Region, Screen, frame_of
from luab_data.errors import RejectedRecord


def test_pixels_counted_from_1_are_the_middles_of_pixels():
    assert ImagePixels(1).region((640, 480)).ratios(314, 242) == (0.48984375, 0.503125)
    assert ImagePixels(0).region((4, 2)).ratios(4, 1) == (1.0, 0.5)


def test_a_region_turns_ratios_back_into_numbers():
    region = Screen(1680, 1050).region((640, 480))
    assert region == Region(140, 0, 1400, 1050)
    assert region.numbers(*region.ratios(100.0, 7.0)) == pytest.approx((100.0, 7.0))


def test_pixels_without_a_size_are_refused():
    for frame in (ImagePixels(), Screen(1680, 1050), frame_of("pixels", fit="center", screen=(8, 8))):
        with pytest.raises(RejectedRecord, match="size"):
            frame.region(None)
    assert frame_of("percent").region(None) == Region(0, 0, 100, 100)


def checked(ratios, frame=None, size=(200, 100)):
    """A box at x 0.6 to 0.8, y 0.1 to 0.3 of 200 x 100 pixels: 120 to 160, 10 to 30."""
    frame = frame or ImagePixels()
    positions = Positions(np.array(ratios, float), None, frame, frame.region(size), size)
    return check_row([positions], [Truth(np.array([0.6, 0.1, 0.2, 0.2]), None)])


def test_points_read_with_x_and_y_swapped_are_noticed():
    # (130, 20) read as (20, 130): x 0.1, y 1.3
    facts = checked(np.tile([[0.1, 1.3]], (50, 1)))
    assert facts[COMPARED] == 50
    shares = {count.reading: (count.share, count.better) for count in reading_counts(facts)}
    assert shares["as read"] == (0, False) and shares[SWAPPED] == (1, True)
    assert "100.0 % if x and y swapped, 0.0 % as read" in check_warning(facts)


def test_mirrored_points_are_noticed_and_right_ones_are_not():
    assert "mirrored left to right" in check_warning(checked(np.tile([[0.3, 0.2]], (50, 1))))
    facts = checked(np.tile([[0.7, 0.2]], (50, 1)))
    assert check_warning(facts) is None
    assert {c.reading: c.share for c in reading_counts(facts)}[MIRRORED] == 0


def test_points_counted_from_1_are_noticed_at_a_border():
    # A pixel of 200: 160.4 lies outside, 159.9 inside
    facts = checked(np.tile([[160.4 / 200, 0.2]], (50, 1)))
    assert {c.reading: c.share for c in reading_counts(facts)}[FROM_1] == 1
    assert "counted from 1" in check_warning(facts)


@pytest.mark.parametrize("fit", ["letterbox", "center", "stretch"])
@pytest.mark.parametrize("base", [0, 1])
def test_counted_from_the_other_pixel_is_half_a_pixel_of_the_screen(fit, base):
    """A pixel of a screen that shows 640 x 480 pixels as 1400 x 1050 is less than one of the image."""
    size, number = (640.0, 480.0), (840.0, 525.0)
    frame = Screen(1680, 1050, fit=fit, base=base)
    region = frame.region(size)
    read = np.array([region.ratios(*number)])
    found = dict(Positions(read, None, frame, region, size).readings())
    wanted = Screen(1680, 1050, fit=fit, base=1 - base).region(size).ratios(*number)
    assert found[(FROM_1, FROM_0)[base]][0].tolist() == pytest.approx(wanted)
    assert abs(wanted[0] - read[0, 0]) == pytest.approx(0.5 / region.width)


def test_a_small_difference_is_no_warning():
    points = [[0.7, 0.2]] * 40 + [[0.3, 0.2]] * 41
    assert check_warning(checked(points)) is None


def test_a_point_is_compared_with_the_boxes_of_its_class():
    truths = [Truth(np.array([0, 0, 1, 1]), "cat"), Truth(np.array([0, 0, 0.1, 0.1]), "dog")]
    frame = ImagePixels()
    dog = Positions(np.array([[0.5, 0.5]]), "dog", frame, frame.region((10, 10)), (10, 10))
    assert check_row([dog], truths)["of these inside, as read"] == 0
    assert check_row([dog._replace(label="cow")], truths) == {}
    assert check_row([dog], []) == {}


def test_a_mask_is_looked_up_at_the_pixel():
    mask = np.zeros((2, 4), bool)
    mask[1, 2] = True
    truth = Truth(mask, None)
    points = np.array([[0.5, 0.5], [0.74, 0.99], [0.75, 0.99], [1.2, 0.7], [-0.1, 0.5]])
    assert truth.holds(points).tolist() == [True, True, False, False, False]
