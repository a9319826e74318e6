"""Points to maps on a grid."""

import pytest
import torch

from luab_attention.density import density, nearness

POINT = torch.tensor([[0.55, 0.3]])
ONE = torch.ones(1)


def centers(h: int, w: int) -> list[tuple[float, float]]:
    return [((j + 0.5) / w, (i + 0.5) / h) for i in range(h) for j in range(w)]


def test_density_is_the_gaussian_mixture():
    points = torch.tensor([[0.2, 0.3], [0.8, 0.6], [0.1, 0.9]])
    weights = torch.tensor([0.7, 0.3, 0.0])
    expected = torch.tensor(
        [
            0.7 * torch.e ** (-((x - 0.2) ** 2 + (y - 0.3) ** 2) / (2 * 0.15**2))
            + 0.3 * torch.e ** (-((x - 0.8) ** 2 + (y - 0.6) ** 2) / (2 * 0.15**2))
            for x, y in centers(5, 8)
        ]
    ).view(5, 8)
    torch.testing.assert_close(density(points, weights, (5, 8), 0.15), expected / expected.sum())


def test_density_takes_any_leading_shape_and_each_map_sums_to_1_or_0():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(2, 3, 4, 2, generator=generator)
    weights = torch.rand(2, 3, 4, generator=generator)
    weights[1, 2] = 0
    maps = density(points, weights, (7, 7), 0.1)
    assert maps.shape == (2, 3, 7, 7)
    expected = torch.ones(2, 3)
    expected[1, 2] = 0
    torch.testing.assert_close(maps.sum((-2, -1)), expected)


def test_density_of_a_point_far_beyond_the_crop_stays_finite():
    far = torch.tensor([[9.0, 0.5]])
    alone = density(far, ONE, (5, 5), 0.05)
    torch.testing.assert_close(alone.sum(), torch.tensor(1.0))
    assert alone.argmax().item() == 2 * 5 + 4  # the row of y = 0.5, the last column
    beside = density(torch.cat([far, POINT]), torch.tensor([0.5, 0.5]), (5, 5), 0.05)
    torch.testing.assert_close(beside, density(POINT, ONE, (5, 5), 0.05))


def test_points_that_do_not_count_change_nothing():
    padded = torch.tensor([[0.55, 0.3], [-1, -1], [0.9, 0.9]])
    weights = torch.tensor([1.0, 0, 0])
    torch.testing.assert_close(density(padded, weights, (4, 6), 0.2), density(POINT, ONE, (4, 6), 0.2))
    torch.testing.assert_close(nearness(padded, weights, (4, 6), 0.3), nearness(POINT, ONE, (4, 6), 0.3))


def test_nearness_is_a_disc_with_a_soft_edge():
    near = nearness(POINT, ONE, (20, 30), radius=0.3, edge=0.1)
    for value, (x, y) in zip(near.flatten().tolist(), centers(20, 30), strict=True):
        distance = ((x - 0.55) ** 2 + (y - 0.3) ** 2) ** 0.5
        if distance < 0.25:
            assert value == pytest.approx(1, abs=1e-5)
        elif distance > 0.35:
            assert value == pytest.approx(0, abs=1e-5)
        else:
            assert value == pytest.approx((0.35 - distance) / 0.1, abs=1e-4)


def test_nearness_of_several_points_is_the_union_of_their_discs_by_weight():
    points = torch.tensor([[0.1, 0.1], [0.9, 0.9]])
    near = nearness(points, torch.tensor([0.75, 0.25]), (10, 10), radius=0.2)
    assert near[1, 1] == 1
    assert near[8, 8].item() == pytest.approx(1 / 3)
    assert near[1, 8] == 0


def test_nearness_is_0_without_a_point_and_gradients_stay_finite():
    weights = torch.zeros(2, 3)
    assert nearness(torch.full((2, 3, 2), -1.0), weights, (4, 4), 0.3).abs().sum() == 0
    points = torch.full((2, 3, 2), 0.5, requires_grad=True)
    (density(points, weights, (4, 4), 0.1).sum() + nearness(points, weights, (4, 4), 0.3).sum()).backward()
    assert torch.isfinite(points.grad).all()
