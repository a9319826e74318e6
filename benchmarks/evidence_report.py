"""Table and figures of the runs of benchmarks/evidence.py, from the lines of its results file.

    python benchmarks/evidence_report.py --results benchmarks/evidence.jsonl --output-dir runs/evidence
    python benchmarks/evidence_report.py ... --worlds demo real --arms plain luab oracle    # of some runs

`hard` is the accuracy on swapped backgrounds, in the natural world that with a gray center. `gap closed` is
the share of the gap between plain and the oracle, on swapped backgrounds: the mean gain of the seeds that all
three have over their mean gap. Intervals are over the trainings, which test on the same images in all worlds
but the demo's.
"""

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from arms import ARMS, MODELS, WORLDS

Line = dict[str, Any]  # a line of the results: world, model, arm, seed, scores, accuracy_by_epoch
Arms = dict[str, dict[int, Line]]  # arm -> seed -> line
HEAD = (
    "world", "model", "arm", "seeds", "in distribution", "hard", "pointing, hard", "gap closed, %",
    "luab - arm, hard",
)  # fmt: skip
IN_EACH_LINE = ("key", "world", "model", "arm", "seed", "scores", "accuracy_by_epoch")
SWAPPED, OCCLUDED = "swapped", "occluded"
JTT = "jtt"
CHOOSING = 100  # worlds of seeds from here on choose settings, the others report
# Arms with fewer clicks, or with other ones, as `annotation.png` shows them.
CLICKS = {"plain": "0", "clicks-1": "1", "clicks-10": "10", "clicks-50": "50", "luab": "100"}
OTHERWISE = ("centers", "anywhere", "astray-10", "astray-30", "astray", "shuffled")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, required=True, help="JSON lines of benchmarks/evidence.py")
    parser.add_argument("--output-dir", type=Path, required=True, help="for the table and the figures")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument(
        "--arms", nargs="+", choices=list(ARMS), default=list(ARMS), help="the gap needs plain and oracle"
    )
    arguments = parser.parse_args()
    lines = read_lines(arguments.results)
    asked = {"world": arguments.worlds, "model": arguments.models, "arm": arguments.arms}
    lines = [line for line in lines if line["seed"] < CHOOSING]
    chosen = [line for line in lines if all(line[name] in values for name, values in asked.items())]
    if not chosen:
        there = sorted({f"{line['world']} {line['model']}" for line in lines})
        raise SystemExit(
            f"{arguments.results} has no results of seeds below {CHOOSING} with these worlds, models and "
            f"arms (it has {', '.join(there) or 'none'}): run evidence.py first."
        )
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    print(report(chosen, arguments.output_dir))


def read_lines(file: Path) -> list[Line]:
    """The runs of a results file."""
    if not file.is_file():
        raise SystemExit(f"{file} is no file: run evidence.py first, or name its results.")
    lines = []
    for number, text in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            line = json.loads(text)
            missing = [name for name in IN_EACH_LINE if name not in line]
        except (ValueError, TypeError) as error:
            raise SystemExit(
                f"{file}, line {number} is no run of evidence.py ({error}): delete it."
            ) from None
        if missing:
            raise SystemExit(f"{file}, line {number} has no {', '.join(missing)}: delete it.")
        lines.append(line)
    return lines


def report(lines: Iterable[Line], folder: Path) -> str:
    """Writes `table.md` and the figures into the folder, and returns the table."""
    settings = by_setting(lines)
    text = "\n".join([table(settings), *precisions(settings)])
    (folder / "table.md").write_text(text + "\n", encoding="utf-8")
    draw(settings, folder)
    return text


def by_setting(lines: Iterable[Line]) -> dict[tuple[str, str], Arms]:
    """The lines by (world, model and what was changed), arm and seed."""
    settings: dict[tuple[str, str], Arms] = {}
    for line in lines:
        setting = line["world"], name_of(line, line.get("changed", []))
        seeds = settings.setdefault(setting, {}).setdefault(line["arm"], {})
        if line["seed"] in seeds:
            keys = f"{seeds[line['seed']].get('key')} and {line.get('key')}"
            raise SystemExit(f"{keys} are results of the same run: delete the line of former settings.")
        seeds[line["seed"]] = line
    return settings


