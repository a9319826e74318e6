"""The names of a row's columns, for the trainer, the evaluation and the tools."""

from dataclasses import dataclass
from typing import Literal, get_args

from luab_data import constants

ByproductKind = Literal["click", "trace", "click+trace"]


@dataclass(frozen=True)
class Columns:
    """The columns of the dataset that training reads. `None`: there is no such column.

    Attributes:
        image: The image, as `datasets.Image`.
        label: The class, an int; or with several labels per image, a list of ints.
        point: One point `{x, y}` or `[x, y]` or null; or a list of these, which may have a `weight`, and with
            several labels per image must have a `label`.
        annotations: ImageNet-AB's annotations, with `selected`, `mouse_tracking` and `selected_record`.
    """

    image: str = constants.IMAGE
    label: str = constants.LABEL
    point: str | None = constants.CLICK
    annotations: str | None = constants.ANNOTATIONS

    def of_byproduct(self, kind: ByproductKind | None) -> list[str]:
        """The columns that byproducts of this kind need."""
        if kind is not None and kind not in get_args(ByproductKind):
            raise ValueError(
                f"byproduct={kind!r} is unknown; take one of {', '.join(get_args(ByproductKind))}."
            )
        needed = {
            "click": ("point",),
            "trace": ("annotations",),
            "click+trace": ("point", "annotations"),
            None: (),
        }
        for field in needed[kind]:
            if getattr(self, field) is None:
                raise ValueError(
                    f"byproduct={kind!r} is read from the {field} column; say which one that is."
                )
        return [getattr(self, field) for field in needed[kind]]
