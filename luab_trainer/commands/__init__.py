"""One command of `luab` a file; see `luab_trainer/cli.py`."""
