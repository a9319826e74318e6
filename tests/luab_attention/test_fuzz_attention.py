"""Damaged files of every source: one of the documented errors, never another, and no internal error."""

import json
import math
import random
import re
from xml.sax.saxutils import escape

import pytest
from fixtures.attention_files import (
    COCO,
    CVAT,
    FOLDERS,
    NARRATIVE,
    NO_SIZES,
    SEARCH,
    SEEDS,
    STUDIO,
    VOC,
    write_files,
)
from fixtures.converted import write_images

from luab_attention.convert.conversion import Conversion
from luab_attention.readers import reader_named
from luab_data.build.batches import groups
from luab_data.errors import INTERNAL_ERROR, SourceError

TOKENS = [
    b"1e999", b"-1e308", b"1e12", b"NaN", b"", b"-1", b"0", b"9" * 400, b"null", b"true", b'""', b"[]", b"{}",
    b'"', b",", b"\n", b"\0", b"\xff", b"[" * 50, b"../..", b"1.5", b"<a>", b"<!DOCTYPE a>", b"&x;", b"\r",
]  # fmt: skip
ODD_TEXTS = [
    "",
    "x",
    "1",
    "-1",
    "nan",
    "1e999",
    "9" * 400,
    "3000000000",
    "http://[x/1.jpg",
    "../..",
    "\u0660",
]
ODD_CELLS = [*ODD_TEXTS, '"x"x', '"', 'x"', "\0", "1,1"]
ODD_VALUES = [
    *ODD_TEXTS, None, True, 0, -1, 3 * 10**9, 10**400, math.nan, math.inf, "\ud800", "\0",
    [], [1], [[]], [None], {}, {"x": 1},
]  # fmt: skip


def damaged(seed, chance):
    data = bytearray(seed)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((0, 1, 1, 3, 20)))
        data[at:end] = (
            chance.choice(TOKENS) if chance.random() < 0.7 else chance.randbytes(chance.randrange(3))
        )
    return bytes(data)


def used_and_rejects(name, path, images=None, **options):
    """The number of entries in rows, and the rejects; all entries are one or the other."""
    reader = reader_named(name)
    raw = Conversion(reader.read(path, **options), reader.source, path, images)
    schema, make_batch = raw.features().arrow_schema, raw.to_batch()
    used, rejects = 0, []
    for group in groups(raw.pairs(), 100):
        batch = make_batch(group, schema)
        used += batch.used["byproducts"]
        rejects += [reject for reject in batch.rejects if reject.source == "byproducts"]
    assert used + len(rejects) == raw.gathered.found
    for reject in rejects:
        assert not reject.reason.startswith(INTERNAL_ERROR), reject
    return used, rejects


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files_give_documented_errors_only(tmp_path, name):
    file, seed, options = SEEDS[name]
    chance = random.Random(0)
    images = write_images(tmp_path / "photos", {"a.jpg": (8, 6)}) if name in NO_SIZES else None
    usable = 0
    for number in range(150):
        (tmp_path / file).write_bytes(damaged(seed, chance) if number else seed)
        try:
            usable += used_and_rejects(name, tmp_path / file, images, **options)[0]
        except SourceError:
            assert number, "the seed itself must be readable"
    assert usable > 1


def replaced(value, odd):
    """The value with each of its parts, at any depth, replaced in turn."""
    yield odd
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for place, part in parts:
        for other in replaced(part, odd):
            yield (
                (value | {place: other})
                if isinstance(value, dict)
                else [*value[:place], other, *value[place + 1 :]]
            )


def lines(entries):
    return "".join(f"{json.dumps(each)}\n" for each in entries)


def coco(member):
    return lambda entries: json.dumps(COCO | {member: entries})


def task(image, region):
    region = {"item_index": 0, "image_rotation": 0} | region
    return {"data": {"image": image}, "annotations": [{"result": [region], "was_cancelled": False}]}


CHOICE = {"type": "choices", "value": {"choices": ["a"]}}
REGIONS = STUDIO[0]["annotations"][0]["result"]
POINTS = {"file": "a.jpg", "x": [0.1, 0.2], "y": [0.3, 0.4], "label": "cat", "weight": 1, "sign": 1}
SAMPLE = {
    "file": "a.jpg", "x": 0.1, "y": 0.2, "time": 1, "duration": 2, "segment": 0, "annotator": "a",
    "task": "t", "label": "cat", "weight": 1, "width": 8, "height": 6,
}  # fmt: skip
PATH = SAMPLE | {name: [SAMPLE[name]] * 2 for name in ("x", "y", "time", "duration", "segment")}
FIXATIONS = {"image_id": 9, "worker_id": 1, "fixations": [[242, 314]]}
# The source, one of its entries, and how a file holds entries.
JSON = {
    "outlines": ("coco", COCO["annotations"][0], coco("annotations")),
    "runs": ("coco", COCO["annotations"][2], coco("annotations")),
    "images": ("coco", COCO["images"][0], coco("images")),
    "categories": ("coco", COCO["categories"][0], coco("categories")),
    "choices": ("label_studio", task("a.jpg", CHOICE), json.dumps),
    "pages": ("label_studio", task(["a.jpg", "b.jpg"], CHOICE), json.dumps),
    **{each["type"]: ("label_studio", task("a.jpg", each), json.dumps) for each in REGIONS},
    "narratives": ("localized_narratives", NARRATIVE, lines),
    "viewings": ("salicon", FIXATIONS, lambda entries: json.dumps({"annotations": entries})),
    "viewed": (
        "salicon",
        {"id": 9, "file_name": "a.jpg"},
        lambda entries: json.dumps({"images": entries, "annotations": [FIXATIONS]}),
    ),
    "trials": ("coco_search18", SEARCH | {"length": 1, "subject": 1}, json.dumps),
    "clicks": (
        "whats_the_point",
        {"x": 2, "y": 3, "cls": 8, "rank": 1},
        lambda entries: json.dumps({"a": entries}),
    ),
    "points": ("table", POINTS, lines),
    "samples": ("table", SAMPLE, lines),
    "paths": ("table", PATH, lines),
}
OPTIONS = {
    "coco_search18": {"image_size": (640.0, 480.0)},
    "localized_narratives": {"words": ["cat"]},
    "samples": {"kind": "scanpaths"},
    "paths": {"kind": "scanpaths"},
}


