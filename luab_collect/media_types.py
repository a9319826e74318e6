"""The type of an image that browsers show, by its first bytes."""

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WebP", "AVIF")  # as messages name them
_STARTS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)
_MAX_BRANDS = 64


def media_type(content: bytes) -> str | None:
    """The media type of an image's bytes; None: browsers do not show it."""
    for start, kind in _STARTS:
        if content.startswith(start):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return "image/avif" if _is_avif(content) else None


def _is_avif(content: bytes) -> bool:
    """Whether a file's first box names AVIF as its brand or among the brands that it is compatible with."""
    if content[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(content[:4], "big"), 16 + 4 * _MAX_BRANDS)
    brands = {content[at : at + 4] for at in (8, *range(16, end, 4))}
    return not brands.isdisjoint((b"avif", b"avis"))
