"""The annotators' pages as files: the shell, the texts, and what the content policy demands of them."""

import json
import re

import pytest

from luab_collect import pages
from luab_data.errors import SourceError

MODULES = sorted(pages.STATIC.glob("*.js"))


def test_the_shell_has_no_inline_code_and_nothing_from_elsewhere():
    html = pages.shell("Shop", "en")
    scripts = re.findall(r"<script ([^>]*)>", html)
    assert scripts == ['type="application/json" id="texts"', 'type="module" src="static/main.js"']
    assert not re.search(r"<style|style=|\son\w+=|https?:", html)
    for file in re.findall(r'(?:src|href)="static/([^"]+)"', html):
        assert (pages.STATIC / file).is_file()


def test_a_project_of_any_name_is_text_in_the_shell():
    name = "</title><script>alert(1)</script>"
    html = pages.shell(name)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_the_texts_reach_the_page():
    (block,) = re.findall(r'id="texts">(.*?)</script>', pages.shell("Shop"))
    assert json.loads(block) == pages.strings("en")


def test_a_language_without_texts_is_refused_with_those_that_have():
    with pytest.raises(SourceError, match=r"'xx' has no texts; allowed: en"):
        pages.strings("xx")


def test_a_translation_that_lacks_texts_is_refused(tmp_path, monkeypatch):
    for name, text in {"en": "a: A\nb: B\n", "de": "a: Ah\n", "fr": "a: yes\nb: B\n"}.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(pages, "_STRINGS", tmp_path)
    monkeypatch.setattr(pages, "LANGUAGES", ("de", "en", "fr"))
    pages.strings.cache_clear()
    try:
        with pytest.raises(SourceError, match=r"de\.yaml lacks b"):
            pages.strings("de")
        with pytest.raises(SourceError, match="not a text: a"):
            pages.strings("fr")
    finally:
        pages.strings.cache_clear()


def test_every_text_that_a_module_asks_for_is_there_and_each_is_used():
    code = "\n".join(path.read_text(encoding="utf-8") for path in MODULES)
    code += (pages.STATIC.parent / "templates/work.html").read_text(encoding="utf-8")
    texts = pages.strings("en")
    asked = set(re.findall(r'\bt\(\s*"([^"]+)"', code))
    missing = {key for key in asked if key not in texts and f"{key}.other" not in texts}
    assert not missing
    stems = {re.sub(r"\.(one|other|title|text)$", "", key) for key in texts}
    named = set(re.findall(r"[\"'`]([a-z_.]+)[\"'`]", code))
    composed = {"banner.offline", "banner.full"}  # `banner.${key}`
    assert stems - named - composed == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_use_no_html_no_code_from_text_and_nothing_from_elsewhere(path):
    code = path.read_text(encoding="utf-8")
    sinks = r"(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\(|new Function|Attribute\(\"style"
    assert not re.search(sinks, code)
    assert not re.search(r"from \"(?!\./)|import\(", code)
    assert len(code.splitlines()) < 300


def test_only_the_servers_markdown_is_parsed_as_html():
    users = {path.name for path in MODULES if "DOMParser" in path.read_text(encoding="utf-8")}
    assert users == {"dom.js"}