@pytest.mark.parametrize("what", JSON)
def test_a_wrong_value_in_json_costs_its_entry_alone(tmp_path, what):
    name, entry, written = JSON[what]
    images = write_images(tmp_path / "photos", {"a.jpg": (8, 6)}) if name in NO_SIZES else None
    path = tmp_path / ("a.jsonl" if written is lines else "a.json")
    wrong = [each for odd in ODD_VALUES for each in replaced(entry, odd)]
    path.write_text(written([entry, *wrong, entry]), encoding="utf-8")
    used, rejects = used_and_rejects(name, path, images, **OPTIONS.get(name, OPTIONS.get(what, {})))
    assert used and rejects
    assert not [each for each in rejects if re.search(rf" {len(wrong) + 2}\b", each.id)]


# The lists whose lines are no entries: what they list may be there once.
LISTS = ("master_sheet.csv",)
# The source, and its file with an entry a line.
TABLES = [
    ("table", "a.csv", ","),
    ("open_images_points", "a.csv", ","),
    ("cub_gha", "a.txt", ","),
    ("cub_parts", "bounding_boxes.txt", " "),
    ("cub_parts", "parts/part_click_locs.txt", " "),
    ("egd_cxr", "master_sheet.csv", ","),
    ("egd_cxr", "fixations.csv", ","),
    ("reflacx", "metadata_phase_1.csv", ","),
]


@pytest.mark.parametrize(("name", "file", "separator"), TABLES)
def test_a_wrong_cell_costs_its_line_alone(tmp_path, name, file, separator):
    path = tmp_path
    if name in SEEDS:
        path = tmp_path / file
        path.write_bytes(SEEDS[name][1])
    else:
        write_files(tmp_path, FOLDERS[name])
    images = write_images(tmp_path / "photos", {"a.jpg": (8, 6)}) if name in NO_SIZES else None
    options = SEEDS[name][2] if name in SEEDS else {}
    content = (tmp_path / file).read_text()
    good = content.splitlines()[-1]
    cells = good.split(separator)
    wrong = [
        separator.join([*cells[:at], odd, *cells[at + 1 :]]) for odd in ODD_CELLS for at in range(len(cells))
    ]
    wrong += [good[: len(good) // 2], good + separator + "7"]
    (tmp_path / file).write_text("\n".join([content.rstrip("\n"), *wrong, ""]), encoding="utf-8")
    used, rejects = used_and_rejects(name, path, images, **options)
    assert used and rejects
    with (tmp_path / file).open("a", encoding="utf-8") as out:
        out.write(good + "\n")
    assert used_and_rejects(name, path, images, **options)[0] == used + (file not in LISTS)


def test_a_wrong_attribute_costs_its_shape_alone(tmp_path):
    parts = re.split(r'(="[^"]*")', CVAT)
    images = [
        "".join([*parts[:at], f'="{escape(odd)}"', *parts[at + 1 :]])
        for odd in ODD_TEXTS for at in range(1, len(parts), 2)
    ]  # fmt: skip
    images = [each.replace("a.jpg", f"{number}.jpg") for number, each in enumerate([CVAT, *images, CVAT])]
    inner = "".join(re.sub("</?annotations>", "", each) for each in images)
    (tmp_path / "a.xml").write_text(f"<annotations>{inner}</annotations>", encoding="utf-8")
    used, rejects = used_and_rejects("cvat", tmp_path / "a.xml")
    assert used > 7 and rejects
    assert not [each for each in rejects if f" {len(images)}," in each.id]


def test_a_wrong_text_costs_its_xml_alone(tmp_path):
    parts = re.split(r"(>[^<>]+<)", VOC)
    files = {
        f"{number}.xml": "".join([*parts[:at], f">{escape(odd)}<", *parts[at + 1 :]]).encode()
        for number, (odd, at) in enumerate((odd, at) for odd in ODD_TEXTS for at in range(1, len(parts), 2))
    }
    used, rejects = used_and_rejects("voc", write_files(tmp_path, files | {"z.xml": VOC.encode()}))
    assert used and rejects and not [each for each in rejects if each.id == "z.xml"]
