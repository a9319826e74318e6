"""The commands of `luab`, one per file; see `luab/cli.py`."""
