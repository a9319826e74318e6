"""What a folder of results keeps: other models' results, one writer, whole files, and only real numbers."""

import json
import os
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from fixtures.evaluated import evaluated, right_on, scored
from fixtures.miniatures import PLAIN, QUIET, color_classifier, paint, save_checkpoint

from luab.cli import main
from luab_data.files.whole import HOLDER, LOCK
from luab_eval.arrays import read_arrays, write_arrays
from luab_eval.benchmarks import find_benchmark
from luab_eval.image_sets.class_maps import wnids
from luab_eval.models import SCHEME, Classifier
from luab_eval.report.figures import figures
from luab_eval.results import Results
from luab_eval.suite import run


def evaluate(*arguments: object) -> int:
    return main(["evaluate", *map(str, arguments), "--num-workers", "0", "--device", "cpu"])


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    save_checkpoint(folder / "straight")
    save_checkpoint(folder / "swapped", flip=True)
    return folder


@pytest.fixture
def images(tmp_path) -> Path:
    """Three images of different colors; red and blue of the last one differ."""
    for number, k in enumerate([101, 444, 123]):
        paint(tmp_path / "val" / wnids()[k] / f"{number}.png", k)
    return tmp_path / "val"


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def test_a_mistyped_model_leaves_the_results_as_they_are(checkpoints, images, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--benchmarks", f"folder:val={images}", "--output-dir", out, "--model"]
    assert evaluate(*arguments, checkpoints / "straight") == 0
    before = {
        path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.parent.name != ".luab"
    }
    assert evaluate(*arguments, checkpoints / "nosuch") == 1
    # Nor after a model that there is.
    assert evaluate(*arguments, checkpoints / "swapped", checkpoints / "nosuch") == 1
    assert "nosuch" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such file names")
def test_names_that_are_not_utf8_are_evaluated(checkpoints, images, tmp_path, capsys):
    folder = images / wnids()[444]
    (folder / "1.png").rename(folder / os.fsdecode(b"caf\xe9.png"))
    out = tmp_path / "out"
    both = [checkpoints / "straight", checkpoints / "swapped"]
    options = ["--benchmarks", f"folder:val={images}", "--output-dir", out, "--model", *both]
    assert evaluate(*options) == 0, capsys.readouterr().err
    assert evaluate(*options) == 0, capsys.readouterr().err
    (file,) = (out / "per_image").rglob("straight-*.npz")
    assert f"{wnids()[444]}/caf".encode() + b"\xe9.png" in read_arrays(file)["ids"].tolist()
    assert f"{wnids()[444]}/caf\N{REPLACEMENT CHARACTER}.png" in (out / "report.html").read_text()
    assert main(["compare", str(out)]) == 0


def test_other_models_and_benchmarks_stay(checkpoints, images, tmp_path, capsys):
    out = tmp_path / "out"
    assert (
        evaluate(
            "--benchmarks", f"folder:val={images}", "--output-dir", out, "--model", checkpoints / "straight"
        )
        == 0
    )
    both = f"folder:val={images},occlusion:val={images}"
    assert evaluate("--benchmarks", both, "--output-dir", out, "--model", checkpoints / "swapped") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "results.json also has straight (val); luab compare compares all of its models." in shown
    found = results(out)
    assert [model["name"] for model in found["models"]] == ["straight", "swapped"]
    assert set(found["benchmarks"]["val"]["models"]) == {"straight", "swapped"}
    assert set(found["benchmarks"]["occlusion:val"]["models"]) == {"swapped"}
    # The report is about what was asked for.
    assert "straight" not in (out / "report.md").read_text().partition("\n\n")[0]
    assert main(["compare", str(out)]) == 0
    assert "straight" in capsys.readouterr().out
    # Once more, in the order that is asked for now.
    models = [checkpoints / "swapped", checkpoints / "straight"]
    assert evaluate("--benchmarks", f"folder:val={images}", "--output-dir", out, "--model", *models) == 0
    assert "| swapped | straight |" in (out / "report.md").read_text()


def test_other_weights_under_the_same_name_are_refused(checkpoints, images, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--benchmarks", f"folder:val={images}", "--output-dir", out, "--model", tmp_path / "model"]
    save_checkpoint(tmp_path / "model")
    assert evaluate(*arguments) == 0
    before = (out / "results.json").read_bytes()
    save_checkpoint(tmp_path / "model", flip=True)
    assert evaluate(*arguments) == 1
    message = capsys.readouterr().err
    assert "has results of model with other weights" in message and "--replace" in message
    assert (out / "results.json").read_bytes() == before
    assert evaluate(*arguments, "--replace") == 0
    (value,) = results(out)["benchmarks"]["val"]["models"].values()
    assert value["metrics"]["accuracy"] == pytest.approx(2 / 3)


def test_a_checkpoint_of_two_names_is_one_model(checkpoints, images, tmp_path, capsys):
    """Another model of its last name gives it a longer one."""
    out = tmp_path / "out"
    for folder, kind in (("m", "straight"), ("q", "swapped")):
        shutil.copytree(checkpoints / kind, tmp_path / folder / "base")
    one, other = tmp_path / "m" / "base", tmp_path / "q" / "base"
    arguments = ["--output-dir", out, "--benchmarks", f"folder:val={images}", "--model"]
    assert evaluate(*arguments, one) == 0
    with pytest.warns(UserWarning, match=r"base is the same checkpoint as m/base"):
        assert evaluate(*arguments, one, other) == 0
    assert [model["name"] for model in results(out)["models"]] == ["m/base", "q/base"]
    capsys.readouterr()
    assert main(["compare", "--json", str(out)]) == 0
    assert len(json.loads(capsys.readouterr().out)["comparisons"]) == 1
    assert evaluate(*arguments, one, one) == 1
    assert "base (1) and base (2) are the same checkpoint" in capsys.readouterr().err


def test_names_of_one_checkpoint_in_several_folders(tmp_path):
    folders = []
    for folder, name, prints in (("a", "base", "1"), ("b", "other", "2"), ("c", "copy", "1")):
        out = Results(tmp_path / folder)
        model = Classifier(name, None, [], PLAIN, fingerprint=SCHEME + prints)
        out.add_model(model)
        kind = "imagenet_r" if folder == "c" else "imagenet"
        out.add(find_benchmark(kind), model, scored(kind, [1, 0] * 10))
        folders.append(tmp_path / folder)
    table = figures(folders)
    assert [model.name for model in table.models] == ["base", "other"]
    assert table.remarks == ("base, copy are the same checkpoint, and one model: base.",)
    assert [list(row.estimates) for row in table.rows] == [["base", "other"], ["base"]]


def test_weights_alone_make_no_checkpoint_of_two_names(tmp_path):
    """Fingerprints of earlier versions are of the weights: copies with other configurations share them."""
    for name in ("a", "b"):
        evaluated(tmp_path / name, {name: {"imagenet": right_on(10, range(5))}})
        file = tmp_path / name / "results.json"
        content = json.loads(file.read_text())
        content["models"][0]["fingerprint"] = "0" * 32
        file.write_text(json.dumps(content))
    assert [model.name for model in figures([tmp_path / "a", tmp_path / "b"]).models] == ["a", "b"]


def test_names_that_are_swapped(tmp_path):
    evaluated(tmp_path, {name: {"imagenet": right_on(10, range(n))} for name, n in (("a", 3), ("b", 5))})
    with pytest.warns(UserWarning, match="same checkpoint"):
        found = Results(tmp_path, [("b", "a"), ("a", "b")]).content
    assert [(model["name"], model["fingerprint"]) for model in found["models"]] == [("b", "a"), ("a", "b")]
    of_models = found["benchmarks"]["imagenet"]["models"]
    assert {name: one["metrics"]["accuracy"] for name, one in of_models.items()} == {"b": 0.3, "a": 0.5}


def test_a_folder_has_one_writer(checkpoints, images, tmp_path, capsys):
    out = tmp_path / "out"
    (out / LOCK).parent.mkdir(parents=True)
    (out / HOLDER).write_text("4321 on elsewhere")
    arguments = [
        "--benchmarks",
        f"folder:val={images}",
        "--output-dir",
        out,
        "--model",
        checkpoints / "straight",
    ]
    with FileLock(out / LOCK):
        assert evaluate(*arguments) == 1
    message = capsys.readouterr().err
    assert "another process is writing into this folder (4321 on elsewhere)" in message
    assert not (out / "results.json").exists()
    assert evaluate(*arguments) == 0


def test_a_file_that_is_no_results_is_not_written_over(tmp_path):
    (tmp_path / "results.json").write_text("my notes")
    with pytest.raises(ValueError, match=r"no results of luab evaluate .*; move it away"):
        Results(tmp_path)
    assert (tmp_path / "results.json").read_text() == "my notes"


def test_another_benchmark_under_the_same_name_is_refused(images, tmp_path):
    out = evaluated(tmp_path / "out", {"a": {"imagenet": right_on(10, range(5))}})
    own = find_benchmark(f"folder:imagenet={images}")
    with pytest.raises(ValueError, match="has results of benchmark 'imagenet' under the name 'imagenet'"):
        run([color_classifier()], [own], images, out, QUIET, load=None)


def test_what_was_skipped_before_and_is_judged_now(tmp_path):
    first = Results(tmp_path)
    first.skip("imagenet", "not there")
    first.skip("imagenet_r", "not there")
    first.write()
    evaluated(tmp_path, {"a": {"imagenet": right_on(10, range(5))}})
    assert results(tmp_path)["skipped"] == {"imagenet_r": "not there"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_not_written(tmp_path, value):
    scores = right_on(10, range(5))
    scores.metrics["odd"] = value
    with pytest.raises(ValueError, match=r"metrics\.odd: not a finite number"):
        evaluated(tmp_path, {"a": {"imagenet": scores}})
    with pytest.raises(ValueError, match=r"score of image 00002\.png is not a finite number"):
        evaluated(tmp_path, {"a": {"imagenet_a": scored("imagenet_a", [1, 0, value, 0])}})
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"accuracy": 0.5', '"accuracy": NaN'),
        ('"accuracy": 0.5', '"accuracy": "much"'),
        ('"name": "a"', '"name": ["a"]'),
        ('"accuracy": 0.5', '"top": 0.5'),
        ('"accuracy": 0.5', '"accuracy": true'),
        ('"accuracy": 0.5', f'"accuracy": 1{"0" * 400}'),
        ('"accuracy": 0.5', '"accuracy": 1e999'),
        ('"primary": "accuracy"', '"primary": ["accuracy"]'),
        ('"left_out": ""', '"left_out": ["a"]'),
        ('"published_images": 50000', '"published_images": "all"'),
        ('"models": {', '"models": 3, "x": {'),
        ('"fingerprint": "a"', '"fingerprint": {}'),
        ('"models": [', '"x": ' + "[" * 200_000 + ', "models": ['),
    ],
)
def test_odd_results_are_refused_in_one_line(tmp_path, capsys, old, new):
    out = evaluated(tmp_path, {"a": {"imagenet": right_on(10, range(5))}})
    text = (out / "results.json").read_text()
    assert old in text
    (out / "results.json").write_text(text.replace(old, new))
    assert main(["compare", str(out)]) == 1
    assert "results.json: no results of luab evaluate" in capsys.readouterr().err


def test_another_primary_metric_is_refused_in_one_line(tmp_path, capsys):
    out = evaluated(tmp_path, {"a": {"imagenet": right_on(10, range(5))}})
    text = (out / "results.json").read_text()
    (out / "results.json").write_text(text.replace('"accuracy"', '"top"'))
    assert main(["compare", str(out)]) == 1
    assert "the results of a on imagenet have no accuracy, but top; evaluate it again" in (
        capsys.readouterr().err
    )


def damaged(content: bytes, rng: np.random.Generator):
    """The file with one byte changed, and cut off."""
    for position in rng.integers(0, len(content), 40):
        yield content[:position] + bytes([content[position] ^ 0x41]) + content[position + 1 :]
    for length in (0, 1, len(content) // 2, len(content) - 1):
        yield content[:length]


def test_damaged_scores_are_noticed(tmp_path):
    arrays = {"ids": np.array([b"a", b"bc"]), "score": np.array([0.5, 1.0])}
    write_arrays(tmp_path / "a.npz", arrays)
    content = (tmp_path / "a.npz").read_bytes()
    noticed = 0
    for broken in damaged(content, np.random.default_rng(0)):
        (tmp_path / "a.npz").write_bytes(broken)
        try:
            found = read_arrays(tmp_path / "a.npz", digest_needed=True)
        except ValueError:
            noticed += 1
        else:  # a date, or another part of the archive that says nothing of the content
            assert found.keys() == arrays.keys()
            assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert noticed > 20
    assert list(tmp_path.iterdir()) == [tmp_path / "a.npz"]


def test_a_broken_cache_is_made_anew(images, tmp_path):
    benchmark = find_benchmark(f"folder:val={images}")
    (image_set,) = benchmark.image_sets(images)
    from luab_eval.predict import predict

    classifier = color_classifier()
    expected = predict(classifier, image_set, tmp_path / "cache", QUIET)
    (part,) = (tmp_path / "cache").rglob("part-*.npz")
    content = part.read_bytes()
    asked = 0
    for broken in damaged(content, np.random.default_rng(1)):
        part.write_bytes(broken)
        before = classifier.model.seen
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = predict(classifier, image_set, tmp_path / "cache", QUIET)
        np.testing.assert_array_equal(found.logits, expected.logits)
        np.testing.assert_array_equal(found.pixels, expected.pixels)
        assert bool(said) == (classifier.model.seen > before)
        asked += classifier.model.seen > before
    assert asked > 20


def one_evaluated(folder: Path, images: Path, name: str) -> Path:
    """One model's results on a folder of images that is called "val"."""
    from dataclasses import replace

    model = replace(color_classifier(), name=name, fingerprint=name)
    run([model], [find_benchmark(f"folder:val={images}")], images, folder, QUIET, load=None)
    return folder


def test_two_runs_are_compared_on_the_same_pixels(images, tmp_path):
    one = one_evaluated(tmp_path / "one", images, "a")
    # Other files of the same names.
    paint(images / wnids()[444] / "1.png", 445)
    two = one_evaluated(tmp_path / "two", images, "b")
    with pytest.raises(
        ValueError,
        match=rf"a and b were evaluated on different images: 1 of 3 .*pixels, such as {wnids()[444]}/1\.png",
    ):
        figures([one, two])
    # The same files under other names.
    paint(images / wnids()[444] / "1.png", 444)
    (images / wnids()[123] / "2.png").rename(images / wnids()[123] / "0.png")
    three = one_evaluated(tmp_path / "three", images, "c")
    (row,) = figures([one, three]).rows
    assert row.differences["c"].differing == 0 and row.remark == ""


def test_two_runs_are_compared_on_the_same_truth(images, tmp_path):
    one = one_evaluated(tmp_path / "one", images, "a")
    # Its label is corrected: the same pixels, under another class.
    (images / wnids()[1]).mkdir()
    (images / wnids()[123] / "2.png").rename(images / wnids()[1] / "2.png")
    (images / wnids()[123]).rmdir()
    two = one_evaluated(tmp_path / "two", images, "b")
    with pytest.raises(
        ValueError,
        match=rf"a and b .* 1 of 3 images have another class, other boxes or other people, such as "
        rf"{wnids()[123]}/2\.png; evaluate both again with one version, on the same data$",
    ):
        figures([one, two])
    assert len(figures([two]).rows) == 1
    # The same model in both: which one counts?
    again = one_evaluated(tmp_path / "again", images, "a")
    with pytest.raises(ValueError, match=r"the results of a in \S*one and in \S*again .* 1 of 3 images have"):
        figures([one, again])
    assert len(figures([again, one_evaluated(tmp_path / "more", images, "a")]).rows) == 1


def test_results_of_an_earlier_version_tell_no_truth(images, tmp_path):
    out = one_evaluated(one_evaluated(tmp_path / "out", images, "a"), images, "b")
    assert not any("earlier" in note for note in figures([out]).notes())
    (file,) = (out / "per_image").rglob("a-*.npz")
    arrays = read_arrays(file)
    del arrays["truths"]
    write_arrays(file, arrays)
    assert "not the classes and boxes that they were measured against, for the results of a are of" in (
        " ".join(figures([out]).notes())
    )


def test_results_of_an_earlier_version_tell_no_pixels(tmp_path):
    out = evaluated(tmp_path, {name: {"imagenet": right_on(50, range(20))} for name in ("a", "b")})
    assert "only the images' names are compared, for the results of a, b are of an earlier" in " ".join(
        figures([out]).notes()
    )
