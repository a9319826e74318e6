"""Images to pixel_values."""

import io

import numpy as np
import pytest
import torch
from fixtures.factories import image_bytes, noise_image
from PIL import ExifTags, Image, ImageOps

from luab_data.images.pillow import upright_rgb
from luab_vision.geometry import render
from luab_vision.images import decode, open_image
from luab_vision.transforms import (
    ColorJitter,
    EvalTransform,
    ImageSettings,
    RandomErasing,
    TrainTransform,
    normalize,
    to_tensor,
)

SETTINGS = ImageSettings(size=32)


def test_the_default_is_imagenets_evaluation():
    view = EvalTransform(ImageSettings(size=224)).view(512, 256)
    assert (view.width, view.height) == (224 / 512, 224 / 256)
    white = np.full((300, 300, 3), 255, np.uint8)
    values, _ = EvalTransform(SETTINGS)(white)
    expected = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(values[:, 5, 5], expected)


def test_what_training_normalizes_later_is_what_evaluation_sees():
    pixels = np.array(noise_image(50, 40))
    transform = TrainTransform(SETTINGS)
    values, view = transform(pixels, np.random.default_rng(0))
    crops = torch.stack([transform.crop(pixels, view)] * 3)
    assert crops.shape == (3, 32, 32, 3) and crops.dtype == torch.uint8
    batch = normalize(crops, SETTINGS.mean, SETTINGS.std)
    assert batch.shape == (3, 3, 32, 32) and batch.dtype == torch.float32
    assert all(torch.equal(each, values) for each in batch)
    assert normalize(crops[:0], SETTINGS.mean, SETTINGS.std).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("resample", ["BICUBIC", "BILINEAR", "LANCZOS"])
def test_training_reads_the_view_that_it_returns(resample):
    image = noise_image(50, 40).resize((100, 80), Image.Resampling.BICUBIC)
    settings = ImageSettings(size=32, resample=Image.Resampling[resample], mean=(0,) * 3, std=(1 / 255,) * 3)
    transform = TrainTransform(settings)
    views = set()
    for seed in range(20):
        values, view = transform(np.array(image), np.random.default_rng(seed))
        levels = values - to_tensor(render(image, view, 32, settings.resample)).permute(2, 0, 1)
        # Torch's filter stops at the window's border, Pillow's goes on, and in a strong reduction it first
        # averages whole pixels.
        assert levels[:, 3:-3, 3:-3].abs().max() <= 5
        assert levels.abs().mean() < 1
        views.add(view)
    assert len(views) == 20
    assert {view.flipped for view in views} == {True, False}


def test_training_is_the_same_for_the_same_generator():
    transform = TrainTransform(SETTINGS, augmentations=[ColorJitter(), RandomErasing(0.9)])
    (one, view), (other, other_view) = (
        transform(np.array(noise_image(50, 40)), np.random.default_rng(3)) for _ in range(2)
    )
    assert view == other_view
    assert torch.equal(one, other)


def test_augmentations_run_in_order_and_leave_the_view_alone():
    calls = []

    def inverted(name):
        return lambda crop, rng: calls.append((name, crop.size)) or ImageOps.invert(crop)

    pixels = np.array(noise_image(50, 40))
    plain, view = TrainTransform(SETTINGS)(pixels, np.random.default_rng(0))
    same, same_view = TrainTransform(SETTINGS, augmentations=[inverted("a"), inverted("b")])(
        pixels, np.random.default_rng(0)
    )
    assert calls == [("a", (32, 32)), ("b", (32, 32))]
    assert view == same_view
    assert torch.equal(same, plain)
    once, _ = TrainTransform(SETTINGS, augmentations=[inverted("a")])(pixels, np.random.default_rng(0))
    assert not torch.equal(once, plain)


def test_color_jitter_changes_colors_not_places():
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, :8] = (200, 100, 50)
    stripes[:, 8:] = (40, 90, 160)
    jittered = np.asarray(ColorJitter(0.4)(Image.fromarray(stripes), np.random.default_rng(1)))
    assert (jittered != stripes).any()
    for half in (jittered[:, :8], jittered[:, 8:]):
        assert (half == half[0, 0]).all()
    untouched = np.asarray(ColorJitter(0.0)(Image.fromarray(stripes), np.random.default_rng(1)))
    assert (untouched == stripes).all()


def test_random_erasing_blanks_one_rectangle_as_often_as_asked():
    rng = np.random.default_rng(0)
    white = Image.new("RGB", (40, 30), "white")
    shares = []
    for _ in range(300):
        pixels = np.asarray(RandomErasing(0.5, color=(0, 0.5, 1))(white, rng))
        erased = (pixels == (0, 128, 255)).all(-1)
        assert (pixels[~erased] == 255).all()
        shares.append(erased.mean())
        if erased.any():
            assert erased.sum() == erased.any(1).sum() * erased.any(0).sum()
    assert (np.asarray(white) == 255).all(), "the crop that was given is another's"
    used = [share for share in shares if share > 0]
    assert 0.42 < len(used) / len(shares) < 0.58
    assert min(used) > 0.01 and max(used) < 0.36


