"""Which image a name means: sources write paths, URLs, uploads and bare numbers for one and the same file."""

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from luab_data.errors import RejectedRecord
from luab_data.images.pillow import SUFFIXES
from luab_data.sources.entries import same_form

MAX_KEY = 500  # characters

# COCO's images: `COCO_train2014_000000000009`, `000000000009`, 9.
_COCO = re.compile(r"(?:COCO_[a-z]+\d+_)?(\d{12})", re.ASCII)
_UNSAFE = re.compile(r"[\x00-\x1f]")


def coco_key(image_id: int) -> str:
    """9 -> `000000000009`."""
    return f"{image_id:012d}"


def forms(key: str) -> tuple[str, ...]:
    """A key, and if its last part is a number, the key with and without COCO's zeros.

    `val/9` is also `val/000000000009`; other names have one form.
    """
    folder, slash, last = key.rpartition("/")
    if not (last.isascii() and last.isdigit() and len(last) <= 12):
        return (key,)
    numbers = (last, coco_key(int(last)), str(int(last)))
    return tuple(dict.fromkeys(f"{folder}{slash}{number}" for number in numbers))


def image_key(name: str) -> str:
    """The first part of `key_and_suffix`. Raises RejectedRecord."""
    return key_and_suffix(name)[0]


def suffix_of(name: str) -> str:
    """The suffix of an image file in lower case, "" if it has none."""
    lower = name.lower()
    return next((suffix for suffix in SUFFIXES if lower.endswith(suffix)), "")


def key_and_suffix(name: str) -> tuple[str, str]:
    """The path without suffix, with `/`, and with COCO's ids as 12 digits; and the suffix, in lower case.

    The key is never opened as a path.

    Raises:
        RejectedRecord: it is empty, absurdly long, or climbs with `..`.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or len(name) > MAX_KEY:
        raise RejectedRecord(f"a name has 1 to {MAX_KEY} characters")
    if ".." in parts or _UNSAFE.search(name):
        raise RejectedRecord("a name with '..' or a control character")
    suffix = suffix_of(parts[-1])
    if suffix:
        parts[-1] = parts[-1].rpartition(".")[0] or parts[-1]
    coco = _COCO.fullmatch(parts[-1])
    if coco is not None:
        parts[-1] = coco.group(1)
    return same_form("/".join(parts)), suffix


def ends(key: str) -> Iterator[str]:
    """A key and its ends, the longest first: `a/b/c`, `b/c`, `c`."""
    while key:
        yield key
        key = key.partition("/")[2]


def name_in_url(address: str) -> str:
    """The file's path in a URL or in a tool's local address; a plain path is returned unchanged.

    Label Studio's `/data/local-files/?d=cats/1.jpg` is `cats/1.jpg`.

    Raises:
        RejectedRecord: it looks like a URL and is none.
    """
    if "://" not in address and not address.startswith("/data/"):
        return address
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise RejectedRecord(f"{address[:80]!a} is no address of an image: {error}") from error
    query = dict(pair.partition("=")[::2] for pair in parts.query.split("&"))
    return unquote(query["d"]) if "d" in query else unquote(parts.path)
