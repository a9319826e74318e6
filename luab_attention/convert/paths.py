"""Viewings -> values of the column `scanpaths`: pieces joined in the order of time, cut at lost samples."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from luab_attention.columns import ANNOTATOR, DURATION, SEGMENT, TASK, TIME
from luab_attention.convert.frames import Region, require_near
from luab_attention.convert.records import PathPart
from luab_attention.points import WEIGHT, X, Y
from luab_data.constants import LABEL
from luab_data.errors import RejectedRecord

FAR_AWAY = 1000.0  # widths of the image: beyond this a sample is no place on any screen

OPTIONAL_LISTS = (TIME, DURATION, SEGMENT)
LISTS = (X, Y, *OPTIONAL_LISTS)
KEY = "key"


class Form(NamedTuple):
    """What all pieces of a viewing have in common: which lists they have, and the weight."""

    lists: tuple[str, ...]
    weight: float | None

    @property
    def weight_text(self) -> str:
        """The weight in words."""
        return "1 (not stated)" if self.weight is None else f"{self.weight:g}"


def form_of(path: PathPart) -> Form:
    """The form of a viewing, or of a piece of one."""
    return Form(tuple(name for name in OPTIONAL_LISTS if getattr(path, name) is not None), path.weight)


def common_forms(paths: Iterable[PathPart]) -> dict[str, Form]:
    """For each key of viewings in pieces, the form that most samples have, or of equal ones the fullest."""
    samples: dict[str, Counter[Form]] = {}
    for path in paths:
        if path.key is not None and path.x:
            samples.setdefault(path.key, Counter())[form_of(path)] += len(path.x)
    return {key: _most_common(forms) for key, forms in samples.items()}


def _most_common(forms: Counter[Form]) -> Form:
    return max(forms, key=lambda form: (forms[form], len(form.lists)))


def require_form(path: PathPart, forms: Mapping[str, Form]) -> None:
    """Raises RejectedRecord for a piece with other lists or another weight than its viewing."""
    own = form_of(path)
    form = own if path.key is None else forms.get(path.key, own)
    for name in form.lists:
        if name not in own.lists:
            raise RejectedRecord(f"it has no {name}, which other samples of its path have")
    for name in own.lists:
        if name not in form.lists:
            raise RejectedRecord(f"it has a {name}, which other samples of its path do not have")
    if own.weight != form.weight:
        raise RejectedRecord(
            f"the weight {own.weight_text} in a path of the weight {form.weight_text}: a path has one. "
            "Tell the paths apart by annotator or task"
        )


def path_ratios(path: PathPart, region: Region) -> np.ndarray:
    """The samples in ratios of the image, [N, 2]. Raises RejectedRecord for lists that are no path."""
    lengths = {name: len(value) for name in LISTS if (value := getattr(path, name)) is not None}
    if len(set(lengths.values())) > 1:
        raise RejectedRecord(f"a path with lists of different lengths: {lengths}")
    if not path.x:
        raise RejectedRecord("a path without a sample")
    if path.time is not None and path.key is None and (np.diff(path.time) < 0).any():
        raise RejectedRecord("a path whose times go back")
    if path.duration is not None and min(path.duration) < 0:
        raise RejectedRecord(f"a path with a duration below 0: {min(path.duration):g} ms")
    ratios = np.stack(region.ratios(np.array(path.x), np.array(path.y)), axis=1)
    require_near(ratios, FAR_AWAY)
    return ratios


def path_value(path: PathPart, ratios: np.ndarray) -> dict[str, Any]:
    """A viewing, or a piece of one, with its samples in ratios [N, 2]."""
    value: dict[str, Any] = {X: ratios[:, 0].tolist(), Y: ratios[:, 1].tolist(), KEY: path.key}
    for name in OPTIONAL_LISTS:
        samples = getattr(path, name)
        value[name] = None if samples is None else list(samples)
    for name in (ANNOTATOR, TASK, LABEL, WEIGHT):
        value[name] = getattr(path, name)
    return value


def extend(value: dict[str, Any], more: dict[str, Any]) -> None:
    """Adds a later piece of a viewing, which has the same form."""
    for name in LISTS:
        if value[name] is not None:
            value[name] += more[name]


def finished(value: dict[str, Any], lost: Sequence[float]) -> dict[str, Any]:
    """A viewing with all of its pieces, in the order of time.

    Of samples, a new segment begins after each lost one, so that the sample before it does not get its time.
    A fixation has its own duration.

    Args:
        value: the viewing.
        lost: times of the samples that it lost.
    """
    if value[TIME] is None:
        return value
    order = np.argsort(value[TIME], kind="stable")
    ordered = {name: [value[name][at] for at in order] for name in LISTS if value[name] is not None}
    if value[KEY] is None or value[DURATION] is not None:
        return value | ordered
    # Of a sample and a lost one of the same time, the sample is before.
    before = np.searchsorted(np.sort(lost), ordered[TIME])
    own = ordered.get(SEGMENT)
    if own is None or before[0] != before[-1]:
        new = np.diff(before) != 0
        if own is not None:
            new |= np.diff(own) != 0
        ordered[SEGMENT] = np.append(0, np.cumsum(new)).tolist()
    return value | ordered
