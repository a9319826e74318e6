"""One command of `luab` a file; see `luab/cli.py`."""
