"""Points that say where a class is not: from the row to the loss."""

import itertools
import math

import numpy as np
import pytest
import torch
from fixtures.factories import image_bytes, noise_image
from fixtures.tiny_models import IMAGE_SIZE, tiny_model
from fixtures.views import Through

from luab import CutMix, LUABModel, MixUp, ViewDataset
from luab_attention.density import density, nearness
from luab_trainer.data.collator import collate
from luab_trainer.losses.attention import AttentionLoss
from luab_vision.geometry import WHOLE_IMAGE, View
from luab_vision.transforms import EvalTransform, ImageSettings

SETTINGS = ImageSettings(size=IMAGE_SIZE, resize=IMAGE_SIZE)
GRID = (4, 4)


def row(*points, label=0, seed=0):
    image = {"bytes": image_bytes(noise_image(40, 40, seed)), "path": None}
    entries = [{"label": label, "x": x, "y": y, "sign": sign} for x, y, sign in points]
    return {"image": image, "label": label, "click": entries}


ONE = row((0.25, 0.5, 1), (0.75, 0.25, -1))


def test_they_go_into_the_crop_and_the_batch():
    left = View(0.0, 0.0, 0.5, 1.0)
    whole, half, without = (
        ViewDataset([each], Through(view), byproduct="click")[0]
        for each, view in ((ONE, WHOLE_IMAGE._replace(flipped=True)), (ONE, left), (row((0.5, 0.5, 1)), left))
    )
    np.testing.assert_allclose(whole["target_away"][0], [[0.25, 0.25]])
    np.testing.assert_allclose(whole["target_points"][0], [[0.75, 0.5]])
    assert "target_away" not in half and "target_away" not in without  # it is outside of the crop
    batch = collate([whole, half])
    assert batch["target_away"].shape == (2, 1, 1, 2)
    assert batch["target_away"][0].tolist() == [[[0.25, 0.25]]] and batch["target_away"][1].isinf().all()
    assert "target_away" not in collate([half])


@pytest.mark.parametrize("form", ["hinge", "energy", "kl"])
def test_their_discs_are_taken_out_of_the_cells_nearer_to_them(form):
    torch.manual_seed(0)
    attention = torch.rand(1, 1, 1, *GRID).flatten(3).softmax(-1).unflatten(3, GRID)
    points, away = torch.tensor([[[[0.4, 0.4]]]]), torch.tensor([[[[0.6, 0.6], [np.inf, np.inf]]]])
    weights = torch.ones(1, 1, 1)
    tolerance = 0.1 if form == "hinge" else 0.0
    found = AttentionLoss(form, 0.3, tolerance)(attention, points, weights, away=away)
    # The centers are at 1/8, 3/8, 5/8, 7/8; those with x + y > 1 are nearer to (0.6, 0.6) than to (0.4, 0.4).
    nearer = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1]])
    disc = nearness(away[:, :, :1], weights, GRID, 0.3) * nearer
    if form == "kl":
        wanted = density(points, weights, GRID, 0.3) * (1 - disc)
        wanted = wanted / wanted.sum()
        there = wanted > 0
        expected = (wanted[there] * (wanted[there] / attention[:, :, 0][there]).log()).sum()
    else:
        wanted = nearness(points, weights, GRID, 0.3) * (1 - disc)
        expected = 1 - (attention[:, :, 0] * wanted).sum() - tolerance
    assert 0 < disc.max() <= 1
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    plain = AttentionLoss(form, 0.3, tolerance)(attention, points, weights)
    assert abs(found - plain) > 1e-3
    nowhere = torch.full_like(away, np.inf)
    torch.testing.assert_close(
        AttentionLoss(form, 0.3, tolerance)(attention, points, weights, away=nowhere), plain
    )


@pytest.mark.parametrize("radius", [0.05, 0.25, 0.35])
@pytest.mark.parametrize("grid", [(4, 4), (7, 5), (14, 14)])
def test_attention_on_the_click_costs_what_it_costs_without_them(grid, radius):
    """However near to it a point says "not here": a click is where its class is."""
    rows, columns = grid
    loss = AttentionLoss("energy", radius, 0.0)
    for beside, (x, y) in itertools.product(
        (0.0, 0.001, 0.03, 0.06, 0.1, 0.3, 0.4), ((0.5, 0.5), (0.52, 0.31), (0.01, 0.99), (1.0, 0.0))
    ):
        points, weights = torch.tensor([[[[x, y], [-1.0, -1.0]]]]), torch.tensor([[[1.0, 0.0]]])
        away = torch.tensor([[[[x + beside, y], [x - beside, y], [x, y + beside]]]])
        for column in {min(int(x * columns), columns - 1), max(math.ceil(x * columns) - 1, 0)}:
            attention = torch.zeros(1, 1, 1, *grid)
            attention[..., min(int(y * rows), rows - 1), column] = 1
            found = loss(attention, points, weights, away=away)
            torch.testing.assert_close(found, loss(attention, points, weights), rtol=0, atol=0)


