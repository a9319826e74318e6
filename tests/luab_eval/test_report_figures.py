"""From results to the report's table: intervals, differences, training runs, and results that do not fit."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from fixtures.evaluated import evaluated, right_on, scored

from luab_eval.arrays import read_arrays, write_arrays
from luab_eval.benchmarks import find_benchmark
from luab_eval.benchmarks.backgrounds import RAND, SAME
from luab_eval.benchmarks.corruptions import CORRUPTIONS, SEVERITIES
from luab_eval.report.certainty import assess
from luab_eval.report.figures import figures
from luab_eval.report.runs import RunScores, read_runs, read_scores
from luab_eval.results import FILE, Shown
from luab_eval.statistics.bootstrap import holm


def of(benchmark: str, scores, groups=None, ids=None) -> RunScores:
    own = scored(benchmark, scores, groups, ids)
    return RunScores(own.per_image[None], own.ids, own.groups)


def estimated(benchmark: str, data: RunScores):
    """The interval of one model's figure."""
    found = find_benchmark(benchmark)
    value = np.array([found.statistic(data.scores[0], data.groups)])
    return assess(found, data, value, {"a": slice(0, 1)}, "a", resamples=300, seed=0)[0]["a"]


def test_figures_of_two_models(tmp_path):
    out = evaluated(
        tmp_path,
        {"plain": {"imagenet": right_on(400, range(200))}, "luab": {"imagenet": right_on(400, range(260))}},
    )
    (row,) = figures([out], resamples=4000).rows
    assert (row.benchmark, row.metric, row.images) == ("imagenet", "accuracy", 400)
    plain, luab, difference = row.estimates["plain"], row.estimates["luab"], row.differences["luab"]
    assert (plain.value, luab.value) == (0.5, 0.65)
    assert plain.high - plain.low == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 400), rel=0.06)
    # Paired: only the 60 images on which they differ make the difference vary.
    assert difference.estimate.value == pytest.approx(0.15)
    width = difference.estimate.high - difference.estimate.low
    assert width == pytest.approx(2 * 1.96 * math.sqrt(0.15 * 0.85 / 400), rel=0.06)
    assert row.verdict("luab") == "better" and row.verdict("plain") == ""


def test_models_that_answer_alike_do_not_differ(tmp_path):
    scores = np.random.default_rng(0).random(100)
    same = {"imagenet_o": scored("imagenet_o", scores, ["out"] * 50 + ["in"] * 50)}
    same["imagenet"] = scored("imagenet", scores)
    table = figures([evaluated(tmp_path, {"a": same, "b": same})], resamples=200)
    assert [row.differences["b"].p for row in table.rows] == [1.0, 1.0]
    assert [row.verdict("b") for row in table.rows] == ["", ""]


def test_lower_is_better_turns_the_verdict(tmp_path):
    groups = [SAME] * 300 + [RAND] * 300
    models = {}
    for name, right in (("plain", 100), ("luab", 280)):
        models[name] = {
            "backgrounds": scored("backgrounds", [1] * 300 + [1] * right + [0] * (300 - right), groups)
        }
    (row,) = figures([evaluated(tmp_path, models)], resamples=500).rows
    assert row.differences["luab"].estimate.value == pytest.approx(-0.6)
    assert row.verdict("luab") == "better"


def test_images_of_no_weight_are_not_counted(tmp_path):
    """The Backgrounds Challenge has eight variants, and the gap is of two."""
    groups = [SAME] * 30 + [RAND] * 30 + ["only_fg"] * 60
    scores = {"plain": [1] * 60 + [0] * 60, "luab": [1] * 55 + [0] * 5 + [1] * 60}
    models = {name: {"backgrounds": scored("backgrounds", own, groups)} for name, own in scores.items()}
    (row,) = figures([evaluated(tmp_path, models)]).rows
    assert (row.images, row.differences["luab"].differing) == (60, 5)


