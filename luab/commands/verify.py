"""Check that the files of a dataset, a checkpoint or a trained model are unchanged.

    luab verify data/imagenet_ab            a folder that luab build made
    luab verify runs/vit                    the output folder of a training run, with all its checkpoints
    luab verify runs/vit/checkpoint-500

Reads every byte and compares it with SHA256SUMS, which the build or the training run wrote. README.md is not
compared, because people edit it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from luab_data.build.manifest import SUMMARY
from luab_data.console.boundary import guarded
from luab_data.console.options import CommandParser
from luab_data.console.text import printable
from luab_data.errors import SourceError
from luab_data.files.sums import SUMS


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = CommandParser("luab verify", __doc__)
    options.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="what to verify")
    return options


@guarded("luab verify")
def main(argv: list[str]) -> int:
    """Run the command; 0: all files are unchanged, 1: stdout lists the problems.

    Raises:
        SourceError: see `verify`.
    """
    options = parser().parse_args(argv)
    status = 0
    for folder in options.folders:
        for part, problems in verify(folder).items():
            status = 1 if problems else status
            for line in problems or [f"as written, {_size(part)}"]:
                print(printable(f"{part}: {line}"))
    return status


def verify(folder: Path) -> dict[Path, list[str]]:
    """The problems of the folder and of each checkpoint in it, one line each.

    Raises:
        SourceError: neither a build nor a training run made the folder.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: there is no such folder.")
    if (folder / SUMMARY).is_file() or (folder / ".build").is_dir():
        from luab_data.build.verify import verify_dataset

        return {folder: verify_dataset(folder)}
    from luab_data.files.sums import damage

    parts = sorted(folder.glob("checkpoint-*/"), key=lambda part: (len(part.name), part.name))
    if (folder / SUMS).is_file() or not parts:
        parts.insert(0, folder)
    if not any((part / SUMS).is_file() for part in parts):
        raise SourceError(
            f"{folder} has no {SUMS}: neither luab build nor a training run made it, or an earlier version "
            "did, whose files cannot be verified."
        )
    return {part: damage(part) for part in parts}


def _size(folder: Path) -> str:
    from luab_data.files.sums import CARD, parse_sums

    names = parse_sums((folder / SUMS).read_text(encoding="utf-8")).keys() - {CARD}
    size = sum((folder / name).stat().st_size for name in names)
    return f"{len(names):,} file{'s' if len(names) != 1 else ''}, {size / 1e6:,.1f} MB"
