"""Parts of a release: together they have each entry and each reject once, whoever reads them."""

import json
import subprocess
import zipfile
from collections import Counter

import datasets
import pytest
import torch
from fixtures.factories import raw_byproducts, raw_images, tar_of_tars

import coco_ab
import imagenet_ab
from coco_ab.pairs import RawCocoAB
from coco_ab.simulate.release import write_release
from imagenet_ab.pairs import RawImageNetAB
from luab_data.build.batches import groups
from luab_data.build.join import Found
from luab_data.errors import SourceError
from luab_data.sources.entries import Reject
from luab_data.sources.parts import Parts

CLASSES = ("n01440764", "n02123045", "n02124075", "n03017168", "n04404412")


def counted(raw):
    """The rows' ids, the rejects and the numbers of found entries of a raw dataset."""
    found, make = Found(), raw.to_batch()
    rows, rejects = [], []
    for group in groups(raw.pairs(found), 100):
        batch = make(group, raw.features().arrow_schema)
        rows += [str(each) for each in batch.table["image_id"].to_pylist()]
        rejects += batch.rejects
    return rows, rejects, Counter(found)


def in_parts(raw, of):
    rows, rejects, found = [], [], Counter()
    for number in range(of):
        more, refused, numbers = counted(raw.part([number], of))
        rows, rejects, found = rows + more, rejects + refused, found + numbers
    return rows, rejects, found


def require_same(raw, of):
    """All parts have what the whole has; returns the rejects."""
    rows, rejects, found = counted(raw)
    in_all = in_parts(raw, of)
    assert sorted(in_all[0]) == sorted(rows)
    assert sorted(map(str, in_all[1])) == sorted(map(str, rejects))
    assert in_all[2] == found
    return rejects


@pytest.fixture
def imagenet(tmp_path):
    payloads = raw_images(tmp_path / "train", 4, CLASSES)
    ids = [*list(payloads)[2:], "n04404412/n04404412_99", "n02084071/n02084071_1", list(payloads)[-1]]
    raw_byproducts(tmp_path / "ab.tar.gz", ids, [("broken.xml", b"<x"), ("n01440764/bad.xml", b"<x")])
    (tmp_path / "train" / "n02123045" / "odd.JPEG").write_bytes(b"no image")
    (tmp_path / "train" / "linked").symlink_to(tmp_path / "train" / "n02124075")
    return tmp_path, payloads


def images_as(way, folder, payloads):
    if way == "tar":
        return tar_of_tars(folder / "ILSVRC2012_img_train.tar", payloads)
    if way == "zip":
        with zipfile.ZipFile(folder / "train.zip", "w") as archive:
            for name, payload in payloads.items():
                archive.writestr(f"train/{name}.JPEG", payload)
        return folder / "train.zip"
    return folder / "train"


@pytest.mark.parametrize("of", [2, 5, 16])
@pytest.mark.parametrize("way", ["folder", "tar", "zip"])
def test_the_parts_of_imagenet_have_each_entry_once(imagenet, way, of):
    folder, payloads = imagenet
    raw = RawImageNetAB(images_as(way, folder, payloads), folder / "ab.tar.gz")
    rejects = require_same(raw, of)
    assert Reject("byproducts", "n04404412/n04404412_99", "there is no image of this id") in rejects
    assert len(rejects) == {"folder": 7, "tar": 5, "zip": 5}[way]
    require_same(RawImageNetAB(raw.images.place, folder / "ab.tar.gz", classes=CLASSES[1:4]), of)


def test_unpacked_byproducts_without_images(imagenet):
    folder, _ = imagenet
    subprocess.run(["tar", "xzf", folder / "ab.tar.gz", "-C", folder], check=True)
    require_same(RawImageNetAB(None, folder / "imagenet_ab_v1_0", with_images=False), 3)


