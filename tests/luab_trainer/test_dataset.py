"""Rows to samples: reproducible views, any dataset with image, label and point, errors that name the row."""

import weakref

import datasets
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from datasets import ClassLabel, Features, List, Value
from fixtures.factories import image_bytes, noise_image
from torch.utils.data import DataLoader

from luab_data.rows.columns import Columns
from luab_trainer.data.collator import collate
from luab_trainer.data.dataset import ViewDataset, ViewIterableDataset
from luab_trainer.data.samples import AT_ONCE
from luab_vision.geometry import to_view
from luab_vision.transforms import EvalTransform, ImageSettings, TrainTransform

SIZE = 16
TRAIN = TrainTransform(ImageSettings(size=SIZE))
EVAL = EvalTransform(ImageSettings(size=SIZE))
POINT = {"x": Value("float32"), "y": Value("float32")}


def rows(count: int) -> list[dict]:
    """Rows of small images of different shapes, a click in all but every fourth."""
    return [
        {
            "image": {"bytes": image_bytes(noise_image(20 + i, 30 - i, seed=i)), "path": None},
            "label": i % 3,
            "image_id": f"n0/n0_{i}",
            "click": None if i % 4 == 3 else {"x": 0.1 + i / 20, "y": 0.5},
        }
        for i in range(count)
    ]


def table(count: int = 10) -> datasets.Dataset:
    features = Features(
        {
            "image": datasets.Image(),
            "label": ClassLabel(names=["a", "b", "c"]),
            "image_id": Value("string"),
            "click": POINT,
        }
    )
    return datasets.Dataset.from_list(rows(count), features=features)


def pixels(samples) -> list[bytes]:
    return [sample["pixel_values"].numpy().tobytes() for sample in samples]


def test_a_sample_carries_the_click_into_the_view():
    dataset = ViewDataset(table(), EVAL, byproduct="click")
    sample = dataset[2]
    assert sample["pixel_values"].shape == (SIZE, SIZE, 3)
    assert sample["labels"] == 2 and sample["target_labels"] == [2]
    expected = to_view(np.array([[0.2, 0.5]]), EVAL.view(22, 28))
    np.testing.assert_allclose(sample["target_points"][0], expected, atol=1e-6)
    assert sample["target_weights"][0].tolist() == [1]
    assert dataset[3]["target_labels"] == []


def test_a_plain_run_reads_no_byproducts():
    sample = ViewDataset(table().remove_columns("click"), TRAIN)[0]
    assert sample.keys() == {"pixel_values", "labels", "row"}
    assert collate([sample]).keys() == {"pixel_values", "labels", "rows"}


def test_a_view_depends_on_seed_epoch_and_row_only():
    dataset = ViewDataset(table(), TRAIN, seed=1)
    first = pixels(dataset)
    assert pixels(dataset[i] for i in reversed(range(10))) == first[::-1]
    assert pixels(ViewDataset(table(), TRAIN, seed=1)) == first
    assert not set(pixels(ViewDataset(table(), TRAIN, seed=2))) & set(first)
    dataset.set_epoch(1)
    assert not set(pixels(dataset)) & set(first)
    dataset.set_epoch(0)
    assert pixels(dataset) == first


def test_a_batch_is_its_rows():
    dataset = ViewDataset(table(10), TRAIN, byproduct="click")
    order = [7 * index % 10 for index in range(2 * AT_ONCE + 3)]
    together, alone = dataset.__getitems__(order), [dataset[index] for index in order]
    assert pixels(together) == pixels(alone)
    for name in ("target_points", "target_weights"):
        assert [np.array(s[name]).tolist() for s in together] == [np.array(s[name]).tolist() for s in alone]
    assert [s["labels"] for s in together] == [s["labels"] for s in alone] == [index % 3 for index in order]


def test_one_image_of_a_batch_is_decoded_at_a_time():
    decoded = []

    class Watching(EvalTransform):
        def crop(self, pixels, view):
            assert not any(reference() is not None for reference in decoded)
            decoded.append(weakref.ref(pixels))
            return super().crop(pixels, view)

    files = [{"image": image_bytes(noise_image(20, 20), format), "label": 0} for format in ("JPEG", "PNG")]
    assert len(ViewDataset(files * 3, Watching(EVAL.settings)).__getitems__(range(6))) == len(decoded) == 6


@pytest.mark.parametrize("index", [7, -3, np.int64(7), torch.tensor(7)])
def test_any_integer_is_an_index(index):
    assert pixels([ViewDataset(table(10), TRAIN)[index]]) == pixels([ViewDataset(table(10), TRAIN)[7]])


def test_an_index_out_of_range_is_an_index_error():
    with pytest.raises(IndexError):
        ViewDataset(table(10), TRAIN)[10]


