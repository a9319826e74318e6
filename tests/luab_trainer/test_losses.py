"""The byproduct losses, against values worked out by hand."""

import math

import pytest
import torch

from luab_trainer.losses.attention import AttentionLoss, defaults
from luab_trainer.losses.point import PointLoss


def target(x, y, weight=1.0):
    """One row with one target of one point -> points [1, 1, 1, 2], weights [1, 1, 1]."""
    return torch.tensor([[[[x, y]]]]), torch.tensor([[[weight]]])


def attention_map(cells):
    """[[...], ...] of masses -> A [1, 1, 1, h, w]."""
    return torch.tensor(cells)[None, None, None]


def test_hinge_is_the_far_mass_above_the_tolerance():
    # Cells of a 1x4 grid have their centers at x = 1/8, 3/8, 5/8, 7/8; the click at 1/8, radius 0.3, edge
    # 0.15: the first two cells (distance 0 and 0.25) are near by 1 and 1/2 + 0.05/0.15 = 5/6; the others
    # are far.
    loss = AttentionLoss("hinge", radius=0.3, tolerance=0.2)
    points, weights = target(1 / 8, 0.5)
    found = loss(attention_map([[0.1, 0.3, 0.4, 0.2]]), points, weights)
    assert found.item() == pytest.approx(0.3 * (1 - 5 / 6) + 0.6 - 0.2)


def test_hinge_is_zero_without_gradient_once_the_background_is_left():
    attention = attention_map([[0.6, 0.3, 0.1, 0.0]]).requires_grad_()
    found = AttentionLoss("hinge", radius=0.4, tolerance=0.2)(attention, *target(1 / 8, 0.5))
    found.sum().backward()
    assert found.item() == 0
    assert attention.grad.abs().sum() == 0


def test_kl_is_zero_for_the_density_itself_and_positive_elsewhere():
    from luab_attention.density import density

    loss = AttentionLoss("kl", radius=0.2, tolerance=0)
    points, weights = target(0.3, 0.6)
    same = density(points, weights, (4, 4), 0.2).unsqueeze(2)
    assert loss(same, points, weights).item() == pytest.approx(0, abs=1e-6)
    uniform = torch.full((1, 1, 1, 4, 4), 1 / 16)
    expected = (same * (same * 16).log()).sum()
    assert loss(uniform, points, weights).item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("form", ["hinge", "kl"])
