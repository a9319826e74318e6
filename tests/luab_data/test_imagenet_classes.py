"""The label of a class folder is its place in ImageNet's order."""

from hashlib import sha256

from luab_data.imagenet_classes import class_list, class_name, imagenet_names


def test_imagenets_order():
    classes = class_list()
    assert len(set(classes)) == 1000
    # Fixed points of the order that every ImageNet model uses.
    expected = {0: "n01440764", 1: "n01443537", 207: "n02099601", 281: "n02123045", 999: "n15075141"}
    assert {index: classes[index] for index in expected} == expected


def test_readable_names():
    names = imagenet_names()
    assert names["n01440764"] == "tench, Tinca tinca"
    assert all(name == name.strip() != "" for name in names.values())
    assert class_name("n02123045").startswith("tabby")
    assert class_name("circle") == "circle"


def test_a_subset_keeps_the_order_and_other_folders_follow():
    assert class_list(["zebra", "n02123045", "ant", "n01440764", "ant"]) == [
        "n01440764",
        "n02123045",
        "ant",
        "zebra",
    ]
    assert class_list([]) == []


def test_same_as_the_published_list():
    """The lines of `imagenet_synsets.txt`, as it is published with many models."""
    published = "385e0240499426c022b773be1ae4da780f057b89c9694c7f47199f62746b6edd"
    assert sha256("\n".join(class_list()).encode()).hexdigest() == published