def epochs_seen(loader, dataset, epochs: int, set_epoch: bool) -> list[list[bytes]]:
    seen = []
    for epoch in range(epochs):
        if set_epoch:
            dataset.set_epoch(epoch)
        seen.append(
            [
                image
                for batch in loader
                for image in pixels({"pixel_values": p} for p in batch["pixel_values"])
            ]
        )
    return seen


@pytest.mark.parametrize(("context", "workers"), [("fork", 2), ("spawn", 1)])
def test_workers_change_nothing_and_hear_of_the_epoch(context, workers):
    dataset = ViewDataset(table(), TRAIN, byproduct="click")
    alone = epochs_seen(DataLoader(dataset, 2, collate_fn=collate), dataset, 2, set_epoch=True)
    loader = DataLoader(
        dataset,
        2,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=True,
        multiprocessing_context=context,
    )
    assert epochs_seen(loader, dataset, 2, set_epoch=True) == alone
    assert not set(alone[0]) & set(alone[1])


def test_accelerate_tells_the_epoch_to_persistent_workers():
    dataset = ViewDataset(table(), TRAIN)
    alone = epochs_seen(DataLoader(dataset, 2, collate_fn=collate), dataset, 2, set_epoch=True)
    dataset.set_epoch(0)
    loader = DataLoader(dataset, 2, collate_fn=collate, num_workers=2, persistent_workers=True)
    loader = Accelerator(cpu=True).prepare(loader)
    assert epochs_seen(loader, dataset, 2, set_epoch=False) == alone


@pytest.mark.parametrize("make", [list, lambda rows: table().with_transform(lambda batch: batch)])
def test_rows_of_any_kind(make):
    other = ViewDataset(make(rows(10)), TRAIN, byproduct="click")
    ours = ViewDataset(table(), TRAIN, byproduct="click")
    assert pixels(other[i] for i in range(10)) == pixels(ours)
    assert [s["target_labels"] for s in map(other.__getitem__, range(10))] == [
        s["target_labels"] for s in ours
    ]


def test_a_formatted_dataset_is_read_the_same():
    assert pixels(ViewDataset(table().with_format("torch"), TRAIN)) == pixels(ViewDataset(table(), TRAIN))


def test_other_column_names_and_points_as_lists():
    mine = [{"picture": noise_image(20, 20), "class": 1, "where": [0.5, 0.25]}] * 2
    columns = Columns(image="picture", label="class", point="where", annotations=None)
    dataset = ViewDataset(datasets.Dataset.from_list(mine), EVAL, byproduct="click", columns=columns)
    expected = to_view(np.array([[0.5, 0.25]]), EVAL.view(20, 20))
    np.testing.assert_allclose(dataset[1]["target_points"][0], expected, atol=1e-6)


def test_several_labels_an_image():
    features = Features(
        {
            "image": datasets.Image(),
            "labels": List(ClassLabel(num_classes=5)),
            "points": List({"label": Value("int64"), **POINT}),
        }
    )
    coco = [
        {
            "image": noise_image(20, 20),
            "labels": [0, 4],
            "points": [{"label": 4, "x": 0.5, "y": 0.5}, {"label": 0, "x": 0.01, "y": 0.5}],
        },
        {"image": noise_image(20, 20), "labels": [], "points": []},
    ]
    columns = Columns(label="labels", point="points")
    data = datasets.Dataset.from_list(coco, features=features)
    dataset = ViewDataset(data, EVAL, byproduct="click", columns=columns, num_labels=5)
    batch = collate([dataset[0], dataset[1]])
    assert batch["labels"].tolist() == [[1, 0, 0, 0, 1], [0] * 5]
    assert batch["target_labels"].tolist() == [[4, 0], [-1, -1]]
    assert batch["target_weights"][0].tolist() == [[1], [0]]  # x = 0.01 is outside the central crop
    with pytest.raises(ValueError, match=r"Row 0: .*say how many \(num_labels\)"):
        ViewDataset(data, EVAL, columns=columns)[0]


def test_missing_columns_are_named_beside_those_there_are():
    with pytest.raises(ValueError, match="no column 'click'; it has image, image_id, label"):
        ViewDataset(table().remove_columns("click"), EVAL, byproduct="click")
    with pytest.raises(ValueError, match="no column 'label'"):
        ViewDataset([{"image": noise_image(8, 8), "class": 1}], EVAL)
    with pytest.raises(ValueError, match="no column 'annotations'"):
        ViewIterableDataset(table().to_iterable_dataset(), EVAL, byproduct="trace")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": {"bytes": b"no image", "path": None}}, "cannot read the image in column 'image'"),
        ({"image": {"bytes": image_bytes(noise_image(64, 64))[:900], "path": None}}, "cannot read the image"),
        ({"image": None}, "cannot read the image"),
        ({"label": None}, "not a class number"),
        ({"label": "cat"}, "class_encode_column"),
        ({"label": -1}, "a label is -1, allowed is 0 to 2"),
        ({"label": 3}, "a label is 3, allowed is 0 to 2"),
        ({"click": {"x": 150.0, "y": 30.0}}, "look like pixels"),
        ({"click": [{"label": 9, "x": 0.5, "y": 0.5}]}, "a label is 9"),
    ],
)
def test_errors_name_the_row(change, message):
    broken = rows(4)
    broken[2].update(change)
    dataset = ViewDataset(broken, EVAL, byproduct="click", num_labels=3)
    dataset[1]
    with pytest.raises(ValueError, match=message) as error:
        dataset[2]
    assert str(error.value).startswith("Row 2 (image_id n0/n0_2): ")


