"""Packages that only some commands need: a missing one ends the command at its start, with the fix."""

from importlib.util import find_spec

from luab_data.errors import SourceError

_EVAL = ("evaluate", "jinja2", "matplotlib", "numba", "scipy", "sklearn")
# Extra of setup.cfg -> the modules that its packages bring. Training and loading need none of them.
EXTRAS = {
    "app": ("gradio", *_EVAL),
    "collect": (
        "aiohttp",
        "alembic",
        "fastapi",
        "jinja2",
        "jwt",
        "markdown_it",
        "psycopg",
        "pydantic",
        "pydantic_core",
        "sqlalchemy",
        "starlette",
        "uvicorn",
    ),
    "eval": _EVAL,
    "peft": ("peft",),
    "ray": ("ray",),
    "timm": ("timm",),
}


def require_extra(extra: str, what: str = "this command") -> None:
    """Ends unless all packages of an extra are installed.

    Args:
        extra: One of `EXTRAS`.
        what: What needs them, for the message.

    Raises:
        SourceError: names those that are not, and the command that installs them.
    """
    absent = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if absent:
        raise SourceError(f"{what} needs {', '.join(absent)}: pip install 'luab[{extra}]'")
