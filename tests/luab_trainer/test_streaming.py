"""`run.py --streaming`: rows are read while they are trained on, by the reader of whole datasets."""

import json
import shutil

import datasets
import numpy as np
import pytest
import torch
from fixtures.tiny_models import tiny_model
from fixtures.ways_in import CLICKS, FILES, HEIGHT, WIDTH, labels, table, write_images, write_lines
from test_ways_in import WAYS, config, csv_beside_class_folders  # noqa: F401

from luab_data.errors import SourceError
from luab_trainer.arguments import parse
from luab_trainer.data.inputs import read_inputs
from luab_trainer.data.stream_inputs import read_stream_inputs
from luab_trainer.data.streaming import StreamedSamples
from luab_trainer.run import main
from luab_vision.transforms import EvalTransform, ImageSettings

DICTS = [{"x": x, "y": y} for x, y in CLICKS]
CLASS = datasets.ClassLabel(names=["cat", "dog"])


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    # `datasets` waits 5 s after each shuffled pass for Arrow's threads to end (Arrow's issue 45214).
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0.5)


def arguments(folder, streaming=True, **options):
    values = {
        "from_config": "x", "loss": "point", "output_dir": folder / "out", "use_cpu": True, "max_steps": 1,
        "disable_tqdm": True, "report_to": "none", "streaming": streaming, "save_strategy": "no",
        "per_device_train_batch_size": 2, "logging_steps": 1, "min_crop": 1.0,
    } | options  # fmt: skip
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


def inputs(folder, streaming=True, **options):
    read = read_stream_inputs if streaming else read_inputs
    return read(*parse(arguments(folder, streaming, **options), ""))


def parquet(folder, **columns):
    folder.mkdir()
    rows = table(**columns)
    rows.to_parquet(folder / "train.parquet")
    return folder


@pytest.mark.parametrize("way", [way for way in WAYS if way is not csv_beside_class_folders])
def test_a_stream_gives_the_rows_of_the_whole_dataset(way, tmp_path):
    (tmp_path / "data").mkdir()
    options, _ = way(tmp_path / "data")
    stream, whole = inputs(tmp_path, **options), inputs(tmp_path, streaming=False, **options)
    assert (stream.names, stream.columns, stream.multi_label) == (
        whole.names,
        whole.columns,
        whole.multi_label,
    )
    columns = [stream.columns.image, stream.columns.label, stream.columns.point]
    rows = whole.train.cast_column(stream.columns.image, datasets.Image(decode=False))
    found = list(stream.train.decode(False))
    assert [{name: row[name] for name in columns} for row in found] == list(rows.select_columns(columns))
    assert len(found) == 8


def test_training_from_a_stream(config, tmp_path, capsys):  # noqa: F811
    rows = table(label=[0, 1] * 4, click=DICTS).cast_column("label", CLASS)
    folder = parquet(tmp_path / "data", label=labels(), click=DICTS)
    datasets.DatasetDict(dev=rows.select(range(4))).save_to_disk(tmp_path / "own")
    main(arguments(tmp_path, dataset=folder, eval_dataset=tmp_path / "own", from_config=config, max_steps=6))
    printed = capsys.readouterr()
    shown = " ".join(printed.out.split())
    assert "training rows not counted (streaming)" in shown
    assert "rows to evaluate on 4, 4 of them (100.0%) with a usable click" in shown
    assert "steps 6, epochs are not counted (streaming)" in shown  # of 12 rows, while there are 8
    config_of = json.loads((tmp_path / "out" / "config.json").read_text())
    assert list(config_of["id2label"].values()) == ["cat", "dog"]
    assert json.loads((tmp_path / "out" / "eval_results.json").read_text())["eval_point"] > 0


