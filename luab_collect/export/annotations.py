"""A view as an annotation of the released files: ImageNet-AB's `metadata`, COCO-AB's record.

Both hold what the authors' pages recorded: thinned tracks, no deselections, no paths of drags. Places that
the released layouts do not allow (far outside of the image) are left out.
"""

from typing import Any

from coco_ab.byproducts import RECORD
from coco_ab.json_types import snake_case
from imagenet_ab.fields import RATIO, Annotation, Hover, Position, TimedPoint
from luab_collect.export.views import ItemView
from luab_collect.items import ProjectItem
from luab_collect.places import pointed
from luab_collect.results import ContentBox, PlaceItem, Sample, SelectItem
from luab_collect.thinning import hovered_unselected, released_place_track, released_track

CURSOR = 10.0  # ratios: how far from the image COCO-AB's cursor may be
ACTIONS = {"add": "add", "relocate": "move", "remove": "remove"}  # ours -> the released name


def select_annotation(view: ItemView, item: ProjectItem) -> Annotation:
    """The view as one `metadata` element of ImageNet-AB."""
    seen = view.seen
    if not isinstance(seen, SelectItem):
        raise TypeError(f"a view of a {type(seen).__name__} is no selection")
    box = _box_at(
        seen.boxes, seen.selects[0].t if seen.selects else seen.hovers[0].t if seen.hovers else None
    )
    clicks = pointed(seen.selects, RATIO.low, RATIO.high)
    track = pointed(released_track(seen), RATIO.low, RATIO.high)
    return Annotation(
        selected=seen.selected,
        selected_count=len(clicks),
        selected_record=tuple(_timed(view, each) for each in clicks),
        mouse_tracking=tuple(_timed(view, each) for each in track),
        hovered_count=sum(each.action == "enter" for each in seen.hovers),
        hovered_record=tuple(Hover(each.action, view.epoch(each.t)) for each in seen.hovers),
        estimate_time=round(hovered_unselected(seen)) or None,
        original_image_height=item.height,
        original_image_width=item.width,
        image_height=None if box is None else round(box.height),
        image_width=None if box is None else round(box.width),
        image_position=None if box is None else Position(*_on_page(box)),
        worker_id=view.annotator,
        assignment_id=view.assignment,
        page_idx=view.index,
    )


def place_record(
    view: ItemView, item: ProjectItem, image_id: int, categories: tuple[str, ...]
) -> dict[str, Any]:
    """The view as one record of COCO-AB, in the released names."""
    seen = view.seen
    if not isinstance(seen, PlaceItem):
        raise TypeError(f"a view of a {type(seen).__name__} has no icons")
    box = _box_at(seen.boxes, None)
    actions = [(action.t, icon.label, action) for icon in seen.icons for action in icon.actions]
    actions.sort(key=lambda each: each[0])  # stable: an icon's own actions keep their order
    # The released files never log the category that is open from the beginning.
    turned = seen.categories[1:] if seen.categories[:1] and seen.categories[0][0] == 0 else seen.categories
    track = pointed(released_place_track(seen), -CURSOR, CURSOR)
    return {
        "image_id": image_id,
        "originalImageHeight": item.height,
        "originalImageWidth": item.width,
        "imageHeight": 0 if box is None else round(box.height),
        "imageWidth": 0 if box is None else round(box.width),
        "page_id": view.index,
        "hit_id": view.assignment,
        "worker_id": view.annotator,
        "timeSpent": round(view.spent),
        "actionHistories": [
            {
                "actionType": ACTIONS[action.action],
                "iconType": label,
                "pointFrom": _point(action.start),
                "pointTo": _point(action.end),
                "timeAt": round(t),
            }
            for t, label, action in actions
        ],
        "categoryHistories": [
            {
                "categoryIndex": index,
                "categoryName": categories[index],
                "timeAt": round(t),
                "usingKeyboard": keyboard,
            }
            for index, t, keyboard in turned
            if index < len(categories)  # others are of no page of icons
        ],
        "mouseTracking": [{"x": each.x, "y": each.y, "timeAt": round(each.t)} for each in track],
    }


def cleaned_records(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records in the released names -> as COCO-AB's column `annotations` has them, without `image_id`."""
    import pyarrow as pa

    found: list[dict[str, Any]] = RECORD.clean(pa.array(records, RECORD.arrow)).to_pylist()
    return [{name: value for name, value in each.items() if name != snake_case("image_id")} for each in found]


def _box_at(boxes: tuple[ContentBox, ...], t: float | None) -> ContentBox | None:
    """The layout that held at a time (None: the first one), if it has an area."""
    earlier = [box for box in boxes if t is None or box.t <= t] or list(boxes)
    if not earlier:
        return None
    box = earlier[0] if t is None else earlier[-1]
    return box if box.width > 0 and box.height > 0 else None


def _on_page(box: ContentBox) -> tuple[float, float]:
    return box.left + box.scroll_left, box.top + box.scroll_top


def _timed(view: ItemView, sample: Sample) -> TimedPoint:
    return TimedPoint(sample.x, sample.y, view.epoch(sample.t))


def _point(place: tuple[float, float] | None) -> dict[str, float] | None:
    return None if place is None else {"x": place[0], "y": place[1]}