def test_of_several_points_the_nearest_one_decides():
    """By hand: the 2nd of 4 cells is as far from the click as from "not here", the 3rd is nearer to that."""
    loss, weights = AttentionLoss("energy", 0.5, 0.0), torch.ones(1, 1, 1)
    click, away = torch.tensor([[[[0.125, 0.5]]]]), torch.tensor([[[[0.625, 0.5]]]])
    costs = []
    for column in range(4):
        attention = torch.zeros(1, 1, 1, 1, 4)
        attention[..., column] = 1
        costs.append(loss(attention, click, weights, away=away).item())
    # Without the third point: N is 1, 1 (0.25 away, the edge is 0.25), 0.5 and 0. F is 1 at the third cell.
    assert costs == pytest.approx([0, 0, 1, 1])
    with_another = torch.tensor([[[[0.125, 0.5], [0.6, 0.5], [0.9, 0.5]]]])
    attention = torch.zeros(1, 1, 1, 1, 4)
    attention[..., 2] = 1
    of_another = torch.tensor([[[0.5, 0.5, 0.0]]])  # the last one is padding, and says nothing
    assert loss(attention, with_another, of_another, away=away).item() == 0, "the cell of a click"
    off = torch.tensor([[[[0.125, 0.5], [0.45, 0.5]]]])
    assert loss(attention, off, of_another[..., :2], away=away).item() == 1


def test_points_outside_the_crop_leave_the_density_as_it_was():
    """Kept outside, as "kl" does: each cell is nearer to "not here", which contradicts the point."""
    attention, point = torch.full((1, 1, 1, *GRID), 1 / 16), torch.tensor([[[[2.5, 0.5]]]])
    loss, weights, away = AttentionLoss("kl", 3.0, 0.0), torch.ones(1, 1, 1), torch.tensor([[[[0.5, 0.5]]]])
    torch.testing.assert_close(
        loss(attention, point, weights, away=away), loss(attention, point, weights), rtol=0, atol=0
    )


def test_attention_leaves_them_in_training():
    """The gradient of the term takes attention from the cells around the negative point."""
    scores = torch.zeros(1, 1, 1, 16, requires_grad=True)
    points, away = torch.tensor([[[[0.375, 0.375]]]]), torch.tensor([[[[0.625, 0.375]]]])
    for _ in range(50):
        maps = scores.softmax(-1).unflatten(3, GRID)
        loss = AttentionLoss("energy", 0.3, 0.0)(maps, points, torch.ones(1, 1, 1), away=away)
        (gradient,) = torch.autograd.grad(loss.sum(), scores)
        scores = (scores - 5 * gradient).detach().requires_grad_()
    final = scores.softmax(-1).unflatten(3, GRID)[0, 0, 0]
    assert final[1, 2] < 0.02 and final[:2, :2].sum() > 0.9


@pytest.mark.parametrize("model_type", ["vit", "convnext"])
def test_batch_of_8_is_accumulation_of_8(model_type):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    rows = [
        row(
            (*rng.uniform(0, 1, 2), 1), *[(*rng.uniform(0, 1, 2), -1)] * (seed % 3), label=seed % 5, seed=seed
        )
        for seed in range(8)
    ]
    samples = list(ViewDataset(rows, EvalTransform(SETTINGS), byproduct="click"))
    luab = LUABModel(tiny_model(model_type, num_labels=5), "both", mean=(0.5,) * 3, std=(0.5,) * 3).eval()
    with torch.no_grad():
        whole = luab(**collate(samples)).terms["attention"]
        one_by_one = torch.cat([luab(**collate([each])).terms["attention"] for each in samples])
    torch.testing.assert_close(one_by_one, whole, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("mix", [{"cutmix": CutMix()}, {"mixup": MixUp(alpha=1.0)}])
def test_mixed_crops_keep_what_they_show(mix):
    rows = [row((0.3, 0.3, 1), (0.7, 0.7, -1), label=label, seed=label) for label in range(4)]
    seen = set()
    for seed in range(10):
        for sample in ViewDataset(
            rows, EvalTransform(SETTINGS), seed, byproduct="click", num_labels=4, **mix
        ):
            away = sample.get("target_away", [np.zeros((0, 2))] * len(sample["target_labels"]))
            assert len(away) == len(sample["target_labels"])
            for places in away:
                np.testing.assert_allclose(places, np.full_like(places, 0.7), atol=1e-6)
                seen.add(len(places))
    assert 1 in seen and (0 in seen or "mixup" in mix)


def test_of_merged_targets_only_a_single_one_has_them():
    attention = torch.full((2, 1, 1, *GRID), 1 / 16)
    points = torch.tensor([[[[0.3, 0.3]], [[0.7, 0.7]]]]).repeat(2, 1, 1, 1)
    weights = torch.tensor([[[1.0], [1.0]], [[1.0], [0.0]]])
    away = torch.tensor([[[[0.3, 0.6]], [[0.3, 0.6]]]]).repeat(2, 1, 1, 1)
    loss = AttentionLoss("energy", 0.3, 0.0)
    found, plain = loss(attention, points, weights, away=away), loss(attention, points, weights)
    assert found[0] == plain[0] and found[1] > plain[1] + 0.01
    alone = loss(attention[1:], points[1:, :1], weights[1:, :1], away=away[1:, :1])
    torch.testing.assert_close(found[1:], alone)