def table(settings: dict[tuple[str, str], Arms]) -> str:
    """Markdown: a line for each world, model and arm; means over seeds with 95 % intervals.

    `luab - arm` is the mean difference of the same seeds, with its interval and the p of a paired t-test, and
    how many they are, if fewer than the arm's.
    """
    lines = [HEAD, tuple("---" for _ in HEAD)]
    for (world, model), arms in settings.items():
        hard = hard_test(arms)
        for arm, seeds in arms.items():
            scores = [line["scores"] for line in seeds.values()]
            figures = [
                _spread([each[name] for each in scores]) for name in ("test", hard, f"pointing_{hard}")
            ]
            closed = (
                gap_closed(arms, arm, settings.get((world, plain_name(arms)), {})) if hard == SWAPPED else ""
            )
            difference = "" if arm == "luab" else _difference(arms, arm, hard)
            lines.append((world, model, arm, str(len(seeds)), *figures, closed, difference))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def precisions(settings: dict[tuple[str, str], Arms]) -> list[str]:
    """A sentence on each setting of which some runs computed in bfloat16 and some in float32."""
    lines = []
    for setting, arms in settings.items():
        exact = [
            f"{arm} of seed {seed}"
            for arm, seeds in arms.items()
            for seed, line in seeds.items()
            if not line.get("bf16", False)
        ]
        if exact and len(exact) < sum(map(len, arms.values())):
            lines.append(f"{', '.join(setting)}: in float32 {', '.join(exact)}; the others in bfloat16.")
    return ["", *lines] if lines else []


def hard_test(arms: Arms) -> str:
    """The name of the scores on the harder test set."""
    line = next(iter(next(iter(arms.values())).values()))
    return OCCLUDED if OCCLUDED in line["scores"] else SWAPPED


def name_of(line: Line, changed: Iterable[tuple[str, Any]]) -> str:
    """The model and what was changed of its options."""
    text = " ".join([line["model"], *(f"{name}={value}" for name, value in changed)])
    return text.replace("num_train_epochs=", "epochs ")


def plain_name(arms: Arms) -> str:
    """The name of the setting that has plain and the oracle, of which only the epochs are changed."""
    line = next(iter(next(iter(arms.values())).values()))
    return name_of(line, [each for each in line.get("changed", []) if each[0] == "num_train_epochs"])


def gap_closed(arms: Arms, arm: str, reference: Arms) -> str:
    """The share of the gap between plain and the oracle that an arm closes, in %, with its 95 % interval.

    It is the ratio of the means over the seeds, so that a seed with a small gap does not count more.

    Args:
        arms: The arms of a setting.
        arm: One of them.
        reference: The arms that have plain and the oracle.
    """
    from luab_eval.statistics.intervals import runs_interval

    plain, oracle = (_scores(reference, name, SWAPPED) for name in ("plain", "oracle"))
    scores = _scores(arms, arm, SWAPPED)
    shared = [seed for seed in scores if seed in plain and seed in oracle]
    gains = np.array([scores[seed] - plain[seed] for seed in shared])
    gaps = np.array([oracle[seed] - plain[seed] for seed in shared])
    if not len(shared) or gaps.sum() <= 0:
        return ""
    share = gains.sum() / gaps.sum()
    _, low, high = runs_interval((gains - share * gaps) / gaps.mean())
    return _with_interval(100 * share, 100 * low, 100 * high, len(shared))


def _scores(arms: Arms, arm: str, name: str) -> dict[int, float]:
    return {seed: line["scores"][name] for seed, line in arms.get(arm, {}).items()}


def _spread(values: list[float]) -> str:
    """The mean with its 95 % interval."""
    from luab_eval.statistics.intervals import runs_interval

    if not values:
        return ""
    _, low, high = runs_interval(values)
    return _with_interval(float(np.mean(values)), low, high, len(values))


def _with_interval(value: float, low: float, high: float, runs: int) -> str:
    return f"{value:.1f}" if runs < 2 else f"{value:.1f} ({value + low:.1f} to {value + high:.1f})"