def test_a_run_goes_on_with_the_same_batches(config, tmp_path):  # noqa: F811
    folder = parquet(tmp_path / "data", label=labels(), click=DICTS)
    given = {"dataset": folder, "from_config": config, "shuffle_buffer": 3, "save_strategy": "steps"}
    given |= {"save_steps": 2, "per_device_train_batch_size": 3}
    main(arguments(tmp_path, **given, max_steps=3, output_dir=tmp_path / "whole"))
    on = {"max_steps": 3, "output_dir": tmp_path / "on"}
    on |= {"resume_from_checkpoint": tmp_path / "whole" / "checkpoint-2"}
    main(arguments(tmp_path, **given, **on))
    logs = [
        json.loads((tmp_path / name / "checkpoint-3" / "trainer_state.json").read_text())["log_history"]
        for name in ("whole", "on")
    ]
    assert logs[0][:3] == logs[1][:3]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "on")]
    assert weights[0] == weights[1]
    with pytest.raises(SystemExit, match="--shuffle_buffer is 4, the checkpoint's is 3"):
        main(arguments(tmp_path, **(given | {"shuffle_buffer": 4}), **on))
    for number in (1, 2):  # the same rows again: another shard, and so another order
        shutil.copy(folder / "train.parquet", folder / f"train-{number}.parquet")
    with pytest.raises(SystemExit, match="the shards of the stream is 3, the checkpoint's is 1"):
        main(arguments(tmp_path, **given, **on))


def test_each_pass_has_another_order_and_other_workers_have_other_rows(tmp_path):
    rows = table(label=[0, 1] * 4, click=DICTS)
    shards = rows.to_iterable_dataset(num_shards=2)
    samples = StreamedSamples(shards, EvalTransform(ImageSettings(32)), shuffle_buffer=8, byproduct="click")

    def clicks(loader, count):
        found = (np.round(float(each["target_points"][0][0][0]), 3) for each in loader)
        return [next(found) for _ in range(count)]

    first = clicks(samples, 16)
    assert sorted(first[:8]) == sorted(first[8:]) == sorted(set(first))
    assert first[:8] != first[8:]
    assert clicks(samples, 16) == first
    loader = torch.utils.data.DataLoader(samples, batch_size=None, num_workers=2)
    assert sorted(clicks(loader, 8)) == sorted(first[:8])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": -1}, "needs --max_steps"),
        ({"train_split": "train[:80%]"}, "does not go with --streaming"),
        ({"eval_share": 0.1}, "needs all rows"),
        ({"points_file": "clicks.csv"}, "needs all rows"),
        ({"dataloader_drop_last": True}, "a stream has no epochs; leave it out"),
        ({"do_train": False, "from_config": None, "model": "x"}, "trains nothing"),
        ({"save_strategy": "epoch"}, "a stream has no epochs"),
        ({"ignore_data_skip": True}, "first rows again"),
        ({"shuffle_buffer": -1}, "0 or more"),
    ],
)
def test_what_does_not_go_with_a_stream(options, message, tmp_path, capsys):
    given = {name: value for name, value in ({"dataset": "x"} | options).items() if value is not None}
    own = arguments(tmp_path, **given)
    if "model" in options:
        own = own[2:]
    with pytest.raises(SystemExit):
        parse(own, "")
    assert message in " ".join(capsys.readouterr().err.split())


def test_the_row_that_cannot_be_read_is_named(tmp_path):
    write_images(tmp_path / "images")
    lines = [
        {"image": f"images/{file}", "label": file[:3], "click": None if i % 2 else {"x": 0.5, "y": 0.5}}
        for i, file in enumerate(FILES * 10)
    ]
    lines[70]["click"] = {"x": 0.5, "y": None}
    file = write_lines(tmp_path / "rows.jsonl", lines)
    stream = inputs(tmp_path, dataset=file).train
    with pytest.raises(
        SourceError, match=r"row 70 of the stream \(images/cat/6.png\): .* x or y only\. Give"
    ):
        list(stream)
    lines[70] |= {"click": None, "image": "../secret.png"}
    write_lines(file, lines)
    with pytest.raises(SourceError, match=r"row 70 of the stream .*outside the dataset's folder"):
        list(inputs(tmp_path, dataset=file).train)


