"""What a model sees, and where it looks. Import from the modules: this package loads none."""

import os

# A repository with only a pickle is rejected. By default transformers would ask a server to convert it, which
# opens a pull request there.
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
