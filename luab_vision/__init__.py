"""What a model sees, and where it looks. Import from the modules: nothing is loaded early."""

import os

# A repository that has nothing but a pickle is refused. By itself, transformers would ask a server to convert
# it, which leaves a pull request there.
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
