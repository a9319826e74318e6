"""Densities of people's attention, and what maps are compared with: values worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from luab_attention.area_maps import Picture
from luab_attention.blur import PEOPLE, fixation_sigma
from luab_eval.alignment.people import GRID, Viewing, gaussians, people_of
from luab_eval.alignment.scores import Alignment, on_grid
from luab_eval.metrics.map_similarity.map_similarity import kl
from luab_vision.geometry import WHOLE_IMAGE

FINE = (1e-4, 1e-4)
NOWHERE = np.zeros((0, 2))


def viewing(*xy, annotator=None, shares=None, weight=1.0, sigma=FINE):
    shares = np.ones(len(xy)) if shares is None else np.array(shares)
    return Viewing(annotator, np.array(xy, np.float64), shares, weight=weight, sigma=sigma)


def looked_at(*annotators):
    """An image of which annotator n looked at `annotators[n]`."""
    return people_of(
        [viewing(*xy, annotator=str(number), sigma=(0.05, 0.05)) for number, xy in enumerate(annotators)]
    )


def mass(density, x0, y0, x1, y1):
    """Of a part of the image, whose borders are borders of cells."""
    x0, y0, x1, y1 = (round(edge * GRID) for edge in (x0, y0, x1, y1))
    return density[y0:y1, x0:x1].sum()


def test_each_annotator_counts_the_same():
    here, there = (0.2, 0.2), (0.8, 0.8)
    people = people_of([viewing(here, annotator="a"), viewing(*[there] * 99, annotator="b")])
    assert mass(people.map, 0, 0, 0.5, 0.5) == pytest.approx(0.5)
    assert mass(people.map, 0.5, 0.5, 1, 1) == pytest.approx(0.5)
    assert people.count == 2
    assert len(people.fixations) == 100
    # Two viewings of one annotator share his half by their weight.
    mine = [viewing(here, annotator="a"), viewing(there, annotator="a", weight=3.0)]
    people = people_of([*mine, viewing(there, annotator="b")])
    assert mass(people.map, 0, 0, 0.5, 0.5) == pytest.approx(0.125)
    assert people.count == 2


def test_people_have_a_fingerprint():
    both = [viewing((0.2, 0.2), annotator="a"), viewing((0.8, 0.8), (0.5, 0.5), annotator="b")]

    def people(viewings, sigma=(0.05, 0.05)):
        return people_of([each._replace(sigma=sigma) for each in viewings])

    own = people(both)
    assert own.fingerprint == people(both).fingerprint
    # Another machine may add in another order.
    assert own.fingerprint == replace(own, maps=own.maps * (1 + 1e-15)).fingerprint
    moved = [both[0], viewing((0.8, 0.801), (0.5, 0.5), annotator="b")]
    weighed = [both[0], viewing((0.8, 0.8), (0.5, 0.5), annotator="b", shares=[1.0, 2.0])]
    of_one = [each._replace(annotator="a") for each in both]
    unknown = [each._replace(annotator=None) for each in both]
    others = [people(each) for each in (moved, weighed, of_one, unknown)]
    others += [people(both, (0.05, 0.051)), people(both, (0.051, 0.05))]
    assert len({each.fingerprint for each in (own, *others)}) == 7


def test_a_fingerprint_does_not_depend_on_order():
    """Of annotators, of their fixations, and of the sum of a map's cells."""
    rng = np.random.default_rng(0)
    places = [[(0.8, 0.8), (0.5, 0.5)], [(0.2, 0.2)], [(0.2, 0.2), (0.2, 0.4)]]
    several = [viewing(*xy, annotator=name, sigma=FINE) for xy, name in zip(places, "abc", strict=True)]
    for told in (several, [each._replace(annotator=None) for each in several]):
        back = [each._replace(xy=each.xy[::-1]) for each in told[::-1]]
        assert people_of(told).fingerprint == people_of(back).fingerprint
    for _ in range(100):
        area = rng.random((GRID, GRID)).astype(np.float32) ** 4
        # `ndarray.sum` adds the cells of a transposed array in another order.
        found, other = (
            people_of([Viewing("a", NOWHERE, np.zeros(0), each)]) for each in (area, area.copy("F"))
        )
        assert found.maps.dtype == np.float64
        assert found.fingerprint == other.fingerprint


