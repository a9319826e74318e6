"""One way to read images: formats, orientation, values, and how much one may take."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.factories import image_bytes, noise_image
from PIL import ExifTags, Image, ImageOps

from luab_data.errors import RejectedRecord, SourceError
from luab_data.images import pillow as images
from luab_data.images.pillow import (
    FORMATS,
    SUFFIXES,
    checked_image,
    orientation,
    upright_pixels,
    upright_rgb,
    upright_size,
)
from luab_data.rows.splits import load_splits
from luab_eval.benchmark import Item
from luab_eval.pixels import read_image
from luab_vision.images import decode, open_image


def saved(image: Image.Image, kind: str, **options) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, kind, **options)
    return encoded.getvalue()


def tiff_block(kind: int, count: int, value: bytes) -> bytes:
    """An EXIF block whose one tag is the orientation, of any type."""
    return (
        b"II*\0"
        + struct.pack("<IHHHI", 8, 1, ExifTags.Base.Orientation, kind, count)
        + value.ljust(4, b"\0")
        + bytes(4)
    )


def with_exif(block: bytes) -> bytes:
    data = saved(noise_image(40, 20), "JPEG")
    payload = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[2:]


SHORT, TEXT, UNDEFINED, RATIONAL = 3, 2, 7, 5
TURNED = {number: with_exif(tiff_block(SHORT, 1, struct.pack("<H", number))) for number in range(1, 9)}
ODD = {
    "text": with_exif(tiff_block(TEXT, 2, b"6")),
    "bytes": with_exif(tiff_block(UNDEFINED, 1, b"\6")),
    "0": with_exif(tiff_block(SHORT, 1, struct.pack("<H", 0))),
    "9": with_exif(tiff_block(SHORT, 1, struct.pack("<H", 9))),
    "a fraction at the end": with_exif(tiff_block(RATIONAL, 1, struct.pack("<I", 4000))),
    "no TIFF": with_exif(b"broken"),
}


@pytest.mark.parametrize("number", TURNED)
def test_photos_are_turned_upright_by_every_reader(number, tmp_path, monkeypatch):
    data = TURNED[number]
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(data)
    assert (decode(data) == expected).all()
    assert (read_image(Item("photo.jpg", photo, 0), upright=True) == expected).all()
    assert upright_size(data) == (open_image(data).width, open_image(data).height) == expected.shape[1::-1]
    monkeypatch.setattr(images, "LARGE", 0)  # in strips
    monkeypatch.setattr(images, "STRIP", 7)
    assert (upright_pixels(Image.open(io.BytesIO(data))) == expected).all()
    # The authors of the published benchmarks read files as they are stored.
    assert (read_image(Item("photo.jpg", photo, 0)) == np.asarray(Image.open(io.BytesIO(data)))).all()


@pytest.mark.parametrize("case", ODD)
def test_an_orientation_that_viewers_ignore_is_ignored(case):
    data = ODD[case]
    assert decode(data).shape == (20, 40, 3)
    assert checked_image(data) == data and upright_size(data) == (40, 20)
    assert Image.open(io.BytesIO(checked_image(data, max_side=10))).size == (10, 5)


def test_what_is_upright_is_not_turned_again():
    once = upright_rgb(Image.open(io.BytesIO(TURNED[6])))
    assert orientation(once) == 1 and (np.asarray(upright_rgb(once)) == np.asarray(once)).all()


def test_pillow_turns_a_tiff_itself():
    lying = saved(noise_image(40, 20), "TIFF", tiffinfo={ExifTags.Base.Orientation: 6})
    expected = np.rot90(np.asarray(noise_image(40, 20)), -1)
    assert (decode(lying) == expected).all() and upright_size(lying) == (20, 40)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_by_training_builds_and_evaluation(kind, tmp_path):
    data = saved(noise_image(24, 16), kind)
    file = tmp_path / "image.jpg"  # the content decides, not the name
    file.write_bytes(data)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert (decode(data) == expected).all() and (decode(file) == expected).all()
    assert checked_image(data) == data
    assert (read_image(Item("image", file, 0)) == expected).all()


def test_suffixes_are_those_of_the_formats():
    Image.init()
    assert {Image.registered_extensions()[suffix] for suffix in SUFFIXES} == {*FORMATS, "MPO"}


@pytest.mark.parametrize("kind", ["EPS", "PDF", "TGA", "ICO", "PCX", "JPEG2000"])
def test_no_other_format_is_opened_whatever_its_name(kind, tmp_path, monkeypatch):
    data = saved(noise_image(16, 16), kind)
    file = tmp_path / "image.jpg"
    file.write_bytes(data)
    monkeypatch.setattr(subprocess, "check_call", None)  # Ghostscript
    for read in (
        lambda: decode(data),
        lambda: decode(file),
        lambda: checked_image(data),
        lambda: upright_size(data),
        lambda: read_image(Item("image.jpg", file, 0)),
        lambda: read_image(Item("image.jpg", file, 0), upright=True),
    ):
        with pytest.raises(ValueError, match=r"not an image \(JPEG, PNG"):
            read()


def test_the_first_page_or_frame_is_read():
    frames = [noise_image(16, 16, seed) for seed in range(3)]
    for kind in ("TIFF", "PNG", "WEBP", "MPO"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        alone = saved(frames[0], "JPEG" if kind == "MPO" else kind, **options)
        assert (decode(data) == decode(alone)).all(), kind


def test_16_and_12_bits_become_8():
    ramp = np.array([[0, 128 * 256, 65535]], np.uint16)
    for kind in ("PNG", "TIFF", "PPM"):
        assert decode(saved(Image.fromarray(ramp), kind))[0, :, 0].tolist() == [0, 128, 255], kind
    twelve = saved(Image.fromarray(np.array([[0, 2048, 4095, 0]], np.uint16)), "TIFF")
    place = twelve.index(struct.pack("<HHIH", 258, 3, 1, 16))
    packed = bytes([0x00, 0x08, 0x00, 0xFF, 0xF0, 0x00])  # big-endian halves: 0, 2048, 4095, 0
    head = twelve[:place] + struct.pack("<HHIH", 258, 3, 1, 12) + twelve[place + 10 :]
    data = head.replace(np.array([[0, 2048, 4095, 0]], "<u2").tobytes(), packed.ljust(8, b"\0"))
    assert decode(data)[0, :, 0].tolist() == [0, 128, 255, 0]


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.array([[0, 0.5, 1]], np.float32), r"floating-point numbers \(mode F\) from 0 to 1"),
        (np.array([[0, 100, 70000]], np.int32), r"32-bit integers \(mode I\) from 0 to 70000"),
    ],
    ids=["float", "32 bits"],
)
def test_values_of_unknown_range_are_refused_and_never_black(pixels, message):
    image = Image.fromarray(pixels)
    for read in (decode, checked_image, lambda data: checked_image(data, max_side=2)):
        with pytest.raises(ValueError, match=message):
            read(saved(image, "TIFF"))
    with pytest.raises(ValueError, match=message):
        decode(image)


# ---- How much one image may take


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int = 8, color: int = 2, extra: bytes = b"", rows: int = 0) -> bytes:
    """An image of `color` (PNG's number) and its first `rows`, all black."""
    row = bytes(1 + width * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color] * bits // 8)
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    end = chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + end


def webp(width: int, height: int) -> bytes:
    lossless = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(7)
    return b"RIFF" + struct.pack("<I", 24) + b"WEBPVP8L" + struct.pack("<I", len(lossless)) + lossless


def many_scans(count: int) -> bytes:
    *start, last = saved(noise_image(64, 64), "JPEG", progressive=True).split(b"\xff\xda")
    return b"\xff\xda".join([*start, *[last[:-2]] * count]) + b"\xff\xd9"


def overlapping_tags(count: int, size: int) -> bytes:
    tags = b"".join(struct.pack("<HHII", 1000 + i, UNDEFINED, size, 0) for i in range(count))
    return b"II*\0" + struct.pack("<IH", 8, count) + tags + bytes(size - len(tags))


def many_exif_segments(count: int) -> bytes:
    data = with_exif(tiff_block(SHORT, 1, b"\1\0").ljust(65_000, b"\0"))
    segment = data[2 : 2 + 2 + struct.unpack(">H", data[4:6])[0]]
    return data[:2] + segment * count + data[2:]


def gif_comment(size: int) -> bytes:
    data = saved(Image.new("L", (8, 8)), "GIF")
    place = 13 + (3 << (data[10] & 7) + 1)
    return data[:place] + b"\x21\xfe" + (b"\xff" + bytes(255)) * (size // 255) + b"\0" + data[place:]


HOSTILE = {
    "34 bytes that claim 268 million pixels": (lambda: webp(16383, 16383), "16383 x 16383 pixels"),
    "a row of 100 million pixels": (lambda: png(100_000_000, 1, 16, 0), "100000000 x 1 pixels"),
    "a transparent PNG": (lambda: png(9000, 9000, 8, 6), "allowed are 40,000,000"),
    "1,000 scans": (lambda: many_scans(1000), "1,0.. scans"),
    "59 MB of EXIF": (lambda: many_exif_segments(900), "bytes of metadata"),
    "4 million empty texts": (lambda: png(8, 8, extra=chunk(b"tEXt", b"a\0b") * 4_000_000), "blocks"),
    "59 MB of a GIF's comment": (lambda: gif_comment(59_000_000), "bytes of metadata"),
    "5,000 tags of the same bytes": (lambda: overlapping_tags(5000, 64_000), "bytes of metadata"),
    "the same as EXIF": (lambda: with_exif(overlapping_tags(5000, 65_000)), "bytes of metadata"),
    "a PPM of digits": (lambda: b"P3 2000 2000 255\n" + b"1 " * 12_000_000, "digits or run lengths"),
    "more bytes than a file may have": (lambda: b"P6 9 9 255\n" + bytes(130 * 1024**2), "bytes, allowed"),
}
ALLOWED = {
    "100 million pixels": lambda: png(10_000, 10_000, 8, 0, rows=10_000),
    "40 million with transparency": lambda: png(6300, 6300, 8, 6, rows=6300),
}
MEASURED = """
import json, os, sys, time
from luab_data.images.pillow import checked_image
from luab_vision.images import decode

def measure(path):
    data = open(path, "rb").read()
    answers = []
    for read in (decode, checked_image):
        start = time.process_time()
        try:
            answers.append([str(getattr(read(data), "shape", "")), time.process_time() - start])
        except ValueError as error:
            answers.append([str(error), time.process_time() - start])
    # Of this process alone: getrusage's maximum is inherited from the process that started it.
    peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(json.dumps([answers, 1024 * int(peak)]), flush=True)

for path in sys.stdin:
    pid = os.fork()
    if pid == 0:
        measure(path.rstrip())
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        sys.exit("a measurement failed")
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What training and a build say to an image, in a process of its own: under 5 s and 1 GB each."""
    file = tmp_path_factory.mktemp("measured") / "image"
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(images.__file__).parents[2]),
        "PYTHONWARNINGS": "ignore",
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen([sys.executable, "-c", MEASURED], **pipes) as process:

        def measure(data: bytes) -> list[str]:
            file.write_bytes(data)
            process.stdin.write(f"{file}\n")
            process.stdin.flush()
            answers, memory = json.loads(process.stdout.readline())
            assert memory < 1024**3
            assert all(seconds < 5 for _, seconds in answers)
            return [text for text, _ in answers]

        yield measure
        process.stdin.close()
        assert process.wait(timeout=60) == 0


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


@needs_proc
@pytest.mark.parametrize("case", HOSTILE)
def test_one_image_takes_neither_5_seconds_nor_a_gigabyte(case, measured):
    make, message = HOSTILE[case]
    for said in measured(make()):
        with pytest.raises(RejectedRecord, match=message):
            raise RejectedRecord(said)


@needs_proc
@pytest.mark.parametrize("case", ALLOWED)
def test_nor_does_the_largest_that_is_read(case, measured):
    pixels, _ = measured(ALLOWED[case]())
    assert pixels.endswith("00, 3)")


# ---- What a dataset may name


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", "/dev/zero", tmp_path):
        for value in (path, {"bytes": None, "path": str(path)}):
            with pytest.raises(ValueError, match=r"no image: .* (no regular file|cannot be read)"):
                open_image(value)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/a.png", "hf://datasets/a/b/c.png", "file:///etc/a.png"]
)
def test_no_address_is_fetched(address):
    for value in (address, {"bytes": None, "path": address}):
        with pytest.raises(ValueError, match="no image: got"):
            open_image(value)


