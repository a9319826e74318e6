"""Datasets on the Hub as sources, and errors that say what to do without access."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.exceptions import DatasetNotFoundError
from datasets.packaged_modules.parquet.parquet import ParquetConfig
from datasets.utils.file_utils import xopen
from huggingface_hub import HfFileSystem, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from luab_data.constants import IMAGE, IMAGE_ID, TRAIN
from luab_data.errors import RejectedRecord, SourceError
from luab_data.hub.retry import reason
from luab_data.rows.loading import load_dataset_builder
from luab_data.rows.parquet_sizes import ParquetRows
from luab_data.sources.entries import IMAGES, MAX_IMAGE_BYTES, Entry, Reject, printable, same_form

MAX_COLUMN_BYTES = 1 << 30  # of a row group, unpacked

_HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")

# A file of a dataset repository, or of a zip in it.
_IN_REPOSITORY = re.compile(r"(zip://[^:]*::)?hf://datasets/(?P<repo>[\w.-]+/[\w.-]+)@[^:]*")


def hub_id(text: str) -> tuple[str, str | None] | None:
    """Splits `owner/name` or `owner/name@revision` into repository and revision or None.

    A text of another form gives None.
    """
    match = _HUB_ID.fullmatch(text)
    return (match["repo"], match["revision"]) if match else None


class HubImages:
    """A Stream of the images of a dataset with an `image` column; nothing is stored.

    The column's file names contain the ids, or the column `image_id` where an image has no name. `dataset` is
    the id of a dataset on the Hub, or a local folder that `load_dataset` opens. `id_of` turns a name into an
    id, or raises `RejectedRecord`. `split` of the configuration `config` (None: the default one) is read.
    """

    def __init__(
        self,
        dataset: str,
        revision: str | None,
        id_of: Callable[[str], str],
        role: str = IMAGES,
        split: str = TRAIN,
        config: str | None = None,
    ):
        self.role = role
        self.ignored = 0
        self._id_of = id_of
        self._repository = dataset
        with access_errors(role, dataset, instead="the folder of the unpacked images"):
            require_sound_parquets(role, Path(dataset))
            with _choice(role, "config", config, dataset):
                builder = load_dataset_builder(dataset, name=config, revision=revision)
            with _choice(role, "split", split, dataset):
                # Image files of a repository are otherwise decoded, in threads.
                images = builder.as_streaming_dataset(split=split).decode(False)
            columns = images.column_names or []
        if IMAGE not in columns:
            raise SourceError(f"{role}={dataset!r} has no column {IMAGE!r}; it has {columns}.")
        # Of the Hub with the commit, which `datasets` has resolved and reads from now on.
        self.place = dataset if Path(dataset).is_dir() else f"{dataset}@{builder.hash}"
        read = [name for name in (IMAGE, IMAGE_ID) if name in columns]
        self._images = images.select_columns(read).cast_column(IMAGE, datasets.Image(decode=False))
        if isinstance(builder.config, ParquetConfig) and Path(dataset).is_dir():
            self._images = ParquetImages(_files(builder.config.data_files, split))

    def classes(self) -> None:
        """None: the classes are in the file names, which are known only once all have been streamed."""
        return

    def __iter__(self) -> Iterator[Entry | Reject]:
        with (
            broken_parquet(self.role, self.place),
            access_errors(self.role, self.place, instead="the folder of the unpacked images"),
        ):
            for number, row in enumerate(self._images):
                name = _name(row)
                try:
                    if name is None:
                        raise RejectedRecord("no file name of the image and no text in image_id tell its id")
                    entry_id = same_form(self._id_of(_path(name)))
                    if row[IMAGE] is None:
                        raise RejectedRecord("the row has no image")
                    content = row[IMAGE].get("bytes")
                    if content is None:
                        content = self._file(name)
                    if not isinstance(content, bytes):
                        raise RejectedRecord("its image is no bytes")
                    if len(content) > MAX_IMAGE_BYTES:
                        raise RejectedRecord(f"more than the allowed {MAX_IMAGE_BYTES:,} bytes")
                except RejectedRecord as error:
                    yield Reject(self.role, printable(name or f"row {number}"), error.reason)
                    continue
                yield Entry(entry_id, content)

    def names(self) -> Iterator[str] | None:
        """The names of local Parquet files' images, without reading an image; None: it is another stream."""
        return self._names_in(self._images) if isinstance(self._images, ParquetImages) else None

    def _names_in(self, images: "ParquetImages") -> Iterator[str]:
        with broken_parquet(self.role, self.place):
            yield from (_path(name) for row in images.names() if (name := _name(row)) is not None)

    def _file(self, name: str) -> bytes:
        """An image that is a file of the repository. Other paths are strangers' words, never opened."""
        place = _IN_REPOSITORY.fullmatch(name)
        if place is None or place["repo"] != self._repository:
            raise RejectedRecord("the dataset has the image's path alone, without its bytes")
        with xopen(name, "rb") as file:
            return bytes(file.read(MAX_IMAGE_BYTES + 1))


