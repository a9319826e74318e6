"""Which images with a known answer the practice shows; its pages hold the answers, so they check nobody."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from luab_collect.plan import GOLD, PlannedPage
from luab_collect.quality.facts import Gold

IMAGES = {"select": 12, "place": 3}  # of the practice


class KnownImage(Protocol):
    """An image, and what is known of it."""

    @property
    def id(self) -> str:
        """16 hex digits."""

    @property
    def gold(self) -> Gold | None:
        """See there."""


Item = TypeVar("Item", bound=KnownImage)


@dataclass(frozen=True)
class PracticePage(Generic[Item]):
    """A page of the practice."""

    class_name: str | None  # what a `select` page asks for
    items: tuple[Item, ...]


def practice_pages(items: Iterable[Item], task: str, classes: Sequence[str]) -> list[PracticePage[Item]]:
    """The pages of the practice; none without images whose answer is known.

    Args:
        items: The project's images, in any order.
        task: `select`: one page about the class of which most is known, if both answers occur. `place`: a
            page for each of the first images that show a class.
        classes: The project's, in their order.
    """
    known = sorted((item for item in items if item.gold), key=lambda item: item.id)
    if task == "place":
        shown = [item for item in known if any(boxes is not None for boxes in (item.gold or {}).values())]
        return [PracticePage(None, (item,)) for item in shown[: IMAGES[task]]]
    best: list[Item] = []
    asked = ""
    half = IMAGES[task] // 2
    for name in classes:
        yes = [item for item in known if (item.gold or {}).get(name) is not None]
        no = [item for item in known if name in (item.gold or {}) and (item.gold or {})[name] is None]
        if yes and no and min(len(yes), half) + min(len(no), half) > len(best):
            best, asked = yes[:half] + no[:half], name
    return [PracticePage(asked, tuple(best))] if best else []


def practice_lines(
    pages: Iterable[PlannedPage], items: Sequence[KnownImage], task: str, classes: Sequence[str]
) -> list[str]:
    """How many images with a known answer check the work, in words; none where no answer is known.

    Args:
        pages: Of work.
        items: The project's images.
        task: See `practice_pages`.
        classes: See there.
    """
    known = {item.id for item in items if item.gold}
    if not known:
        return []
    shown = {item.id for page in practice_pages(items, task, classes) for item in page.items}
    asked = {entry.item for page in pages for entry in page.items if entry.role == GOLD}
    check, idle = (known & asked) - shown, known - asked - shown
    told = f"images with a known answer: {len(shown):,} for practice + {len(check):,} to check the work"
    if idle:
        told += f" + {len(idle):,} on no page"
    if not check:
        told += ": raise shares.gold" if idle else ": give more of them"
    return [told]
