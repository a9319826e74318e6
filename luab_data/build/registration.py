"""Makes `datasets.load_dataset("imagenet_ab", ...)` find our builder once its package is imported."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from luab_data.adapters.hf_datasets import register_builder


def register(name: str, module_path: str, source_folders: list[Path]) -> None:
    """Makes `load_dataset(name)` use the builder of `module_path`.

    Caches are renewed when the code in `source_folders` changes.
    """
    register_builder(name, module_path, code_hash(source_folders))


def code_hash(folders: Iterable[Path]) -> str:
    """A hash of the code in these folders, so that results of other code are not mixed with its own."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