def test_a_stream_of_images_at_different_depths_has_no_class_folders(tmp_path):
    write_images(tmp_path / "data")
    (tmp_path / "data/cat/0.png").rename(tmp_path / "data/0.png")
    with pytest.raises(SourceError, match=r"at different depths .* as 0\.png and (cat|dog)/[0-9]\.png do"):
        inputs(tmp_path, dataset=tmp_path / "data", loss="none")


def test_a_stream_without_a_usable_byproduct_is_an_error(config, tmp_path):  # noqa: F811
    folder = parquet(tmp_path / "data", label=labels(), click=[{"x": None, "y": None}] * 7 + [DICTS[0]])
    table(label=labels(), click=[{"x": None, "y": None}] * 8).cast(
        datasets.load_dataset("parquet", data_files=str(folder / "train.parquet"))["train"].features
    ).to_parquet(folder / "train.parquet")
    with pytest.raises(
        SystemExit, match="none of the first 8 training rows has a usable one in column click"
    ):
        main(arguments(tmp_path, dataset=folder, from_config=config, max_steps=9))


def test_classes_that_only_the_last_row_tells(tmp_path, monkeypatch):
    folder = parquet(tmp_path / "data", label=labels(), click=DICTS)
    monkeypatch.setattr("luab_trainer.data.stream_inputs.root_of", lambda source: None)  # as one of the Hub
    with pytest.raises(SourceError, match="the classes of column 'label' would be known only after"):
        inputs(tmp_path, dataset=folder)
    table(label=["dog", "cat"] * 4, click=DICTS).to_parquet(folder / "validation.parquet")
    found = inputs(tmp_path, dataset=folder)
    assert found.names == ["cat", "dog"]
    assert "the 8 rows of validation are read into memory" in found.notes
    assert [row["label"] for row in found.train] == [0, 1] * 4
    table(label=["cat"] * 8, click=DICTS).to_parquet(folder / "validation.parquet")
    with pytest.raises(SourceError, match=r"has a label that is none of the 1 classes .* row 1: 'dog'"):
        inputs(tmp_path, dataset=folder)


def test_classes_of_a_stream_by_option_or_from_the_models_head(tmp_path, monkeypatch):
    folder = parquet(tmp_path / "data", label=labels(), click=DICTS)
    monkeypatch.setattr("luab_trainer.data.stream_inputs.root_of", lambda source: None)  # as one of the Hub
    found = inputs(tmp_path, dataset=folder, class_names="dog,emu,cat")
    assert found.names == ["dog", "emu", "cat"]
    assert [row["label"] for row in found.train] == [2, 0] * 4
    assert (
        "labels: column 'label' has 3 names as text, of classes that are known: dog, emu, cat" in found.notes
    )
    model = tiny_model("vit", num_hidden_layers=1)
    model.config.id2label = {0: "dog", 1: "cat"}
    model.save_pretrained(tmp_path / "model")
    given = [*arguments(tmp_path, dataset=folder)[2:], "--model", str(tmp_path / "model")]
    found = read_stream_inputs(*parse(given, ""))
    assert (found.names, [row["label"] for row in found.train]) == (["dog", "cat"], [1, 0] * 4)
    with pytest.raises(SourceError, match=r"known only after its last row\. Name them with --class_names"):
        inputs(tmp_path, dataset=folder)


def test_names_of_class_numbers(tmp_path):
    folder = parquet(tmp_path / "data", label=[0, 1] * 4, click=DICTS)
    for streaming in (False, True):
        found = inputs(tmp_path, streaming=streaming, dataset=folder, class_names="cat, dog,emu")
        assert found.names == ["cat", "dog", "emu"]
        assert "labels: the 3 classes of column 'label' are named by --class_names" in found.notes
        assert [row["label"] for row in found.train] == [0, 1] * 4
    table(label=[1, 0, 2, 1] * 2, click=DICTS).to_parquet(folder / "validation.parquet")
    for streaming in (False, True):
        found = inputs(tmp_path, streaming=streaming, dataset=folder, class_names="cat, dog,emu")
        assert found.evaluated.features["label"].names == ["cat", "dog", "emu"], "the option names these too"
        assert found.evaluated["label"][:] == [1, 0, 2, 1] * 2
    table(label=["dog", "cat"] * 4, click=DICTS).to_parquet(folder / "validation.parquet")
    (folder / "train.parquet").rename(tmp_path / "train.parquet")
    table(label=[0, 1] * 4, click=DICTS).cast_column("label", CLASS).to_parquet(folder / "train.parquet")
    with pytest.raises(SourceError, match=r"column 'label' has names of its own: cat, dog\. Leave"):
        inputs(tmp_path, streaming=False, dataset=folder, class_names="dog,cat", do_eval=False)


