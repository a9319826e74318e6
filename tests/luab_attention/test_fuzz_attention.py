"""Damaged files of every source: one of the documented errors, never another, and no internal error."""

import json
import random
import struct

import pytest
from fixtures.factories import image_bytes, noise_image

from luab_attention.convert.conversion import Conversion
from luab_attention.convert.tfrecords import masked_crc32c
from luab_attention.readers import reader_named
from luab_data.build.batches import groups
from luab_data.errors import INTERNAL_ERROR, SourceError

TOKENS = [
    b"1e999", b"-1e308", b"1e12", b"NaN", b"", b"-1", b"0", b"9" * 400, b"null", b"true", b'""', b"[]", b"{}",
    b'"', b",", b"\n", b"\0", b"\xff", b"[" * 50, b"../..", b"1.5", b"<a>", b"<!DOCTYPE a>", b"&x;", b"\r",
]  # fmt: skip

COCO = {
    "images": [{"id": 9, "file_name": "9.jpg", "width": 8, "height": 6}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [
        {"image_id": 9, "category_id": 1, "bbox": [1, 1, 3, 3], "segmentation": [[1, 1, 4, 1, 4, 4]]},
        {
            "image_id": 9,
            "category_id": 1,
            "bbox": [1, 1, 3, 3],
            "segmentation": {"size": [6, 8], "counts": "42b0`0"},
        },
        {
            "image_id": 9,
            "category_id": 1,
            "bbox": [1, 1, 3, 3],
            "segmentation": {"size": [6, 8], "counts": [4, 44]},
        },
    ],
}
BRUSH = [0, 0, 0, 32, 57, 153, 152, 13, 252]
STUDIO = [
    {"data": {"image": "a.jpg"}, "annotations": [{"result": [
        {"type": kind, "original_width": 4, "original_height": 2, "value": value} for kind, value in (
            ("keypointlabels", {"x": 5, "y": 6, "keypointlabels": ["a"]}),
            ("rectanglelabels", {"x": 5, "y": 6, "width": 5, "height": 5, "rectanglelabels": ["a"]}),
            ("polygonlabels", {"points": [[0, 0], [90, 0], [90, 90]], "polygonlabels": ["b"]}),
            ("brushlabels", {"format": "rle", "rle": BRUSH, "brushlabels": ["b"]}),
        )
    ]}]}
]  # fmt: skip
NARRATIVE = {
    "dataset_id": "mscoco_train2017", "image_id": "9", "annotator_id": 3,
    "traces": [[{"x": 0.1, "y": 0.2, "t": 1}]],
    "timed_caption": [{"utterance": "cat", "start_time": 0, "end_time": 2}],
}  # fmt: skip
SEARCH = {
    "name": "9.jpg",
    "task": "cat",
    "condition": "present",
    "bbox": [9, 9, 90, 90],
    "X": [1],
    "Y": [2],
    "T": [3],
}
CVAT = (
    '<annotations><image name="a.jpg" width="8" height="6"><points label="a" points="1,2;3,4"/><box '
    'label="b" xtl="1" ytl="1" xbr="4" ybr="4"/><polygon label="b" points="1,1;4,1;4,4"/><mask rle="1,2,1" '
    'label="a" left="1" top="1" width="2" height="2"/></image></annotations>'
)
VOC = (
    "<annotation><size><width>8</width><height>6</height></size><object><name>cat</name><bndbox>"
    "<xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>4</ymax></bndbox></object></annotation>"
)


def tfrecord():
    def field(number, content):
        return bytes([number << 3 | 2]) + bytes([len(content) & 127 | 128, len(content) >> 7]) + content

    image = image_bytes(noise_image(8, 8), "JPEG")
    values = {
        "image": field(1, field(1, image)),
        "heatmap": field(1, field(1, image)),
        "label": b"\x1a\x02\x08\x01",
    }
    entries = (field(1, field(1, name.encode()) + field(2, value)) for name, value in values.items())
    data = field(1, b"".join(entries))
    head = struct.pack("<Q", len(data))
    parts = (head, struct.pack("<I", masked_crc32c(head)), data, struct.pack("<I", masked_crc32c(data)))
    return b"".join(parts)


SEEDS = {
    "table": ("a.csv", b"file,x,y,label,weight\na.jpg,1,2,cat,1\nb.jpg,3,4,dog,2\n", {"units": "percent"}),
    "coco": ("a.json", json.dumps(COCO).encode(), {}),
    "label_studio": ("a.json", json.dumps(STUDIO).encode(), {}),
    "localized_narratives": ("a.jsonl", (json.dumps(NARRATIVE) + "\n").encode() * 2, {"words": ["cat"]}),
    "salicon": (
        "a.json",
        b'{"annotations": [{"image_id": 9, "worker_id": 1, "fixations": [[242, 314]]}]}',
        {},
    ),
    "coco_search18": ("a.json", json.dumps([SEARCH]).encode(), {"image_size": (640.0, 480.0)}),
    "open_images_points": (
        "a.csv",
        b"ImageId,X,Y,Label,EstimatedYesNo\na,0.5,0.5,/m/1,yes\na,0.1,0.1,/m/2,no\n",
        {},
    ),
    "cub_gha": ("a.txt", b"8464,500,375,200,145,179\n1,5,5,5,5,0,0,1,1,9\n", {}),
    "cvat": ("a.xml", CVAT.encode(), {}),
    "voc": ("a.xml", VOC.encode(), {}),
    "clickme": ("a.tfrecord", tfrecord(), {}),
}


def damaged(seed, chance):
    data = bytearray(seed)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((0, 1, 1, 3, 20)))
        data[at:end] = (
            chance.choice(TOKENS) if chance.random() < 0.7 else chance.randbytes(chance.randrange(3))
        )
    return bytes(data)


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files_give_documented_errors_only(tmp_path, name):
    file, seed, options = SEEDS[name]
    reader, chance = reader_named(name), random.Random(0)
    usable = 0
    for number in range(150):
        (tmp_path / file).write_bytes(damaged(seed, chance) if number else seed)
        try:
            raw = Conversion(reader.read(tmp_path / file, **options), reader.source, tmp_path / file)
            schema, make_batch = raw.features().arrow_schema, raw.to_batch()
            for group in groups(raw.pairs(), 100):
                batch = make_batch(group, schema)
                usable += batch.table.num_rows
                for reject in batch.rejects:
                    assert not reject.reason.startswith(INTERNAL_ERROR), (number, reject)
        except SourceError:
            assert number, "the seed itself must be readable"
    assert usable > 1
