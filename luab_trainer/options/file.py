"""A YAML file of options: `name: value` lines, with values read as on the command line.

Values are text, and so are the entries of lists. In an object, what is not in quotes is read as in JSON.
PyYAML by itself follows YAML 1.1: there `1e-6` is text, `no` is false and `010` is 8.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from luab_data.console.text import did_you_mean

LARGEST = 1_000_000  # bytes: a file of options has a few lines
_NOTHING = ("", "~", "null", "Null", "NULL")
_SWITCHES = {"on": "true", "off": "false"}  # more YAML words for a bool
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
_NUMBER = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)
_RESOLVER = yaml.resolver.Resolver()  # of YAML 1.1
_TEXT = "tag:yaml.org,2002:str"  # its type of a word that is text


class Option(NamedTuple):
    """An option's type as written in the source (`list[str] | None`), and its default."""

    kind: str
    default: Any


def read_options(file: Path, options: Mapping[str, Option]) -> dict[str, Any]:
    """The file's options; each value is text as on the command line, a list or a dict.

    Raises:
        ValueError: no such file, invalid YAML, an unknown or repeated option, a value of the wrong kind.
    """
    if not file.is_file():
        raise ValueError(f"there is no file {file}")
    if file.stat().st_size > LARGEST:
        raise ValueError(f"{file} is larger than {LARGEST:,} bytes; a file of options has a few lines")
    try:
        loader = _Texts(file.read_text(encoding="utf-8-sig"))
        node = loader.get_single_node()
        texts = {} if node is None else loader.construct_document(node) or {}
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ValueError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(texts, dict):
        raise ValueError(f"{file} must hold `name: value` lines")
    nodes = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    return {name: _value(file, name, text, nodes[name], options) for name, text in texts.items()}


def _value(file: Path, name: Any, text: Any, node: yaml.Node, options: Mapping[str, Option]) -> Any:
    if name not in options:
        raise ValueError(f"{file} has an unknown option: {name}{did_you_mean(str(name), options)}")
    kind, default = options[name]
    if isinstance(text, list | dict):
        word = type(text).__name__
        if word not in kind:
            raise ValueError(f"{file}: {name} takes one value, not a {word}")
        if isinstance(text, dict):
            return _typed(node, f"{file}: {name}")
        if any(isinstance(each, list | dict) for each in text):
            raise ValueError(f"{file}: {name} takes a list of texts, not of lists or objects")
        return text
    if text in _NOTHING:
        if default is not None:
            raise ValueError(f"{file}: {name} has no value; leave the line out for the default")
        return None
    return _SWITCHES.get(text, text) if "bool" in kind else text


def _typed(node: yaml.Node, where: str) -> Any:
    """The value of an object or a part of one, as JSON would have it; names are text.

    Raises:
        ValueError: a word without quotes that YAML 1.1 and JSON read differently.
    """
    if isinstance(node, yaml.MappingNode):
        return {key.value: _typed(value, f"{where}.{key.value}") for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_typed(value, where) for value in node.value]
    word: str = node.value
    if isinstance(node, yaml.ScalarNode) and node.style is not None:  # in quotes
        return word
    if word in _NOTHING:
        return None
    if word in _BOOLS:
        return _BOOLS[word]
    if _INTEGER.fullmatch(word):
        return int(word)
    if _NUMBER.fullmatch(word):
        return float(word)
    kind = _RESOLVER.resolve(yaml.ScalarNode, word, (True, False))  # type: ignore[no-untyped-call]
    if kind != _TEXT:
        raise ValueError(f"{where}: {word} is not clear; write true, false or a plain number, or put quotes")
    return word


class _Texts(yaml.BaseLoader):
    """Loads each value as its text.

    Rejects anchors, which can blow up a small file, tags and repeated names.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # types-PyYAML has no types here
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.YAMLError("anchors and aliases (& and *) are not supported; write the value out")
        if (tag := getattr(event, "tag", None)) is not None:
            raise yaml.YAMLError(f"tags ({tag}) are not supported; put text in quotes instead")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise yaml.YAMLError(f"{twice} occurs twice")
        return super().construct_mapping(node, deep)
