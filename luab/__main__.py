"""`python -m luab`, and `accelerate launch -m luab`: the same as `luab`."""

import sys

from luab.cli import main

if __name__ == "__main__":
    sys.exit(main())
