"""The pages' templates: text from data is escaped, and made printable by the `name` macro."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from luab_data.console.text import printable


@cache
def environment() -> Environment:
    """Templates of this folder. Pages may add filters and globals of their own."""
    made = Environment(
        loader=PackageLoader("luab_eval.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["printable"] = printable
    return made


def template(name: str) -> Template:
    """One page's template."""
    return environment().get_template(name)
