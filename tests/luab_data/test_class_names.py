"""Classes are matched by name in one place: the exact name wins, and nothing ambiguous is guessed."""

import unicodedata

import datasets
import pytest
from fixtures.factories import image_bytes, noise_image

from luab_data.errors import SourceError
from luab_data.imagenet_classes import imagenet_names
from luab_data.rows.class_names import match
from luab_data.rows.same_classes import with_classes_of
from luab_eval.image_sets.class_maps import folder_outputs

WNIDS, READABLE = list(imagenet_names()), list(imagenet_names().values())
HUB = [name if at != 517 else "crane2" for at, name in enumerate(READABLE)]  # a ClassLabel has no name twice


@pytest.mark.parametrize(
    ("wanted", "known", "expected"),
    [
        (["cat", "Cat"], ["Cat", "cat"], [1, 0]),
        (["CAT", "big_dog"], ["cat", "Big dog"], [0, 1]),
        ([unicodedata.normalize("NFD", "café")], ["Café"], [0]),
        (["n01440764", "crane"], ["tench, Tinca tinca", "crane"], [0, 1]),
        (["tench", "n02012849"], ["crane (n02012849)", "n01440764"], [1, 0]),
        (["fish"], ["tench"], [None]),
        (["cat", "n01440764"], ["tench", "cat", "lynx"], [1, 0]),
        (HUB, WNIDS[::-1], list(range(999, -1, -1))),
    ],
    ids=["exact", "relaxed", "accents", "wnid to name", "name to wnid", "stranger", "mixed", "Hub"],
)
def test_match(wanted, known, expected):
    found = match([(name,) for name in wanted], [(name,) for name in known], "class", "the model's")
    assert found == expected


@pytest.mark.parametrize(
    ("wanted", "known", "message"),
    [
        (["CAT"], ["Cat", "cat"], r"folder 'CAT' could be each of 2 of the model's classes: 'Cat', 'cat'\."),
        (["cat"], ["cat", "cat"], "folder 'cat' could be each of 2"),
        (["n01440764"], ["tench", "tench, Tinca tinca"], "'tench', 'tench, Tinca tinca'"),
        (["Cat", "cat"], ["cat"], r"two folders, 'Cat' and 'cat', are the same one .* 'cat'\. Rename"),
        (["tench", "n01440764"], ["tench"], "'tench' and 'n01440764'"),
    ],
)
def test_what_is_ambiguous_is_refused_with_both_names(wanted, known, message):
    with pytest.raises(SourceError, match=message):
        match([(name,) for name in wanted], [(name,) for name in known], "folder", "the model's")


def test_a_models_labels_that_differ_by_capitals_are_told_apart_or_refused():
    assert folder_outputs(["cat", "Cat", "dog"], ["Cat", "cat"]) == [1, 0, 2]
    with pytest.raises(ValueError, match="'cat', 'Cat'"):
        folder_outputs(["cat", "Cat", "dog"], ["CAT"])


def labeled(names, label, **columns):
    """Rows with a ClassLabel `label` and a number."""
    feature = datasets.ClassLabel(names=names)
    if isinstance(label[0], list):
        feature = datasets.List(feature)
    features = {"label": feature, "row": datasets.Value("int64")}
    table = {"label": label, "row": list(range(len(label)))}
    for name, (values, of_column) in columns.items():
        table[name], features[name] = values, of_column
    return datasets.Dataset.from_dict(table, features=datasets.Features(features))


def test_rows_get_the_training_sets_numbers(caplog):
    train = labeled(["n01440764", "n01443537", "n99999999"], [0, 1, 2])
    names = ["goldfish, Carassius auratus", "unused", "tench, Tinca tinca"]
    own = datasets.ClassLabel(names=names)
    boxes = [{"bbox": [[0, 0, 1, 1]] * 2, "category": [0, 1]}, None, {"bbox": [], "category": []}]
    objects = {"bbox": datasets.List(datasets.List(datasets.Value("int64"))), "category": datasets.List(own)}
    points = [[{"label": 2, "x": 0.5}], [], [{"label": -1, "x": 0.1}]]
    points = (points, datasets.List({"label": own, "x": datasets.Value("float64")}))
    other = labeled(names, [2, 0, -1], objects=(boxes, objects), points=points)
    found = with_classes_of(train, other, "label")
    assert found["label"][:] == [0, 1, -1]
    assert found.features["label"] == train.features["label"]
    assert found["row"][:] == [0, 1, 2]
    # A class that the training set does not have is -2: -1 would be no class, which is the image's own.
    assert [each and each["category"] for each in found["objects"]] == [[1, -2], None, []]
    assert [[point["label"] for point in each] for each in found["points"]] == [[0], [], [-1]]
    assert "tench, Tinca tinca is n01440764 (2 -> 0)" in caplog.text
    assert len(caplog.records) == 1


