"""Write the lock files: every package with the SHA-256 of its files, from setup.cfg and constraints.txt.

Needs uv: python .ci/lock.py [UV]. Three files, as not everyone needs all:
requirements.lock, what `make env` installs; requirements-cuda.lock, what torch needs besides where it is
PyPI's build for Linux; requirements-ray.lock, what the tests of Ray need besides.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CUDA = ("nvidia-", "cuda-", "triton==")
NOTES = {
    "requirements.lock": "What `make env` and CI install. Of torch: PyPI's files, and a CPU-only build.",
    "requirements-cuda.lock": "What PyPI's torch needs besides on Linux; a CPU-only build does not.",
    "requirements-ray.lock": "What the tests of `--engine ray` need besides.",
}
WRITTEN = "Each with the SHA-256 of all its files, for Python 3.10 to 3.13. Written by `make lock`."


def main(uv: str) -> None:
    plain, with_ray = resolved(uv, "dev"), resolved(uv, "dev", "ray")
    # The CPU-only build of torch is on no index that uv asks: its hash stays as long as the version does.
    torch = next(entry for entry in plain if entry.startswith("torch=="))
    plain[plain.index(torch)] = keeping_hashes(torch, ROOT / "requirements.lock")
    known = {name_of(entry) for entry in plain}
    write("requirements.lock", [entry for entry in plain if not entry.startswith(CUDA)])
    write("requirements-cuda.lock", [entry for entry in plain if entry.startswith(CUDA)])
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


def keeping_hashes(entry: str, file: Path) -> str:
    """The entry with the hashes that `file` has for the same version besides."""
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    old = re.search(rf"^{re.escape(entry.split()[0])}(.*\n(?:    .*\n)*)", before, re.MULTILINE)
    hashes = re.findall(r"--hash=\S+", entry)
    more = [each for each in re.findall(r"--hash=\S+", old[1] if old else "") if each not in hashes]
    return " \\\n    ".join([entry.rstrip("\n"), *more]) + "\n"


def name_of(entry: str) -> str:
    return entry.partition("==")[0]


def write(name: str, entries: list[str]) -> None:
    (ROOT / name).write_text(f"# {NOTES[name]}\n# {WRITTEN}\n{''.join(entries)}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "uv")
