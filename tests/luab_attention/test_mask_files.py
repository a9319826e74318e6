"""Mask image files: what is inside, the numbers of a class map, and files that could be read in two ways."""

import struct
import zlib

import numpy as np
import pytest
from fixtures.factories import image_bytes
from PIL import Image

from luab_attention.convert.mask_files import binary_mask, class_map
from luab_data.errors import RejectedRecord

OBJECT = np.zeros((40, 40), bool)
OBJECT[10:20, 10:20] = True
GRAY = Image.fromarray(OBJECT.astype(np.uint8) * 255)


def rgba(inside, outside):
    """The object and what is around it in these colors, red, green, blue, alpha."""
    return Image.fromarray(np.where(OBJECT[..., None], inside, outside).astype(np.uint8))


def indexed(numbers, *colors):
    image = Image.fromarray(numbers.astype(np.uint8))
    image.putpalette([value for color in colors for value in color])
    return image


def png(bits, kind, row):
    """A PNG of one pixel."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, bits, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" + row)),
    )
    body = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


@pytest.mark.parametrize("format", ["PNG", "BMP", "GIF", "PPM", "TIFF"])
def test_all_but_black_is_inside(format):
    images = [GRAY, GRAY.convert("1")]
    if format != "GIF":  # Pillow numbers the colors of a GIF itself
        images.append(GRAY.convert("RGB"))
    for image in images:
        np.testing.assert_array_equal(binary_mask(image_bytes(image, format)), OBJECT)


def test_a_palette_and_transparency_that_say_the_same_are_read():
    for image in (
        indexed(OBJECT, (0, 0, 0), (200, 0, 0)),
        indexed(OBJECT * 3, (0, 0, 0), (9, 9, 9), (0, 0, 0), (200, 0, 0)),  # number 2 is not used
        rgba((255, 255, 255, 255), (0, 0, 0, 255)),
        rgba((255, 0, 0, 128), (0, 0, 0, 0)),
    ):
        np.testing.assert_array_equal(binary_mask(image_bytes(image)), OBJECT)


def test_a_mode_that_is_not_read_names_the_fix():
    image = image_bytes(GRAY.convert("LA"))
    for read, fix in (
        (binary_mask, "save it as a gray PNG, 0 outside"),
        (class_map, "save its numbers as a"),
    ):
        with pytest.raises(RejectedRecord, match=f"mode LA; .* RGB: {fix}"):
            read(image)


@pytest.mark.parametrize(
    "image",
    [
        GRAY.convert("RGB").quantize(2),
        GRAY.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE, colors=2),
        indexed(OBJECT, (255, 255, 255), (200, 0, 0)),
        indexed(OBJECT, (255, 255, 255), (0, 0, 0)),
        indexed(OBJECT, (0, 0, 0), (0, 0, 0)),
    ],
)
def test_a_palette_that_shows_another_mask_than_its_numbers_is_refused(image):
    with pytest.raises(RejectedRecord, match=r"palette.*save it as a gray PNG"):
        binary_mask(image_bytes(image))


@pytest.mark.parametrize(
    "image",
    [
        rgba((120, 80, 40, 255), (255, 255, 255, 0)),  # a cut-out on transparent white
        rgba((0, 0, 0, 255), (0, 0, 0, 0)),
        rgba((0, 0, 0, 0), (0, 0, 0, 255)),
    ],
)
def test_transparency_that_shows_another_mask_than_the_colors_is_refused(image):
    with pytest.raises(RejectedRecord, match=r"transparent pixels.*save it as a gray PNG"):
        binary_mask(image_bytes(image))
    transparent_number = indexed(OBJECT, (0, 0, 0), (200, 0, 0))
    transparent_number.info["transparency"] = 1
    with pytest.raises(RejectedRecord, match="transparent pixels"):
        binary_mask(image_bytes(transparent_number))


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF"])
def test_formats_that_lose_values_are_refused(format):
    data = image_bytes(GRAY.convert("RGB"), format)
    for read in (binary_mask, class_map):
        with pytest.raises(
            RejectedRecord, match=f"a mask in {format}, which may have lost its values: save it as PNG"
        ):
            read(data)


def test_a_tiff_that_loses_values_is_refused(tmp_path):
    GRAY.save(tmp_path / "a.tif", compression="jpeg")
    with pytest.raises(RejectedRecord, match=r"in TIFF \(jpeg\)"):
        binary_mask((tmp_path / "a.tif").read_bytes())
    GRAY.save(tmp_path / "a.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(binary_mask((tmp_path / "a.tif").read_bytes()), OBJECT)


def test_a_class_map_reads_color_as_one_number():
    # ImageNet-S: (44, 1, 0) is class 300, (232, 3, 0) is 1000.
    image = Image.fromarray(np.array([[[44, 1, 0], [232, 3, 0]]], np.uint8))
    assert class_map(image_bytes(image)).tolist() == [[300, 1000]]
    assert class_map(image_bytes(Image.fromarray(np.array([[7, 255]], np.uint8)))).tolist() == [[7, 255]]
    np.testing.assert_array_equal(class_map(image_bytes(indexed(OBJECT * 2, *[(9, 9, 9)] * 3))), OBJECT * 2)
    np.testing.assert_array_equal(class_map(image_bytes(rgba((2, 0, 0, 255), (0, 0, 0, 0)))), OBJECT * 2)
    with pytest.raises(RejectedRecord, match="colors in transparent pixels"):
        class_map(image_bytes(rgba((2, 0, 0, 255), (1, 0, 0, 0))))


def test_numbers_that_a_decoder_changes_are_no_class_map():
    assert class_map(png(16, 0, b"\1\2")).tolist() == [[258]]
    assert class_map(b"P5 2 1 255\n\0\5").tolist() == class_map(b"P2 2 1 255\n0 5\n").tolist() == [[0, 5]]
    assert class_map(b"P5 1 1 65535\n\1\2").tolist() == [[258]]
    with pytest.raises(RejectedRecord, match="a mask in GIF, which may have lost"):
        class_map(image_bytes(Image.fromarray(np.array([[0, 2, 5]], np.uint8)), "GIF"))
    for data in (
        png(4, 0, b"\x10"),
        png(16, 2, b"\0\5\0\0\0\0"),
        b"P5 2 1 15\n\0\5",
        b"P2 2 1 15\n0 5\n",
        b"P5 1 1 1000\n\0\5",
        b"P6 1 1 65535\n\0\5\0\0\0\0",
    ):
        with pytest.raises(RejectedRecord, match=r"scaled as it is read.*save it as a PNG of 8 bits"):
            class_map(data)


def test_a_number_below_0_is_no_class():
    data = image_bytes(Image.fromarray(np.array([[-1, 2]], np.int32)), "TIFF")
    for read in (binary_mask, class_map):
        with pytest.raises(RejectedRecord, match="number -1; allowed are 0 and more"):
            read(data)