def test_several_labels_an_image():
    train = labeled(["cat", "dog"], [[0, 1]])
    found = with_classes_of(train, labeled(["Dog", "Cat"], [[0], [], [1, 0]]), "label")
    assert found["label"][:] == [[1], [], [0, 1]]


def test_the_readable_names_of_a_column_count():
    names = (["a cat", "a dog"], datasets.Value("string"))
    train = labeled(["0001", "0002"], [0, 1], class_name=names)
    assert with_classes_of(train, labeled(["A dog", "A cat"], [0, 1]), "label")["label"][:] == [1, 0]


def test_the_hubs_imagenet_against_ours():
    train = labeled(sorted(WNIDS[:600], reverse=True), [0, 1])
    found = with_classes_of(train, labeled(HUB, [0, 517, 134]), "label")
    assert [train.features["label"].names[k] for k in found["label"][:]] == [WNIDS[0], WNIDS[517], WNIDS[134]]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (labeled(READABLE[:134], [0, 1]), r"2 of the 2 classes .*none of .* training set's 2: tench"),
        (labeled(["cat", "dog"], [[0]]), "one class in the training set and a list of classes"),
        (labeled(["CAT", "dog"], [0]).rename_column("label", "kind"), "no column 'label'; it has kind, row"),
        (
            labeled(["a"], [0]).cast_column("label", datasets.Value("int64")),
            r"2 named classes \(cat, dog\) in the training set and class numbers without names",
        ),
    ],
)
def test_strangers_are_refused_in_few_words(other, message):
    with pytest.raises(SourceError, match=message) as error:
        with_classes_of(labeled(["cat", "dog"], [0, 1]), other, "label")
    assert len(str(error.value)) < 400


def test_equal_and_nameless_classes_are_left_alone():
    rows = labeled(["cat", "dog"], [0, 1])
    assert with_classes_of(rows, rows, "label") is rows
    numbers = rows.cast_column("label", datasets.Value("int64"))
    small = numbers.cast_column("label", datasets.Value("int32"))
    assert with_classes_of(numbers, small, "label") is small


@pytest.mark.parametrize("images_as", ["PNG", "JPEG"])
def test_masks_of_another_class_order_stay_files(images_as):
    """Only the class numbers beside the images change: no image is decoded, and none is written again."""
    stored = [image_bytes(noise_image(6, 4, seed), images_as) for seed in range(3)]
    names = ["dog", "cat"]
    own = datasets.ClassLabel(names=names)
    masks = [
        [{"label": 0, "image": {"bytes": stored[0], "path": None}}, {"label": None, "image": None}],
        None,
        [{"label": 1, "image": {"bytes": stored[1], "path": None}}, None],
        [{"label": -1, "image": {"bytes": stored[2], "path": "mask.png"}}],
    ]
    feature = datasets.List({"label": own, "image": datasets.Image()})
    rows = labeled(names, [0, 1, 1, -1], masks=(masks, feature))
    train = labeled(["cat", "dog"], [0, 1])
    for other, order in ((rows, [0, 1, 2, 3]), (rows.select([3, 2, 0]), [3, 2, 0])):
        found = with_classes_of(train, other, "label")
        assert found.features["masks"] == datasets.List(
            {"label": train.features["label"], "image": datasets.Image()}
        )
        expected = [
            each
            and [
                entry and {**entry, "label": {0: 1, 1: 0}.get(entry["label"], entry["label"])}
                for entry in each
            ]
            for each in masks
        ]
        assert found.with_format("arrow")[:]["masks"].to_pylist() == [expected[at] for at in order]
        assert found["row"][:] == order and found["label"][:] == [[1, 0, 0, -1][at] for at in order]


@pytest.mark.parametrize("kind", ["list", "large", "fixed"])
def test_lists_of_any_kind_get_the_training_sets_numbers(kind):
    own, values = datasets.ClassLabel(names=["dog", "cat"]), [[0, 1], None, [1, None]]
    feature = {
        "list": datasets.List(own),
        "large": datasets.LargeList(own),
        "fixed": datasets.List(own, length=2),
    }[kind]
    other = labeled(["dog", "cat"], [0, 1, 0], seen=(values, feature))
    found = with_classes_of(labeled(["cat", "dog"], [0]), other, "label")
    assert found["seen"][:] == [[1, 0], None, [0, None]]
    assert type(found.features["seen"]) is type(feature)
    no_rows = with_classes_of(labeled(["cat", "dog"], [0]), other.select([]), "label")
    assert len(no_rows) == 0 and no_rows.features == found.features
