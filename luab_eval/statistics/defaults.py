"""The defaults of intervals and tests, apart from code that needs SciPy: `--help` names them without it."""

LEVEL = 0.95
# Enough for a 95% interval and for p < 5% after correction for 20 comparisons.
RESAMPLES = 2_000
