"""The texts of a converted dataset's card."""

from typing import Any

from luab_attention.columns import described
from luab_attention.convert.conversion import Conversion
from luab_data.build.card import PAPER, CardText

_READ = "`luab convert` read the source and checked every entry."
_JOINED = """`luab convert` read the source, checked every entry, and joined it with its image. Image files
were kept unchanged, unless a side was longer than `max_side` pixels."""
_POINTS = "Points are ratios of the upright image, x first, origin at the top left."
_IMAGES_TERMS = """This is the license of the annotations, and `may_be_passed_on` in `attention_source` is
about them alone. The images have their own terms, which are not known here: check them before you pass the
dataset on."""


def card_text(raw: Conversion, reader: str) -> CardText:
    """The card of a conversion by this reader."""
    source = raw.source
    where = f" Published at {source.homepage}." if source.homepage else ""
    license = source.license or (
        "Not known: the terms of the data and images that it was made of. Check them before you pass it on."
    )
    if source.license and raw.images is not None:
        license += f"\n\n{_IMAGES_TERMS}"
    if source.refusal:
        license += f"\n\n**Do not pass this dataset on.** {source.refusal}"
    metadata: dict[str, Any] = {"tags": ["human-attention", "luab", reader.replace("_", "-")]}
    return CardText(
        pretty_name=source.title,
        introduction=f"{source.title}: where people looked ({source.device}).{where}",
        columns=described(raw.layout),
        provenance=f"{_JOINED if raw.layout.images else _READ} {_POINTS}",
        license=license,
        citation=source.citation or PAPER,
        metadata=metadata | {"license": "other"},
    )
