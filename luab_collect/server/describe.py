"""What the pages show of a project: texts, classes, and practice with images whose answer is known."""

from hashlib import sha256
from typing import Any

from markdown_it import MarkdownIt
from sqlalchemy import select

from luab_collect.pages import strings
from luab_collect.project import Project
from luab_collect.server.studio import Studio
from luab_collect.settings import ClassSpec
from luab_collect.store import tables as t
from luab_collect.store.opening import ProjectStore
from luab_collect.store.results import StoredItem

PRACTICE_IMAGES = {"select": 12, "place": 3}  # of the practice

JsonObject = dict[str, Any]


def markdown(text: str) -> str:
    """HTML of the researcher's Markdown; HTML in it is shown as text."""
    return MarkdownIt("commonmark", {"html": False}).enable("table").render(text)


def description(studio: Studio) -> dict[str, Any]:
    """The part of GET /api/project that is the same for everybody."""
    project = studio.project
    return {
        "name": project.name,
        "language": project.language,
        "task": project.task,
        "strings": strings(project.language),
        "instructions_html": markdown(project.instructions()),
        "classes": [
            {
                "name": each.name,
                "definition": each.definition,
                "links": list(each.links),
                "category": each.category,
                "icon": _icon_address(number, each),
            }
            for number, each in enumerate(project.classes)
        ],
        "categories": list(project.categories),
        "pages_per_hit": project.pages_per_hit,
        "practice": practice(studio.store),
    }


def _icon_address(number: int, spec: ClassSpec) -> str | None:
    """Another one for another class or file: browsers keep icons for some time."""
    if spec.icon is None:
        return None
    digest = sha256(f"{spec.name}\n{spec.icon}".encode()).hexdigest()
    return f"/icons/{number}?of={digest[:8]}"


def consent(studio: Studio, given: bool) -> dict[str, Any]:
    """What to consent to."""
    return {"version": studio.consent_version, "html": markdown(studio.consent_text), "given": given}


def shown(item: StoredItem) -> JsonObject:
    """An image on a page."""
    return {"id": item.id, "url": f"/media/{item.key}", "width": item.width, "height": item.height}


def practice(store: ProjectStore) -> list[JsonObject]:
    """The practice pages, with the answers; none without images whose answer is known."""
    i = t.items.c
    with store.reading() as connection:
        query = (
            select(i.id, i.key, i.file, i.width, i.height, i.gold).where(i.gold.is_not(None)).order_by(i.id)
        )
        rows = connection.execute(query).all()
    known = [StoredItem(row.id, row.key, row.file, row.width, row.height, "gold", row.gold) for row in rows]
    known = [item for item in known if item.gold]
    return _place(known) if store.project.task == "place" else _select(known, store.project)


def _select(known: list[StoredItem], project: Project) -> list[JsonObject]:
    """One page about the class of which most is known, if both answers occur."""
    best: list[StoredItem] = []
    asked = ""
    for name in project.class_names:
        yes = [item for item in known if (item.gold or {}).get(name) is not None]
        no = [item for item in known if name in (item.gold or {}) and (item.gold or {})[name] is None]
        half = PRACTICE_IMAGES["select"] // 2
        if yes and no and min(len(yes), half) + min(len(no), half) > len(best):
            best, asked = yes[:half] + no[:half], name
    if not best:
        return []
    best.sort(key=lambda item: item.key)  # a keyed hash: the answers are mixed
    items = [{**shown(item), "answer": (item.gold or {})[asked] is not None} for item in best]
    return [{"class_name": asked, "items": items}]


def _place(known: list[StoredItem]) -> list[JsonObject]:
    pages = []
    for item in known:
        answers = [
            {"label": name, "box": box}
            for name, boxes in (item.gold or {}).items()
            if boxes is not None
            for box in (boxes or [None])
        ]
        if answers:
            pages.append({"items": [{**shown(item), "answers": answers}]})
    return pages[: PRACTICE_IMAGES["place"]]