def named(folder: Path, path: str) -> str:
    """A dataset in `folder` whose one image is at `path`."""
    features = datasets.Features(image=datasets.Image(), label=datasets.Value("int64"))
    rows = {"image": [{"bytes": None, "path": path}], "label": [0]}
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(rows, schema=features.arrow_schema), folder / "train.parquet")
    return str(folder)


def test_a_dataset_names_images_of_its_own_folder_only(tmp_path):
    mine, secret = tmp_path / "data" / "mine.png", tmp_path / "secret.png"
    mine.parent.mkdir()
    for file in (mine, secret):
        file.write_bytes(image_bytes(noise_image(8, 8)))
    (mine.parent / "link.png").symlink_to(secret)
    for number, path in enumerate(
        (secret, mine.parent / ".." / "secret.png", mine.parent / "link.png", "http://127.0.0.1:9/a.png")
    ):
        with pytest.raises(SourceError, match=r"names an image outside its folder: .* in column 'image'"):
            load_splits(named(mine.parent / str(number), str(path)))
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.png").write_bytes(mine.read_bytes())
    assert load_splits(named(own, str(own / "mine.png")))["train"][0]["image"].size == (8, 8)


def test_class_folders_are_the_datasets_own(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(image_bytes(noise_image(8, 8)))
    assert len(load_splits(str(tmp_path))["train"]) == 2
