"""Our whole line, XML to target, against the rule of the authors' dataloader written down a second time.

The rule (Han et al., ICCV 2023, dataloader notebook): points = the first `selectedRecord` of each `metadata`
whose `selected` is `True`; Z = their mean; RandomResizedCrop and flip; if Z is inside the crop it is
expressed in crop coordinates with weight 1, else the weight is 0 and Z = (-1, -1). Here in pixels, with
ElementTree.
"""

from xml.etree import ElementTree

import datasets
import numpy as np
import pytest

from imagenet_ab.record import parse_record
from imagenet_ab.rows import features, row
from luab_attention.targets import byproducts_of, target_in_view
from luab_data.rows.columns import Columns
from luab_data.sources.archives import TarStream
from luab_vision.geometry import View, random_resized_view

CROPS_EACH = 4


def authors_z(xml: bytes) -> tuple[float, float] | None:
    """Z in ratios of the image; None when no click counts."""
    xs, ys = [], []
    for metadata in ElementTree.fromstring(xml).iter("metadata"):
        if metadata.find("selected").text != "True":
            continue
        first = metadata.find("selectedRecord")
        if first is not None:
            xs.append(float(first.find("x").text))
            ys.append(float(first.find("y").text))
    return (sum(xs) / len(xs), sum(ys) / len(ys)) if xs else None


def authors_target(
    z: tuple[float, float] | None, size: tuple[int, int], crop: tuple[int, int, int, int], flip: bool
) -> tuple[tuple[float, float], float]:
    """Z in the crop and its weight. `size`: (width, height); `crop`: left, top, width, height; all pixels."""
    if z is None:
        return (-1, -1), 0
    x, y = z[0] * size[0], z[1] * size[1]
    left, top, width, height = crop
    # A border counts as inside; the slack is far below what the browser's pixels can resolve.
    slack = 1e-6
    if not (left - slack <= x <= left + width + slack and top - slack <= y <= top + height + slack):
        return (-1, -1), 0
    x, y = (x - left) / width, (y - top) / height
    return ((1 - x) if flip else x, y), 1


def our_targets(table: datasets.Dataset, index: int, views: list[View]) -> list[tuple[np.ndarray, float]]:
    """Points and weight of a row in each of the views; no byproduct is no weight."""
    byproducts = byproducts_of(table[index], "click", Columns())
    if not byproducts:
        return [(np.array([-1, -1]), 0.0)] * len(views)
    targets = [target_in_view(byproducts[0], view) for view in views]
    return [(points[0], float(weights[0])) for points, weights in targets]


def in_pixels(view: View, size: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top, width, height = np.array(view[:4]) * (*size, *size)
    return round(left), round(top), round(width), round(height)


def compare(xmls: list[bytes], size: tuple[int, int], rng: np.random.Generator) -> list[float]:
    """Assert that ours equals the authors' for random crops of every record -> the weights seen."""
    rows = []
    for xml in xmls:
        record = parse_record(xml)
        rows.append(row(record.image_id, None, record, 0))
    table = datasets.Dataset.from_list(rows, features=features(["n01440764"], images=False))
    table = table.select_columns("click")
    weights = []
    for index, xml in enumerate(xmls):
        z = authors_z(xml)
        views = [random_resized_view(*size, rng) for _ in range(CROPS_EACH)]
        for view, (point, weight) in zip(views, our_targets(table, index, views), strict=True):
            expected_point, expected_weight = authors_target(z, size, in_pixels(view, size), view.flipped)
            assert weight == expected_weight, (index, z, view)
            np.testing.assert_allclose(point, expected_point, atol=1e-5)
            weights.append(weight)
    return weights


def metadata(selected: bool, *clicks: tuple[float, float]) -> str:
    records = "".join(
        f"<selectedRecord><x>{x}</x><y>{y}</y><time>{1640000000000 + i}</time></selectedRecord>"
        for i, (x, y) in enumerate(clicks)
    )
    return (
        f"<metadata><imageID>n01440764/n01440764_1</imageID><selected>{selected}</selected>"
        f"<selectedCount>{len(clicks)}</selectedCount>{records}</metadata>"
    )


def test_generated_records():
    rng = np.random.default_rng(0)
    xmls = []
    for _ in range(150):
        entries = [
            metadata(bool(rng.random() < 0.7), *rng.uniform(-0.02, 1.02, (rng.integers(0, 3), 2)).tolist())
            for _ in range(rng.integers(1, 4))
        ]
        xmls.append(f"<annotation>{''.join(entries)}</annotation>".encode())
    weights = compare(xmls, (500, 375), rng)
    assert 0.1 < np.mean(weights) < 0.9


@pytest.mark.parametrize("edge", [0.0, 0.25, 0.5, 1.0])
def test_clicks_on_borders(edge):
    """A quarter of the image is a whole number of pixels: some crops of 8 x 8 pixels end exactly at the
    click."""
    xmls = [f"<a>{metadata(True, (edge, edge))}</a>".encode()] * 100
    assert set(compare(xmls, (8, 8), np.random.default_rng(1))) == {0, 1}


def test_worked_by_hand():
    # Three annotations: the second was unselected again, the third clicked twice.
    entries = metadata(True, (0.2, 0.4)), metadata(False, (0.9, 0.9)), metadata(True, (0.6, 0.8), (0, 0))
    xml = f"<a>{''.join(entries)}</a>"
    assert authors_z(xml.encode()) == pytest.approx((0.4, 0.6))
    record = parse_record(xml.encode())
    click = row(record.image_id, None, record, 0)["click"]
    (byproduct,) = byproducts_of({"click": click}, "click", Columns())
    # Of 200 x 100 pixels the crop takes x from 60 to 160, y from 40 to 90; Z is at pixel (80, 60).
    points, weights = target_in_view(byproduct, View(60 / 200, 40 / 100, 100 / 200, 50 / 100, flipped=True))
    np.testing.assert_allclose(points, [[0.8, 0.4]], atol=1e-6)
    assert weights.tolist() == [1]
    assert authors_target((0.4, 0.6), (200, 100), (60, 40, 100, 50), True) == (pytest.approx((0.8, 0.4)), 1)


def test_the_released_layout(imagenet_release):
    archive = imagenet_release.folder / "imagenet_ab_v1_0.tar.gz"
    xmls = [entry.payload for entry in TarStream(archive)]
    weights = compare(xmls[::4], (64, 64), np.random.default_rng(2))
    assert len(weights) > imagenet_release.records / 4 * (CROPS_EACH - 1)
    assert 0.3 < np.mean(weights) < 0.8
