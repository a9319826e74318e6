"""The texts of a converted dataset's card."""

from typing import Any

from luab_attention.columns import described
from luab_attention.convert.conversion import Conversion
from luab_data.build.card import PAPER, CardText

_PROVENANCE = """`luab convert` read the source, checked every entry, and joined it with its image. Points are
ratios of the upright image, x first, origin at the top left. Image files were kept unchanged, unless a side
was longer
than `max_side` pixels."""


def card_text(raw: Conversion, reader: str) -> CardText:
    """The card of a conversion by this reader."""
    source = raw.source
    where = f" Published at {source.homepage}." if source.homepage else ""
    license = source.license or (
        "Not known: the terms of the data and images that it was made of. Check them before you pass it on."
    )
    if source.refusal:
        license += f"\n\n**Do not pass this dataset on.** {source.refusal}"
    metadata: dict[str, Any] = {"tags": ["human-attention", "luab", reader.replace("_", "-")]}
    return CardText(
        pretty_name=source.title,
        introduction=f"{source.title}: where people looked ({source.device}).{where}",
        columns=described(raw.layout),
        provenance=_PROVENANCE,
        license=license,
        citation=source.citation or PAPER,
        metadata=metadata | {"license": "other"},
    )
