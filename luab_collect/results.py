"""What a finished page of work is, derived from its events: input of quality, review and export.

Positions are ratios of the image, `x` first. Times are ms since the page was first visible, pauses included;
`started` is epoch ms.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sample:
    """A position of the pointer over an image."""

    x: float
    y: float
    t: float
    pointer: str = "mouse"
    trusted: bool = True


@dataclass(frozen=True)
class Hovering:
    """The pointer came over an image, or left it."""

    action: str  # enter, leave
    t: float


@dataclass(frozen=True)
class ContentBox:
    """Content box of an image as laid out, in CSS pixels of the viewport, from time `t` on."""

    left: float
    top: float
    width: float
    height: float
    t: float
    ratio: float = 1.0  # device pixels a CSS pixel
    zoom: float = 1.0  # of the visual viewport
    scroll_left: float = 0.0  # CSS pixels; `left` + `scroll_left` is the place on the page
    scroll_top: float = 0.0


@dataclass(frozen=True)
class SelectItem:
    """One image of a `select` page."""

    item: str
    selected: bool  # at the submission
    selects: tuple[Sample, ...]
    deselects: tuple[Sample, ...]
    track: tuple[Sample, ...]  # raw samples over the image
    hovers: tuple[Hovering, ...]
    boxes: tuple[ContentBox, ...]
    loaded: bool = True  # False: it never came, so that nothing was said of it


@dataclass(frozen=True)
class Icon:
    """One icon that was placed on a `place` page, with its history."""

    icon: int
    label: str
    actions: tuple["IconAction", ...]
    paths: tuple[tuple[Sample, ...], ...]  # of each drag, from `pick` to the drop
    place: tuple[float, float] | None  # at the submission; None: removed


@dataclass(frozen=True)
class IconAction:
    """`add`, `relocate` or `remove`."""

    action: str
    start: tuple[float, float] | None
    end: tuple[float, float] | None
    t: float
    pointer: str
    trusted: bool


@dataclass(frozen=True)
class PlaceItem:
    """The image of a `place` page."""

    item: str
    icons: tuple[Icon, ...]
    categories: tuple[tuple[int, float, bool], ...]  # category, t, by keyboard
    track: tuple[Sample, ...]  # moves and drags over the image
    boxes: tuple[ContentBox, ...]
    loaded: bool = True  # False: it never came, so that nothing was said of it


@dataclass(frozen=True)
class PageResult:
    """One page of work by one annotator, submitted."""

    work: str  # id of the page of work, 32 hex digits
    assignment: str  # 32 hex digits
    annotator: str  # pseudonym, 10 hex digits
    index: int  # of the page in its assignment, from 0
    class_name: str | None  # `select`: what was asked for
    started: float  # epoch ms
    spent: float  # ms from the first visible moment to the submission
    visible: float  # ms of it that the page was visible
    items: tuple[SelectItem | PlaceItem, ...]
    untrusted: int = 0  # events that no person made (`isTrusted` is false)
    pointers: tuple[str, ...] = field(default=())  # kinds of pointers that were used
    mismatched: int = 0  # events whose x, y were not those of their pixels and layout, and were replaced
    outside: int = 0  # selections and icons so far outside of the image that they are no place in it
