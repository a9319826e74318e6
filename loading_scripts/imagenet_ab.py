"""Raw files -> a dataset folder: see `imagenet_ab/script.py`, or `--help`."""

import sys
from pathlib import Path

# This file has the name of the package that it uses, and Python puts a script's own folder first.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from imagenet_ab.script import main  # noqa: E402

if __name__ == "__main__":
    main()
