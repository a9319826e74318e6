"""Build the sdist and the wheel, check both, and run the wheel where nothing of the checkout is seen.

python .ci/wheel.py [DIST]: needs the development environment, whose packages the wheel is run with.
"""

import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOT_SHIPPED = (".ci/", ".github/", ".gitignore", ".pre-commit-config.yaml")
LOADS = "from datasets import load_dataset; import {0}; print(load_dataset({0!r}, cache_dir='cache'))"


def main(dist: Path) -> None:
    build = ["-m", "build", "--no-isolation", "--outdir", str(dist), str(ROOT)]
    run(sys.executable, *build, quiet=True)
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    run(sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel))
    check_contents(sdist, wheel)
    with tempfile.TemporaryDirectory() as folder:
        check_runs(wheel, Path(folder))
    print(f"{wheel.name} and {sdist.name} are whole, and the wheel runs")


def check_contents(sdist: Path, wheel: Path) -> None:
    """Compares the files of both with those that git tracks.

    Raises:
        SystemExit: one is missing, or the wheel has one that git does not know.
    """
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    tracked = {path for path in listed.splitlines() if not path.startswith(NOT_SHIPPED)}
    packages = {path.split("/")[0] for path in tracked if path.endswith("/py.typed")}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
    with tarfile.open(sdist) as archive:
        in_sdist = {member.name.partition("/")[2] for member in archive if member.isfile()}
    faults = {
        "the sdist lacks (MANIFEST.in)": tracked - in_sdist,
        "the wheel lacks (setup.cfg, package_data)": {
            path for path in tracked if path.split("/")[0] in packages
        }
        - in_wheel,
        "the wheel has, and git has not": in_wheel - tracked,
    }
    for fault, paths in faults.items():
        if paths:
            sys.exit(f"{fault}: {', '.join(sorted(paths))}")


def check_runs(wheel: Path, folder: Path) -> None:
    """Installs the wheel in an environment of its own, and runs it from an empty folder."""
    venv.create(folder / "venv", with_pip=False)
    python, luab = folder / "venv/bin/python", folder / "venv/bin/luab"
    run(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel))
    # Its dependencies come from the environment of this script, but not that environment's editable
    # installation of the checkout: *.pth files count in site folders, not in folders that one of them names.
    paths = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    site = Path(sysconfig.get_path("purelib", vars=paths))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    empty = folder / "empty"
    empty.mkdir()
    run(str(luab), "--version", cwd=empty)
    run(str(luab), "demo", "--help", cwd=empty, quiet=True)
    for name in ("imagenet_ab", "coco_ab"):
        code = f"{LOADS.format(name)}; assert {name}.__file__.startswith({str(site)!r}), {name}.__file__"
        run(str(python), "-I", "-c", code, cwd=empty, quiet=True)


def run(*command: str, cwd: Path | None = None, quiet: bool = False) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, check=False, capture_output=quiet, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout or ''}{done.stderr or ''}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
