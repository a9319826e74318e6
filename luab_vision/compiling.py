"""What torch.compile needs of a machine."""

import os
import shutil


def require_compiler(option: str, on_cpu: bool) -> None:
    """Raises ValueError if torch.compile's usual backend lacks its compiler; `option` asks for it."""
    compilers = (os.environ.get("CXX", "g++"), "g++", "clang++")
    if on_cpu and not any(map(shutil.which, compilers)):
        raise ValueError(
            f"{option} needs a C++ compiler, and neither g++ nor clang++ is there: install one "
            "(apt install g++), or leave it out."
        )
