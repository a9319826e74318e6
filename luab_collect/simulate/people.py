"""Who the simulated annotators are: a documented model, of which a seed decides everything.

A `careful` annotator selects what shows the class, but for `missed`, and `mistaken` images that do not; her
hands are those of `imagenet_ab.simulate.annotators` and `coco_ab.simulate.annotators`. The others are what
quality control is for:

    careless   answers by chance and clicks anywhere
    centers    answers right, and clicks on the image's center
    bot        a program: events that no hand made, one trace for all images, everything selected
    dropout    careful, but leaves in the middle of her first page and never comes back
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from coco_ab.simulate.annotators import CocoAnnotators
from imagenet_ab.simulate.annotators import ImageNetAnnotators
from luab_data.errors import SourceError

CAREFUL, CARELESS, CENTERS, BOT, DROPOUT = "careful", "careless", "centers", "bot", "dropout"
# Kind -> the option of the command that says how many.
KINDS = {CARELESS: "--careless", CENTERS: "--centers", BOT: "--bots", DROPOUT: "--dropouts"}

_SELECT = ImageNetAnnotators(careless=0.02, unselected=0.0, twice=0.0)
_PLACE = CocoAnnotators(careless=0.02, traced=0.0, unknown_size=0.0)


@dataclass(frozen=True)
class Person:
    """One simulated annotator.

    Attributes:
        number: From 0.
        kind: careful, or one of `KINDS`.
        missed: Share of what shows the class that she does not select.
        mistaken: Share of what does not show it that she selects.
        select: Her hands on `select` pages.
        place: Her mind and hands on `place` pages.
    """

    number: int
    kind: str = CAREFUL
    missed: float = 0.06
    mistaken: float = 0.01
    select: ImageNetAnnotators = _SELECT
    place: CocoAnnotators = _PLACE

    @property
    def trusted(self) -> bool:
        """Whether her browser says that a hand made the events."""
        return self.kind != BOT


def person(number: int, kind: str) -> Person:
    """The annotator of a kind."""
    made = Person(number, kind)
    if kind == CARELESS:
        return replace(
            made,
            missed=0.5,
            mistaken=0.5,
            select=replace(_SELECT, careless=1.0),
            place=replace(_PLACE, careless=1.0, missed=0.5, mistaken=1.0, noticed=0.0),
        )
    if kind == CENTERS:
        # On the center of what she takes for the object: the whole image.
        return replace(
            made, select=replace(_SELECT, spread=0.0, careless=0.0), place=replace(_PLACE, spread=0.0)
        )
    if kind == BOT:
        return replace(made, missed=0.0, mistaken=1.0, select=replace(_SELECT, careless=0.0, hesitant=0.0))
    return made


def crowd(annotators: int, shares: Mapping[str, float], seed: int) -> list[Person]:
    """The annotators, in random order.

    Args:
        annotators: How many, 1 or more.
        shares: Kind -> share of the annotators, rounded; the others are careful.
        seed: Decides who is what.

    Raises:
        SourceError: shares that are none, or are more than 1 together.
    """
    if annotators < 1:
        raise SourceError(f"--annotators is {annotators}; it must be 1 or more.")
    for kind, share in shares.items():
        if not 0 <= share <= 1:
            raise SourceError(f"{KINDS[kind]} is {share:g}; it must be a share from 0 to 1.")
    kinds = [kind for kind, share in shares.items() for _ in range(round(share * annotators))]
    if len(kinds) > annotators:
        raise SourceError(f"{', '.join(KINDS.values())}: the shares are more than 1 together.")
    kinds += [CAREFUL] * (annotators - len(kinds))
    order = np.random.default_rng([seed, 1]).permutation(annotators)
    return [person(number, kinds[at]) for number, at in enumerate(order.tolist())]
