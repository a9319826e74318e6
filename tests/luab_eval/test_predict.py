"""One pass over the images: what the model sees, what is kept, and what an interrupted pass does next."""

import os

import numpy as np
import pytest
import torch
from datasets import Dataset
from fixtures.miniatures import PLAIN, QUIET, ColorClassifier, color_classifier, paint
from PIL import Image

from luab_attention.boxes.boxes import ImageBoxes
from luab_eval import predict as module
from luab_eval.benchmark import ImageSet, Item, RowImage
from luab_eval.models import Classifier, fingerprint
from luab_eval.passes import PassSettings
from luab_eval.pixels import PixelValues, occlude
from luab_eval.predict import predict
from luab_vision.transforms import ImageSettings

COUNT = 10


@pytest.fixture
def images(tmp_path) -> ImageSet:
    for k in range(COUNT):
        paint(tmp_path / "images" / f"{k}.png", 37 * k)
    items = [
        Item(f"{k}.png", tmp_path / "images" / f"{k}.png", 37 * k, "even" if k % 2 == 0 else "odd")
        for k in range(COUNT)
    ]
    return ImageSet("toy", items)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(module, "PART", 4)  # 4 + 4 + 2 images


def test_predictions_are_in_the_images_order(images, tmp_path, small_parts):
    answers = predict(
        color_classifier(), images, tmp_path / "cache", PassSettings(batch_size=3, num_workers=0)
    )
    assert answers.top[:, 0].tolist() == [37 * k for k in range(COUNT)] == answers.targets.tolist()
    assert answers.right().all()
    assert answers.ids.astype(str).tolist() == [f"{k}.png" for k in range(COUNT)]
    assert answers.groups.tolist() == ["even", "odd"] * (COUNT // 2)
    assert answers.logits.shape == (COUNT, 1000)


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (4, 2), (64, 2)])
def test_batches_and_workers_change_nothing(images, tmp_path, batch_size, workers):
    expected = predict(color_classifier(), images, tmp_path / "a", QUIET)
    settings = PassSettings(batch_size=batch_size, num_workers=workers, progress=False)
    answers = predict(color_classifier(), images, tmp_path / "b", settings)
    np.testing.assert_array_equal(answers.top[:, 0], expected.top[:, 0])
    np.testing.assert_allclose(answers.logits, expected.logits, rtol=1e-4, atol=1e-3)


def test_a_second_pass_asks_nothing(images, tmp_path):
    classifier = color_classifier()
    first = predict(classifier, images, tmp_path / "cache", QUIET)
    assert classifier.model.seen == COUNT
    second = predict(classifier, images, tmp_path / "cache", QUIET)
    assert classifier.model.seen == COUNT
    np.testing.assert_array_equal(first.logits, second.logits)


class Interrupted(ColorClassifier):
    """Fails at the image number `at`, as a pass does that is interrupted."""

    at = 7

    def forward(self, pixel_values):
        if self.seen >= self.at:
            raise KeyboardInterrupt
        return super().forward(pixel_values)


def test_an_interrupted_pass_goes_on_where_it_was(images, tmp_path, small_parts):
    one_by_one = PassSettings(batch_size=1, num_workers=0, progress=False)
    healthy = color_classifier()
    interrupted = Classifier("colors", Interrupted(), healthy.labels, PLAIN, fingerprint=healthy.fingerprint)
    with pytest.raises(KeyboardInterrupt):
        predict(interrupted, images, tmp_path / "cache", one_by_one)
    answers = predict(healthy, images, tmp_path / "cache", one_by_one)
    assert healthy.model.seen == COUNT - 4  # the first part was whole, the second was not
    assert answers.right().all()


def test_a_part_that_was_cut_off_is_made_anew(images, tmp_path, small_parts):
    classifier = color_classifier()
    predict(classifier, images, tmp_path / "cache", QUIET)
    part = sorted((tmp_path / "cache").rglob("part-*.npz"))[1]
    part.write_bytes(part.read_bytes()[:100])
    assert predict(classifier, images, tmp_path / "cache", QUIET).right().all()
    assert classifier.model.seen == COUNT + 4


def test_what_changes_the_answers_is_asked_again(images, tmp_path):
    classifier = color_classifier()
    predict(classifier, images, tmp_path / "cache", QUIET)

    other = ColorClassifier()
    other.colors += 0.001
    predict(Classifier("other", other, classifier.labels, PLAIN), images, tmp_path / "cache", QUIET)
    assert other.seen == COUNT

    bigger = ColorClassifier()
    settings = ImageSettings(size=10, mean=(0, 0, 0), std=(1, 1, 1), resize=10)
    predict(Classifier("bigger", bigger, classifier.labels, settings), images, tmp_path / "cache", QUIET)
    assert bigger.seen == COUNT

    file = images.items[3].image
    os.utime(file, ns=(0, 1))
    predict(classifier, images, tmp_path / "cache", QUIET)
    assert classifier.model.seen == 2 * COUNT


