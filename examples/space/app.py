"""A Space of `luab app`: the variable MODELS names its models, ids on the Hub with spaces between them."""

import os

from luab.app.page import build, launch
from luab.models import load_models

DEFAULT = "facebook/convnext-tiny-224 google/vit-base-patch16-224"

if __name__ == "__main__":
    models = load_models(os.environ.get("MODELS", "").split() or DEFAULT.split())
    launch(build(models), host="0.0.0.0", port=7860)  # the Space's own proxy is in front of it