@pytest.mark.parametrize("streaming", [False, True])
def test_how_evaluation_labels_are_read_is_said_too(streaming, tmp_path):
    folder = parquet(tmp_path / "data", label=[0, 1] * 4, click=DICTS)
    floats = parquet(tmp_path / "floats", label=[0.0, 1.0] * 4, click=DICTS)
    found = inputs(tmp_path, streaming=streaming, dataset=folder, eval_dataset=floats)
    read = "labels: column 'label' has whole numbers as float64, read as class numbers"
    assert [note for note in found.notes if "labels: " in note] == [f"evaluation rows: {read}"]
    found = inputs(tmp_path, streaming=streaming, dataset=floats, eval_dataset=floats)
    assert [note for note in found.notes if "labels: " in note] == [read], "once for the same column"


@pytest.mark.parametrize("streaming", [False, True])
def test_labels_of_other_kinds(streaming, tmp_path):
    for name, values, numbers, classes in (
        ("floats", [0.0, 1.0] * 4, [0, 1] * 4, ["0", "1"]),
        ("texts", ["10", "9.0"] * 4, [1, 0] * 4, ["9", "10"]),
        ("spaces", [" dog", "cat"] * 4, [1, 0] * 4, ["cat", "dog"]),
        ("bools", [True, False] * 4, [1, 0] * 4, ["false", "true"]),
        ("lists", [["dog", "cat"], []] * 4, [[1, 0], []] * 4, ["cat", "dog"]),
        ("hot", [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]] * 4, [[1, 2], [0]] * 4, ["0", "1", "2"]),
    ):
        folder = parquet(tmp_path / name, label=values)
        found = inputs(tmp_path, streaming=streaming, dataset=folder, loss="none")
        assert found.names == classes, name
        assert [row["label"] for row in found.train] == numbers, name
        assert sum(note.startswith("labels: ") for note in found.notes) == 1, found.notes


@pytest.mark.parametrize("streaming", [False, True])
def test_points_in_x_and_y_of_both_sets(streaming, tmp_path):
    x, y = [x for x, _ in CLICKS], [y for _, y in CLICKS]
    folder = parquet(tmp_path / "data", label=labels(), x=x, y=y)
    table(label=labels(), x=x, y=[*y[:7], None]).filter(lambda row: row["y"] is not None).to_parquet(
        folder / "validation.parquet"
    )
    found = inputs(tmp_path, streaming=streaming, dataset=folder)
    assert [row["click"] for row in found.train] == DICTS
    assert (found.eval_facts.with_target, found.eval_byproduct) == (7, "click")
    assert "points: they are read from the columns 'x' and 'y'" in found.notes


def test_points_that_are_left_out_are_counted_while_they_are_read(tmp_path, caplog):
    x = [x * WIDTH for x, _ in CLICKS]
    sizes = {"width": [WIDTH, HEIGHT] * 4, "height": [HEIGHT, WIDTH] * 4}  # every second one is turned
    folder = parquet(tmp_path / "data", label=labels(), x=x, y=[HEIGHT / 2] * 8, **sizes)
    found = inputs(tmp_path, dataset=folder, point_units="pixels")
    assert any("the points of 4 of 8 images are left out" in note for note in found.notes)
    for count in (4, 8):
        assert sum(row["click"] is not None for row in found.train) == 4
        assert f"the points of {count} of the {2 * count} rows that were read so far are left" in caplog.text
