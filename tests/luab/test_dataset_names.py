"""A dataset's name in results tells its splits and configurations apart, and is short for the usual ones."""

import pytest

from luab.commands._evaluating import dataset_name


@pytest.mark.parametrize(
    ("split", "config", "expected"),
    [
        ("validation", None, "coco"),
        ("validation", "default", "coco"),
        ("test", None, "coco@test"),
        ("validation[:9]", None, "coco@validation[:9]"),
        ("validation", "full", "coco@full/validation"),
        ("test", "full", "coco@full/test"),
    ],
)
def test_name(split, config, expected):
    assert dataset_name("data/coco", split, config, "validation") == expected
