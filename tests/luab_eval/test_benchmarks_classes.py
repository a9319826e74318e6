"""Which output is which class, and the published lists."""

from collections import Counter

import pytest

from luab_data.imagenet_classes import imagenet_names
from luab_eval.benchmarks.si_score import CLASSES, targets
from luab_eval.image_sets.class_maps import (
    folder_outputs,
    imagenet_outputs,
    in9_names,
    in9_of_imagenet,
    objectnet_all_folders,
    objectnet_folders,
    real_labels,
    subset,
    wnids,
)

NAMES = list(imagenet_names().values())


def test_published_sizes():
    assert [len(set(subset(letter))) for letter in "aro"] == [200, 200, 200]
    assert len(real_labels()) == 50_000
    assert sum(not labels for labels in real_labels()) == 3_163
    assert len(objectnet_folders()) == 113
    assert len(objectnet_all_folders()) == 313
    assert len(CLASSES) == len(set(targets().values())) == 61
    assert None not in targets().values()


def test_in9_joins_the_classes_below_its_nine():
    assert " ".join(in9_names()) == "Dog Bird Vehicle Reptile Carnivore Insect Instrument Primate Fish"
    counts = Counter(in9_of_imagenet())
    assert counts == {-1: 630, 0: 116, 1: 52, 2: 42, 3: 36, 4: 35, 5: 27, 6: 26, 7: 20, 8: 16}
    for name, expected in [("tench, Tinca tinca", 8), ("Chihuahua", 0), ("ambulance", 2), ("banana", -1)]:
        assert in9_of_imagenet()[NAMES.index(name)] == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (list(wnids()), range(1000)),
        (list(reversed(wnids())), range(999, -1, -1)),
        (NAMES, range(1000)),
        ([name.split(",")[0] for name in NAMES], range(1000)),
        ([f"LABEL_{k}" for k in range(1000)], range(1000)),
        ([str(k) for k in range(1000)], range(1000)),
        ([*NAMES[:600], *(f"another name of {k}" for k in range(600, 1000))], range(1000)),
        (["background", *NAMES], range(1, 1001)),
        (["background", *(f"LABEL_{k}" for k in range(1000))], range(1, 1001)),
        ([*(f"other {k}" for k in range(50)), *wnids()], range(50, 1050)),
    ],
    ids=[
        "wnids",
        "reversed wnids",
        "names",
        "first names",
        "LABEL_k",
        "k",
        "most names",
        "1001",
        "1001 LABEL_k",
        "wnids after others",
    ],
)
def test_outputs_are_found(labels, expected):
    assert imagenet_outputs(labels) == list(expected)


@pytest.mark.parametrize(
    "labels",
    [
        ["cat", "dog"],
        NAMES[::-1],
        [f"LABEL_{k}" for k in range(21_841)],
        [f"product {k}" for k in range(1000)],
        sorted(str(k) for k in range(1000)),
        [str(k) for k in range(1, 1001)],
        [*NAMES[:10], *(f"product {k}" for k in range(990))],
    ],
    ids=[
        "2",
        "reversed",
        "22k",
        "1000 others",
        "numbers as text",
        "numbers from 1",
        "1000 others, ten of ImageNet's",
    ],
)
def test_outputs_that_cannot_be_told_are_refused(labels):
    # Reversed names: which "crane" is the bird?
    with pytest.raises(ValueError, match=r"not ImageNet's 1000 classes.*id2label.*folder:NAME=PATH"):
        imagenet_outputs(labels)


def test_folders_are_called_as_labels_or_wnids():
    labels = ["Big square", "tench, Tinca tinca", "circle", "goldfish"]
    assert folder_outputs(labels, ["circle", "big_square"]) == [2, 0, 1, 3]
    assert folder_outputs(labels, ["n01443537", "n01440764"]) == [3, 1, 0, 2]
    with pytest.raises(ValueError, match=r"1 of the images' 2 classes is none of .*triangle.*Big square"):
        folder_outputs(labels, ["circle", "triangle"])
