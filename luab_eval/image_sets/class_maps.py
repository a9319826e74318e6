"""Maps a classifier's outputs to classes, and holds the benchmarks' class lists and maps.

Class numbers are ImageNet's, 0 to 999 in the order of the wnids. The files are in `class_maps/`; its README
names their sources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from luab_data.console.names import few
from luab_data.console.text import counted
from luab_data.imagenet_classes import imagenet_names
from luab_data.rows.class_names import imagenet_classes, match

# Labels that say nothing of their class but its number: LABEL_7, class 7, 7.
_NUMBERED = re.compile(r"(?:(?:label|class|output)[-_ ]?)?(\d+)", re.IGNORECASE | re.ASCII)
BACKGROUND = 1  # outputs before the 1000 in models with a "background" class (MobileNet of TensorFlow)


@cache
def wnids() -> tuple[str, ...]:
    """ImageNet's 1000 wnids in their order."""
    return tuple(imagenet_names())


@cache
def wnid_index() -> dict[str, int]:
    """The number of each wnid."""
    return {wnid: index for index, wnid in enumerate(wnids())}


def class_file(name: str) -> str:
    """The text of one file of `class_maps/`."""
    return (files("luab_eval.image_sets") / "class_maps" / name).read_text(encoding="utf-8")


def subset(name: str) -> list[int]:
    """The 200 classes of ImageNet-`name`: "a", "o" or "r"."""
    return [wnid_index()[wnid] for wnid in class_file(f"imagenet_{name}_synsets.txt").split()]


@cache
def real_labels() -> list[frozenset[int]]:
    """ReaL's classes of each of the 50,000 validation images: position 0 is ILSVRC2012_val_00000001."""
    return [frozenset(labels) for labels in json.loads(class_file("imagenet_real.json"))]


def in9_of_imagenet() -> list[int]:
    """ImageNet-9's class (0 to 8) of each of the 1000 classes, -1: none."""
    table = json.loads(class_file("in_to_in9.json"))
    return [table[str(index)] for index in range(len(table))]


def in9_names() -> list[str]:
    """ImageNet-9's classes in their order."""
    return [line.split()[0] for line in class_file("in9_classes.txt").splitlines()]


def objectnet_folders() -> dict[str, list[int]]:
    """Folder of each ObjectNet class that ImageNet has too (113 of 313) -> its ImageNet classes.

    The published map uses the full list of names of ImageNet's classes.
    """
    numbers = {names: index for index, names in enumerate(imagenet_names().values())}
    imagenet_of = json.loads(class_file("objectnet_to_imagenet_1k.json"))
    folders = json.loads(class_file("folder_to_objectnet_label.json"))
    return {
        folder: [numbers[names] for names in imagenet_of[label].split("; ")]
        for folder, label in folders.items()
        if label in imagenet_of
    }


def objectnet_all_folders() -> set[str]:
    """ObjectNet's 313 class folders."""
    return set(json.loads(class_file("folder_to_objectnet_label.json")))


def find_by_name(name: str) -> int | None:
    """The ImageNet class with `name` among its names; if several, the one whose first name it is.

    "missile" is "missile", not "projectile, missile". None: no class, or several.
    """
    name = name.lower()
    for fits in (lambda own: own == [name], lambda own: own[0] == name, lambda own: name in own):
        found = [index for index, own in enumerate(_all_names()) if fits(own)]
        if len(found) == 1:
            return found[0]
    return None


def imagenet_outputs(labels: Sequence[str]) -> list[int]:
    """For each of ImageNet's 1000 classes the position in `labels`, the names of a classifier's outputs.

    Unambiguous names decide: a wnid, all of the class's names, or the first name if no other class has it.
    1000 outputs are assumed to be in ImageNet's order, and 1001 outputs to be "background" and these, if no
    name or number contradicts it, and half of the names that say more are ImageNet's. This is necessary
    because real models have labels such as LABEL_0, and two classes called "crane".

    Raises:
        ValueError: the outputs are not the 1000 classes, or their order is unknown.
    """
    places: dict[int, list[int]] = {}
    for at, index in enumerate(imagenet_classes([(str(label),) for label in labels])):
        if index is not None:
            places.setdefault(index, []).append(at)
    named = {index: at[0] for index, at in places.items() if len(at) == 1}
    for first in (0, BACKGROUND):
        if len(labels) != first + len(wnids()) or any(at != first + index for index, at in named.items()):
            continue
        numbers = [_NUMBERED.fullmatch(str(label)) for label in labels]
        before = {at - int(number[1]) for at, number in enumerate(numbers) if number}
        in_order = before in (set(), {0}, {first})
        if in_order and 2 * len(named) >= numbers[first:].count(None):
            return list(range(first, first + len(wnids())))
    absent = [index for index in range(len(wnids())) if index not in named]
    if absent:
        names = [" ".join(pair) for pair in imagenet_names().items()]
        raise ValueError(
            f"The model's {len(labels)} outputs ({few(labels)}) are not ImageNet's 1000 classes: "
            f"{len(absent)} are not found, such as {few([names[index] for index in absent])}. They must be "
            "named in id2label by wnid or by ImageNet's names, or be exactly 1000 in their order, called "
            "by their places (LABEL_0 to LABEL_999). A model of other classes is evaluated on a "
            "<class>/<image> folder of them: --benchmarks folder:NAME=PATH."
        )
    return [named[index] for index in range(len(wnids()))]


def folder_outputs(labels: Sequence[str], folders: Sequence[str]) -> list[int]:
    """For each class folder the position in `labels`, then the positions of all other outputs.

    The names are compared by `luab_data.rows.class_names.match`.

    Raises:
        ValueError: a folder that matches no class of the model, or several.
    """
    known = [(str(label),) for label in labels]
    found = match([(folder,) for folder in folders], known, "class folder", "the model's")
    strangers = [folder for folder, at in zip(folders, found, strict=True) if at is None]
    if strangers:
        raise ValueError(
            f"{len(strangers):,} of the images' {counted(len(folders), 'class', 'classes')} "
            f"{'is' if len(strangers) == 1 else 'are'} none of the model's {len(labels):,} classes: "
            f"{few(strangers)}. A class (of folders: a folder) must be called as a label in id2label: "
            f"{few(labels)}."
        )
    named = [at for at in found if at is not None]
    return named + [at for at in range(len(labels)) if at not in set(named)]


def first_name(folder: str) -> str:
    """A wnid's first name; any other class folder's name unchanged."""
    return imagenet_names().get(folder, folder).partition(",")[0]


@cache
def _all_names() -> list[list[str]]:
    """The names of each ImageNet class, in lower case."""
    return [[name.strip() for name in names.lower().split(",")] for names in imagenet_names().values()]
