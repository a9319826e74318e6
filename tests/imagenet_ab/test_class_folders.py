"""Which folder of a download, unpacked or in a zip, holds the classes."""

import shutil
import zipfile

import pytest
from fixtures.factories import WNIDS, raw_images

from imagenet_ab.images import open_images

PLAIN = ("cat", "dog")  # of no ImageNet


def both(tmp_path):
    """The source of the folder `tmp_path/data`, and of a zip of it."""
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for path in sorted((tmp_path / "data").rglob("*.JPEG")):
            archive.write(path, path.relative_to(tmp_path / "data").as_posix())
    return open_images(tmp_path / "data"), open_images(tmp_path / "data.zip")


@pytest.mark.parametrize("classes", [WNIDS, PLAIN])
@pytest.mark.parametrize("root", ["", "train/"])
@pytest.mark.parametrize("misplaced", ["{0}/backup/x.JPEG", "stray_1.JPEG"])
def test_misplaced_images_do_not_change_the_classes(tmp_path, classes, root, misplaced):
    images = raw_images(tmp_path / "data" / root, classes=classes)
    place = tmp_path / "data" / root / misplaced.format(classes[0])
    place.parent.mkdir(exist_ok=True)
    shutil.copy(next((tmp_path / "data" / root / classes[0]).glob("*.JPEG")), place)
    for source in both(tmp_path):
        items = list(source.ids())
        assert source.classes() == list(classes)
        assert [item for item in items if isinstance(item, str)] == list(images)
        assert [item.id.removeprefix(root) for item in items if not isinstance(item, str)] == [
            misplaced.format(classes[0])
        ]


@pytest.mark.parametrize("classes", [WNIDS, PLAIN])
def test_the_split_train_is_read_beside_flat_splits(tmp_path, classes):
    images = raw_images(tmp_path / "data" / "train", classes=classes)
    (tmp_path / "data" / "val").mkdir()
    (tmp_path / "data" / "val" / "val_1.JPEG").write_bytes(b"x")
    for source in both(tmp_path):
        assert (source.classes(), list(source.ids())) == (list(classes), list(images))


@pytest.mark.parametrize("classes", [WNIDS, PLAIN])
def test_stray_images_hide_no_split_beside_others(tmp_path, classes):
    images = raw_images(tmp_path / "data" / "train", classes=classes)
    for split in ("train", "val"):
        (tmp_path / "data" / split).mkdir(exist_ok=True)
        (tmp_path / "data" / split / "stray_1.JPEG").write_bytes(b"x")
    for source in both(tmp_path):
        items = [item for item in source.ids() if isinstance(item, str)]
        assert (source.classes(), items) == (list(classes), list(images))


def test_a_class_called_train_stays_one(tmp_path):
    images = raw_images(tmp_path / "data", classes=("car", "train"))
    for source in both(tmp_path):
        assert (source.classes(), list(source.ids())) == (["car", "train"], list(images))
