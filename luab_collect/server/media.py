"""Serves the project's images, each after a check that it is the file that was planned with; never SVG."""

import hashlib
from pathlib import Path

from fastapi import Response
from sqlalchemy import select

from luab_collect.icons import MAX_ICON_BYTES
from luab_collect.media_types import media_type
from luab_collect.server.studio import Studio
from luab_collect.store import tables as t
from luab_collect.store.refusals import Refusal
from luab_data.errors import RejectedRecord
from luab_data.files.regular import read_regular, require_file_inside
from luab_data.images.headers import MAX_BYTES

CACHED = {"Cache-Control": "private, max-age=31536000, immutable"}
# An icon (SVG) cannot run its scripts in an <img>; `sandbox` keeps it from running them by itself.
ICON_HEADERS = {
    "Cache-Control": "private, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def image(studio: Studio, key: str) -> Response:
    """The image with this address; raises Refusal (`missing`)."""
    query = select(t.items.c.file, t.items.c.sha256).where(t.items.c.key == key)
    with studio.store.reading() as connection:
        row = connection.execute(query).first()
    if row is None:
        raise Refusal("missing", "there is no such image")
    content = _read(studio.project.images / row.file, studio.project.images, MAX_BYTES)
    kind = media_type(content)
    if kind is None or hashlib.sha256(content).hexdigest() != row.sha256:
        raise Refusal("missing", "the image is no longer the file that the pages were planned with")
    return Response(content, media_type=kind, headers=CACHED)


def icon(studio: Studio, number: int) -> Response:
    """A class's icon; raises Refusal (`missing`)."""
    classes = studio.project.classes
    name = classes[number].icon if 0 <= number < len(classes) else None
    if name is None:
        raise Refusal("missing", "there is no such icon")
    content = _read(studio.project.folder / name, studio.project.folder, MAX_ICON_BYTES)
    kind = media_type(content) or ("image/svg+xml" if name.lower().endswith(".svg") else None)
    if kind is None:
        raise Refusal("missing", "the icon is no image")
    return Response(content, media_type=kind, headers=ICON_HEADERS)


def _read(path: Path, folder: Path, limit: int) -> bytes:
    try:
        require_file_inside(path, folder.resolve())
        return read_regular(path, limit)
    except RejectedRecord as error:
        raise Refusal("missing", "the file of this image cannot be read") from error
