"""Build a dataset folder from raw files: `luab build imagenet_ab ...` or `luab build coco_ab ...`."""

import importlib
import sys

from luab_data.console.text import did_you_mean, printable

DATASETS = ("imagenet_ab", "coco_ab")


def main(argv: list[str]) -> int | None:
    """Runs the command `luab build`."""
    names = ",".join(DATASETS)
    usage = f"usage: luab build {{{names}}} ...\n\n{__doc__}\nluab build NAME --help lists its options."
    if argv[:1] in (["-h"], ["--help"]):
        print(usage)
        return 0
    if not argv or argv[0] not in DATASETS:
        if argv:
            problem = f"there is no dataset {printable(argv[0])!r}{did_you_mean(argv[0], DATASETS)}"
            print(f"luab build: {problem}\n", file=sys.stderr)
        print(usage, file=sys.stderr)
        return 2
    name, *rest = argv
    return importlib.import_module(f"{name}.script").main(rest, prog=f"luab build {name}")