def test_viewings_without_an_annotator_are_not_told_apart():
    people = people_of([viewing((0.2, 0.2)), viewing((0.8, 0.8), (0.8, 0.8))])
    assert people.count == 1
    assert mass(people.map, 0, 0, 0.5, 0.5) == pytest.approx(0.5)


def test_samples_weigh_by_their_share():
    density = gaussians(np.array([[0.2, 0.2], [0.8, 0.2]]), np.array([0.8, 0.2]), FINE)
    assert mass(density, 0, 0, 0.5, 1) == pytest.approx(0.8)


def test_gaussians_are_averaged_over_cells():
    # 0.6827 of a Gaussian is within a deviation: 7 cells of 56 on each side are 0.125.
    across = gaussians(np.array([[0.5, 0.5]]), np.ones(1), (0.125, 0.01))
    assert mass(across, 0.375, 0, 0.625, 1) == pytest.approx(0.682689 / 0.999937, abs=1e-5)
    assert mass(across, 0, 0.375, 1, 0.625) == pytest.approx(1)
    # Finer than a cell, everything is in the cell of the fixation, wherever in it.
    for place in (0.501, 0.509, 0.517):
        fine = gaussians(np.array([[place, place]]), np.ones(1), FINE)
        assert fine[28, 28] == pytest.approx(1)
    # The mass outside the image is cut off, and the rest sums to 1.
    assert gaussians(np.array([[0.0, 1.0]]), np.ones(1), (0.2, 0.2)).sum() == pytest.approx(1)


def test_sigma_is_isotropic_in_pixels():
    def sigma_of(source, width, height, given=None):
        return fixation_sigma(source, (width, height), given, PEOPLE)

    assert sigma_of(None, 640, 480) == pytest.approx((0.03, 0.04))
    assert sigma_of({"sigma": 0.1, "pixels_per_degree": 32.0}, 640, 480) == pytest.approx((0.1, 0.1 * 4 / 3))
    assert sigma_of({"sigma": None, "pixels_per_degree": 32.0}, 640, 480) == pytest.approx((0.05, 32 / 480))
    assert sigma_of({"sigma": 0.1}, 640, 480, given=0.2) == pytest.approx((0.2, 0.2 * 4 / 3))


def test_a_models_map_becomes_a_density_on_the_grid():
    flat = on_grid(np.full((1, 7, 7), 1 / 49))
    assert flat == pytest.approx(1 / GRID**2)
    one = np.zeros((1, 14, 14))
    one[0, 3, 10] = 1
    (found,) = on_grid(one)
    assert found.sum() == pytest.approx(1)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert (row // 4, column // 4) == (3, 10)
    assert on_grid(np.zeros((1, 7, 7))) == pytest.approx(1 / GRID**2)
    fine = np.random.default_rng(0).random((1, 2 * GRID, 2 * GRID))  # nothing of a finer grid is lost
    assert on_grid(fine)[0].reshape(4, -1).sum(axis=1) == pytest.approx(
        fine[0].reshape(4, -1).sum(axis=1) / fine.sum(), abs=5e-3
    )


@pytest.mark.parametrize("side", [4, 37, 64, 96])
def test_a_constant_map_stays_one_on_the_grid(side):
    flat = on_grid(np.full((2, side, side), np.float32(1 / side**2)))
    assert np.ptp(flat) == 0
    alignment = Alignment([looked_at([at]) for at in PLACES[:2]], range(2))
    found = alignment.of_model(np.full((2, side, side), np.float32(1 / side**2)))
    assert {metric: found[metric]["model"].tolist() for metric in ("nss", "spearman", "cc", "auc_judd")} == {
        "nss": [0, 0], "spearman": [0, 0], "cc": [0, 0], "auc_judd": [0.5, 0.5],
    }  # fmt: skip
    # 255 everywhere, of any size, is the same everywhere for people too.
    borders = np.arange(side + 1) / side
    picture = Picture(np.full((side, side), 255), borders, borders).averages(WHOLE_IMAGE, (GRID, GRID))
    assert np.ptp(people_of([Viewing("a", NOWHERE, np.zeros(0), picture)]).map) == 0


def map_at(x, y):
    """A map [14, 14] of somebody who looks at x, y."""
    column, row = np.meshgrid((np.arange(14) + 0.5) / 14, (np.arange(14) + 0.5) / 14)
    spread = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * 0.1**2))
    return spread / spread.sum()


