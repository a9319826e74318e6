"""The names of a row's columns, for the trainer, the evaluation and the tools."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from luab_data import constants

PointKind = Literal["click", "trace", "click+trace"]
AreaKind = Literal["scanpath", "boxes", "masks", "heatmap"]
ByproductKind = Literal["click", "trace", "click+trace", "scanpath", "boxes", "masks", "heatmap"]
AREA_KINDS: tuple[AreaKind, ...] = get_args(AreaKind)

# Byproduct -> the fields of `Columns` that it is read from.
_READ_FROM: dict[ByproductKind | None, tuple[str, ...]] = {
    "click": ("point",),
    "trace": ("annotations",),
    "click+trace": ("point", "annotations"),
    "scanpath": ("scanpaths",),
    "boxes": ("objects",),
    "masks": ("masks",),
    "heatmap": ("heatmaps",),
    None: (),
}


@dataclass(frozen=True)
class Columns:
    """The columns of the dataset that training reads. `None`: there is no such column.

    Attributes:
        image: The image, as `datasets.Image`.
        label: The class, an int; or with several labels per image, a list of ints.
        point: One point `{x, y}` or `[x, y]` or null; or a list of these, which may have a `weight`, and with
            several labels per image must have a `label`.
        annotations: ImageNet-AB's annotations, with `selected`, `mouse_tracking` and `selected_record`.
        scanpaths, objects, masks, heatmaps: See `luab_attention.columns`.
    """

    image: str = constants.IMAGE
    label: str = constants.LABEL
    point: str | None = constants.CLICK
    annotations: str | None = constants.ANNOTATIONS
    scanpaths: str = constants.SCANPATHS
    objects: str = constants.OBJECTS
    masks: str = constants.MASKS
    heatmaps: str = constants.HEATMAPS

    def of_byproduct(self, kind: ByproductKind | None) -> list[str]:
        """The columns that byproducts of this kind need."""
        if kind is not None and kind not in get_args(ByproductKind):
            raise ValueError(
                f"byproduct={kind!r} is unknown; take one of {', '.join(get_args(ByproductKind))}."
            )
        for field in _READ_FROM[kind]:
            if getattr(self, field) is None:
                raise ValueError(
                    f"byproduct={kind!r} is read from the {field} column; say which one that is."
                )
        return [getattr(self, field) for field in _READ_FROM[kind]]

    def with_byproduct(self, kind: ByproductKind | None, names: Sequence[str]) -> list[str]:
        """`of_byproduct`, and what says of it how to read it, of the columns `names` that a dataset has."""
        more: dict[ByproductKind | None, tuple[str, ...]] = {
            "boxes": (constants.WIDTH, constants.HEIGHT),
            "scanpath": (constants.ATTENTION_SOURCE,),
            "masks": (constants.SHUFFLED,),
            "heatmap": (constants.SHUFFLED,),
        }
        return [*self.of_byproduct(kind), *(name for name in more.get(kind, ()) if name in names)]
