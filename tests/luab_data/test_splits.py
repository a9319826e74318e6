"""Which rows are trained on and which are evaluated on, and what is said about them."""

import json

import datasets
import numpy as np
import pytest
from datasets import ClassLabel
from fixtures.clicked import clicked_dataset
from fixtures.tiny_models import tiny_model
from fixtures.ways_in import CLASSES, FILES, write_images, write_lines

from luab_data.errors import SourceError
from luab_data.rows.splits import EVAL_SPLITS, find_eval_split, hold_out, load_splits
from luab_trainer.arguments import parse
from luab_trainer.data.inputs import read_inputs
from luab_trainer.run import main


def inputs_of(folder, tmp_path, **more):
    values = {"from_config": "x", "dataset": folder, "output_dir": tmp_path / "out", "use_cpu": True, **more}
    values = {name: value for name, value in values.items() if value is not None}
    argv = [text for name, value in values.items() for text in (f"--{name}", str(value))]
    return read_inputs(*parse(argv, "Train."))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A dataset folder in the order of its 5 classes: 25 rows."""
    folder = tmp_path_factory.mktemp("data")
    clicked_dataset(25).sort("label").to_parquet(folder / "train.parquet")
    return folder


def test_a_share_of_each_class_is_held_out():
    labels = np.repeat([0, 1, 2], [10, 50, 1])
    kept, held = hold_out(labels, 61, 0.2)
    assert np.bincount(labels[held]).tolist() == [2, 10]
    assert sorted([*kept, *held]) == list(range(61))
    assert hold_out(labels, 61, 0.2)[1].tolist() == held.tolist()
    rare = np.arange(1000) // 3  # three rows a class
    counts = np.bincount(rare[hold_out(rare, 1000, 0.1)[1]], minlength=334)
    assert counts.max() == 1 and 90 <= counts.sum() <= 110


@pytest.mark.parametrize("share", [0.1, 0.5, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_each_class_keeps_a_row_to_train_on(share, size):
    labels = np.repeat(np.arange(200), size)
    kept, held = hold_out(labels, len(labels), share)
    assert set(labels[kept]) == set(range(200))
    assert sorted([*kept, *held]) == list(range(len(labels)))
    counts = np.bincount(labels[held], minlength=200)
    assert counts.max() <= min(np.ceil(size * share), size - 1)
    assert counts.min() >= min(np.floor(size * share), size - 1)


def test_eval_share_holds_out_and_says_so(data, tmp_path):
    found = inputs_of(data, tmp_path, eval_share=0.2)
    assert (len(found.train), len(found.evaluated)) == (20, 5)
    assert sorted(found.evaluated["label"]) == [0, 1, 2, 3, 4]
    assert found.train_facts.rows == 20
    assert found.train_facts.with_target + found.eval_facts.with_target == 20
    assert found.notes == [
        "5 of 25 rows are held out to be evaluated on (--eval_share), that share of each class"
    ]


def test_rows_are_held_out_without_an_evaluation_too(data, tmp_path):
    """A later run evaluates on them."""
    whole, found = (inputs_of(data, tmp_path, eval_share=0.2, do_eval=each) for each in (True, False))
    assert found.evaluated is None and found.eval_facts is None
    assert found.train["click"] == whole.train["click"]
    assert found.notes == whole.notes


def test_parts_of_a_sorted_dataset_are_warned_of(data, tmp_path):
    found = inputs_of(data, tmp_path, train_split="train[:60%]", eval_split="train[60%:]")
    assert any(
        "warning: 2 of 5 classes are only in the rows to evaluate on, so never trained" in n
        for n in found.notes
    )
    assert any("--eval_share" in note for note in found.notes)
    assert any("3 of 5 classes are only in the rows to train on" in note for note in found.notes)


def test_parts_that_overlap_are_warned_of(data, tmp_path):
    found = inputs_of(data, tmp_path, train_split="train[:60%]", eval_split="train[50%:]")
    assert any(
        note.startswith("warning: 3 of the 13 rows to evaluate on are trained on too") for note in found.notes
    )


def test_rows_that_nothing_is_trained_on_get_no_warning(data, tmp_path):
    parts = {"train_split": "train[:60%]", "eval_split": "train[50%:]"}
    assert inputs_of(data, tmp_path, do_train=False, from_config=None, model="x", **parts).notes == []


@pytest.mark.parametrize("name", EVAL_SPLITS)
def test_any_usual_name_of_a_split_is_evaluated(name):
    assert find_eval_split({"train": 0, "extra": 0, name: 0}, "train") == (name, None)


def test_splits_that_nobody_evaluates_are_said(tmp_path):
    rows = clicked_dataset(10)
    datasets.DatasetDict(train=rows, holdout=rows).save_to_disk(tmp_path / "mine")
    found = inputs_of(tmp_path / "mine", tmp_path)
    assert found.evaluated is None
    (note,) = found.notes
    assert "none of the splits holdout is called validation" in note and "--eval_split" in note


def test_valid_is_evaluated_and_its_names_are_matched(tmp_path):
    train = clicked_dataset(10, classes=2)
    names = ClassLabel(names=["class_1", "class_0"])  # the other way round
    swapped = train.remove_columns("label").add_column("label", [1, 0] * 5, feature=names)
    datasets.DatasetDict(train=train, valid=swapped).save_to_disk(tmp_path / "mine")
    assert inputs_of(tmp_path / "mine", tmp_path).evaluated["label"][:4] == [0, 1, 0, 1]


def test_names_of_an_evaluation_set_are_those_of_the_training_set(tmp_path):
    rows = clicked_dataset(6, classes=3).remove_columns("label")
    train, other = (rows.add_column("label", names * 2) for names in (["c", "a", "b"], ["b", "c", "b"]))
    datasets.DatasetDict(train=train, dev=other).save_to_disk(tmp_path / "mine")
    found = inputs_of(tmp_path / "mine", tmp_path)
    assert found.names == ["a", "b", "c"]
    assert found.evaluated["label"][:3] == [1, 2, 1]
    strange = rows.add_column("label", ["b", "d", "b"] * 2)
    datasets.DatasetDict(train=train, dev=strange).save_to_disk(tmp_path / "strange")
    with pytest.raises(SourceError, match=r"none of the training set's 3: d"):
        inputs_of(tmp_path / "strange", tmp_path)


def without_points(count):
    rows = clicked_dataset(count).remove_columns("click")
    nothing = [{"x": None, "y": None}] * count
    feature = {"x": datasets.Value("float32"), "y": datasets.Value("float32")}
    return rows.add_column("click", nothing, feature=feature)


def test_training_rows_without_one_usable_point_are_an_error(tmp_path):
    datasets.DatasetDict(train=without_points(10)).save_to_disk(tmp_path / "mine")
    with pytest.raises(SourceError, match="none of the 10 training rows has a usable one in column click"):
        inputs_of(tmp_path / "mine", tmp_path)
    assert inputs_of(tmp_path / "mine", tmp_path, loss="none").train_facts.with_target is None


def test_evaluation_rows_without_one_are_a_warning(tmp_path):
    datasets.DatasetDict(train=clicked_dataset(10), test=without_points(5)).save_to_disk(tmp_path / "mine")
    found = inputs_of(tmp_path / "mine", tmp_path)
    assert found.eval_byproduct is None
    assert found.notes == ["the evaluation rows have no usable byproduct (click): its loss is not evaluated"]


def test_an_evaluation_set_is_read_before_anything_is_trained(tmp_path):
    train = clicked_dataset(10)
    labels = [0, 1, None, 3, 4] * 2
    other = train.remove_columns("label").add_column("label", labels, feature=train.features["label"])
    datasets.DatasetDict(train=train, test=other).save_to_disk(tmp_path / "mine")
    with pytest.raises(SourceError, match=r"column 'label' has no label \(in 2 rows, the first is row 2\)"):
        inputs_of(tmp_path / "mine", tmp_path)


def test_a_points_file_that_names_no_image_is_refused(tmp_path):
    write_images(tmp_path / "photos")
    lines = [{"file": f"birds/{number}.png", "x": 0.5, "y": 0.5} for number in range(3)]
    file = write_lines(tmp_path / "clicks.csv", lines)
    with pytest.raises(
        SourceError, match=r"none of its names is an image .* birds/0.png.* images are cat/0.png"
    ):
        inputs_of(tmp_path / "photos", tmp_path, points_file=file)
    lines = [{"file": "0.png", "x": 0.5, "y": 0.5}, {"file": "x.png", "x": 0.1, "y": 0.1}]
    found = inputs_of(tmp_path / "photos", tmp_path, points_file=write_lines(tmp_path / "more.csv", lines))
    assert found.train_facts.with_target == 1
    assert any("1 lines for 1 of 8 images; 1 lines name no image: x.png" in note for note in found.notes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"file;x;y\ncat/0.png;0,5;0,5\n", r"it has file;x;y\. It is separated by ';': use commas"),
        ("file,x,y\ncat/0.png,0.5,0.5\n".encode("utf-16"), "this is UTF-16: iconv -f UTF-16 -t UTF-8"),
        ("file,x,y\ncat/\xe9.png,0.5,0.5\n".encode("latin-1"), "line 2: byte 0xe9 is not UTF-8"),
    ],
)
def test_a_points_file_of_a_spreadsheet_is_refused_with_the_fix(tmp_path, data, message):
    write_images(tmp_path / "photos")
    (tmp_path / "clicks.csv").write_bytes(data)
    with pytest.raises(SourceError, match=message) as error:
        inputs_of(tmp_path / "photos", tmp_path, points_file=tmp_path / "clicks.csv")
    assert "__index_level" not in str(error.value)


def test_a_name_that_fits_two_images_is_refused(tmp_path):
    write_images(tmp_path / "photos")
    (tmp_path / "photos" / CLASSES[1] / "0.png").write_bytes((tmp_path / "photos" / FILES[0]).read_bytes())
    file = write_lines(tmp_path / "clicks.csv", [{"file": "0.png", "x": 0.5, "y": 0.5}])
    with pytest.raises(SourceError, match=r"the name 0.png fits cat/0.png and dog/0.png"):
        inputs_of(tmp_path / "photos", tmp_path, points_file=file)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--eval_share", "1"], "--eval_share 1.0: a share"),
        (["--eval_share", "0.1", "--eval_split", "test"], "it does not go with --eval_split"),
        (["--x_column", "a"], "--x_column and --y_column go together"),
        (["--x_column", "a", "--y_column", "b", "--point_column", "c"], "--point_column does not go with"),
        (["--point_units", "cm"], "invalid choice: 'cm'"),
    ],
)
def test_options_that_do_not_go_together(more, message, capsys):
    with pytest.raises(SystemExit):
        parse(["--model", "a", "--dataset", "b", *more], "Train.")
    assert message in capsys.readouterr().err


def test_a_held_out_share_is_evaluated_by_a_run(data, tmp_path, capsys):
    tiny_model("vit", num_hidden_layers=1).config.save_pretrained(tmp_path / "config")
    main(
        f"--from_config {tmp_path / 'config'} --dataset {data} --output_dir {tmp_path / 'out'} --max_steps 1 "
        "--eval_share 0.2 --use_cpu True --save_strategy no --disable_tqdm True".split()
    )
    assert "5 of 25 rows are held out" in capsys.readouterr().err
    assert "eval_accuracy" in json.loads((tmp_path / "out" / "eval_results.json").read_text())
    assert "20% held out" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("split", ["validation", "train-00001"])
def test_files_that_number_classes_differently_are_refused(tmp_path, split, streaming):
    """`datasets` would give the second file's numbers the first file's names."""
    rows = clicked_dataset(4)
    names = rows.features["label"].names
    rows.to_parquet(tmp_path / "train-00000.parquet")
    rows.cast_column("label", ClassLabel(names=names[::-1])).to_parquet(tmp_path / f"{split}.parquet")
    with pytest.raises(
        SourceError, match=rf"{split}\.parquet: the classes of column 'label' are {names[-1]}, "
    ):
        for found in load_splits(str(tmp_path), streaming=streaming).values():
            list(found)
    upper = ClassLabel(names=[name.upper() for name in names])  # the same classes
    rows.cast_column("label", upper).to_parquet(tmp_path / f"{split}.parquet")
    assert sum(len(list(found)) for found in load_splits(str(tmp_path), streaming=streaming).values()) == 8
