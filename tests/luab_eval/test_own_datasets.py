"""What one brings oneself is evaluated like the rest: a dataset that run.py trains on, one's own clicks."""

import json

import datasets
import pytest
from fixtures.factories import image_bytes
from fixtures.miniatures import COLORS, SIDE, color_classifier, save_checkpoint, score
from PIL import Image

from luab.commands.byproducts import main as byproducts
from luab.commands.evaluate import main as evaluate
from luab_eval.benchmarks import find_benchmark
from luab_eval.image_sets.class_maps import wnids
from luab_eval.image_sets.own_datasets import DatasetPlace

SHOWN = [(101, 0), (444, 1), (444, -1), (444, 0)]  # color, label: two right, one without a class, one wrong


def picture(k: int, number: int) -> Image.Image:
    """An image in the color of class k, of which one pixel makes it another for each number."""
    image = Image.new("RGB", (SIDE, SIDE), tuple(COLORS[k].tolist()))
    image.putpixel((1, 1), (100, 100, number))  # the checkpoint of the miniatures skips odd pixels
    return image


@pytest.fixture
def own(tmp_path):
    """Photos in a color each, with a click at the left, and a box around the left half."""
    rows = []
    for number, (k, label) in enumerate(SHOWN):
        image = picture(k, number)
        objects = {"bbox": [[0, 0, SIDE / 2, SIDE]], "category": [label]}
        row = {"photo": {"bytes": image_bytes(image), "path": None}, "species": label, "objects": objects}
        rows.append(row | {"tap": {"x": 0.25, "y": 0.5}})
    species = datasets.ClassLabel(names=[wnids()[101], wnids()[444]])
    number = datasets.Value("float64")
    features = {
        "photo": datasets.Image(),
        "species": species,
        "objects": {"bbox": datasets.List(datasets.List(number)), "category": datasets.List(species)},
        "tap": {"x": number, "y": number},
    }
    rows = datasets.Dataset.from_list(rows, features=datasets.Features(features))
    datasets.DatasetDict(test=rows).save_to_disk(tmp_path / "own")
    return tmp_path / "own"


COLUMNS = "?image=photo&label=species"


TOP_1 = ["dataset:mine={}@test", "occlusion:mine={}@test@0", "occlusion:mine={}@test@0.0"]


@pytest.mark.parametrize("argument", TOP_1)
def test_top_1(own, tmp_path, argument):
    argument = argument.format(own).replace("@test", f"@test{COLUMNS}")
    benchmark = find_benchmark(argument)
    found = score(benchmark, tmp_path, color_classifier())
    assert found.per_image.tolist() == [1, 1, 0]
    assert benchmark.left_out == "1 row without a class"
    assert benchmark.key in ("mine", "occlusion:mine@0")


@pytest.mark.parametrize("kind", ["class folders with clicks", "paths and names"])
def test_whatever_training_reads(tmp_path, kind):
    """A bundle of files is evaluated as `run.py` would train on it, without a column of class numbers."""
    rows = []
    for number, (k, name) in enumerate([(101, wnids()[101]), (444, wnids()[444]), (444, wnids()[101])]):
        file = tmp_path / "own" / "test" / name / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        picture(k, number).save(file)
        rows.append({"at": f"{name}/{file.name}", "name": name, "click": {"x": 0.5, "y": 0.5}})
    if kind == "class folders with clicks":
        rows = [{"file_name": row["at"], "click": row["click"]} for row in rows]
        file, argument = tmp_path / "own" / "test" / "metadata.jsonl", f"{tmp_path / 'own'}@test"
    else:
        file = tmp_path / "own" / "test" / "rows.jsonl"
        argument = f"{file}@train?image=at&label=name"
    file.write_text("\n".join(map(json.dumps, rows)))
    assert (
        score(find_benchmark(f"dataset:mine={argument}"), tmp_path, color_classifier()).per_image.sum() == 2
    )


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("{}@train", "has no split 'train'; it has test. Name one behind the @."),
        (
            "{}@test",
            "no column 'image'; it has photo, species, objects, tap. Name it behind the split: ?image=COL",
        ),
        (
            "{}@test?image=photo",
            "no column 'label'; it has photo, species, objects, tap. Name it behind the split",
        ),
        ("{}/none@test", "cannot load the dataset"),
    ],
)
def test_what_is_missing_is_said_before_a_model_is_loaded(own, tmp_path, argument, message):
    assert message in find_benchmark(f"dataset:mine={argument.format(own)}").missing(tmp_path)