PLACES = [(0.2, 0.2), (0.8, 0.3), (0.3, 0.8), (0.7, 0.7)]


def test_a_model_that_looks_where_people_look():
    people = [looked_at([at], [at], [at]) for at in PLACES]
    alignment = Alignment(people, range(4))
    found = alignment.of_model(np.stack([map_at(*at) for at in PLACES]))
    for metric in ("spearman", "cc", "sim", "nss", "auc_judd", "shuffled_auc", "information_gain"):
        of = {who: values.mean() for who, values in found[metric].items()}
        assert of["model"] > of["center"]
        assert of["model"] > of["uniform"]
        assert of["model"] > of["other_image"]
        assert of["split_halves"] >= of["model"] or metric in ("auc_judd", "shuffled_auc")
    assert found["kl"]["model"].mean() < found["kl"]["center"].mean() < found["kl"]["other_image"].mean()
    assert found["nss"]["uniform"].tolist() == [0] * 4
    assert found["auc_judd"]["uniform"].tolist() == found["shuffled_auc"]["uniform"].tolist() == [0.5] * 4
    assert found["spearman"]["uniform"].tolist() == found["cc"]["uniform"].tolist() == [0] * 4
    assert found["information_gain"]["center"] == pytest.approx(np.zeros(4))
    assert found["cc"]["one_human"] == pytest.approx(np.ones(4))  # all look at the same place
    assert found["kl"]["split_halves"] == pytest.approx(np.zeros(4), abs=1e-9)


def test_the_center_bias_leaves_the_image_out():
    # Three images are looked at on the left, one on the right: its own center bias has nothing on the right.
    people = [
        looked_at([(0.1, 0.5)]),
        looked_at([(0.1, 0.5)]),
        looked_at([(0.1, 0.5)]),
        looked_at([(0.9, 0.5)]),
    ]
    alignment = Alignment(people, range(4))
    assert mass(alignment.reference(3, people[3]).center, 0.5, 0, 1, 1) < 0.02
    assert mass(alignment.reference(0, people[0]).center, 0.5, 0, 1, 1) == pytest.approx(1 / 3, abs=0.01)
    assert alignment.reference(0, people[0]).center.sum() == pytest.approx(1)
    # The shuffled AUC's negatives are the fixations of the other images.
    negatives = alignment.reference(3, people[3]).negatives
    assert negatives.sum() == 3
    assert negatives[28, round(0.1 * GRID - 0.5)] == 3
    right = np.zeros((4, 14, 14))
    right[:, :, 7:] = 1
    assert alignment.of_model(right)["shuffled_auc"]["model"] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1])


def test_one_picture_asked_for_two_classes_is_no_other_image():
    people = [looked_at([(0.1, 0.5)]), looked_at([(0.9, 0.5)]), looked_at([(0.5, 0.1)])]
    alignment = Alignment(people, [7, 7, 9])
    assert alignment.reference(0, people[0]).negatives.sum() == 1
    assert mass(alignment.reference(0, people[0]).center, 0, 0, 1, 0.5) > 0.9
    assert alignment.reference(2, people[2]).negatives.sum() == 2
    # Its classes are no further images for the blur of the center bias either.
    once = Alignment(people[1:], [7, 9]).reference(0, people[1]).center
    assert alignment.reference(0, people[0]).center == pytest.approx(once)
    with pytest.raises(ValueError, match="at least two images, and got 1"):
        Alignment(people, [7, 7, 7])


