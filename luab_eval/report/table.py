"""The content of the report: benchmarks as rows, models as columns, each figure with its interval."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from luab_data.console.names import few
from luab_eval.statistics.bootstrap import Difference, Estimate

FEWEST_DIFFERING = 6  # images: with fewer, no test at 5% can tell which of two models is better
SMALLEST_P = 0.0001
MOST_DIGITS = 6  # decimals of a figure in %
BETTER_HIGHER, BETTER_LOWER = "↑", "↓"

# Metrics with another name in the report.
_METRIC_NAMES = {
    "mce": "mCE",
    "mce_unnormalized": "mCE, unnormalized",
    "aupr": "AUPR",
    "bg_gap": "BG-gap",
    "max_box_acc": "MaxBoxAcc",
    "max_box_acc_v2": "MaxBoxAccV2",
    "max_box_acc_v2_iou_30": "MaxBoxAccV2 at IoU 0.3",
    "max_box_acc_v2_iou_50": "MaxBoxAccV2 at IoU 0.5",
    "max_box_acc_v2_iou_70": "MaxBoxAccV2 at IoU 0.7",
    "max_box_acc_threshold": "threshold of MaxBoxAcc (ratio)",
    "top5_accuracy": "top-5 accuracy",
    "pointing_game_center": "of always pointing at the center",
    "pointing_game_class_mean": "mean of the classes",
    "energy_pointing_game_uniform": "of attention that is everywhere",
    "spearman_of_ceiling": "Spearman, as a ratio of half of the people against the others",
}
# Metrics of alignment, and what is reported beside each (`luab_eval.alignment.scores`).
_ALIGNMENT = {
    "spearman": "Spearman",
    "cc": "CC",
    "sim": "SIM",
    "kl": "KL",
    "nss": "NSS",
    "auc_judd": "AUC-Judd",
    "auc_judd_unfixated": "AUC-Judd against unfixated cells",
    "shuffled_auc": "sAUC",
    "information_gain": "information gain",
}
_BESIDE = {
    "uniform": "a uniform map",
    "center": "the center bias of the other images",
    "other_image": "the map of another image",
    "one_human": "one human against the others",
    "split_halves": "half of the people against the others",
    "human_images": "images with several people",
    "on_human_images": "the model, on the images with several people",
}
_METRIC_NAMES |= _ALIGNMENT | {
    f"{metric}_{who}": f"{name}, {beside}"
    for metric, name in _ALIGNMENT.items()
    for who, beside in _BESIDE.items()
}
# Metrics that are numbers of images.
_COUNTS = tuple(f"{metric}_human_images" for metric in _ALIGNMENT)
_METRIC_NAMES |= {
    f"{metric}_{who}_center_share": f"{_METRIC_NAMES[f'{metric}_{who}']}, share of the center bias in it"
    for metric in ("kl", "information_gain")
    for who in ("one_human", "split_halves")
}
# Metrics that are no rates in %.
_RATIOS = ("max_box_acc_threshold",)
PERCENT = 100.0  # `Row.scale` of rates
IN_PERCENT = ""  # in place of a metric: all that are shown in %


@dataclass(frozen=True)
class Model:
    """A column: one model.

    Attributes:
        runs: Names of its training runs, in the order of the results.
        seeds: Their seeds, None if unknown.
    """

    name: str
    revision: str = ""
    runs: tuple[str, ...] = ("",)
    seeds: tuple[int | None, ...] = (None,)


@dataclass(frozen=True)
class Row:
    """A benchmark's primary metric.

    Attributes:
        estimates: Model name -> its figure, a rate; a model without an entry was not evaluated on it.
        differences: Model name -> its difference to the table's first model.
        further: Other metric -> model name -> its value, mean over the training runs.
        left_out: Message on skipped files.
        remark: Remark on its figures, or "".
        scale: Factor by which figures are shown: `PERCENT` for rates, 1 for others.
    """

    benchmark: str
    title: str
    metric: str
    higher_is_better: bool
    images: int
    source: str = ""
    published_images: int | None = None
    estimates: dict[str, Estimate] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)
    further: dict[str, dict[str, float]] = field(default_factory=dict)
    left_out: str = ""
    remark: str = ""
    scale: float = PERCENT

    @property
    def digits(self) -> int:
        """Decimals that show each difference between models: 57.312 and 57.316, not 57.3 twice."""
        found = [
            (self.estimates[name].value, difference.estimate.value)
            for name, difference in self.differences.items()
            if difference.estimate.value
        ]
        for digits in range(1 if self.scale == PERCENT else 3, MOST_DIGITS):
            if all(
                float(shown(by, digits, self.scale))
                and shown(value, digits, self.scale) != shown(value - by, digits, self.scale)
                for value, by in found
            ):
                return digits
        return MOST_DIGITS

    @property
    def arrow(self) -> str:
        """The arrow that shows which way is better."""
        return BETTER_HIGHER if self.higher_is_better else BETTER_LOWER

    @property
    def metric_name(self) -> str:
        """The metric's name for readers."""
        return metric_name(self.metric)

    def verdict(self, model: str) -> str:
        """How a model compares with the first: "better", "worse", or "".

        "" if the difference may be chance, or is too small to report.
        """
        difference = self.differences.get(model)
        if difference is None or not difference.worth_naming:
            return ""
        return "better" if (difference.estimate.value > 0) == self.higher_is_better else "worse"