def test_a_map_of_another_class_is_asked_again(images):
    """Maps are of the target's class, and hits of its boxes; logits are of no class."""
    other = [item._replace(target=item.target + 1) for item in images.items]

    def changed(**fields) -> bool:
        one, two = (
            module.fingerprint(ImageSet("toy", items, **fields), PLAIN, [0, 1])
            for items in (images.items, other)
        )
        return one != two

    boxes = [ImageBoxes([[0, 0, 1, 1]], 8, 8)] * COUNT
    assert changed(maps=True)
    assert changed(boxes=boxes)
    assert not changed()


def test_files_at_another_place_are_asked_again(tmp_path):
    """Two splits whose files have the same names, sizes and times; published files may move."""
    sets = []
    for split, k in (("train", 1), ("test", 2)):
        paint(tmp_path / split / "0.bmp", k)
        os.utime(tmp_path / split / "0.bmp", ns=(0, 1))
        sets.append([Item("0", tmp_path / split / "0.bmp", 0)])
    assert len({items[0].image.stat().st_size for items in sets}) == 1

    def keys(*folders):
        sets_of = [ImageSet("toy", items, folder=folder) for items, folder in zip(sets, folders, strict=True)]
        return {module.fingerprint(images, PLAIN, [0]) for images in sets_of}

    assert len(keys(None, None)) == 2
    assert len(keys(tmp_path, tmp_path)) == 2
    assert len(keys(tmp_path / "train", tmp_path / "test")) == 1


def test_another_image_column_is_asked_again(tmp_path):
    rows = Dataset.from_dict({"photo": [b"a"], "drawing": [b"b"]})
    assert str(RowImage(rows, 0, "photo")) != str(RowImage(rows, 0, "drawing"))


def test_the_name_of_the_model_is_no_part_of_the_cache(images, tmp_path):
    first, second = color_classifier(), color_classifier()
    assert first.fingerprint == second.fingerprint == fingerprint(ColorClassifier(), PLAIN)
    predict(first, images, tmp_path / "cache", QUIET)
    predict(second, images, tmp_path / "cache", QUIET)
    assert second.model.seen == 0


def test_logits_need_not_be_kept(images, tmp_path):
    few = ImageSet("few", images.items, keep_logits=False)
    answers = predict(color_classifier(), few, tmp_path / "cache", QUIET)
    assert answers.logits is None
    assert answers.right().all()
    assert answers.where(answers.groups == "odd").ids.astype(str).tolist() == [
        "1.png",
        "3.png",
        "5.png",
        "7.png",
        "9.png",
    ]


def test_the_model_must_have_the_classes(images, tmp_path):
    with pytest.raises(ValueError, match="not ImageNet's 1000 classes"):
        predict(color_classifier([1, 2], ["a", "b"]), images, tmp_path / "cache", QUIET)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_named(images, tmp_path, workers):
    images.items[5].image.write_bytes(b"no image")
    settings = PassSettings(batch_size=1, num_workers=workers, progress=False)
    with pytest.raises(ValueError, match=r"images/5\.png cannot be read"):
        predict(color_classifier(), images, tmp_path / "cache", settings)


def gradient(path, side=12):
    """An image whose pixels all differ."""
    pixels = np.arange(side * side * 3, dtype=np.uint8).reshape(side, side, 3)
    Image.fromarray(pixels).save(path)
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255


def test_whole_images_lose_no_margin(tmp_path):
    pixels = gradient(tmp_path / "a.png")
    settings = ImageSettings(size=12, mean=(0, 0, 0), std=(1, 1, 1))  # resize 14, crop 12
    item = Item("a.png", tmp_path / "a.png", 0)
    torch.testing.assert_close(PixelValues(ImageSet("c", [item], whole=True), settings)[0], pixels)
    assert not torch.allclose(PixelValues(ImageSet("val", [item]), settings)[0], pixels, atol=0.05)


def test_the_border_is_cut_off_first(tmp_path):
    pixels = gradient(tmp_path / "a.png")
    settings = ImageSettings(size=10, mean=(0, 0, 0), std=(1, 1, 1), resize=10)
    images = ImageSet("o", [Item("a.png", tmp_path / "a.png", 0)], border=1)
    torch.testing.assert_close(PixelValues(images, settings)[0], pixels[:, 1:11, 1:11])


def test_occlusion_is_a_square_of_zeros_in_the_middle():
    values = occlude(torch.ones(3, 8, 12), 0.5)
    assert values[:, 2:6, 4:8].abs().sum() == 0
    assert values.sum() == 3 * (8 * 12 - 4 * 4)
    assert occlude(torch.ones(3, 8, 8), 0).sum() == 3 * 64
    assert occlude(torch.ones(3, 8, 8), 1).sum() == 0


def test_images_keep_the_files_orientation(tmp_path):
    # The authors' code does not turn images by their EXIF orientation, so that numbers can be compared.
    image = Image.new("RGB", (8, 8), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 8, 4))
    exif = image.getexif()
    exif[0x0112] = 3
    image.save(tmp_path / "a.png", exif=exif)
    values = PixelValues(ImageSet("e", [Item("a.png", tmp_path / "a.png", 0)]), PLAIN)[0]
    assert values[:, :4].min() == 1
    assert values[:, 4:].max() == 0
