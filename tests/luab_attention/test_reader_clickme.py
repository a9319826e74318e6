"""ClickMe's TFRecords without TensorFlow: framing, checksums, the needed fields."""

import struct

import numpy as np
import pytest
from fixtures.converted import converted
from fixtures.factories import image_bytes, noise_image
from PIL import Image

from luab_attention.convert.tfrecords import crc32c, example, masked_crc32c
from luab_data.errors import RejectedRecord, SourceError


def varint(value):
    found = b""
    while value > 0x7F:
        found, value = found + bytes([value & 0x7F | 0x80]), value >> 7
    return found + bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def feature(value):
    if isinstance(value, bytes):
        return field(1, field(1, value))
    return field(3, field(1, varint(value)))


def record(**values):
    entries = b"".join(field(1, field(1, name.encode()) + field(2, feature(v))) for name, v in values.items())
    return field(1, entries)


def framed(data):
    head = struct.pack("<Q", len(data))
    checks = [struct.pack("<I", masked_crc32c(part)) for part in (head, data)]
    return head + checks[0] + data + checks[1]


def click(label=0, side=16):
    heatmap = Image.fromarray(np.arange(side * side, dtype=np.uint8).reshape(side, side))
    image = image_bytes(noise_image(side, side), "JPEG")
    return {"image": image, "heatmap": image_bytes(heatmap, "JPEG"), "label": label}


def test_the_checksum_is_castagnolis():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, appendix B.4
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


def test_numbers_may_be_packed_or_not_and_other_fields_are_skipped():
    floats = field(1, field(1, b"f") + field(2, field(2, field(1, struct.pack("<f", 1.5)))))
    unpacked = field(1, field(1, b"n") + field(2, field(3, b"\x08\x96\x01\x08" + varint(2**64 - 1))))
    assert example(field(1, floats + unpacked) + b"\x10\x05\x1d1234") == {"n": [150, -1]}
    for broken in (b"\x0a\xff", b"\x0a\x05a", b"\x0b", b"\xff" * 11):
        with pytest.raises(RejectedRecord):
            example(broken)


def test_records_become_rows_with_their_own_image(tmp_path):
    good = click(label=1)
    damaged = bytearray(framed(record(**good)))
    damaged[40] ^= 1
    records = [framed(record(**good)), bytes(damaged), framed(record(**click(label=1000)))]
    small = click(side=8)["heatmap"]
    records += [framed(record(image=good["image"], label=0)), framed(record(**good | {"heatmap": small}))]
    records += [framed(record(**good | {"image": b"no image"})), framed(record(**click(label=0)))]
    (tmp_path / "train.tfrecords").write_bytes(b"".join(records))
    found = converted(tmp_path / "out", "clickme", tmp_path / "train.tfrecords")
    assert list(found.rows) == ["train/000001", "train/000007"]
    row = found.rows["train/000001"]
    assert row["image"]["bytes"] == good["image"] and (row["width"], row["height"]) == (16, 16)
    assert found.dataset.features["label"].names == ["n01440764", "n01443537"]
    assert row["label"] == 1 and row["heatmaps"][0]["label"] == 1
    assert np.asarray(row["heatmaps"][0]["image"]).shape == (16, 16)
    reasons = [found.rejects[f"train.tfrecords, record {number}"] for number in range(2, 7)]
    texts = ["checksum", "label is [1000]", "no heatmap", "(8, 8) pixels", "not an image"]
    assert [text in reason for text, reason in zip(texts, reasons, strict=True)] == 5 * [True], reasons
    with pytest.raises(SourceError, match="brings its images"):
        converted(tmp_path / "2", "clickme", tmp_path / "train.tfrecords", images=tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-3], "cut off"),
        (lambda data: data[:5], "cut off"),
        (lambda data: b"\x01" + data[1:], "no TFRecord"),
        (
            lambda data: (
                struct.pack("<Q", 2**60) + struct.pack("<I", masked_crc32c(struct.pack("<Q", 2**60)))
            ),
            "allowed",
        ),
    ],
)
def test_a_file_whose_framing_is_damaged_is_one_error(tmp_path, change, message):
    (tmp_path / "a.tfrecord").write_bytes(change(framed(record(**click()))))
    with pytest.raises(SourceError, match=message):
        converted(tmp_path / "out", "clickme", tmp_path)


def test_the_checksum_of_any_length_is_that_of_its_bytes_one_by_one():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    rng = np.random.default_rng(0)
    for length in (*range(10), 1020, 1023, 1024, 1025, 1028, 2050, 300_001):
        data, crc = rng.bytes(length), 0xFFFFFFFF
        for byte in data:
            crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
        assert crc32c(data) == crc ^ 0xFFFFFFFF, length
