"""ClickMe's TFRecords without TensorFlow: framing, checksums, the needed fields."""

import struct

import numpy as np
import pytest
from fixtures.converted import converted
from fixtures.factories import image_bytes, noise_image
from PIL import Image

from luab_attention.area_maps import area_in_view
from luab_attention.areas import areas_of
from luab_attention.convert.tfrecords import crc32c, example, masked_crc32c
from luab_data.errors import RejectedRecord, SourceError
from luab_data.rows.columns import Columns
from luab_vision.geometry import WHOLE_IMAGE


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


def test_files_of_one_name_in_two_folders_are_kept_apart(tmp_path):
    names = ("click/train/00000.tfrecord", "click/val/00000.tfrecord", "click/val/00000.tfrecords")
    for label, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(framed(record(**click(label=label, side=8 * (label + 1)))))
    found = converted(tmp_path / "out", "clickme", tmp_path / "click")
    assert {name: (row["label"], row["width"], len(row["heatmaps"])) for name, row in found.rows.items()} == {
        "train/00000/000001": (0, 8, 1),
        "val/00000/000001": (1, 16, 1),
        "val/00000.tfrecords/000001": (2, 24, 1),
    }


def test_a_map_in_colors_is_rejected_as_training_would(tmp_path):
    colors = image_bytes(noise_image(16, 16), "JPEG")
    records = [framed(record(**click())), framed(record(**click() | {"heatmap": colors}))]
    (tmp_path / "a.tfrecord").write_bytes(b"".join(records))
    found = converted(tmp_path / "out", "clickme", tmp_path / "a.tfrecord")
    assert list(found.rows) == ["a/000001"]
    assert "of the mode RGB; needed is a gray one" in found.rejects["a.tfrecord, record 2"]


def test_a_planted_block_is_where_it_was_after_the_conversion(tmp_path):
    """Cell i of 256 lies at (i + 0.5) / 256, through the JPEG, the crop's view and the grid's averages."""
    values = np.zeros((256, 256), np.uint8)
    values[40:48, 200:208] = 255
    planted = image_bytes(Image.fromarray(values), "JPEG")
    image = image_bytes(noise_image(256, 256), "JPEG")
    (tmp_path / "a.tfrecord").write_bytes(framed(record(image=image, heatmap=planted, label=0)))
    row = converted(tmp_path / "out", "clickme", tmp_path / "a.tfrecord").rows["a/000001"]
    (area,) = areas_of(row, "heatmap", Columns(), [row["label"]], (256, 256))
    for cells in (256, 64):
        grid = area_in_view(area, WHOLE_IMAGE, (cells, cells))
        y, x = (np.indices(grid.shape) + 0.5) * grid / grid.sum()
        assert (x.sum() / cells, y.sum() / cells) == pytest.approx((204 / 256, 44 / 256), abs=2e-3)


def test_harmonizations_blur_moves_a_map_to_the_upper_left_by_half_a_cell():
    """Its kernel of 10 x 10 (sigma 10), from -5 to 4 across and 4 to -5 down, padded as TensorFlow's SAME."""
    across, down = np.arange(-5, 5), np.arange(4, -6, -1)
    kernel = np.exp(-(across[None] ** 2 + down[:, None] ** 2) / 200)
    kernel /= kernel.sum()
    padded = np.zeros((64 + 9, 64 + 9))  # SAME pads 4 in front and 5 behind
    padded[4 + 30, 4 + 30] = 1  # a map of one cell
    blurred = np.array(
        [[(padded[r : r + 10, c : c + 10] * kernel).sum() for c in range(64)] for r in range(64)]
    )
    y, x = (np.indices(blurred.shape) * blurred).sum(axis=(1, 2))
    assert (x - 30, y - 30) == pytest.approx((-0.54, -0.46), abs=0.005)


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