@pytest.mark.parametrize("argument", ["mine={}", "mine={}@", "mine={}@test?photo=image", "{}@test"])
def test_a_wrong_argument_is_refused(argument):
    with pytest.raises(ValueError, match="NAME=DATASET@SPLIT"):
        find_benchmark(f"dataset:{argument.format('photos')}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b@test", ("a/b", "test", None, ())),
        ("a@b/c@CONFIG/test[:9]", ("a@b/c", "test[:9]", "CONFIG", ())),
        ("a?x=1/b@test", ("a?x=1/b", "test", None, ())),
        ("a?x/b@test?image=p@q&label=", ("a?x/b", "test", None, (("image", "p@q"), ("label", "")))),
    ],
)
def test_a_place_of_rows(text, expected):
    assert DatasetPlace.read(text) == expected


def test_what_run_py_reads_is_judged(tmp_path):
    """Text for labels, JSONL with paths: as in training."""
    rows = []
    for number, (color, label) in enumerate(SHOWN):
        picture(color, number).save(tmp_path / f"{number}.png")
        rows.append({"image": f"{number}.png", "what": None if label < 0 else wnids()[(101, 444)[label]]})
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    (tmp_path / "rows.jsonl").write_text(lines)
    benchmark = find_benchmark(f"dataset:mine={tmp_path / 'rows.jsonl'}@train?label=what")
    assert score(benchmark, tmp_path, color_classifier()).per_image.tolist() == [1, 1, 0]
    assert benchmark.left_out == "1 row without a class"
    (tmp_path / "rows.jsonl").write_text(lines.replace("1.png", "../1.png"))
    assert "lies outside the dataset's folder" in benchmark_of(tmp_path).missing(tmp_path)


def benchmark_of(folder):
    return find_benchmark(f"dataset:mine={folder / 'rows.jsonl'}@train?label=what")


def test_the_command_judges_a_dataset_and_lists_it(own, tmp_path, capsys):
    assert evaluate(["--list"]) == 0
    assert "dataset:NAME=DATASET@SPLIT" in capsys.readouterr().out
    save_checkpoint(tmp_path / "model")
    named = f"dataset:mine={own}@test{COLUMNS},where:mine={own}@test{COLUMNS}"
    options = ["--model", str(tmp_path / "model"), "--benchmarks", named]
    options += ["--output-dir", str(tmp_path / "out")]
    assert evaluate([*options, "--num-workers", "0", "--device", "cpu"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Dataset (mine) accuracy ↑ 66.7" in shown
    said = (
        "Left out of Dataset (mine), Localization (mine), Pointing game (mine), Energy pointing game (mine): "
    )
    assert f"{said}1 row without a class." in shown
    assert "Pointing game (mine)" in shown


def test_byproducts_of_ones_own(own, capsys):
    columns = ["--label-column", "species", "--point-column", "tap", "--image-column", "photo"]
    assert byproducts([str(own), "--split", "test", *columns]) == 0
    shown = capsys.readouterr().out
    assert "3 of 4 rows have boxes" in shown
    assert "not there, and not measured: annotations" in shown
    assert "  all       3  100.0 %" in shown
    assert "clicks (" not in shown
    assert "traces (" not in shown


def test_byproducts_are_read_as_in_training(own, tmp_path, capsys):
    """Names for labels, x and y in pixels in columns of their own."""
    rows = datasets.load_from_disk(str(own))["test"].select([0, 1, 3])
    names = [wnids()[(101, 444)[label]] for label in rows["species"]]
    rows = rows.remove_columns(["species", "tap"]).add_column("what", names)
    rows = rows.add_column("cx", [SIDE / 4] * 3).add_column("cy", [SIDE / 2] * 3)
    datasets.DatasetDict(train=rows).save_to_disk(tmp_path / "odd")
    options = [str(tmp_path / "odd"), "--image-column", "photo", "--label-column", "what"]
    assert byproducts([*options, "--x-column", "cx", "--y-column", "cy", "--point-units", "pixels"]) == 0
    shown = capsys.readouterr().out
    assert "3 of 3 rows have boxes" in shown
    assert "  all       3  100.0 %" in shown
    assert byproducts([*options, "--x-column", "cx", "--y-column", "cy"]) == 1
    assert "are no ratios of the image" in capsys.readouterr().err


def test_byproducts_without_labels(own, tmp_path, capsys):
    rows = datasets.load_from_disk(str(own))["test"].remove_columns("species").rename_column("tap", "click")
    datasets.DatasetDict(train=rows).save_to_disk(tmp_path / "bare")
    assert byproducts([str(tmp_path / "bare"), "--image-column", "photo"]) == 0
    assert "not there, and not measured: label, annotations" in capsys.readouterr().out
    assert byproducts([str(tmp_path / "bare"), "--point-column", "tap"]) == 1
    assert "no column 'tap'" in capsys.readouterr().err
