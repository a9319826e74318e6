"""`SHA256SUMS` of a training run: for each checkpoint, and for the model in its output folder.

It is written last, after all other files are on disk, so an incomplete folder has none. The format is that of
built datasets, which `sha256sum --check` reads too. The card (`README.md`) is not listed, because people edit
it.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from luab_data.errors import SourceError
from luab_data.files.durable import file_sha256, replacing, sync

SUMS = "SHA256SUMS"  # of all other files of the folder
CARD = "README.md"
CHECKPOINT = "checkpoint-"  # begins the names of a run's checkpoints
MODEL_FILES = ("config.json", ".safetensors")  # how the names of the files end that a model is loaded from
STATE_FILES = ("trainer_state.json", ".pt", ".pth", ".bin")  # and those of the state of a training

_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<name>[\w.-]+(/[\w.-]+)*)", re.ASCII)


def parse_sums(text: str) -> dict[str, str]:
    """SHA-256 by name. Raises ValueError for a line of another form."""
    sums = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None or ".." in match["name"].split("/"):
            raise ValueError(f"line {number} is not '<SHA-256>  <name>'")
        sums[match["name"]] = match["sha256"]
    return sums


def format_sums(sums: dict[str, str]) -> str:
    """The text of a list of SHA-256 sums, by name, as `sha256sum` writes it."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


def write_sums(folder: Path, names: Iterable[str] | None = None) -> None:
    """Syncs the files of a folder to disk, then lists them with their SHA-256.

    Args:
        folder: The folder, which also gets the list.
        names: The files, below `folder`; None: all.
    """
    if names is None:
        paths = (path for path in folder.rglob("*") if path.is_file())
        names = (path.relative_to(folder).as_posix() for path in paths)
    listed = sorted(set(names) - {CARD, SUMS})
    for name in listed:
        sync(folder / name)
    with replacing(folder / SUMS) as file:
        file.write(format_sums({name: file_sha256(folder / name) for name in listed}))


def listed_files(folder: Path) -> list[str]:
    """The files in `SHA256SUMS`. Empty if it is missing or damaged."""
    try:
        return list(parse_sums((folder / SUMS).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return []


def remove_listed(folder: Path, names: Collection[str] | None = None) -> None:
    """Removes files that `SHA256SUMS` lists, and so are of an earlier run, and folders that this empties.

    Args:
        folder: The folder of the list, which stays.
        names: Of the files; None: all.
    """
    remove_files(folder, [name for name in listed_files(folder) if names is None or name in names])


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Removes files below a folder, and folders that this empties.

    Links to other folders are not followed: the names may be a stranger's.
    """
    home = folder.resolve()
    for name in names:
        file = home / name
        if file.is_file() and file.parent.resolve() == file.parent:
            file.unlink(missing_ok=True)  # another node may save into the same folder
            for parent in Path(name).parents[:-1]:
                with suppress(OSError):  # other files are there
                    (home / parent).rmdir()


def damage(folder: Path, suffixes: tuple[str, ...] = ("",)) -> list[str]:
    """The problems of the files in `SHA256SUMS`, and of those that it should list, one line each.

    Reads every byte of the files whose name ends with one of `suffixes`.
    """
    try:
        sums = parse_sums((folder / SUMS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [f"{SUMS} is missing: the folder is incomplete, or an earlier version wrote it"]
    except ValueError as error:
        return [f"{SUMS} is damaged: {error}"]
    if not sums:
        return [f"{SUMS} is damaged: it lists no file"]
    problems = [
        f"{name} is not listed in {SUMS}, cut off or written before it (if it is yours, move it away)"
        for name in unlisted(folder, sums)
        if name.endswith(suffixes)
    ]
    for name, sha256 in sums.items():
        if not name.endswith(suffixes):
            continue
        if not (folder / name).is_file():
            problems.append(f"{name} is missing")
        elif file_sha256(folder / name) != sha256:
            problems.append(f"{name} is damaged: its SHA-256 is not the one in {SUMS}")
    return problems


def unlisted(folder: Path, sums: Collection[str]) -> Iterator[str]:
    """The files that a whole list has, and this one has not: of the model, and of a checkpoint's training.

    A run's output folder also has checkpoints, which have their own lists. Other files are of other programs.
    """
    of_checkpoint = re.fullmatch(rf"{CHECKPOINT}\d+", folder.resolve().name)
    wanted = (*MODEL_FILES, *STATE_FILES) if of_checkpoint else MODEL_FILES
    for path in sorted(folder.rglob("*") if of_checkpoint else folder.glob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if name.endswith(wanted) and not hidden and name not in sums and path.is_file():
            yield name


def require_undamaged(folder: Path, what: str, fix: str) -> None:
    """Raises SourceError, with `what` and `fix`, if a file is damaged."""
    problems = damage(folder)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise SourceError(f"{what}: {problems[0]}{more}. {fix}")