def test_errors_in_workers_name_the_row():
    broken = rows(4)
    broken[2]["image"] = {"bytes": b"no image", "path": None}
    loader = DataLoader(ViewDataset(broken, EVAL), 2, collate_fn=collate, num_workers=1)
    with pytest.raises(ValueError, match="Row 2"):
        list(loader)


def stream(shuffle: bool = False) -> datasets.IterableDataset:
    rows = table(12).to_iterable_dataset(num_shards=4)
    return rows.shuffle(seed=0, buffer_size=4) if shuffle else rows


def test_a_stream_gives_the_same_views_however_many_workers_read_it():
    dataset = ViewIterableDataset(stream(), TRAIN, byproduct="click")
    alone = epochs_seen(DataLoader(dataset, 2, collate_fn=collate), dataset, 2, set_epoch=True)
    assert len(set(alone[0])) == 12
    assert not set(alone[0]) & set(alone[1])
    loader = DataLoader(dataset, 2, collate_fn=collate, num_workers=2, persistent_workers=True)
    shared = epochs_seen(loader, dataset, 2, set_epoch=True)
    assert [sorted(epoch) for epoch in shared] == [sorted(epoch) for epoch in alone]


def test_a_stream_shuffles_anew_each_epoch():
    dataset = ViewIterableDataset(stream(shuffle=True), EVAL)
    first, second = epochs_seen(DataLoader(dataset, 2, collate_fn=collate), dataset, 2, set_epoch=True)
    assert sorted(first) == sorted(second)
    assert first != second


def test_a_stream_without_known_columns_is_checked_at_its_first_row():
    def generate():
        yield from ({"image": row["image"]["bytes"], "kind": 1} for row in rows(2))

    unknown = datasets.IterableDataset.from_generator(generate)
    assert unknown.column_names is None
    with pytest.raises(ValueError, match="no column 'label'; it has image, kind"):
        list(ViewIterableDataset(unknown, EVAL))
    named = ViewIterableDataset(unknown, TRAIN, columns=Columns(label="kind"))
    assert len(set(pixels(named))) == 2


def test_a_stream_is_not_taken_for_a_table():
    with pytest.raises(TypeError, match="ViewIterableDataset"):
        ViewDataset(stream(), TRAIN)
    with pytest.raises(TypeError, match="ViewDataset"):
        ViewIterableDataset(table(), TRAIN)


def test_views_do_not_touch_global_random_state():
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    before = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    ViewDataset(table(), TRAIN)[0]
    assert (torch.rand(1), np.random.rand()) == before  # noqa: NPY002


def test_a_point_of_another_class_is_no_target_of_an_image_with_one_label():
    image = noise_image(8, 8)
    points = [
        [{"label": 0, "x": 0.1, "y": 0.2}, {"label": 1, "x": 0.3, "y": 0.4}],
        [{"label": 0, "x": 0.5, "y": 0.6}],
        [{"x": 0.7, "y": 0.8}],
    ]
    rows = [
        {"image": image, "label": label, "points": each}
        for label, each in zip((0, 1, 1), points, strict=True)
    ]
    transform = EvalTransform(ImageSettings(size=8, resize=(8, 8)))
    data = ViewDataset(rows, transform, byproduct="click", columns=Columns(point="points"), num_labels=2)
    assert [data[number]["target_labels"] for number in range(3)] == [[0], [], [1]]
    np.testing.assert_allclose(data[0]["target_points"], [[[0.1, 0.2]]], atol=1e-6)
    unnamed = {"x": 0.9, "y": 0.9}  # counts where nothing names the class of the image, as in masks
    for nothing in (-1, None):
        for row in rows[:2]:
            row["points"] = [*row["points"][:2], {"label": nothing, **unnamed}]
        assert [data[number]["target_labels"] for number in range(2)] == [[0], [1]]
        np.testing.assert_allclose(data[0]["target_points"], [[[0.1, 0.2]]], atol=1e-6)
        np.testing.assert_allclose(data[1]["target_points"], [[[0.9, 0.9]]], atol=1e-6)
        rows[1]["points"] = rows[1]["points"][:1]
    rows[0]["points"][1]["label"] = 7
    with pytest.raises(ValueError, match="7"):
        data[0]