def test_p_values_are_corrected_for_all_comparisons(tmp_path):
    base = {"imagenet": right_on(400, range(200)), "imagenet_a": scored("imagenet_a", [0, 1] * 100)}
    close = {"imagenet": right_on(400, range(190, 400)), "imagenet_a": scored("imagenet_a", [0, 1] * 100)}
    better = {"imagenet": right_on(400, range(209)), "imagenet_a": scored("imagenet_a", [1, 1, 0, 1] * 50)}
    table = figures([evaluated(tmp_path, {"base": base, "close": close, "better": better})], resamples=1000)
    assert table.comparisons == 4
    differences = [difference for row in table.rows for difference in row.differences.values()]
    assert [d.p_holm for d in differences] == pytest.approx(holm([d.p for d in differences]))
    assert any(d.p_holm > d.p for d in differences)


def test_training_runs_are_one_model_with_their_spread(tmp_path):
    runs = {"plain/seed-0": 485, "plain/seed-1": 515, "luab-seed0": 610, "luab-seed1": 600, "luab-seed2": 605}
    models = {name: {"imagenet": right_on(1000, range(right))} for name, right in runs.items()}
    table = figures([evaluated(tmp_path, models)], resamples=20_000)
    assert [(model.name, len(model.runs)) for model in table.models] == [("plain", 2), ("luab", 3)]
    assert table.models[1].seeds == (2, 3, 4)
    plain, luab = (table.rows[0].estimates[name] for name in ("plain", "luab"))
    assert (plain.value, plain.seeds) == (pytest.approx(0.5), 2)
    # Student's t with one degree of freedom: 12.7 standard errors of 0.015.
    assert plain.high - plain.value > 12 * 0.015
    assert luab.high - luab.low < 0.1
    assert "plain: 2, luab: 3" in " ".join(table.notes())


def test_one_run_keeps_its_name_and_the_report_says_what_it_lacks(tmp_path):
    models = {name: {"imagenet": right_on(50, range(20))} for name in ("plain-seed0", "luab-seed0")}
    table = figures([evaluated(tmp_path, models)], resamples=100)
    assert [model.name for model in table.models] == ["plain-seed0", "luab-seed0"]
    assert "One training run of plain-seed0, luab-seed0" in " ".join(table.notes())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["plain", "plain-seed1"], [("plain", 1), ("plain-seed1", 1)]),
        (["plain", "plain-seed1", "plain-seed2"], [("plain", 1), ("plain-seed*", 2)]),
        (["seed0/plain", "seed1/plain"], [("plain", 2)]),
        (["plain/seed0", "luab/seed1"], [("plain/seed0", 1), ("luab/seed1", 1)]),
    ],
)
def test_only_names_with_a_seed_are_runs_of_one_model(tmp_path, names, expected):
    models = {name: {"imagenet": right_on(50, range(20))} for name in names}
    table = figures([evaluated(tmp_path, models)], resamples=100)
    assert [(model.name, len(model.runs)) for model in table.models] == expected


def test_seeds_alone_make_a_model(tmp_path):
    models = {f"seed{n}": {"imagenet": right_on(50, range(20))} for n in range(3)}
    (model,) = figures([evaluated(tmp_path, models)], resamples=100).models
    assert len(model.runs) == 3


def test_copies_of_an_image_are_not_independent_images():
    # 40 images, each right or wrong under all 75 corruptions: mCE varies as the accuracy of 40 images.
    wrong = np.arange(40) < 10
    groups = [f"{kind}/{severity}" for kind in CORRUPTIONS for severity in SEVERITIES]
    ids = [f"{group}/{n}".encode() for group in groups for n in range(40)]
    benchmark = find_benchmark("imagenet_c")
    data = of("imagenet_c", np.tile(wrong, 75), np.repeat(groups, 40), ids)
    found = estimated("imagenet_c", data)
    # Wilson's interval of 10 of 40, in units of the error rate's mCE.
    scale = benchmark.statistic(np.ones(40 * 75), data.groups)
    assert found.value == pytest.approx(scale / 4)
    assert (found.low, found.high) == (
        pytest.approx(0.1419 * scale, rel=1e-3),
        pytest.approx(0.4019 * scale, rel=1e-3),
    )


