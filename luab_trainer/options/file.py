"""A YAML file of options: `name: value` lines, with values read as on the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from luab_data.console.text import did_you_mean

LARGEST = 1_000_000  # bytes: a file of options has a few lines
_NOTHING = ("", "~", "null", "Null", "NULL")
_SWITCHES = {"on": "true", "off": "false"}  # more YAML words for a bool


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
        text = file.read_text(encoding="utf-8-sig")
        texts = yaml.load(text, _Texts) or {}
        typed = yaml.safe_load(text) or {}
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ValueError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(texts, dict):
        raise ValueError(f"{file} must hold `name: value` lines")
    return {name: _value(file, name, texts[name], typed, options) for name in texts}


def _value(file: Path, name: Any, text: Any, typed: Mapping[Any, Any], options: Mapping[str, Option]) -> Any:
    if name not in options:
        raise ValueError(f"{file} has an unknown option: {name}{did_you_mean(str(name), options)}")
    kind, default = options[name]
    if isinstance(text, list | dict):
        word = type(text).__name__
        if word not in kind:
            raise ValueError(f"{file}: {name} takes one value, not a {word}")
        return typed[name]
    if text in _NOTHING:
        if default is not None:
            raise ValueError(f"{file}: {name} has no value; leave the line out for the default")
        return None
    return _SWITCHES.get(text, text) if "bool" in kind else text


class _Texts(yaml.BaseLoader):
    """Loads each value as its text.

    Rejects anchors, which can blow up a small file, and repeated names.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # types-PyYAML has no types here
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.YAMLError("anchors and aliases (& and *) are not supported; write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise yaml.YAMLError(f"{twice} occurs twice")
        return super().construct_mapping(node, deep)