def test_an_image_of_several_classes_counts_once_in_what_others_are_compared_with():
    """In the center bias, and in the choice of its share; its fixations count for each class."""
    agreeing = looked_at([(0.1, 0.5)], [(0.1, 0.5)])
    others = [looked_at([(0.9, 0.5)], [(0.5, 0.9)]), looked_at([(0.9, 0.2)], [(0.7, 0.6)])]
    once = Alignment([agreeing, *others], range(3))
    several = Alignment([agreeing] * 20 + others, [0] * 20 + [1, 2])
    center = once.reference(1, others[0]).center
    assert mass(center, 0, 0, 0.5, 1) == pytest.approx(0.5, abs=0.05)
    assert several.reference(20, others[0]).center == pytest.approx(center)
    assert several.reference(0, agreeing).center == pytest.approx(once.reference(0, agreeing).center)
    assert several.reference(20, others[0]).negatives.sum() == 42
    once.baselines(), several.baselines()
    assert several.center_shares == once.center_shares
    assert once.center_shares["kl", "one_human"] > 0.01


def test_people_are_compared_only_where_they_are_told_apart():
    several = looked_at([(0.2, 0.2)], [(0.8, 0.8)])
    alignment = Alignment([several, people_of([viewing((0.5, 0.5))])], range(2))
    found = alignment.baselines()["nss"]
    assert np.isfinite(found["one_human"]).tolist() == [True, False]
    assert found["one_human"][0] < 0  # they look at different places
    assert found["split_halves"][0] == pytest.approx(found["one_human"][0])
    alone = Alignment([people_of([viewing((0.5, 0.5))])] * 2, range(2))
    assert set(alone.baselines()["nss"]) == {"uniform", "center"}


def test_people_predict_people_with_a_share_of_the_center():
    """Few narrow fixations miss the others': without the center bias, people are worse than a uniform map."""
    rng = np.random.default_rng(0)
    people = [
        people_of(
            [
                viewing(*rng.normal(place, 0.1, (10, 2)).clip(0, 1), annotator=str(who), sigma=(0.03, 0.03))
                for who in range(4)
            ]
        )
        for place in PLACES
    ]
    alignment = Alignment(people, range(4))
    found = alignment.baselines()
    for who in ("one_human", "split_halves"):
        for metric, sign in (("kl", -1), ("information_gain", 1)):
            of = {name: sign * values.mean() for name, values in found[metric].items()}
            assert of[who] > max(of["center"], of["uniform"])
        assert 0 < alignment.center_shares["kl", who] < 1
    # The figure of an image: two people, each against the other.
    two = [
        looked_at([(0.2, 0.2), (0.5, 0.5)], [(0.8, 0.8), (0.5, 0.5)]),
        looked_at([(0.5, 0.5)], [(0.4, 0.5)]),
    ]
    alignment = Alignment(two, range(2))
    value = alignment.baselines()["kl"]["one_human"][0]
    share = alignment.center_shares["kl", "one_human"]
    center, (one, other) = alignment.reference(0, two[0]).center, two[0].maps
    mixed = [(1 - share) * density + share * center for density in (one, other)]
    assert value == pytest.approx((kl(mixed[0], other) + kl(mixed[1], one)) / 2)
    # People who agree need no center bias.
    agreeing = Alignment([looked_at([at], [at]) for at in PLACES], range(4))
    assert agreeing.baselines()["kl"]["one_human"] == pytest.approx(np.zeros(4), abs=1e-9)
    assert set(agreeing.center_shares.values()) == {0}


def test_maps_without_fixations_have_no_metrics_of_fixations():
    area = np.zeros((GRID, GRID))
    area[:7] = 1
    people = [people_of([Viewing("a", NOWHERE, np.zeros(0), area)])] * 2
    assert set(Alignment(people, range(2)).baselines()) == {"spearman", "cc", "sim", "kl"}


def test_the_same_maps_give_the_same_figures():
    people = [looked_at(*[[tuple(at)] for at in np.random.default_rng(k).random((5, 2))]) for k in range(3)]
    maps = np.stack([map_at(*at) for at in PLACES[:3]])
    one, two = Alignment(people, range(3)).of_model(maps), Alignment(people, range(3)).of_model(maps)
    for metric, of in one.items():
        for who, values in of.items():
            assert values.tolist() == two[metric][who].tolist()