def _difference(arms: Arms, arm: str, name: str) -> str:
    from scipy.stats import ttest_1samp

    from luab_data.console.text import counted

    ours = _scores(arms, "luab", name)
    differences = [ours[seed] - score for seed, score in _scores(arms, arm, name).items() if seed in ours]
    text = _spread(differences)
    if len(differences) > 2:  # two may be equal by chance
        p = ttest_1samp(differences, 0).pvalue
        text += f", p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"
    fewer = 0 < len(differences) < len(arms[arm])
    return f"{text} ({counted(len(differences), 'pair')})" if fewer else text


def draw(settings: dict[tuple[str, str], Arms], folder: Path) -> None:
    """`arms.png`: accuracy by arm, a point for each run. `epochs.png`: mean accuracy by epoch.

    `annotation.png`, where there are such arms: accuracy by the share of the clicks, and with other clicks.
    The first two show the runs without changed options, or all if there are none.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = list(dict.fromkeys(arm for arms in settings.values() for arm in arms))
    colors = {name: f"C{number}" for number, name in enumerate(names)}

    def figure(
        file: str, draw_one: Callable[[Any, Arms], None], label: str, shown: list[Any], width: float = 2.6
    ) -> None:
        sheet, axes = plt.subplots(
            1, len(shown), figsize=(width * len(shown), 3), layout="constrained", squeeze=False
        )
        for axis, (world, model) in zip(axes[0], shown, strict=True):
            axis.set_title(f"{world}: {model}", fontsize=9)
            draw_one(axis, settings[world, model])
        axes[0, 0].set_ylabel(label)
        sheet.savefig(folder / file, dpi=120)
        plt.close(sheet)

    def points(axis: Any, place: int, arms: Arms, arm: str, color: str) -> None:
        values = list(_scores(arms, arm, hard_test(arms)).values())
        axis.plot([place] * len(values), values, "o", color=color, alpha=0.5)
        axis.plot([place - 0.3, place + 0.3], [np.mean(values)] * 2, color=color)

    def by_arm(axis: Any, arms: Arms) -> None:
        for place, arm in enumerate(arms):
            points(axis, place, arms, arm, colors[arm])
        axis.set_xticks(range(len(arms)), list(arms), rotation=60, fontsize=8)
        axis.set_ylim(bottom=0)

    def by_epoch(axis: Any, arms: Arms) -> None:
        for arm, seeds in arms.items():
            if arm == JTT:  # its epochs are of another number of rows with each seed
                continue
            mean = 100 * np.mean([line["accuracy_by_epoch"] for line in seeds.values()], axis=0)
            axis.plot(range(1, len(mean) + 1), mean, color=colors[arm], label=arm)
        axis.set_xlabel("epoch", fontsize=8)
        axis.legend(fontsize=6)

    def by_annotation(axis: Any, arms: Arms) -> None:
        shares = [arm for arm in CLICKS if arm in arms]
        others = [arm for arm in OTHERWISE if arm in arms]
        for place, arm in enumerate([*shares, *others]):
            points(axis, place, arms, arm, "C0" if arm in shares else "C1")
        means = [np.mean(list(_scores(arms, arm, hard_test(arms)).values())) for arm in shares]
        axis.plot(range(len(shares)), means, color="C0", alpha=0.5)
        labels = [f"{CLICKS[arm]} % of the clicks" for arm in shares]
        places = range(len(shares) + len(others))
        axis.set_xticks(
            places, [*labels, *others], rotation=40, fontsize=8, ha="right", rotation_mode="anchor"
        )

    unchanged = [(world, model) for world, model in settings if "=" not in model] or list(settings)
    figure("arms.png", by_arm, "accuracy, swapped or occluded, %", unchanged)
    figure("epochs.png", by_epoch, "accuracy, swapped or natural, %", unchanged)
    annotated = [setting for setting, arms in settings.items() if "clicks-10" in arms]
    for world, model in annotated:
        arms = settings[world, model]
        plain = settings.get((world, plain_name(arms)), {}).get("plain", {})
        settings = settings | {(world, model): {"plain": plain, **arms} if plain else arms}
    if annotated:
        figure("annotation.png", by_annotation, "accuracy, swapped, %", annotated, width=5.2)


if __name__ == "__main__":
    main()