def test_the_parts_of_coco_have_each_entry_once(tmp_path):
    folder = write_release(tmp_path, seed=1, images=30)
    path = folder / "coco_ab_v1_0.json"
    records = json.loads(path.read_text())
    path.write_text(json.dumps([*records, {"image_id": 77}, {"image_id": "bad"}, records[0]]))
    images = sorted((folder / "train2014").iterdir())
    images[0].write_bytes(b"no image")
    images[1].unlink()
    sources = (folder / "train2014", folder / "annotations" / "instances_train2014.json", path)
    rejects = require_same(RawCocoAB(*sources), 7)
    assert Counter(each.source for each in rejects)["instances"] == 2
    require_same(RawCocoAB(None, None, path, with_images=False), 7)


def test_a_stream_in_which_nothing_met_ends_with_an_error(tmp_path):
    """Not one id is on both sides. Each part warns of its own, and the last one knows of all.

    The rows before it have images, as in a part without byproducts.
    """
    raw_images(tmp_path / "train", 4, CLASSES)
    raw_byproducts(
        tmp_path / "ab.tar.gz", [f"{name}/{name}_9{number}" for name in CLASSES for number in "01"]
    )
    sources = {"images": tmp_path / "train", "byproducts": tmp_path / "ab.tar.gz", "split": "train"}
    rows = imagenet_ab.load_dataset(**sources, streaming=True)
    for _ in range(2):  # also in the second pass
        with pytest.raises(SourceError, match=r"no id is on both sides \(byproducts: 10, .* images: 20"):
            list(rows)
    raw_byproducts(tmp_path / "ab.tar.gz", [f"{CLASSES[-1]}/{CLASSES[-1]}_0"])
    some = imagenet_ab.load_dataset(**sources, streaming=True)
    assert len(list(some)) == len(list(some)) > 0  # most of its parts have none


@pytest.mark.parametrize("workers", [0, 2, 3])
def test_workers_read_their_own_parts(imagenet, workers):
    folder, payloads = imagenet
    rows = imagenet_ab.load_dataset(
        images=folder / "train", byproducts=folder / "ab.tar.gz", split="train", streaming=True
    )
    assert rows.num_shards == len(CLASSES)
    rows = rows.select_columns(["image_id"])
    loader = torch.utils.data.DataLoader(rows.map(of_worker), batch_size=None, num_workers=workers)
    found = list(loader)
    assert sorted(row["image_id"] for row in found) == sorted(payloads)  # each once
    by_worker = Counter(row["worker"] for row in found)
    assert len(by_worker) == max(workers, 1)
    one = [row["image_id"] for row in rows.shuffle(seed=3, buffer_size=5)]
    two = torch.utils.data.DataLoader(
        rows.shuffle(seed=3, buffer_size=5), batch_size=None, num_workers=workers
    )
    assert sorted(one) == sorted(row["image_id"] for row in two)


def of_worker(row):
    worker = torch.utils.data.get_worker_info()
    return {**row, "worker": -1 if worker is None else worker.id}


def test_how_many_parts(imagenet, tmp_path):
    folder, _ = imagenet
    sources = {"images": folder / "train", "byproducts": folder / "ab.tar.gz", "split": "train"}
    assert imagenet_ab.load_dataset(**sources, shards=2, streaming=True).num_shards == 2
    cached = {"cache_dir": str(tmp_path / "cache")}
    first = imagenet_ab.load_dataset(**sources, **cached)
    assert imagenet_ab.load_dataset(**sources, shards=2, **cached).cache_files == first.cache_files
    for load in (imagenet_ab.load_dataset, coco_ab.load_dataset):
        with pytest.raises(ValueError, match="shards=0: how many parts"):
            load(shards=0, streaming=True)
    assert isinstance(coco_ab.load_dataset("sample", streaming=True), datasets.IterableDatasetDict)


def test_classes_are_dealt_out_and_other_ids_are_spread():
    names = [f"c{number}" for number in range(10)]
    of_part = [[name for name in names if Parts([part], 4, names).own(f"{name}/1")] for part in range(4)]
    assert [len(each) for each in of_part] == [3, 3, 2, 2]
    spread = [sum(Parts([part], 4).own(str(number)) for number in range(4000)) for part in range(4)]
    assert sum(spread) == 4000 and min(spread) > 900
