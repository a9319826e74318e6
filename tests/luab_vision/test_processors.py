"""Evaluation and training do to an image what its processor does: every class, pixel by pixel."""

import json

import numpy as np
import pytest
import torch
import transformers
from fixtures.factories import noise_image
from fixtures.tiny_models import tiny_model
from PIL import Image
from transformers.image_processing_backends import PilBackend
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES

from luab_eval.models import load_classifier
from luab_trainer.model import LUABModel
from luab_vision.processors import (
    PROCESSOR_FILE,
    check_fits,
    image_settings,
    load_processor,
    square_processor,
)
from luab_vision.transforms import EvalTransform, TrainTransform, to_image

SIZES = [
    (500, 375),
    (123, 301),
    (640, 91),
    (7, 5),
]  # width, height; none of those that processors are tried on
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}

# Of every class that image classifiers have in transformers, by the name in preprocessor_config.json: fields.
CLASSES = {
    "BeitImageProcessor": {},
    "BitImageProcessor": {},
    "CLIPImageProcessor": {},
    "ConvNextImageProcessor": {},
    "DeiTImageProcessor": {},
    "EfficientNetImageProcessor": {},
    "LevitImageProcessor": {},
    "MobileNetV1ImageProcessor": {},
    "MobileNetV2ImageProcessor": {},
    "MobileViTImageProcessor": {},
    "PerceiverImageProcessor": {},
    "PoolFormerImageProcessor": {},
    "PvtImageProcessor": {},
    "SegformerImageProcessor": {"size": {"height": 96, "width": 96}},
    "SiglipImageProcessor": {},
    "ViTImageProcessor": {},
}
# Those that cannot be used, and what the message names.
REFUSED = {
    "DonutImageProcessor": ({"size": {"height": 64, "width": 48}}, "do_thumbnail=True"),
    "Gemma3ImageProcessor": ({}, "num_crops"),
    "ImageGPTImageProcessor": ({"clusters": [[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]}, "input_ids"),
    "PPLCNetImageProcessor": ({}, "(?i)torchvision"),
    "Siglip2ImageProcessor": ({}, "pixel_attention_mask"),
    "TextNetImageProcessor": ({"size": {"shortest_edge": 64}}, "different sizes.*do_center_crop=False"),
    "TimmWrapperImageProcessor": ({}, "(?i)torchvision|timm"),
}
# Fields as checkpoints on the Hub have them: the class, and what its file says.
FILES = {
    "an int is a square": ("ViTFeatureExtractor", {"size": 64}),
    "of BEiT, too": ("BeitFeatureExtractor", {"size": 64, "do_center_crop": False, "crop_size": 64}),
    "of DeiT, then a crop": ("DeiTFeatureExtractor", {"size": 73, "crop_size": 64, "do_center_crop": True}),
    "an int is the shorter side": ("ConvNextFeatureExtractor", {"size": 64, "crop_pct": 0.875}),
    "no crop from 384 on": ("ConvNextImageProcessor", {"size": {"shortest_edge": 384}}),
    "another crop_pct": ("ConvNextImageProcessor", {"size": {"shortest_edge": 96}, "crop_pct": 0.95}),
    "crop_pct of a square": ("PoolFormerImageProcessor", {"size": {"height": 64, "width": 64}}),
    "LeViT's margin": ("LevitImageProcessor", {"size": {"shortest_edge": 63}, "crop_size": 63}),
    "Perceiver cuts first": ("PerceiverImageProcessor", {"size": 60, "crop_size": 64}),
    "only the class is named": ("ViTImageProcessor", {}),
    "not square": ("ViTImageProcessor", {"size": {"height": 48, "width": 96}}),
    "a crop not square": ("BitImageProcessor", {"size": 80, "crop_size": {"height": 48, "width": 66}}),
    "a crop larger than the image": ("MobileViTImageProcessor", {"size": 60, "crop_size": 77}),
    "an uneven margin": ("BitImageProcessor", {"size": 60, "crop_size": {"height": 81, "width": 40}}),
    "blue, green, red": ("MobileViTImageProcessor", {"size": 66, "crop_size": 64}),
    "red, green, blue": ("MobileViTImageProcessor", {"size": 66, "do_flip_channel_order": False}),
    "divided twice": ("EfficientNetImageProcessor", {"size": 64, "include_top": True, **IMAGENET}),
    "-1 to 1": ("EfficientNetImageProcessor", {"rescale_factor": 1 / 127.5, "rescale_offset": True}),
    "once": ("EfficientNetImageProcessor", {"size": 64, "include_top": False}),
    "levels": ("ViTImageProcessor", {"size": 64, "do_rescale": False, "do_normalize": False}),
    "levels, normalized": ("ViTImageProcessor", {"do_rescale": False, "image_mean": [123, 116, 103]}),
    "another scale": ("ViTImageProcessor", {"rescale_factor": 1 / 127.5, "image_mean": [1, 1, 1]}),
    "not normalized": ("ViTImageProcessor", {"size": 64, "do_normalize": False, **IMAGENET}),
    **{
        f"resample {number}": ("CLIPImageProcessor", {"size": 64, "crop_size": 50, "resample": number})
        for number in range(6)
    },
}
REFUSED_FILES = {
    "images as they are": ("ViTImageProcessor", {"do_resize": False}, "do_resize=False"),
    "the shorter side, no crop": ("CLIPImageProcessor", {"do_center_crop": False}, "do_center_crop=False"),
    "padding": ("ViTImageProcessor", {"size": 64, "do_pad": True, "pad_size": 80}, "do_pad=True"),
    "two bounds": ("CLIPImageProcessor", {"size": {"shortest_edge": 64, "longest_edge": 80}}, "longest_edge"),
    "of endless size": ("ViTImageProcessor", {"size": 100_000}, "100000.* too large, allowed are 4096"),
    "a sliver of a crop": ("ConvNextImageProcessor", {"size": 64, "crop_pct": 1e-9}, "crop_pct=1e-09"),
    "nothing is left": ("ViTImageProcessor", {"size": 64, "rescale_factor": 0}, "rescale_factor=0"),
    "four channels": ("ViTImageProcessor", {"size": 64, "image_mean": [0.5] * 4}, "mean must have 3"),
    "size in words": ("ViTImageProcessor", {"size": "large"}, "no usable preprocessor_config.json"),
    "unknown class": ("MyImageProcessor", {"size": 64}, "no usable preprocessor_config.json"),
}


def classes_of_classifiers() -> set[str]:
    """Names of the image processors that transformers gives its image classifiers."""
    found = (IMAGE_PROCESSOR_MAPPING_NAMES.get(kind) for kind in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES)
    return {name.removesuffix("Pil") for each in found if each for name in each.values()}


def saved(folder, kind: str, fields: dict):
    """A checkpoint's folder with this preprocessor_config.json."""
    name = "feature_extractor_type" if kind.endswith("Extractor") else "image_processor_type"
    (folder / PROCESSOR_FILE).write_text(json.dumps({name: kind, **fields}))
    return str(folder)


def assert_same_pixels(processor: PilBackend) -> None:
    settings = image_settings(processor)
    level = 1 / (255 * torch.tensor(settings.std).view(3, 1, 1))
    for size in SIZES:
        image = noise_image(*size)
        expected = processor(images=image, return_tensors="pt")["pixel_values"][0]
        values, _ = EvalTransform(settings)(np.array(image))
        assert values.shape == expected.shape and values.dtype == torch.float32
        assert ((values - expected).abs() <= level / 50).all(), size  # the same bytes


def test_every_class_of_classifiers_is_in_the_table():
    assert classes_of_classifiers() == set(CLASSES) | set(REFUSED)


@pytest.mark.parametrize("kind", CLASSES)
def test_pixels_are_the_processors_own(kind, tmp_path):
    assert_same_pixels(load_processor(saved(tmp_path, kind, CLASSES[kind])))


@pytest.mark.parametrize("case", FILES)
def test_every_field_is_applied_as_the_class_does(case, tmp_path):
    assert_same_pixels(load_processor(saved(tmp_path, *FILES[case])))


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [*((kind, *rest) for kind, rest in REFUSED.items()), *REFUSED_FILES.values()],
    ids=[*REFUSED, *REFUSED_FILES],
)
def test_what_is_not_known_is_refused_by_name(kind, fields, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        image_settings(load_processor(saved(tmp_path, kind, fields)))


def test_a_field_of_no_known_meaning_is_named():
    class Sharpening(transformers.ViTImageProcessorPil):
        def resize(self, image, size, resample=None, **kwargs):
            return np.sort(super().resize(image, size, resample, **kwargs), axis=-1)

    processor = Sharpening(size=32)
    processor.sharpen = "much"
    with pytest.raises(ValueError, match=r"Sharpening.*not known here: sharpen='much'"):
        image_settings(processor)


def test_training_sees_values_as_the_processor_makes_them():
    processor = transformers.MobileViTImageProcessorPil(size=40, crop_size=32)
    settings = image_settings(processor)
    pixels, rng = np.array(noise_image(50, 40)), np.random.default_rng(0)
    transform = TrainTransform(settings)
    crop = transform.crop(pixels, transform.view(50, 40, rng))
    image = Image.fromarray(crop.numpy())
    expected = processor(images=image, do_resize=False, return_tensors="pt")["pixel_values"]

    luab = LUABModel(tiny_model("convnext"), mean=settings.mean, std=settings.std, bgr=settings.bgr)
    seen = []
    luab.model.register_forward_pre_hook(lambda module, inputs: seen.extend(inputs))
    luab(crop[None])

    torch.testing.assert_close(seen[0], expected, atol=1e-6, rtol=0)
    assert settings.bgr and (np.asarray(to_image(expected[0], settings)) == crop.numpy()).all()


def test_evaluation_reads_the_processor_through_its_class(tmp_path):
    model = tiny_model("vit")
    model.save_pretrained(tmp_path)
    side = model.config.image_size
    saved(tmp_path, "ViTFeatureExtractor", {"size": side})
    image = noise_image(90, 30)
    classifier = load_classifier(str(tmp_path))
    values, _ = EvalTransform(classifier.settings)(np.array(image))
    expected = transformers.pipeline("image-classification", str(tmp_path), top_k=None)(image)
    scores = classifier.logits(values[None]).softmax(-1)[0]
    assert {each["label"]: each["score"] for each in expected} == pytest.approx(
        dict(zip(classifier.labels, scores.tolist(), strict=True)), abs=1e-5
    )


def test_a_checkpoint_without_a_processor_says_so(tmp_path):
    tiny_model("vit").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=rf"--model {tmp_path}: .* no usable {PROCESSOR_FILE}.*Copy it"):
        load_classifier(str(tmp_path))


def test_a_long_reason_of_transformers_is_cut(tmp_path):
    (tmp_path / PROCESSOR_FILE).write_text('{"image_processor_type": "NoSuchProcessor"}')
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        ValueError, match="Unrecognized image processor"
    ) as refused:  # lists all that it knows
        load_processor(str(tmp_path))
    assert len(str(refused.value)) < 800


def test_a_model_of_one_channel_is_refused():
    with pytest.raises(ValueError, match="num_channels 3"):
        check_fits(tiny_model("vit", num_channels=1), image_settings(square_processor(32)))


def test_a_processor_of_another_size_than_the_model_is_refused(tmp_path):
    model = tiny_model("vit").train()
    with pytest.raises(ValueError, match=r"does not take .* 48 x 48 pixels.*32.*Make size .* the same"):
        check_fits(model, image_settings(square_processor(48)))
    assert model.training
    check_fits(model, image_settings(square_processor(model.config.image_size)))
    check_fits(tiny_model("convnext"), image_settings(square_processor(48)))  # takes any size
    model.save_pretrained(tmp_path)
    square_processor(48).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"--model {tmp_path}: the model does not take"):
        load_classifier(str(tmp_path))
