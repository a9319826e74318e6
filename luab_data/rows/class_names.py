"""Matches the classes of two lists by name; the only place that compares class names.

folders of an evaluation -> outputs of a model; classes of an evaluation set -> those of the training set
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache

from luab_data.console.names import few
from luab_data.errors import SourceError
from luab_data.imagenet_classes import imagenet_names

WNID = re.compile(r"n\d{8}")

# All names of one class, the unique one first: ("n01440764", "tench, Tinca tinca").
Names = tuple[str, ...]


def match(wanted: Sequence[Names], known: Sequence[Names], what: str, whose: str) -> list[int | None]:
    """For each class of `wanted` its position in `known`; None if it is not there.

    An exact match wins. Otherwise names are compared ignoring case, `_`, spaces and the Unicode form of
    accents, and then as ImageNet classes: a wnid, all names of its class, or the first name. Two lists of
    ImageNet classes are matched only as ImageNet classes.

    Args:
        wanted: Names of each class.
        known: Names of each class.
        what: What a class of `wanted` is, for messages: "class folder".
        whose: Owner of the classes in `known`, for messages: "the model's".

    Raises:
        SourceError: a name that matches several classes, or two names that match one class.
    """
    of_wanted, of_known = imagenet_classes(wanted), imagenet_classes(known)
    if None in of_wanted or None in of_known or len(set(of_known)) < len(of_known):
        found = _by_names(wanted, known, of_wanted, of_known, what, whose)
    else:
        position = {index: at for at, index in enumerate(of_known)}
        found = [position.get(index) for index in of_wanted]
    taken: dict[int, int] = {}
    for number, at in enumerate(found):
        if at is not None and (first := taken.setdefault(at, number)) != number:
            raise SourceError(
                f"two {what}s, {wanted[first][0]!r} and {wanted[number][0]!r}, are the same one of {whose} "
                f"classes, {known[at][0]!r}. Rename one of them."
            )
    return found


def imagenet_classes(classes: Sequence[Names]) -> list[int | None]:
    """The number of each class in ImageNet's order; None if it matches none of the 1000, or several.

    ImageNet has two classes "crane". A list of 1000 names in ImageNet's order says which is which.
    """
    found = [next(filter(lambda k: k is not None, map(_imagenet_class, names)), None) for names in classes]
    sure = [index == at for at, index in enumerate(found) if index is not None]
    if len(classes) == len(imagenet_names()) and all(sure) and 2 * len(sure) > len(classes):
        return list(range(len(classes)))
    return found


def plain(name: str) -> str:
    """The normalized name: without case, `_`, spaces and the form of accents."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().replace("_", " ").split())


def _by_names(
    wanted: Sequence[Names],
    known: Sequence[Names],
    of_wanted: Sequence[int | None],
    of_known: Sequence[int | None],
    what: str,
    whose: str,
) -> list[int | None]:
    exact, relaxed = _positions(known, str), _positions(known, plain)
    by_class: dict[int | None, set[int]] = {}
    for at, index in enumerate(of_known):
        by_class.setdefault(index, set()).add(at)
    found: list[int | None] = []
    for names, index in zip(wanted, of_wanted, strict=True):
        levels = (
            *(exact.get(name) for name in names),
            *(relaxed.get(plain(name)) for name in names),
            by_class.get(index) if index is not None else None,
        )
        fits = sorted(next(filter(None, levels), ()))
        if len(fits) > 1:
            candidates = few([repr(" ".join(dict.fromkeys(known[at]))) for at in fits])
            raise SourceError(
                f"the {what} {names[0]!r} could be each of {len(fits)} of {whose} classes: {candidates}. "
                f"Give it the exact name of one of them, and each class a name of its own."
            )
        found.append(fits[0] if fits else None)
    return found


def _positions(classes: Sequence[Names], form: Callable[[str], str]) -> dict[str, set[int]]:
    positions: dict[str, set[int]] = {}
    for at, names in enumerate(classes):
        for name in names:
            positions.setdefault(form(name), set()).add(at)
    return positions


def _imagenet_class(name: str) -> int | None:
    wnid = WNID.search(name)
    classes = _classes_called().get(wnid[0] if wnid else plain(name), ())
    return next(iter(classes)) if len(classes) == 1 else None


@cache
def _classes_called() -> dict[str, set[int]]:
    """ImageNet's classes by wnid, by their full list of names, and by their first name."""
    classes: dict[str, set[int]] = {}
    for index, (wnid, names) in enumerate(imagenet_names().items()):
        for name in (wnid, names, names.partition(",")[0]):
            classes.setdefault(plain(name), set()).add(index)
    return classes
