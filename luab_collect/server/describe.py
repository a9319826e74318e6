"""What the pages show of a project: texts, classes, and practice with images whose answer is known."""

from hashlib import sha256
from typing import Any

from markdown_it import MarkdownIt

from luab_collect.pages import strings
from luab_collect.practice import PracticePage, practice_pages
from luab_collect.server.studio import Studio
from luab_collect.settings import ClassSpec
from luab_collect.store.opening import ProjectStore
from luab_collect.store.results import StoredItem, known_items

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
    with store.reading() as connection:
        pages = practice_pages(known_items(connection), store.project.task, store.project.class_names)
    return [_place(each) if each.class_name is None else _select(each, each.class_name) for each in pages]


def _select(page: PracticePage[StoredItem], name: str) -> JsonObject:
    mixed = sorted(page.items, key=lambda item: item.key)  # by a keyed hash: the answers are mixed
    items = [{**shown(item), "answer": (item.gold or {})[name] is not None} for item in mixed]
    return {"class_name": name, "items": items}


def _place(page: PracticePage[StoredItem]) -> JsonObject:
    [item] = page.items
    answers = [
        {"label": name, "box": box}
        for name, boxes in (item.gold or {}).items()
        if boxes is not None
        for box in (boxes or [None])
    ]
    return {"items": [{**shown(item), "answers": answers}]}