def _name(row: Mapping[str, Any]) -> str | None:
    """What a row calls its image."""
    name = (row.get(IMAGE) or {}).get("path") or row.get(IMAGE_ID)
    return name if isinstance(name, str) and name else None


def _path(name: str) -> str:
    """The image's path, in its zip if the name is of a file in a repository's zip."""
    return name.partition("::")[0] if _IN_REPOSITORY.fullmatch(name) else name


def _files(files: Mapping[str, Sequence[str]], split: str) -> list[str]:
    """The files of a split, or of several, as `datasets` writes them: `all` or `train+validation`."""
    if split in files:
        return list(files[split])
    names = list(files) if split == "all" else [name.strip() for name in split.split("+")]
    return [path for name in names for path in files[name]]


@contextmanager
def _choice(role: str, option: str, given: str | None, dataset: str) -> Iterator[None]:
    """Turns the error about a missing configuration or split into one that names the option."""
    try:
        yield
    except (SourceError, HFValidationError):
        raise
    except ValueError as error:
        said = f" {given!r}" if given is not None else ""
        raise SourceError(f"--{role}-{option}{said} of {role}={dataset!r}: {reason(error)}") from error


def require_sound_parquets(role: str, folder: Path) -> None:
    """Checks the Parquet files of a local folder before they are read.

    Raises:
        SourceError: one is truncated, is not Parquet, or unpacks to too much at once.
    """
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*.parquet")):
        if not path.is_file():
            raise SourceError(f"{role}: {str(path)!r} is not a regular file.")
        with broken_parquet(role, path):
            metadata = pq.read_metadata(path)
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            largest = max(
                (group.column(i).total_uncompressed_size for i in range(group.num_columns)), default=0
            )
            if largest > MAX_COLUMN_BYTES:
                raise SourceError(
                    f"{role}: row group {number} of {str(path)!r} has a column of {largest:,} bytes, "
                    f"allowed are {MAX_COLUMN_BYTES:,}: write it again with smaller row groups."
                )