def test_images_of_one_name_in_several_class_folders_are_no_copies():
    folders = [f"folder {n}" for n in range(100)]
    data = of("objectnet", [1] * 50 + [0] * 50, folders, [f"{name}/a.png".encode() for name in folders])
    found = estimated("objectnet", data)
    assert (found.low, found.high) == (pytest.approx(0.4038, abs=1e-4), pytest.approx(0.5962, abs=1e-4))


def test_groups_with_images_of_their_own_are_parts_of_their_own():
    groups = [SAME] * 200 + [RAND] * 100
    ids = [f"{group}/{n}".encode() for n, group in enumerate(groups)]
    data = of("backgrounds", [1] * 160 + [0] * 40 + [1] * 50 + [0] * 50, groups, ids)
    found = estimated("backgrounds", data)
    # Newcombe's (1998, method 10) of 160/200 and 50/100, whose Wilson intervals are the two pairs.
    assert found.low == pytest.approx(0.3 - math.hypot(0.8 - 0.7391, 0.5962 - 0.5), abs=2e-4)
    assert found.high == pytest.approx(0.3 + math.hypot(0.8496 - 0.8, 0.5 - 0.4038), abs=2e-4)


def test_area_under_a_curve_is_computed_anew_for_each_resample():
    rng = np.random.default_rng(0)
    groups = ["out"] * 60 + ["in"] * 240
    data = of("imagenet_o", np.concatenate([rng.normal(1, 1, 60), rng.normal(0, 1, 240)]), groups)
    benchmark = find_benchmark("imagenet_o")
    found = estimated("imagenet_o", data)
    assert found.low < benchmark.statistic(data.scores[0], data.groups) < found.high
    assert 0.02 < found.high - found.low < 0.4
    # All images told apart, in each resample too: that is what 5 images can show, and no certainty.
    few = estimated("imagenet_o", of("imagenet_o", [2.0] * 5 + [1.0] * 5, ["out"] * 5 + ["in"] * 5))
    assert (few.value, few.high) == (1, 1) and few.low == pytest.approx(0.5493, abs=1e-4)


def test_images_in_another_order_are_matched(tmp_path):
    scores = right_on(300, range(100), range(250, 300))
    order = np.random.default_rng(0).permutation(300)
    shuffled = scored("imagenet", scores.per_image[order], ids=scores.ids[order])
    a = evaluated(tmp_path / "a", {"a": {"imagenet": scores}})
    b = evaluated(tmp_path / "b", {"b": {"imagenet": shuffled}})
    (row,) = figures([a, b], resamples=200).rows
    difference = row.differences["b"]
    assert (difference.estimate.value, difference.differing, difference.p) == (0, 0, 1)


def with_columns(folder: Path, **columns) -> Path:
    """Results with these columns in each `per_image` file; None: without it, as in earlier versions."""
    for file in (folder / "per_image").rglob("*.npz"):
        arrays = read_arrays(file) | {name: np.array(one) for name, one in columns.items() if one is not None}
        write_arrays(file, {name: one for name, one in arrays.items() if columns.get(name, one) is not None})
    return folder