def test_the_erased_rectangle_is_nothing_to_the_model():
    erase = RandomErasing(1.0, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    values, _ = TrainTransform(SETTINGS, augmentations=[erase])(
        np.array(noise_image(50, 40)), np.random.default_rng(0)
    )
    assert values.abs().max() < 0.01  # half a level, of 255, over a standard deviation


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "LA", "1", "YCbCr"])
def test_every_mode_becomes_rgb(mode):
    image = noise_image(20, 10).convert("RGB" if mode != "LA" else "L").convert(mode)
    decoded = decode(image)
    assert decoded.shape == (10, 20, 3) and decoded.dtype == np.uint8
    assert EvalTransform(SETTINGS)(decoded)[0].shape == (3, 32, 32)


def test_16_bits_become_8_and_transparent_becomes_white():
    ramp = Image.fromarray(np.array([[0, 128 * 256, 65535]], np.uint16))
    assert decode(ramp)[0].tolist() == [[0] * 3, [128] * 3, [255] * 3]
    glass = Image.new("RGBA", (1, 1), (255, 0, 0, 0))
    assert decode(glass)[0, 0].tolist() == [255, 255, 255]


def jpeg(image: Image.Image, **options) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", **options)
    return encoded.getvalue()


TURNED, LYING = Image.Exif(), Image.Exif()
TURNED[ExifTags.Base.Orientation], LYING[ExifTags.Base.Orientation] = 3, 6


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg(noise_image(37, 21), subsampling=0), id="4:4:4"),
        pytest.param(jpeg(noise_image(37, 21), subsampling=2), id="4:2:0"),
        pytest.param(jpeg(noise_image(37, 21), progressive=True), id="progressive"),
        pytest.param(jpeg(noise_image(37, 21), keep_rgb=True), id="stored as RGB"),
        pytest.param(jpeg(noise_image(37, 21).convert("L")), id="grey"),
        pytest.param(jpeg(noise_image(37, 21).convert("CMYK")), id="CMYK"),
        pytest.param(jpeg(noise_image(37, 21), exif=TURNED), id="upside down"),
        pytest.param(jpeg(noise_image(37, 21), exif=LYING), id="lying on its side"),
        pytest.param(jpeg(noise_image(37, 21), xmp=b'<x tiff:Orientation="6"/>'), id="lying, says its XMP"),
        pytest.param(jpeg(noise_image(37, 21), exif=b"Exif\0\0broken"), id="broken EXIF"),
        pytest.param(
            jpeg(noise_image(37, 21))[:2] + b"\xff" + jpeg(noise_image(37, 21))[2:], id="odd header"
        ),
        pytest.param(jpeg(noise_image(37, 21)) + b"trailing", id="trailing bytes"),
        pytest.param(image_bytes(noise_image(37, 21)), id="PNG"),
    ],
)
def test_pixels_are_pillows_own(data):
    expected = np.asarray(upright_rgb(Image.open(io.BytesIO(data))))
    opened = open_image(data)
    assert (opened.height, opened.width) == expected.shape[:2]
    assert (opened.pixels() == expected).all()


def test_most_jpegs_take_the_fast_way(monkeypatch):
    monkeypatch.setattr("luab_vision.images.upright_pixels", None)
    assert decode(jpeg(noise_image(37, 21))).shape == (21, 37, 3)


def test_a_jpeg_that_is_cut_off_gets_pillows_error():
    with pytest.raises(OSError, match="truncated"):
        decode(jpeg(noise_image(64, 64))[:1500])


def test_a_photo_is_turned_upright(tmp_path):
    # A red left edge, stored lying on its side as cameras do: 6 = to be turned by 90 degrees clockwise.
    upright = Image.new("RGB", (16, 32), "blue")
    upright.paste("red", (0, 0, 8, 32))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "photo.png", exif=exif)
    assert Image.open(tmp_path / "photo.png").size == (32, 16)

    for value in (tmp_path / "photo.png", (tmp_path / "photo.png").read_bytes()):
        decoded = decode(value)
        assert decoded.shape == (32, 16, 3)
        assert decoded[16, 2].tolist() == [255, 0, 0]
        assert decoded[16, 13].tolist() == [0, 0, 255]


@pytest.mark.parametrize("value", [None, 7, {"bytes": None, "path": None}, "nowhere.png"])
def test_what_is_no_image_is_refused(value):
    with pytest.raises(ValueError, match="give the bytes of an image file"):
        decode(value)
