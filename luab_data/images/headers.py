"""Checks an image file's headers before it is decoded.

A file of 34 bytes can claim 268 million pixels, and decoders allocate memory for the claimed size. This
module only walks the headers, in one pass. It leaves malformed files to the decoder, which reports them.
"""

import struct

from luab_data.errors import RejectedRecord

# Bytes of one file. With them, the decoded pixels and a copy an image takes less than 1 GB.
MAX_BYTES = 128 * 1024**2
MAX_PIXELS = 100_000_000  # ImageNet's largest image has 61 million
# The same if a pixel needs more memory: decoders with their own buffers, palettes, transparency.
MAX_PIXELS_OF_COSTLY = 40_000_000
COSTLY = ("WEBP", "TIFF", "AVIF", "BMP", "PPM", "progressive JPEG")
PLAIN_MODES = ("1", "L", "RGB")
MAX_SIDE = 65_535  # pixels: JPEG's. Decoders hold some rows at once
# Bytes of EXIF, XMP, color profiles and comments. Pillow takes a minute for 60 MB of them.
MAX_METADATA = 8 * 1024**2
MAX_GIF_METADATA = 1024**2  # it copies a comment anew for each 255 bytes
MAX_TAGS = 64 * 1024**2  # bytes of a TIFF's or EXIF's tags, which may hold an editor's layers
MAX_BLOCKS = 20_000  # of a file; a PNG has one for each 8 kB
MAX_SCANS = 100  # of a progressive JPEG; usual are 10
MAX_SCANNED = 1_000_000_000  # scans x pixels; a scan takes 1 to 5 ns a pixel

PNG = b"\x89PNG\r\n\x1a\n"
EXIF, MPF = b"Exif\0\0", b"MPF\0"
TYPE_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # others: 1
WIDTH, HEIGHT = 256, 257  # tags of a TIFF
# Second bytes of JPEG's markers.
BARE = frozenset((0x00, 0x01, *range(0xD0, 0xD9)))  # no segment follows
SCAN, END = 0xDA, 0xD9
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
METADATA = frozenset((*range(0xE0, 0xF0), 0xFE))
EXTENSION, FRAME, TRAILER = 0x21, 0x2C, 0x3B  # blocks of a GIF


def check_header(data: bytes) -> None:
    """Raise `RejectedRecord` if, by the headers, decoding could take more than 5 s or 1 GB."""
    if len(data) > MAX_BYTES:
        raise RejectedRecord(f"the image has {len(data):,} bytes, allowed are {MAX_BYTES:,}")
    try:
        if data.startswith(b"\xff\xd8"):
            _check_jpeg(data)
        elif data.startswith(PNG):
            _check_png(data)
        elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            _check_webp(data)
        elif data.startswith(b"GIF8"):
            _check_gif(data)
        elif data[:2] in (b"II", b"MM"):
            check_tags(data)
    except (IndexError, struct.error):  # truncated in its header: the decoder reports it
        return


def check_size(width: int, height: int, kind: str, costly: bool = False) -> None:
    """Raise `RejectedRecord` if an image of this kind has too many pixels."""
    allowed = MAX_PIXELS_OF_COSTLY if costly or kind in COSTLY else MAX_PIXELS
    if width * height > allowed:
        raise RejectedRecord(f"the {kind} claims {width} x {height} pixels, allowed are {allowed:,}")
    if max(width, height) > MAX_SIDE:
        raise RejectedRecord(f"the {kind} claims {width} x {height} pixels, allowed are {MAX_SIDE:,} a side")


