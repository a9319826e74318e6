"""Localized Narratives: mouse traces of annotators who describe an image (JSON Lines).

A trace is kept as drawn: ratios below 0 and above 1 are normal, and a new segment starts where the cursor
left the image. With `--words`, the words that name a class give it the part of the trace during which they
were said.
"""

import bisect
import re
from pathlib import Path
from typing import Any

from luab_attention.convert import fields
from luab_attention.convert.image_keys import coco_key
from luab_attention.convert.records import PathPart, Read, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.json_items import json_lines
from luab_data.sources.entries import BYPRODUCTS, Reject

SOURCE = AttentionSource(
    "Localized Narratives",
    "mouse of a speaking annotator",
    license="CC BY 4.0",
    homepage="https://google.github.io/localized-narratives",
)

MAX_WORDS = 10  # of a class's name
_WORD = re.compile(r"[\w']+")


def add_options(add: Any) -> None:
    """The options of this source."""
    add.add_argument(
        "--words",
        nargs="+",
        metavar="CLASS",
        help="classes whose name gives them their own part of a trace: cat, or cat=cat,cats,kitten",
    )


def read(path: Path, *, words: list[str] | None = None) -> Read:
    """A `SourceRecord` for each narrative.

    Raises:
        SourceError: words that no caption can have.
    """
    named = _named(words or [])
    for number, item in json_lines(path, BYPRODUCTS):
        name = f"{path.name}, line {number}"
        try:
            if isinstance(item, RejectedRecord):
                raise item
            yield _record(item, name, named)
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, name, error.reason)


def _record(item: Any, name: str, named: dict[tuple[str, ...], str]) -> SourceRecord:
    image_id = fields.label(fields.member(item, "image_id"), "image_id")
    if "coco" in str(fields.member(item, "dataset_id")).lower() and image_id.isdigit():
        image_id = coco_key(fields.whole(image_id, "image_id", 0, 10**12 - 1))
    annotator = fields.label(fields.member(item, "annotator_id"), "annotator_id")
    whole = _trace(fields.member(item, "traces"), annotator)
    record = SourceRecord(image_id, name, paths=[whole])
    if named:
        record.paths.extend(_of_classes(whole, item, named))
    return record


def _trace(traces: Any, annotator: str) -> PathPart:
    path = PathPart([], [], [], None, [], annotator=annotator)
    x, y, time, segments = path.x, path.y, path.time or [], path.segment or []
    for number, segment in enumerate(fields.items(traces, "traces")):
        for sample in fields.items(segment, f"traces[{number}]"):
            x.append(fields.number(fields.member(sample, "x"), "x"))
            y.append(fields.number(fields.member(sample, "y"), "y"))
            time.append(fields.number(fields.member(sample, "t"), "t") * 1000)
            segments.append(number)
    if not x:
        raise RejectedRecord("its traces have no sample")
    return path._replace(time=time, segment=segments)


def _of_classes(whole: PathPart, item: Any, named: dict[tuple[str, ...], str]) -> list[PathPart]:
    """For each class, the samples during the utterances that name it, in order."""
    spoken: list[tuple[str, float, float]] = []  # words in order, with their utterance's times in ms
    for number, utterance in enumerate(fields.items(fields.member(item, "timed_caption"), "timed_caption")):
        where = f"timed_caption[{number}]"
        said = fields.member(utterance, "utterance")
        if not isinstance(said, str):
            raise RejectedRecord(f"{where}.utterance is no text")
        begin, end = (
            fields.number(fields.member(utterance, side), f"{where}.{side}") * 1000
            for side in ("start_time", "end_time")
        )
        spoken += [(word.lower(), begin, end) for word in _WORD.findall(said)]
    spans: dict[str, list[tuple[float, float]]] = {}
    for at in range(len(spoken)):
        for words, label in named.items():
            if tuple(word for word, _, _ in spoken[at : at + len(words)]) == words:
                spans.setdefault(label, []).append((spoken[at][1], spoken[at + len(words) - 1][2]))
    paths = []
    for label, times in spans.items():
        kept = sorted({place for begin, end in times for place in _between(whole.time or [], begin, end)})
        if kept:
            paths.append(_part(whole, kept, label))
    return paths


def _between(times: list[float], begin: float, end: float) -> range:
    """The samples from `begin` to `end`."""
    return range(bisect.bisect_left(times, begin), bisect.bisect_right(times, end))


def _part(whole: PathPart, kept: list[int], label: str) -> PathPart:
    """Some samples of a trace. Where others lie between them, a new segment starts."""
    segments, number = [], -1
    own = whole.segment or []
    for place, at in enumerate(kept):
        if place == 0 or kept[place - 1] != at - 1 or own[at] != own[at - 1]:
            number += 1
        segments.append(number)
    return whole._replace(
        x=[whole.x[at] for at in kept],
        y=[whole.y[at] for at in kept],
        time=[(whole.time or [])[at] for at in kept],
        segment=segments,
        label=label,
    )


def _named(words: list[str]) -> dict[tuple[str, ...], str]:
    """Words in lower case -> class; of `cat` and `cat=cat,kitten`."""
    named: dict[tuple[str, ...], str] = {}
    for each in words:
        label, _, others = each.partition("=")
        for phrase in others.split(",") if others else [label]:
            key = tuple(word.lower() for word in _WORD.findall(phrase))
            if not label or not 0 < len(key) <= MAX_WORDS:
                raise SourceError(f"--words {each!r}: write a class, or CLASS=WORD,WORD.")
            if named.setdefault(key, label) != label:
                raise SourceError(f"--words {each!r}: {phrase!r} is of the class {named[key]!r} already.")
    return named
