"""Pages of the site that are not below docs/: the README, other Markdown files, and the API reference.

A hook of mkdocs.yml. Links in the repository are written for who reads it as files. Here each is led to the
page of the same file: `../coco_ab/README.md` to the card's page, `luab_data/errors.py` to its reference. A
linked file without a page is named without a link. A link to a file that does not exist fails the build.
"""

import posixpath
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
log = get_plugin_logger("site")

FILES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]\[]*)\]\((?P<target>[^()\s]+)\)")
CODE = re.compile(r"^(```.*?^```|~~~.*?^~~~)$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the pages that mkdocs.yml does not name to the navigation."""
    _pages.cache_clear()  # `mkdocs serve` builds anew after each change
    named = set(re.findall(r"[\w/-]+\.md", str(config.nav)))
    others = [path for path in sorted(_pages().values()) if path not in named]
    guides = next(entry["Guides"] for entry in config.nav if "Guides" in entry)
    guides += [path for path in others if "/" not in path and path not in FILES.values()]
    config.nav.append({"Files": [path for path in others if path.startswith("files/")]})
    config.nav.append({"API reference": [_section(package) for package in _packages()]})
    config.nav += [{"Changelog": "changelog.md"}, {"Contributing": "contributing.md"}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Makes the pages whose text is not below docs/."""
    for path, page in _pages().items():
        if path.endswith(".py"):
            module = _module(path)
            files.append(File.generated(config, page, content=f"# {module}\n\n::: {module}\n"))
        elif not path.startswith("docs/"):
            files.append(File.generated(config, page, content=_without_header(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads each link to a file of the repository to that file's page."""
    here = next(path for path, uri in _pages().items() if uri == page.file.src_uri)
    pieces, end = [], 0
    for code in CODE.finditer(markdown):  # what stands in code is no link
        pieces += [_linked(markdown[end : code.start()], here, page.file.src_uri), code.group()]
        end = code.end()
    return "".join([*pieces, _linked(markdown[end:], here, page.file.src_uri)])


def _linked(text: str, here: str, uri: str) -> str:
    return LINK.sub(lambda link: _link(link, here, uri), text)


def _link(link: re.Match[str], here: str, uri: str) -> str:
    parts = urlsplit(link["target"])
    if parts.scheme or not parts.path:
        return link.group()
    path = posixpath.normpath(posixpath.join(posixpath.dirname(here), parts.path))
    if path.startswith("..") or not (ROOT / path).exists():
        log.warning("%s links to %s, which does not exist", here, link["target"])
        return link.group()
    if (ROOT / path).is_dir():
        path = next(
            (f"{path}/{name}" for name in ("README.md", "__init__.py") if (ROOT / path / name).exists()), path
        )
    to = _pages().get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
    if to is None:
        return link["text"]
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return (
        f"{link['image']}[{link['text']}]({posixpath.relpath(to, posixpath.dirname(uri) or '.')}{fragment})"
    )


@cache
def _pages() -> dict[str, str]:
    """By a file of the repository, the page that shows it."""
    pages = {path: page for path, page in FILES.items() if (ROOT / path).exists()}
    pages |= {f"docs/{path.name}": path.name for path in (ROOT / "docs").glob("*.md")}
    for package in _packages():
        for path in sorted((ROOT / package).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix == ".md":
                pages[name] = f"files/{name.removesuffix('.md').removesuffix('/README').replace('/', '-')}.md"
            elif path.suffix == ".py" and _is_public(name):
                pages[name] = f"api/{_module(name)}.md"
    return pages


def _packages() -> list[str]:
    """The packages that setup.cfg ships."""
    return sorted(path.parent.name for path in ROOT.glob("*/py.typed"))


def _is_public(path: str) -> bool:
    return not any(part.startswith("_") and part != "__init__.py" for part in path.split("/"))


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _section(package: str) -> dict[str, list]:
    """A package's entry in the navigation: its own page, its modules, its packages."""
    here = ROOT / package
    name = _module(package)
    entries: list = [f"api/{name}.md"] if (here / "__init__.py").exists() else []
    for path in sorted(here.iterdir()):
        inside = path.relative_to(ROOT).as_posix()
        if path.suffix == ".py" and path.name != "__init__.py" and _is_public(inside):
            entries.append({path.stem: f"api/{_module(inside)}.md"})
        elif (path / "__init__.py").exists():
            entries.append(_section(inside))
    return {name.rpartition(".")[2]: entries}


def _without_header(path: Path) -> str:
    """A file's Markdown, without the YAML that a dataset card starts with."""
    return re.sub(r"\A---\n.*?\n---\n", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