def test_pixels_of_several_rows_are_told_apart_by_names_where_truths_are_missing(tmp_path):
    """Two rows of the same pixels, and files that were renamed and reordered."""

    def stored(name, scores, ids, **columns):
        own = {name: {"imagenet": scored("imagenet", scores, ids=ids)}}
        return with_columns(evaluated(tmp_path / name, own), **columns)

    new_names = [b"z", b"y/cat", b"y/dog"]
    old = stored("old", [1, 0, 0.5], [b"x/cat", b"x/dog", b"w"], pixels=[7, 7, 9])
    new = stored("new", [0.5, 1, 0], new_names, pixels=[9, 7, 7], truths=[3, 50, -50])
    # Names that changed do not tell which is which.
    with pytest.raises(ValueError, match=r"old and new: several .* results of old are .* again .*/old"):
        read_scores(read_runs([old, new]), "imagenet")
    # With one score for both rows no order matters.
    even = stored("even", [0.5, 1, 1], new_names, pixels=[9, 7, 7], truths=[3, 50, -50])
    assert read_scores(read_runs([old, even]), "imagenet").scores.tolist() == [[1, 0, 0.5], [1, 1, 0.5]]
    # The same names, reordered; and other names with truths.
    with_columns(new, ids=[b"w", b"x/cat", b"x/dog"])
    assert read_scores(read_runs([old, new]), "imagenet").scores.tolist() == [[1, 0, 0.5]] * 2
    with_columns(new, ids=new_names)
    with_columns(old, truths=[50, -50, 3])
    assert read_scores(read_runs([old, new]), "imagenet").scores.tolist() == [[1, 0, 0.5]] * 2


def test_an_earlier_version_that_counted_images_otherwise_is_named(tmp_path):
    """An image of two classes was two; the data are the same."""

    def stored(folder, name, scores, **columns):
        ids = [f"{n}".encode() for n in range(len(scores))]
        own = {name: {"imagenet": scored("imagenet", scores, ids=ids)}}
        return with_columns(evaluated(tmp_path / folder, own), **columns)

    old = stored("old", "a", [1, 0, 1], pixels=[5, 5, 6], truths=None)
    new = stored("new", "b", [0.5, 1], pixels=[5, 6], truths=[1, 2])
    for both in ([old, new], [new, old]):
        with pytest.raises(ValueError, match=r"results of a in \S*old are of an earlier .* again .* \S*old$"):
            figures(both)
    again = stored("again", "a", [0.5, 1], pixels=[5, 6], truths=[1, 2])
    for both in ([old, again], [again, old]):
        with pytest.raises(
            ValueError, match=r"results of a in \S*old are of .*: leave out \S*old: the other"
        ):
            figures(both)
    other = stored("other", "b", [1, 0, 1], pixels=[5, 6, 7], truths=[1, 2, 3])
    with pytest.raises(
        ValueError, match=r"^imagenet: a and b were evaluated on different .* on the same data$"
    ):
        figures([again, other])


def test_other_images_cannot_be_compared(tmp_path):
    a = evaluated(tmp_path / "a", {"a": {"imagenet": right_on(300, range(100))}})
    b = evaluated(tmp_path / "b", {"b": {"imagenet": right_on(299, range(100))}})
    with pytest.raises(
        ValueError, match=r"a and b were evaluated on different images \(300 and 299, 299 of them"
    ):
        figures([a, b])


def test_a_benchmark_that_one_model_lacks(tmp_path):
    full = {"imagenet": right_on(50, range(20)), "imagenet_r": scored("imagenet_r", [1, 0])}
    table = figures([evaluated(tmp_path, {"a": {"imagenet": full["imagenet"]}, "b": full})], resamples=100)
    assert [sorted(row.estimates) for row in table.rows] == [["a", "b"], ["b"]]
    assert table.comparisons == 1


def test_checkpoints_of_one_name_are_told_apart_by_their_folders(tmp_path):
    a = evaluated(tmp_path / "plain", {"best": {"imagenet": right_on(50, range(20))}}, prints="1")
    b = evaluated(tmp_path / "luab", {"best": {"imagenet": right_on(50, range(30))}}, prints="2")
    table = figures([a, b], resamples=100)
    assert [model.name for model in table.models] == ["plain: best", "luab: best"]


