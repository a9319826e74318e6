"""What a published file calls a place: a Hub id in full, a local path by its last part alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# The options that are paths, also where there is nothing yet.
_PATHS = ("eval_boxes", "points_file", "resume_from_checkpoint", "deepspeed", "fsdp_config")
_FOLDER = "_dir"  # ends the names of the others
_SOURCES = ("model", "from_config", "dataset", "eval_dataset")  # Hub ids or paths


def source_name(source: str | None) -> str:
    """The name of a dataset or model on the card: its Hub id, or a folder's name without its path."""
    return name_and_id(source)[0]


def name_and_id(source: str | None) -> tuple[str, str | None]:
    """A Hub id -> (id, id); a folder or a file -> (its name, None).

    The card is public, and the path is not.
    """
    if source is None:
        return "a local dataset", None
    if _is_local(source) or source.count("/") > 1:
        return _last_part(source), None
    return source, source if "/" in source else None


def public_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without tokens, and with the last part of paths, also in their lists and objects."""
    return {key: _public(key, value) for key, value in options.items() if not key.endswith("_token")}


def _public(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _public(f"{key}.{name}", each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_public(key, each) for each in value]
    if not isinstance(value, str) or key.endswith("_id"):
        return value
    if key in _SOURCES:
        return value if "://" in value and not value.startswith("file:") else source_name(value)
    return _last_part(value) if key in _PATHS or key.endswith(_FOLDER) or _is_local(value) else value


def _is_local(text: str) -> bool:
    if text in (".", "..") or text.startswith(("./", "../", "~", "/", ".\\", "..\\")):
        return True
    try:
        return Path(text).is_absolute() or Path(text).exists()
    except (OSError, ValueError):  # longer than any path, or with a null character
        return False


def _last_part(place: str) -> str:
    path = Path(place).expanduser()
    if path.name == place:
        return place  # also of a link, whose target it does not name
    return (path if path.is_absolute() and path.name != ".." else path.resolve()).name