@dataclass(frozen=True)
class Table:
    """The report's content; the first model is the baseline.

    Attributes:
        level: Level of the intervals.
        resamples: Number of resamples, if there is no closed form.
        skipped: Benchmarks that were not run, with the reason.
        remarks: Further sentences for the reader.
        min_difference: The smallest difference to report, see `figures.figures`.
    """

    models: tuple[Model, ...]
    rows: tuple[Row, ...]
    level: float
    resamples: int
    skipped: dict[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    min_difference: dict[str, float] = field(default_factory=dict)

    @property
    def baseline(self) -> str:
        """The model that the others are compared with."""
        return self.models[0].name

    @property
    def comparisons(self) -> int:
        """How many differences the table has."""
        return sum(len(row.differences) for row in self.rows)

    def notes(self, starred: bool = True) -> list[str]:
        """How to read the figures: a few sentences. `starred`: a * marks the differences."""
        scales = {row.scale for row in self.rows}
        plain = [row.title for row in self.rows if row.scale != PERCENT]
        but = f" (not those of {few(plain)})" if len(scales) > 1 else ""
        units = "Figures have" if scales == {1.0} else f"Figures are in %{but}, with"
        notes = [
            f"{units} {shown(self.level, 0)}% intervals for other images of the same kind. "
            f"{BETTER_HIGHER} higher is better, {BETTER_LOWER} lower is better."
        ]
        several = [f"{model.name}: {len(model.runs)}" for model in self.models if len(model.runs) > 1]
        single = [model.name for model in self.models if len(model.runs) == 1]
        if several:
            notes.append(f"Intervals also cover the spread between training runs ({', '.join(several)}).")
        if single:
            notes.append(
                f"One training run of {', '.join(single)}: nothing says how much another run would differ."
            )
        if self.comparisons:
            notes.append(
                f"{f'* differs from {self.baseline} by more' if starred else 'More'} than chance: both were "
                f"evaluated on the same images, p < {1 - self.level:.2g}{self._correction()}."
            )
            notes += self._without_verdict()
        if below := self._smallest():
            notes.append(
                f"Differences below {below} are not named; no relevant difference is one whose whole "
                "interval is below that."
            )
        partial = [
            f"{row.title} {row.images:,} of {row.published_images:,}"
            for row in self.rows
            if row.published_images not in (None, row.images)
        ]
        if partial:
            notes.append(f"Not as many images as are published: {'; '.join(partial)}.")
        for left_out, titles in self._titles_by("left_out").items():
            notes.append(f"Left out of {titles}: {left_out}.")
        notes += [f"{titles}: {remark}." for remark, titles in self._titles_by("remark").items()]
        return [*notes, *self.remarks]

    def not_run(self) -> list[str]:
        """The benchmarks that were not run, with the reason, one line each."""
        if not self.skipped:
            return []
        return ["Not run:", *(f"  {benchmark}: {why}" for benchmark, why in self.skipped.items())]

    def _titles_by(self, attribute: str) -> dict[str, str]:
        """What rows say of themselves -> the titles of all that say it."""
        titles: dict[str, list[str]] = {}
        for row in self.rows:
            if said := getattr(row, attribute):
                titles.setdefault(said, []).append(row.title)
        return {said: ", ".join(of) for said, of in titles.items()}

    def _smallest(self) -> str:
        """The smallest differences to report, in words."""
        of_metrics = [
            f"{value:g}{' points' if in_percent else ''} of {metric_name(metric)}"
            for metric, value in self.min_difference.items()
            if metric != IN_PERCENT and value
            for in_percent in {row.scale == PERCENT for row in self.rows if row.metric == metric}
        ]
        if points := self.min_difference.get(IN_PERCENT):
            of_metrics.insert(0, f"{points:g} points{' of other figures in %' if of_metrics else ''}")
        return ", ".join(of_metrics)

    def _correction(self) -> str:
        return f" after Holm's correction for {self.comparisons} comparisons" if self.comparisons > 1 else ""

    def _without_verdict(self) -> list[str]:
        """A note on the differences that no test could show."""
        few = [
            f"{row.title}, {name}: {difference.differing}"
            for row in self.rows
            for name, difference in row.differences.items()
            if difference.differing is not None and 0 < difference.differing < FEWEST_DIFFERING
        ]
        if not few:
            return []
        return [
            f"No verdict where the scores differ on fewer than {FEWEST_DIFFERING} images ({'; '.join(few)})."
        ]


def smallest_of(row: Row, min_difference: Mapping[str, float]) -> float:
    """The smallest difference to report of a row, in the unit of its figure."""
    others = min_difference.get(IN_PERCENT, 0.0) if row.scale == PERCENT else 0.0
    return min_difference.get(row.metric, others) / row.scale


def full_title(title: str, label: str) -> str:
    """A benchmark's title with a distinguishing label: "Image folder (val)"."""
    return f"{title} ({label})" if label else title


def metric_name(metric: str) -> str:
    """For people."""
    return _METRIC_NAMES.get(metric, metric.replace("_", " "))


def metric_value(metric: str, value: float, scale: float = PERCENT) -> str:
    """For people: a rate in percent, "76.1"; a number of images, "1,200"; others as they are."""
    if metric in _COUNTS:
        return f"{value:,.0f}"
    return f"{value:.3f}" if metric in _RATIOS or scale != PERCENT else shown(value)


def shown(value: float, digits: int = 1, scale: float = PERCENT) -> str:
    """A rate in percent, 0.7613 -> "76.1"; with another `scale` in its own unit."""
    return f"{round(scale * value, digits) + 0.0:.{digits}f}"  # + 0.0: no "-0.0"


def interval(estimate: Estimate, digits: int = 1, scale: float = PERCENT) -> str:
    """The interval, "[75.7, 76.5]"; see `shown`."""
    return f"[{shown(estimate.low, digits, scale)}, {shown(estimate.high, digits, scale)}]"


def signed(difference: Difference, digits: int = 1, scale: float = PERCENT) -> str:
    """A difference with its sign, "+0.4" percentage points; see `shown`."""
    points = scale * difference.estimate.value
    text = f"{points:+.{digits}f}"
    return f"{points:+.0e}" if points and not float(text) else text


def p_texts(difference: Difference) -> tuple[str, str]:
    """The texts of p and Holm's p: "0.012".

    "< 0.0002" if the resamples show no smaller value, or p is smaller.
    """
    bound = difference.p_is_bound
    return _p_text(difference.p, bound), _p_text(difference.p_holm, bound)


def _p_text(p: float, is_bound: bool) -> str:
    if p < SMALLEST_P:
        return f"< {SMALLEST_P:.4f}"
    # A bound is rounded up: the text must hold.
    return f"< {math.ceil(1e4 * p - 1e-6) / 1e4:.4g}" if is_bound and p < 1 else f"{p:.2g}"
