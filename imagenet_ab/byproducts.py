"""The XML files of ImageNet-AB, from the released archive, an unpacked folder, or the Hub."""

from collections.abc import Sequence
from pathlib import Path

from imagenet_ab.images import Images
from luab_data.console.names import few
from luab_data.console.text import did_you_mean
from luab_data.errors import SourceError
from luab_data.hub.source import download
from luab_data.imagenet_classes import imagenet_names
from luab_data.sources.archives import TarStream
from luab_data.sources.entries import BYPRODUCTS, MAX_RECORD_BYTES
from luab_data.sources.folders import FolderSource

HUB_REPOSITORY = "coallaoh/ImageNet-AB"
ARCHIVE = "imagenet_ab_v1_0.tar.gz"
# Where a folder that a user passes holds the classes.
XML_FOLDERS = ("", "train_xml", "imagenet_ab_v1_0/train_xml")

Byproducts = TarStream | FolderSource


def open_byproducts(byproducts: str | Path | None = None) -> Byproducts:
    """The source of the XML files, ids `<wnid>/<wnid>_<n>`.

    `byproducts`: the released archive (read in place), the folder that it unpacks to, or a Hub repository
    that holds it (`owner/name`, `owner/name@revision`, `hf://datasets/...`). Default: the authors'
    repository. Raises `SourceError` that says what to request or pass.
    """
    path = Path(byproducts) if byproducts is not None else None
    if path is not None and path.is_dir():
        if (path / ARCHIVE).is_file():
            return TarStream(path / ARCHIVE)
        return _open_folder(path)
    if path is not None and path.is_file():
        return TarStream(path)
    archive = download(BYPRODUCTS, str(byproducts or HUB_REPOSITORY), ARCHIVE)
    return TarStream(archive)


def classes_of(byproducts: Byproducts) -> list[str] | None:
    """The class folders of the XML files; None if they are ImageNet's.

    So labels do not depend on a subset of the files. If the first file of an archive is of an ImageNet class,
    all are assumed to be; otherwise the archive is read to its end.
    """
    known = imagenet_names()
    if isinstance(byproducts, FolderSource):
        found = set(byproducts.classes() or ())
    else:
        found = set()
        for item in byproducts.ids():
            if isinstance(item, str):
                found.add(item.partition("/")[0])
                if found <= known.keys():
                    return None
    return None if found <= known.keys() else sorted(found)


def require_classes(classes: Sequence[str], images: Images | None, byproducts: Byproducts) -> None:
    """Raises SourceError for a class that the files do not have.

    Those of the images decide, else those of the XML files. What can only be streamed is not read for
    ImageNet's classes.
    """
    source = byproducts if images is None else images
    listed: Sequence[str] | None = None if isinstance(source, TarStream) else source.classes()
    if listed is None:
        source = byproducts
        wanted = set(classes) - imagenet_names().keys()
        listed = [*imagenet_names(), *_found(byproducts, wanted)] if wanted else classes
    unknown = [name for name in classes if name not in listed]
    if unknown:
        raise SourceError(
            f"classes: {source.role}={str(source.place)!r} has no class {unknown[0]!r}"
            f"{did_you_mean(unknown[0], listed)}; it has {few(listed)}. Correct it, or leave it out."
        )


def _found(byproducts: Byproducts, wanted: set[str]) -> set[str]:
    """The classes up to the last of `wanted`; those of the whole archive if one is not there."""
    if isinstance(byproducts, FolderSource):
        return set(byproducts.classes() or ())
    found: set[str] = set()
    for item in byproducts.ids():
        if isinstance(item, str):
            found.add(item.partition("/")[0])
            if wanted <= found:
                break
    return found


def _open_folder(path: Path) -> FolderSource:
    for folder in XML_FOLDERS:
        if (path / folder).is_dir():
            source = FolderSource(path / folder, BYPRODUCTS, (".xml",), max_bytes=MAX_RECORD_BYTES)
            if source.classes():
                return source
    raise SourceError(
        f"byproducts={str(path)!r} holds no <class>/<name>.xml. Pass {ARCHIVE}, or the folder that "
        f"it unpacks to."
    )