def test_folders_of_one_name_are_told_apart_by_more_of_their_paths(tmp_path):
    folders = [
        evaluated(tmp_path / folder, {"final": {"imagenet": right_on(50, range(right))}}, prints=folder)
        for folder, right in (("other/results", 10), ("plain/evaluate", 20), ("luab/evaluate", 30))
    ]
    table = figures(folders, resamples=100)
    names = ["other/results: final", "plain/evaluate: final", "luab/evaluate: final"]
    assert [model.name for model in table.models] == names
    assert [table.rows[0].estimates[name].value for name in names] == [0.2, 0.4, 0.6]
    seeds = [
        evaluated(tmp_path / folder / "out", {"final": {"imagenet": right_on(50, range(20))}}, prints=folder)
        for folder in ("a/seed0", "a/seed1", "b/seed0", "b/seed1")
    ]
    table = figures(seeds, resamples=100)
    assert [(model.name, len(model.runs)) for model in table.models] == [
        ("a/out: final", 2),
        ("b/out: final", 2),
    ]


def test_a_checkpoint_of_several_folders_has_the_name_of_the_first(tmp_path):
    """Two models, each with two results: neither is four, nor do the last results count for both."""
    one, two = {"imagenet": right_on(50, range(20))}, {"imagenet_r": scored("imagenet_r", [1, 0])}
    folders = [
        evaluated(tmp_path / folder / name, {"final": own}, prints=folder)
        for folder in ("plain", "luab")
        for name, own in (("evaluate", one), ("more", two))
    ]
    table = figures(folders, resamples=100)
    assert [model.name for model in table.models] == ["plain/evaluate: final", "luab/evaluate: final"]
    assert [len(row.estimates) for row in table.rows] == [2, 2]


def test_names_that_stand_for_several_checkpoints_are_refused(tmp_path):
    own = {"imagenet": right_on(50, range(20))}
    a = evaluated(tmp_path / "a", {"best": own}, prints="1")
    b = evaluated(tmp_path / "b", {"best": own, "a: best": own}, prints="2")
    with pytest.raises(ValueError, match=r"\S*a and \S*b have results of other weights.* called 'a: best'"):
        figures([a, b])
    old = evaluated(tmp_path / "old", {"best": own}, prints="3")
    (a / "old.json").write_text((old / FILE).read_text())
    with pytest.raises(ValueError, match="have results of other weights, and both are called 'a: best'"):
        figures([a, a / "old.json"])


def test_one_checkpoint_in_two_results_is_one_run(tmp_path):
    a = evaluated(tmp_path / "a", {"best": {"imagenet": right_on(50, range(20))}})
    b = evaluated(tmp_path / "b", {"best": {"imagenet_r": scored("imagenet_r", [1, 0])}})
    table = figures([a, b / "results.json"], resamples=100)
    assert [(model.name, model.runs) for model in table.models] == [("best", ("best",))]
    assert len(table.rows) == 2


def test_results_that_nothing_is_compared_with_are_not_announced_for_it(tmp_path):
    """`luab compare` compares with the first model, on benchmarks that both have."""
    own = {"imagenet": right_on(50, range(20)), "imagenet_r": scored("imagenet_r", [1, 0])}
    shown = Shown(("a",), ("imagenet",), {})
    apart = {"a": {"imagenet": own["imagenet"]}, "b": {"imagenet_r": own["imagenet_r"]}}
    for number, (models, says) in enumerate(
        [
            ({"a": own}, "a (imagenet_r)."),
            (apart, "b (imagenet_r)."),
            (
                {"a": own, "b": own},
                "a (imagenet_r), b (imagenet, imagenet_r); luab compare compares all of its models.",
            ),
        ]
    ):
        folder = evaluated(tmp_path / str(number), models)
        assert f"results.json also has {says}" in figures([folder], shown=shown).notes()


def test_what_was_skipped_and_what_is_partial_is_said(tmp_path):
    out = evaluated(tmp_path, {"a": {"imagenet": right_on(50, range(20))}})
    content = json.loads((out / "results.json").read_text())
    content["skipped"] = {"imagenet_c": "not in /data"}
    (out / "results.json").write_text(json.dumps(content))
    table = figures([out], resamples=100)
    assert "Not as many images as are published: ImageNet 50 of 50,000." in table.notes()
    assert table.not_run() == ["Not run:", "  imagenet_c: not in /data"]