def test_descending_moves_the_attention_to_the_click(form):
    scores = torch.zeros(1, 1, 1, 6, 6, requires_grad=True)
    loss = AttentionLoss(form, radius=0.2, tolerance=0.0)
    points, weights = target(0.9, 0.1)
    optimizer = torch.optim.Adam([scores], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        loss(scores.flatten(3).softmax(-1).view_as(scores), points, weights).sum().backward()
        optimizer.step()
    row, column = divmod(int(scores.flatten().argmax()), 6)
    assert (row, column) == (0, 5), "x is the column, y the row"


@pytest.mark.parametrize("form", ["hinge", "kl"])
def test_rows_without_a_usable_byproduct_give_nothing(form):
    attention = torch.full((2, 1, 3, 4, 4), 1 / 16, requires_grad=True)
    points = torch.tensor([[[[0.1, 0.1]]], [[[-1.0, -1.0]]]])
    weights = torch.tensor([[[1.0]], [[0.0]]])
    found = AttentionLoss(form, radius=0.2)(attention, points, weights)
    found.sum().backward()
    assert found[0] > 0
    assert found[1] == 0
    assert attention.grad[1].abs().sum() == 0
    assert torch.isfinite(attention.grad).all()


def test_layers_are_averaged():
    near, far = [[1.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 1.0]]
    attention = torch.tensor([near, far])[None, None]
    assert attention.shape == (1, 1, 2, 1, 4)
    found = AttentionLoss("hinge", radius=0.2, tolerance=0.0)(attention, *target(1 / 8, 0.5))
    assert found.item() == pytest.approx(0.5)


def test_one_map_per_class_compares_class_by_class():
    """Several labels on a feature-map model: each target against the map of its own class, padding left
    out.
    """
    left, right = [[1.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 1.0]]
    attention = torch.tensor([left, right, left])[None, :, None]  # [1, 3, 1, 1, 4]
    points = torch.tensor([[[[1 / 8, 0.5]], [[1 / 8, 0.5]], [[-1.0, -1.0]]]])
    weights = torch.tensor([[[1.0], [1.0], [0.0]]])
    found = AttentionLoss("hinge", radius=0.2, tolerance=0.0)(attention, points, weights)
    assert found.item() == pytest.approx((0 + 1) / 2)


def test_one_map_for_all_classes_merges_the_targets():
    """Several labels on CLS attention: near any of the points is near."""
    attention = attention_map([[0.5, 0.0, 0.0, 0.5]])
    points = torch.tensor([[[[1 / 8, 0.5]], [[7 / 8, 0.5]], [[-1.0, -1.0]]]])
    weights = torch.tensor([[[1.0], [1.0], [0.0]]])
    loss = AttentionLoss("hinge", radius=0.2, tolerance=0.0)
    assert loss(attention, points, weights).item() == pytest.approx(0, abs=1e-6)
    assert loss(attention, points, weights * torch.tensor([[[1.0], [0.0], [0.0]]])).item() == pytest.approx(
        0.5
    )


@pytest.mark.parametrize("shares", [None, [0.5, 0.5], [0.4, 0.4]])
def test_merged_targets_count_the_same_however_many_points_they_have(shares):
    """A click, and four points that share a target's weight, none of which is as heavy as the click."""
    points = torch.tensor([[[[1 / 8, 0.5]] + [[-1.0, -1.0]] * 3, [[7 / 8, 0.5]] * 4]])
    weights = torch.tensor([[[1.0, 0, 0, 0], [0.4, 0.2, 0.2, 0.2]]])
    loss = AttentionLoss("hinge", radius=0.1, tolerance=0.0)
    given = (points, weights, None if shares is None else torch.tensor([shares]))
    for masses in ([1.0, 0, 0, 0], [0, 0, 0, 1.0], [0.5, 0, 0, 0.5]):
        assert loss(attention_map([masses]), *given).item() == pytest.approx(0, abs=1e-6)
    whole = 1.0 if shares is None else sum(shares)
    assert loss(attention_map([[0, 1.0, 0, 0]]), *given).item() == pytest.approx(whole)


def test_a_merged_target_of_a_smaller_share_is_less_near_whatever_its_points():
    """Worked by hand: of shares 0.6 and 0.2, the cells near the second target count 0.2 / 0.6 as near."""
    points = torch.tensor([[[[1 / 8, 0.5], [1 / 8, 0.5]], [[5 / 8, 0.5], [7 / 8, 0.5]]]])
    weights = torch.tensor([[[0.5, 0.5], [0.75, 0.25]]])
    loss, shares = AttentionLoss("energy", radius=0.1, tolerance=0.0), torch.tensor([[0.6, 0.2]])
    for masses, near in (([1.0, 0, 0, 0], 1.0), ([0, 0, 1.0, 0], 1 / 3), ([0, 0, 0, 1.0], 1 / 9)):
        found = loss(attention_map([masses]), points, weights, shares)
        assert found.item() == pytest.approx(0.8 * (1 - near), abs=1e-6)


@pytest.mark.parametrize("form", ["hinge", "energy", "kl"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_targets_in_half_precision_give_the_loss_of_their_values(form, dtype):
    """DeepSpeed hands on all floats of a batch in half precision."""
    generator = torch.Generator().manual_seed(0)
    attention = torch.rand(3, 1, 2, 14, 14, generator=generator).flatten(3).softmax(-1).unflatten(3, (14, 14))
    points = (0.2 * torch.rand(3, 2, 40, 2, generator=generator)).to(dtype)  # of a trace in a corner
    weights = torch.rand(3, 2, 40, generator=generator).softmax(-1).to(dtype)
    shares, away = (
        torch.tensor([[0.3, 0.7]] * 3).to(dtype),
        torch.rand(3, 2, 2, 2, generator=generator).to(dtype),
    )
    loss = AttentionLoss(form, 0.15, 0.0)
    for given in ((points, weights), (points, weights, shares), (points[:, :1], weights[:, :1])):
        not_here = away[:, : given[0].shape[1]]
        found = loss(attention, *given, away=not_here)
        expected = loss(attention, *(each.float() for each in given), away=not_here.float())
        assert found.isfinite().all() and found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_point_loss_in_half_precision_is_that_of_the_values(dtype):
    point = PointLoss(8)
    features, points = torch.randn(2, 8), torch.rand(2, 1, 40, 2).to(dtype)
    weights, labels = torch.rand(2, 1, 40).softmax(-1).to(dtype), torch.zeros(2, 1, dtype=torch.long)
    shares = torch.tensor([[0.3], [0.7]]).to(dtype)
    found = point(features, points, weights, labels, shares)
    expected = point(features, points.float(), weights.float(), labels, shares.float())
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0.0}, "attention_radius"),
        ({"tolerance": 1.0}, "attention_tolerance"),
        ({"radius": -1}, "-1"),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        AttentionLoss(**arguments)


def test_unknown_form_is_named():
    with pytest.raises(ValueError, match="'huber' is unknown; take one of hinge, energy, kl"):
        defaults("cls", "huber")


def constant_point(x, y, features=3, outputs=1):
    loss = PointLoss(features, outputs)  # its weights start at 0
    loss.head.bias.data = torch.tensor([x, y]).repeat(outputs)
    return loss


def test_point_is_smooth_l1_to_the_mean_of_the_points():
    points = torch.tensor([[[[0.2, 0.2], [0.6, 0.4], [-1.0, -1.0]]]])
    weights = torch.tensor([[[0.75, 0.25, 0.0]]])  # mean (0.3, 0.25)
    found = constant_point(0.5, 0.5)(torch.randn(1, 3), points, weights, torch.tensor([[2]]))
    assert found.item() == pytest.approx((0.5 * 0.2**2 + 0.5 * 0.25**2) / 2)


def test_point_starts_at_the_center_and_learns_x_and_y():
    torch.manual_seed(0)
    loss, features, points = PointLoss(4), torch.randn(4, 4), torch.rand(4, 1, 1, 2)
    torch.testing.assert_close(loss.predict(torch.zeros(1, 4))[0, 0], torch.tensor([0.5, 0.5]))
    optimizer = torch.optim.LBFGS(loss.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def step():
        optimizer.zero_grad()
        value = loss(features, points, torch.ones(4, 1, 1), torch.zeros(4, 1, dtype=torch.long)).sum()
        value.backward()
        return value

    optimizer.step(step)
    torch.testing.assert_close(loss.predict(features)[:, 0], points[:, 0, 0], atol=1e-2, rtol=0)


def test_point_outside_the_crop_gives_neither_loss_nor_gradient():
    loss = PointLoss(3)
    points, weights = torch.full((2, 1, 1, 2), -1.0), torch.zeros(2, 1, 1)
    found = loss(torch.randn(2, 3), points, weights, torch.full((2, 1), -1))
    found.sum().backward()
    assert found.tolist() == [0, 0]
    # A gradient of zeros, not None: with DDP every parameter must take part in every step.
    assert loss.head.weight.grad.abs().sum() == 0


def test_point_of_each_class_reads_its_own_output():
    loss = constant_point(0.5, 0.5, outputs=3)
    loss.head.bias.data = torch.tensor([0.0, 0.0, 0.1, 0.9, 1.0, 1.0])  # (x, y) of class 0, 1, 2
    points = torch.tensor([[[[0.1, 0.9]], [[1.0, 1.0]], [[-1.0, -1.0]]]])
    weights, labels = torch.tensor([[[1.0], [1.0], [0.0]]]), torch.tensor([[1, 2, -1]])
    assert loss(torch.randn(1, 3), points, weights, labels).item() == pytest.approx(0, abs=1e-7)
    swapped = loss(torch.randn(1, 3), points, weights, torch.tensor([[2, 1, -1]])).item()
    assert swapped == pytest.approx((0.5 * 0.9**2 + 0.5 * 0.1**2) / 2, rel=1e-5)


def test_the_mean_over_targets_does_not_depend_on_padding():
    loss = AttentionLoss("hinge", radius=0.2, tolerance=0.0)
    attention = torch.full((1, 2, 1, 4, 4), 1 / 16)
    points = torch.tensor([[[[0.1, 0.1]], [[0.9, 0.5]]]])
    weights = torch.ones(1, 2, 1)
    padded = (
        torch.cat([points, torch.full((1, 3, 1, 2), -1.0)], 1),
        torch.cat([weights, torch.zeros(1, 3, 1)], 1),
    )
    expected = loss(attention, points, weights).item()
    assert loss(torch.full((1, 5, 1, 4, 4), 1 / 16), *padded).item() == pytest.approx(expected)
    assert not math.isclose(expected, 0)


def test_targets_count_by_their_shares_worked_by_hand():
    """As in a MixUp: lambda of one image's term, 1 - lambda of the other's, nothing for what is missing."""
    point = constant_point(0.5, 0.5)
    points = torch.tensor([[[[0.1, 0.5]], [[0.5, 0.9]]]])
    labels, features = torch.zeros(1, 2, dtype=torch.long), torch.randn(1, 3)
    half = 0.5 * 0.4**2 / 2  # of either: one of its two coordinates is 0.4 away
    for weights, shares, expected in (
        ([1.0, 1.0], [0.7, 0.3], half),
        ([1.0, 0.0], [0.7, 0.0], 0.7 * half),
        ([0.0, 1.0], [0.7, 0.3], 0.3 * half),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
    ):
        given = (points, torch.tensor([weights]).unsqueeze(-1), labels, torch.tensor([shares]))
        assert point(features, *given).item() == pytest.approx(expected, rel=1e-5)
    equal = point(features, points, torch.ones(1, 2, 1), labels, torch.tensor([[0.5, 0.5]]))
    torch.testing.assert_close(equal, point(features, points, torch.ones(1, 2, 1), labels))


@pytest.mark.parametrize("form", ["hinge", "kl"])
def test_attention_counts_by_shares_in_maps_of_classes_and_in_one_map(form):
    loss = AttentionLoss(form, radius=0.2)
    attention = torch.rand(1, 2, 1, 4, 4, generator=torch.Generator().manual_seed(0)).softmax(-1) / 4
    points, weights = torch.tensor([[[[0.1, 0.1]], [[0.9, 0.9]]]]), torch.ones(1, 2, 1)
    shares = torch.tensor([[0.7, 0.3]])
    alone = [loss(attention[:, [c]], points[:, [c]], weights[:, [c]]) for c in (0, 1)]
    torch.testing.assert_close(loss(attention, points, weights, shares), 0.7 * alone[0] + 0.3 * alone[1])
    # One map for all: the targets are one, mixed by the shares.
    merged = (points.flatten(1, 2).unsqueeze(1), torch.tensor([[[0.7, 0.3]]]))
    one_map = attention[:, :1]
    torch.testing.assert_close(loss(one_map, points, weights, shares), loss(one_map, *merged))
    # The other image without a byproduct takes away its share of the term.
    single = torch.tensor([[[1.0], [0.0]]])
    torch.testing.assert_close(loss(one_map, points, single, shares), 0.7 * alone[0])


def uniform_maps(*shape):
    return torch.full(shape, 1 / (shape[-2] * shape[-1]))


POINTS, WEIGHTS = torch.full((2, 1, 3, 2), 0.5), torch.full((2, 1, 3), 1 / 3)


@pytest.mark.parametrize(
    ("attention", "points", "weights", "message"),
    [
        (uniform_maps(2, 1, 4, 4), POINTS, WEIGHTS, r"\[2, 1, 4, 4\]; needed is \[B, C, L, h, w\]"),
        (uniform_maps(2, 2, 1, 4, 4), POINTS, WEIGHTS, "maps of 2 classes, but the targets are of 1"),
        (uniform_maps(4, 1, 1, 4, 4), POINTS, WEIGHTS, "points for 2 images, but the batch has 4"),
        (uniform_maps(2, 1, 1, 4, 4), POINTS[..., 0], WEIGHTS, r"needed are \[B, C, P, 2\]"),
        (uniform_maps(2, 1, 1, 4, 4) * 3, POINTS, WEIGHTS, "the sums go from 3 to 3. Take a softmax"),
        (torch.randn(2, 1, 1, 4, 4), POINTS, WEIGHTS, "must be a distribution"),
        (uniform_maps(2, 1, 1, 4, 4) * float("nan"), POINTS, WEIGHTS, "must be a distribution"),
        (uniform_maps(2, 1, 1, 4, 4), POINTS, WEIGHTS * 2, "weights of points .* sums go from 2 to 2"),
        (uniform_maps(2, 1, 1, 4, 4), POINTS, torch.tensor([[[2, -1, 0]]] * 2), "the smallest is -1"),
    ],
)
def test_maps_and_points_of_a_stranger_are_checked(attention, points, weights, message):
    with pytest.raises(ValueError, match=message):
        AttentionLoss()(attention, points, weights)


@pytest.mark.parametrize(
    ("features", "weights", "labels", "message"),
    [
        (torch.zeros(2, 5), WEIGHTS, torch.zeros(2, 1), r"features are \[2, 5\]; needed is \[B, 4\]"),
        (torch.zeros(2, 4), WEIGHTS[..., :2], torch.zeros(2, 1), r"needed are \[B, C, P, 2\]"),
        (torch.zeros(2, 4), WEIGHTS, torch.zeros(2), r"labels are \[2\]; needed is \[2, 1\]"),
        (torch.zeros(2, 4), WEIGHTS * 3, torch.zeros(2, 1), "sums go from 3 to 3"),
    ],
)
def test_what_the_point_loss_is_given_is_checked(features, weights, labels, message):
    with pytest.raises(ValueError, match=message):
        PointLoss(4)(features, POINTS, weights, labels)


def test_values_are_looked_at_once():
    """It waits for the GPU, which each step must not."""
    loss = AttentionLoss()
    loss(uniform_maps(2, 1, 1, 4, 4), POINTS, WEIGHTS)
    loss(uniform_maps(2, 1, 1, 4, 4) * 3, POINTS, WEIGHTS)
    with pytest.raises(ValueError, match="needed is"):
        loss(uniform_maps(2, 1, 4, 4), POINTS, WEIGHTS)
