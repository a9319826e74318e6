"""A review as text for a terminal."""

from collections.abc import Sequence

from luab_collect.quality.figures import Figures
from luab_collect.quality.proportions import Proportion
from luab_collect.review.review import Review
from luab_data.console.text import counted

_COLUMNS = (
    "annotator", "pages", "recall", "precision", "in box", "center", "majority", "distance", "visible",
    "replayed", "untrusted", "unseen", "decision",
)  # fmt: skip


def summary(review: Review) -> list[str]:
    """The project's figures, a line each, and whether there is more to see."""
    lines = figures(review)
    if review.proposals:
        lines.append(f"{counted(len(review.proposals), 'proposal')} of the rules: see `luab collect review`")
    return lines


def figures(review: Review) -> list[str]:
    """The project's figures, a line each."""
    whole = review.quality.whole
    lines = [
        f"gold recall {whole.recall}, precision {whole.precision}, points in the box {whole.in_box}",
        f"agreement (Krippendorff's alpha) {review.quality.agreement}, with the majority {whole.majority}",
    ]
    if review.practiced:
        lines.append(
            f"the practice shows {review.practiced:,} of {counted(review.gold_images, 'image')} with a known "
            "answer: they are not counted as gold"
        )
    if whole.unseen.count:
        lines.append(
            f"no answer about {whole.unseen.count:,} of {counted(whole.unseen.total, 'image')} shown: the "
            "image never came in the browser"
        )
    return lines


def table(review: Review) -> list[str]:
    """A line for each annotator."""
    last = {each.id: each.verdict for each in review.decisions}
    names = sorted(set(review.quality.annotators) | set(review.rejected))
    none = Figures(0)
    rows = [
        _row(
            name, review.quality.annotators.get(name, none), review.rejected.get(name, 0), last.get(name, "")
        )
        for name in names
    ]
    return _aligned([_COLUMNS, *rows]) if rows else ["No page of work was submitted yet."]


def full(review: Review) -> list[str]:
    """The figures, the table, the proposals, and how to decide."""
    lines = [*figures(review), "", *table(review)]
    if not review.proposals:
        return [*lines, "", "The rules propose nothing."]
    lines += ["", "The rules propose to look at:"]
    lines += [f"  {each.subject} {each.id}: {each.rule}: {each.reason}" for each in review.proposals]
    return [
        *lines,
        "",
        "Nothing is rejected by itself. The admin's page replays each page of work; then decide:",
        "  luab collect review PROJECT --reject ID --reason TEXT   (or --accept ID)",
    ]


def _row(name: str, each: Figures, rejected: int, verdict: str) -> tuple[str, ...]:
    pages = f"{each.pages}" + (f" +{rejected} rejected" if rejected else "")
    return (
        name,
        pages,
        *map(_percent, (each.recall, each.precision, each.in_box, each.center, each.majority)),
        "-" if each.distance is None else f"{each.distance:.2f}",
        "-" if each.visible is None else f"{each.visible / 1000:.0f} s",
        str(each.replayed),
        str(each.untrusted),
        str(each.unseen.count),
        verdict,
    )


def _percent(share: Proportion) -> str:
    return "-" if share.value is None else f"{share.value:.0%} ({share.low:.0%}-{share.high:.0%})"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{each:<{width}}" for each, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