def entry(out: Path) -> tuple[dict, dict]:
    content = json.loads((out / "results.json").read_text())
    return content, content["benchmarks"]["imagenet"]["models"]["a"]


def test_scores_outside_the_results_folder_are_not_read(tmp_path):
    out = evaluated(tmp_path / "out", {"a": {"imagenet": right_on(50, range(20))}})
    content, own = entry(out)
    (out / own["per_image"]).rename(tmp_path / "secret.npz")
    own["per_image"] = "../secret.npz"
    (out / "results.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="outside its folder"):
        figures([out])


@pytest.mark.parametrize("older", [False, True], ids=["written now", "written before labels were"])
def test_rows_are_called_by_title_and_label(older, tmp_path):
    titles = {
        "imagenet": "ImageNet",
        "folder:val=elsewhere/val": "Image folder (val)",
        "occlusion:0.3": "Center occlusion (0.3)",
        "occlusion:own=elsewhere@0.3": "Center occlusion (own@0.3)",
    }
    out = evaluated(tmp_path, {"a": {key: right_on(10, range(5)) for key in titles}})
    content = json.loads((out / FILE).read_text())
    if older:
        for entry in content["benchmarks"].values():
            del entry["label"]
        (out / FILE).write_text(json.dumps(content))
    assert [row.title for row in figures([out], resamples=100).rows] == list(titles.values())


def test_scores_of_another_evaluation_are_noticed(tmp_path):
    out = evaluated(tmp_path, {"a": {"imagenet": right_on(50, range(20))}})
    content, own = entry(out)
    own["metrics"]["accuracy"] = 0.9
    (out / "results.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"is 0\.900000 in the results, but its images give 0\.400000"):
        figures([out])


def test_missing_and_pickled_scores_are_refused(tmp_path):
    out = evaluated(tmp_path, {"a": {"imagenet": right_on(50, range(20))}})
    file = out / entry(out)[1]["per_image"]
    np.savez(file, ids=np.array([{}], dtype=object), groups=np.array([""]), score=np.array([1.0]))
    with pytest.raises(ValueError, match="no scores of each image can be read"):
        figures([out])
    file.unlink()
    with pytest.raises(ValueError, match="copy the whole folder"):
        figures([out])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": [{}], "benchmarks": {}}', '{"models": 3}'])
def test_other_files_are_no_results(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ValueError, match=r"results\.json: no results of luab evaluate"):
        figures([tmp_path])


def test_results_without_a_judged_model(tmp_path):
    (tmp_path / "results.json").write_text('{"models": [], "benchmarks": {}}')
    with pytest.raises(ValueError, match="no model was evaluated"):
        figures([tmp_path])


def test_further_metrics_are_means_over_training_runs(tmp_path):
    models = {}
    for name, right in (("a-seed0", 3), ("a-seed1", 1), ("b", 4)):
        scores = right_on(4, range(right))
        scores.metrics["top5_accuracy"] = right / 4
        models[name] = {"imagenet": scores}
    del models["b"]["imagenet"].metrics["top5_accuracy"]
    one, two = (dict(list(models.items())[:count]) for count in (2, 3))
    (row,) = figures([evaluated(tmp_path / "one", one)], resamples=200).rows
    assert row.further == {"top5_accuracy": {"a": 0.5}}
    (row,) = figures([evaluated(tmp_path / "two", two)], resamples=200).rows
    assert row.further == {}  # one of the runs has it not


def test_no_interval_reaches_beyond_what_the_metric_can_be(tmp_path):
    # Two runs, 90% and 100%: Student's t for one degree of freedom reaches far.
    models = {
        f"a-seed{seed}": {"imagenet": right_on(100, range(right))} for seed, right in ((0, 90), (1, 100))
    }
    (row,) = figures([evaluated(tmp_path, models)], resamples=500).rows
    assert row.estimates["a"].high == 1 and row.estimates["a"].low < 0.8