class ParquetImages:
    """The images of local Parquet files, a few at a time: no row is kept, so the total size is unlimited."""

    def __init__(self, paths: Sequence[str]):
        self._paths = paths

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._rows([IMAGE, IMAGE_ID]):  # the latter if it is there
            yield row if isinstance(row[IMAGE], dict | None) else row | {IMAGE: {"bytes": None}}

    def names(self) -> Iterator[dict[str, Any]]:
        """The same rows with the images' names alone. Raises SourceError."""
        return self._rows([f"{IMAGE}.path", IMAGE_ID])

    def _rows(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        for path in self._paths:
            with Path(path).open("rb") as file:
                for batch in ParquetRows(file, str(path), whole=False).batches(columns=columns):
                    yield from batch.to_pylist()


@contextmanager
def broken_parquet(role: str, place: str | Path) -> Iterator[None]:
    """Turns Arrow's errors about a file into one that says what to do."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(
            f"{role}={str(place)!r}: a Parquet file is damaged or cut off ({reason(error)}) Download it "
            "again."
        ) from error


def download(argument: str, repository: str, file_name: str) -> Path:
    """Path, in the Hub client's cache, of a file of a dataset repository.

    `repository`: `owner/name`, `owner/name@revision`, or the file itself as `hf://datasets/...`.
    """
    with access_errors(argument, repository, instead=f"{file_name}, downloaded by hand"):
        if repository.startswith("hf://"):
            if repository.startswith("hf://buckets/"):
                raise SourceError(
                    f"{argument}={repository!r} is a bucket, and a repository is needed: "
                    f"hf://datasets/owner/name/{file_name}."
                )
            try:
                place: Any = HfFileSystem().resolve_path(repository)
            except ValueError as error:
                raise SourceError(
                    f"{argument}={repository!r}: {error} Write it like hf://datasets/owner/name/{file_name}."
                ) from error
            path = place.path_in_repo or file_name
            return Path(
                hf_hub_download(place.repo_id, path, repo_type=place.repo_type, revision=place.revision)
            )
        parsed = hub_id(repository)
        if parsed is None:
            raise SourceError(
                f"{argument}={repository!r} is neither a file, nor a folder, nor a Hub repository "
                "(owner/name)."
            )
        return Path(hf_hub_download(parsed[0], file_name, repo_type="dataset", revision=parsed[1]))


@contextmanager
def access_errors(argument: str, repo: str, instead: str) -> Iterator[None]:
    """Turns the Hub clients' errors into one that says what to request, or what to pass instead."""
    page = f"https://huggingface.co/datasets/{_repository_of(repo)}"
    otherwise = f"or pass {argument}=<{instead}>"
    try:
        yield
    except GatedRepoError as error:
        raise SourceError(_gated(argument, repo, page, otherwise)) from error
    except DatasetNotFoundError as error:
        if "gated" in str(error):
            raise SourceError(_gated(argument, repo, page, otherwise)) from error
        raise SourceError(_not_found(argument, repo, page, otherwise)) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise SourceError(_not_found(argument, repo, page, otherwise)) from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, ConnectionError) as error:
        raise SourceError(_unreachable(argument, repo, error, otherwise)) from error
    except EntryNotFoundError as error:
        raise SourceError(
            f"{argument}={repo!r} does not hold the expected file ({reason(error)}) See {page}."
        ) from error
    except RevisionNotFoundError as error:
        raise SourceError(
            f"{argument}={repo!r}: {page} has no such revision. Check it, {otherwise}."
        ) from error
    except HfHubHTTPError as error:
        raise SourceError(
            f"{argument}={repo!r}: the Hub says: {reason(error)} Try later, {otherwise}."
        ) from error
    except FileNotFoundError as error:  # from a path hf://...
        raise SourceError(_not_found(argument, repo, page, otherwise)) from error
    except HTTPError as error:  # the HTTP client's own errors: no connection, a timeout
        raise SourceError(_unreachable(argument, repo, error, otherwise)) from error


def _repository_of(place: str) -> str:
    """`owner/name` of `owner/name@revision` or `hf://datasets/owner/name@revision/...`."""
    return "/".join(place.removeprefix("hf://datasets/").split("/")[:2]).partition("@")[0]


def _unreachable(argument: str, repo: str, error: Exception, otherwise: str) -> str:
    return (
        f"{argument}={repo!r} is not on this machine, and the Hub cannot be reached ({reason(error)}) "
        f"Check the network, HF_ENDPOINT and HF_HUB_OFFLINE, {otherwise}."
    )


def _gated(argument: str, repo: str, page: str, otherwise: str) -> str:
    return (
        f"{argument}={repo!r} is gated. Accept its terms at {page} and log in with `hf auth login` (or set "
        f"HF_TOKEN), {otherwise}."
    )


def _not_found(argument: str, repo: str, page: str, otherwise: str) -> str:
    return (
        f"{argument}={repo!r} is not on this machine, and there is no such dataset on the Hub, or it is "
        f"private or gated. Check {page}, log in with `hf auth login`, {otherwise}."
    )