def check_tags(data: bytes) -> None:
    """Raise `RejectedRecord` for a TIFF, or an EXIF block, whose tags take more than `MAX_TAGS` to read.

    Readers copy each tag's bytes, and many tags can claim the same ones.
    """
    try:
        order = "<" if data[:2] == b"II" else ">"
        big = struct.unpack_from(order + "H", data, 2)[0] == 43
        offset, step = ("Q", 20) if big else ("I", 12)
        (at,) = struct.unpack_from(order + offset, data, 8 if big else 4)
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
        at += 8 if big else 2
        total, sides = 0, {}
        for place in range(at, at + step * min(count, MAX_BLOCKS), step):
            tag, kind, values, where = struct.unpack_from(order + "HH" + 2 * offset, data, place)
            total += min(values * TYPE_BYTES.get(kind, 1), max(0, len(data) - where))
            if tag in (WIDTH, HEIGHT):
                value = order + ("H" if kind == 3 else offset)
                (sides[tag],) = struct.unpack_from(value, data, place + step // 2 + 2)
    except struct.error:  # truncated: the reader reports it
        return
    _check_metadata(total, count, MAX_TAGS)
    if len(sides) == 2:
        check_size(sides[WIDTH], sides[HEIGHT], "TIFF")


def _check_metadata(total: int, blocks: int, allowed: int = MAX_METADATA) -> None:
    if total > allowed:
        raise RejectedRecord(f"the image has {total:,} bytes of metadata, allowed are {allowed:,}")
    if blocks > MAX_BLOCKS:
        raise RejectedRecord(f"the image has {blocks:,} blocks, allowed are {MAX_BLOCKS:,}")


def _check_jpeg(data: bytes) -> None:
    place, total, blocks, pixels, exif = 2, 0, 0, 0, []
    progressive, channels = False, 0
    while (place := data.find(b"\xff", place)) >= 0:  # as decoders do, over bytes that belong nowhere
        kind = data[place + 1]
        if kind == 0xFF or kind in BARE:
            place += 1
            continue
        if kind in (SCAN, END):
            break
        body, length = place + 4, int.from_bytes(data[place + 2 : place + 4], "big")
        place += 2 + max(2, length)
        if kind in FRAMES:
            height, width, channels = struct.unpack_from(">HHB", data, body + 1)
            pixels, progressive = width * height, kind in PROGRESSIVE
            # The coefficients of a progressive image are kept until its last scan.
            check_size(width, height, "progressive JPEG" if progressive else "JPEG")
        elif kind in METADATA:
            total, blocks = total + length, blocks + 1
            _check_metadata(total, blocks)
            if data.startswith(EXIF, body):
                exif.append(data[body + len(EXIF) : place])
            elif data.startswith(MPF, body):
                check_tags(data[body + len(MPF) : place])
    if exif:
        check_tags(b"".join(exif))
    if place < 0 or (not progressive and data[place + 4] == channels):
        return  # decoders end with the one scan that has all channels; counting scans takes a while
    scans = data.count(b"\xff\xda", place)
    if scans > MAX_SCANS or (scans > 1 and scans * pixels > MAX_SCANNED):
        raise RejectedRecord(
            f"the JPEG has {scans:,} scans of {pixels:,} pixels, allowed are {MAX_SCANS} scans and together "
            f"{MAX_SCANNED:,} pixels"
        )


def _check_png(data: bytes) -> None:
    place, total, blocks = len(PNG), 0, 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"IHDR":
            width, height = struct.unpack_from(">II", data, place + 8)
            check_size(width, height, "PNG")
        elif kind == b"eXIf":
            check_tags(data[place + 8 : place + 8 + length])
        if kind not in (b"IDAT", b"fdAT"):
            total += length
        blocks += 1
        _check_metadata(total, blocks)
        place += 12 + length


def _check_webp(data: bytes) -> None:
    place, total, blocks = 12, 0, 0
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        body = place + 8
        if kind == b"VP8X":
            width, height = (int.from_bytes(data[body + at : body + at + 3], "little") for at in (4, 7))
            check_size(1 + width, 1 + height, "WEBP")
        elif kind == b"VP8L":
            bits = int.from_bytes(data[body + 1 : body + 5], "little")
            check_size(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), "WEBP")
        elif kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", data, body + 6)
            check_size(width & 0x3FFF, height & 0x3FFF, "WEBP")
        elif kind == b"EXIF":
            check_tags(data[body : body + length].removeprefix(EXIF))
        if kind not in (b"VP8 ", b"VP8L", b"ALPH", b"ANMF"):
            total += length
        blocks += 1
        _check_metadata(total, blocks)
        place = body + length + length % 2


def _check_gif(data: bytes) -> None:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    check_size(width, height, "GIF")
    place = start = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while data[place] not in (FRAME, TRAILER):
        if data[place] == EXTENSION:  # comments, an application's data
            place += 2
            while length := data[place]:
                place += 1 + length
                _check_metadata(place - start, 0, MAX_GIF_METADATA)
        place += 1
        _check_metadata(place - start, 0, MAX_GIF_METADATA)
    if data[place] == FRAME:
        left, top, inner_width, inner_height = struct.unpack_from("<HHHH", data, place + 1)
        check_size(max(width, left + inner_width), max(height, top + inner_height), "GIF")
