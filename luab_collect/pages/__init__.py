"""The annotator's pages: one HTML shell, ES modules without a build step, style sheets, texts by language.

`templates/work.html` is the shell, made once by the server; all else is drawn by `static/main.js`. A browser
loads nothing but `static/`; the admin's page, `templates/admin.html`, also `admin/`. `strings/en.yaml` has
every text of the annotators; another language is another file with its keys.
"""

import functools
from pathlib import Path

import yaml

from luab_data.errors import SourceError

_HERE = Path(__file__).resolve().parent
STATIC = _HERE / "static"
ADMIN_STATIC = _HERE / "admin"
_STRINGS = _HERE / "strings"
LANGUAGES = tuple(sorted(path.stem for path in _STRINGS.glob("*.yaml")))


def shell(name: str, language: str = "en") -> str:
    """HTML of the annotators' only page, for a project of this name.

    It holds no inline script and no inline style: the texts are a block of data, which no browser runs.

    Raises:
        SourceError: there are no texts in this language.
    """
    # All at once: what a module imports would be known only when it has arrived.
    modules = sorted(path.name for path in STATIC.glob("*.js"))
    return _rendered("work.html", name=name, language=language, texts=strings(language), modules=modules)


def admin_shell(name: str) -> str:
    """HTML of the admin's only page; its modules are in `admin/`."""
    return _rendered("admin.html", name=name)


def _rendered(template: str, **values: object) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


@functools.cache
def strings(language: str = "en") -> dict[str, str]:
    """Texts of the pages, key -> text; `{name}` is filled in, `key.one` and `key.other` are plurals.

    Raises:
        SourceError: there is no file for the language, or it lacks keys of the English one.
    """
    if language not in LANGUAGES:
        raise SourceError(
            f"language: {language!r} has no texts; allowed: {', '.join(LANGUAGES)}. A new language is a copy "
            f"of {_STRINGS / 'en.yaml'} with its texts translated"
        )
    texts = _read(language)
    if missing := sorted(set(_read("en")) - set(texts)):
        raise SourceError(f"{_STRINGS / language}.yaml lacks {', '.join(missing)}")
    return texts


def _read(language: str) -> dict[str, str]:
    path = _STRINGS / f"{language}.yaml"
    texts = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(texts, dict):
        raise SourceError(f"{path} is not a mapping of keys to texts")
    if wrong := [key for key, text in texts.items() if not isinstance(key, str) or not isinstance(text, str)]:
        raise SourceError(f"{path}: quote what is not a text: {', '.join(map(str, wrong))}")
    return texts
