"""Checks that the image paths in a dataset's rows stay inside the dataset.

A row's `image` can be a path instead of bytes. Without this check, an untrusted dataset could put a local
image into a report, or make us fetch a URL.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import datasets
import pyarrow.compute as pc
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.file_download import repo_folder_name

from luab_data.errors import SourceError


def check_image_paths(rows: datasets.Dataset, source: str) -> None:
    """Checks all paths in the image columns whose bytes are not in the rows.

    Args:
        rows: The dataset.
        source: The folder or Hub id that the rows were loaded from.

    Raises:
        SourceError: a URL, or a file outside the dataset's folder, also through a link.
    """
    roots = [str(root.resolve()) for root in _roots(source)]

    @lru_cache(maxsize=1024)
    def is_inside(folder: Path) -> bool:
        return any(folder.resolve().is_relative_to(root) for root in roots)

    for name, feature in rows.features.items():
        if not isinstance(feature, datasets.Image):
            continue
        for text in _paths(rows, name):
            path = Path(text)
            inside = "://" not in text and is_inside(path.parent)
            if not inside or (path.is_symlink() and not is_inside(path.resolve().parent)):
                raise SourceError(
                    f"the dataset {source!r} names an image outside its folder: {text!r} in column {name!r}. "
                    "Put the images into the dataset's folder, or their bytes into its rows "
                    "(Dataset.save_to_disk does)."
                )


def _roots(source: str) -> list[Path]:
    """The folders with a dataset's files: its own folder or the download, and unpacked archives."""
    unpacked = Path(datasets.config.EXTRACTED_DATASETS_PATH)
    if Path(source).exists():
        return [Path(source), unpacked]
    repository = repo_folder_name(repo_id=source, repo_type="dataset")
    return [Path(HF_HUB_CACHE, repository), Path(datasets.config.DOWNLOADED_DATASETS_PATH), unpacked]


def _paths(rows: datasets.Dataset, column: str) -> Iterator[str]:
    """The paths of the images that are not in the rows themselves."""
    for images in rows.data.column(column).chunks:  # as stored: no image bytes are read
        alone = pc.struct_field(images, "path").filter(pc.is_null(pc.struct_field(images, "bytes")))
        yield from alone.drop_null().to_pylist()
