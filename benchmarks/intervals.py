"""How often the intervals of an evaluation cover the truth, and how often two equal models are told apart.

    python benchmarks/intervals.py [--trials 4000]

Prints the table of docs/evaluate.md: for each number of images and each accuracy a simulation of two models
that agree on half of the images. Beside it what the percentile bootstrap, which was used before, does.
"""

import argparse
from functools import cache

import numpy as np

from luab_eval.statistics.bootstrap import p_value
from luab_eval.statistics.intervals import moments_interval, swap_test

IMAGES = (1, 5, 20, 1000)
RATES = (0.5, 0.8, 0.98)
RESAMPLES = 2000


def simulated(rng: np.random.Generator, images: int, rate: float, trials: int) -> np.ndarray:
    """`[trials, 4]`: on how many images both models are right, the first alone, the second alone, neither."""
    alone = rate * (1 - rate) / 2
    kinds = (rate - alone, alone, alone, 1 - rate - alone)
    return rng.multinomial(images, kinds, size=trials)


@cache
def test(first: int, second: int) -> float:
    """The p-value where each model is right alone on so many images."""
    return swap_test(np.repeat([1.0, -1.0], [first, second]), RESAMPLES)[0]


def bootstrapped(rng: np.random.Generator, counts: np.ndarray) -> tuple[float, float, float]:
    """The percentile interval of the first model's accuracy, and the p-value of the difference."""
    images = counts.sum()
    drawn = rng.multinomial(images, counts / images, size=400)
    low, high = np.quantile((drawn[:, 0] + drawn[:, 1]) / images, [0.025, 0.975])
    return low, high, p_value((drawn[:, 1] - drawn[:, 2]) / images)


def line(images: int, rate: float, trials: int) -> str:
    """The shares of the simulations in which each interval covers `rate`, and in which p is below 5%."""
    rng = np.random.default_rng(0)
    counts = simulated(rng, images, rate, trials)
    mean = (counts[:, 0] + counts[:, 1]) / images
    low, high = moments_interval(mean, mean * (1 - mean), images, 0, 1)
    wrong = np.mean([test(*alone) < 0.05 for alone in counts[:, 1:3].tolist()])
    before = np.array([bootstrapped(rng, one) for one in counts])
    covered = (before[:, 0] <= rate + 1e-9) & (rate <= before[:, 1] + 1e-9)
    shares = (np.mean((low <= rate) & (rate <= high)), covered.mean(), wrong, np.mean(before[:, 2] < 0.05))
    return f"| {images:,} | {rate:.0%} | " + " | ".join(f"{share:.1%}" for share in shares) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=4000, help="simulations for each line")
    trials = parser.parse_args().trials
    print("| images | accuracy | covers | bootstrap covers | told apart | bootstrap tells apart |")
    print("|---:|---:|---:|---:|---:|---:|")
    for images in IMAGES:
        for rate in RATES:
            print(line(images, rate, trials), flush=True)


if __name__ == "__main__":
    main()
