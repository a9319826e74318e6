"""The classes of ImageNet-1K: wnids in ImageNet's order (tench first) and their readable names."""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files


@cache
def imagenet_names() -> dict[str, str]:
    """The 1000 wnids in ImageNet's order, with their WordNet lemmas (`n01440764`: `tench, Tinca tinca`)."""
    table = files("luab_data").joinpath("imagenet_classes.tsv").read_text(encoding="utf-8")
    return dict(line.split("\t") for line in table.splitlines())


def class_list(found: Iterable[str] | None = None) -> list[str]:
    """Class folders in the order of their labels: ImageNet's order, then others sorted.

    All 1000 if `found` is None (the images are unknown).
    """
    names = imagenet_names()
    if found is None:
        return list(names)
    found = set(found)
    return [wnid for wnid in names if wnid in found] + sorted(found - names.keys())


def class_name(folder: str) -> str:
    """The readable name of a class folder: the name of its wnid, or else the folder's name."""
    return imagenet_names().get(folder, folder)
