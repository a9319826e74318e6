"""Write the lock files: every package with the SHA-256 of its files, from setup.cfg and constraints.txt.

Needs uv: python .ci/lock.py [UV]. requirements.lock is what everyone installs, requirements-torch.lock is
PyPI's torch and, on Linux, the CUDA libraries that it needs, requirements-ray.lock is what tests of Ray need
besides, and requirements-timm.lock is timm with PyPI's torchvision, which does not load beside a torch
without CUDA. requirements-torch-cpu.lock, a build of torch that uv's index does not have, is kept by hand.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TORCH = ("torch==", "nvidia-", "cuda-", "triton==")
TIMM = ("timm==", "torchvision==")
NOTES = {
    "requirements.lock": "What `make env` and CI install, besides torch.",
    "requirements-torch.lock": "PyPI's torch, and the CUDA libraries that it needs on Linux.",
    "requirements-ray.lock": "What the tests of `--engine ray` need besides.",
    "requirements-timm.lock": "What the tests of `timm:NAME` need, in a folder apart (.ci/lock.py says why).",
}
WRITTEN = "Each with the SHA-256 of all its files, for Python 3.10 to 3.13. Written by `make lock`."


def main(uv: str) -> None:
    plain, with_ray = resolved(uv, "dev"), resolved(uv, "dev", "ray")
    known = {name_of(entry) for entry in plain}
    write("requirements.lock", [entry for entry in plain if not entry.startswith(TORCH + TIMM)])
    write("requirements-torch.lock", [entry for entry in plain if entry.startswith(TORCH)])
    write("requirements-timm.lock", [entry for entry in plain if entry.startswith(TIMM)])
    write("requirements-ray.lock", [entry for entry in with_ray if name_of(entry) not in known])


def resolved(uv: str, *extras: str) -> list[str]:
    """`name==version ; marker` and its hashes, one entry a package."""
    command = [
        uv,
        "pip",
        "compile",
        "setup.cfg",
        "--universal",
        "--python-version",
        "3.10",
        "--generate-hashes",
    ]
    command += ["--constraint", "constraints.txt", "--no-header", "--no-annotate", "--no-python-downloads"]
    command += [f"--extra={extra}" for extra in extras]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [entry for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE) if entry.strip()]


def name_of(entry: str) -> str:
    return entry.partition("==")[0]


def write(name: str, entries: list[str]) -> None:
    (ROOT / name).write_text(f"# {NOTES[name]}\n# {WRITTEN}\n{''.join(entries)}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "uv")
