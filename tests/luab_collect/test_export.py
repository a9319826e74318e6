"""Exports: what was collected is what our own readers, `datasets` and a training run read back."""

import ast
import json
from collections import Counter
from dataclasses import replace

import datasets
import numpy as np
import pytest
from fixtures.finished_work import all_work, make_project, work, write_images
from fixtures.small_runs import options, write_config
from PIL import ExifTags, Image

from coco_ab.build import build_coco_ab
from imagenet_ab.build import build_imagenet_ab
from luab.commands.verify import main as verify
from luab_collect.export.consensus import medoid
from luab_collect.export.run import export
from luab_collect.items import read_items
from luab_collect.plan import plan_pages
from luab_collect.settings import Shares
from luab_collect.setup import init_project
from luab_data.errors import SourceError
from luab_trainer.run import main as train
from luab_vision.images import decode

TURN = Image.Transpose
# EXIF orientation -> how the upright image is turned to be stored.
STORED_BY = {
    2: [TURN.FLIP_LEFT_RIGHT],
    3: [TURN.ROTATE_180],
    4: [TURN.FLIP_TOP_BOTTOM],
    5: [TURN.TRANSPOSE],
    6: [TURN.ROTATE_90],
    7: [TURN.TRANSVERSE],
    8: [TURN.ROTATE_270],
}
FILES = [f"{name}/{n}.png" for name in ("cat", "dog") for n in range(6)]
COCO_FILES = [f"COCO_train2014_{n:012d}.jpg" for n in (9, 25, 30)]


def load(folder):
    return datasets.load_dataset(str(folder), split="train", cache_dir=str(folder.parent / "cache"))


def by(rows, name="image_id"):
    return {row[name]: row for row in rows.remove_columns("image")}


def truthful(annotator, item, name):
    """Each image shows the class of its folder; the first image of a class shows none."""
    return (0.25 + 0.1 * annotator, 0.5) if item.file.startswith(name) and "/0." not in item.file else None


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    return make_project(folder, "select", FILES, "cat\ndog\n", images_per_page=8)


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("street"), "place", COCO_FILES, "coco")


def placed(annotator, item, name):
    return {
        "cat": (0.2 + 0.3 * annotator, 0.4),
        "dog": (0.7, 0.7) if item.file.endswith("9.jpg") else None,
    }.get(name)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_click_is_where_the_trainer_sees_the_spot_of_a_turned_image(orientation, tmp_path):
    upright = Image.new("RGB", (40, 30))
    upright.paste((255, 255, 255), (28, 4, 32, 8))  # around 0.75, 0.2
    stored = upright
    for each in STORED_BY.get(orientation, ()):
        stored = stored.transpose(each)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    stored.save(tmp_path / "photos" / "cat" / "a.png", exif=exif)
    (tmp_path / "classes.txt").write_text("cat\n")
    project, _ = init_project(tmp_path / "shop", "select", tmp_path / "photos", str(tmp_path / "classes.txt"))
    export(project, all_work(project, 1, lambda *_: (0.75, 0.2)), tmp_path / "out")
    (row,) = load(tmp_path / "out").cast_column("image", datasets.Image(decode=False))
    pixels = decode(row["image"]).astype(float)
    ys, xs = np.nonzero(pixels.mean(axis=-1) > 128)
    assert pixels.shape[:2] == (30, 40)
    assert row["click"] == {
        "x": pytest.approx((xs.mean() + 0.5) / 40, abs=0.01),
        "y": pytest.approx((ys.mean() + 0.5) / 30, abs=0.01),
    }


def test_own_classes_become_a_dataset_with_label_and_click(shop, tmp_path):
    lines = export(shop, all_work(shop, 2, truthful), tmp_path / "out")
    rows = load(tmp_path / "out")
    assert rows.features["label"].names == ["cat", "dog"]
    found = by(rows)
    assert sorted(found) == [file for file in FILES if "/0." not in file]  # those that were confirmed
    row = found["cat/3.png"]
    assert row["label"] == 0 and row["click"] == {"x": pytest.approx(0.3, abs=1e-4), "y": pytest.approx(0.5)}
    assert row["votes"] == [{"label": 0, "yes": 2, "asked": 2}]
    assert [each["worker_id"] for each in row["annotations"]] == ["0000000000", "0000000001"]
    assert row["collected"][0]["time_to_first_move"] > 0 and row["collected"][0]["class_name"] == "cat"
    assert row["collected"][0]["layouts"][0]["scroll_top"] == 120
    assert rows[0]["image"].size == (40, 30)
    text = "\n".join(lines)
    assert "pages of work: 4 submitted = 4 exported" in text
    assert "images: 12 found = 10 in rows + 2 rejected" in text
    assert "without a row: 2 images (not confirmed: less than half of the annotators selected it)" in lines
    rejects = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert {each["reason"] for each in rejects} == {
        "not confirmed: less than half of the annotators selected it"
    }
    assert verify([str(tmp_path / "out")]) == 0


def test_distractors_say_nothing_about_an_images_class(shop, tmp_path):
    def also_dogs(annotator, item, name):
        return (0.5, 0.5)  # selects everything, also on pages that ask for another class

    works = all_work(shop, 1, also_dogs)
    assert any(item.role == "distractor" for each in works for item in each.items)
    export(shop, works, tmp_path / "out")
    found = by(load(tmp_path / "out"))
    assert {file: row["label"] for file, row in found.items()} == {f: int(f < "dog") ^ 1 for f in FILES}
    extra = [each for row in found.values() for each in row["collected"] if each["role"] == "distractor"]
    assert extra and all(len(row["annotations"]) == 1 for row in found.values())


def test_imagenets_archive_is_read_back_equal(shop, tmp_path):
    lines = export(shop, all_work(shop, 2, truthful), tmp_path / "out", "imagenet")
    assert any("12 XML files, each read back and equal" in line for line in lines)
    manifest = build_imagenet_ab(
        tmp_path / "built",
        images=shop.images,
        byproducts=tmp_path / "out" / "raw" / "imagenet_ab_v1_0.tar.gz",
    )
    assert manifest.used == {"byproducts": 12, "images": 12}
    built, exported = load(tmp_path / "built"), load(tmp_path / "out")
    shared = built.column_names
    assert exported.select_columns(shared).features == built.features
    key = "image_id"
    assert by(exported.select_columns(shared), key) == by(built, key)
    row = by(exported, key)["cat/2"]
    assert row["label"] == 0 and row["click"]["x"] == pytest.approx(0.3, abs=1e-4)
    first = row["annotations"][0]
    assert first["selected"] and first["selected_count"] == 1 and first["hovered_count"] == 1
    assert (first["image_width"], first["original_image_width"], first["image_position"]["y"]) == (
        333,
        40,
        140.5,
    )
    times = [each["time"] for each in first["mouse_tracking"]]
    assert len(times) == 4 and times[-1] < first["selected_record"][0]["time"]  # 107 Hz before
    assert by(exported, key)["cat/0"]["click"] is None
    assert verify([str(tmp_path / "out")]) == 0


def test_cocos_json_is_read_back_equal(street, tmp_path):
    lines = export(street, all_work(street, 2, placed), tmp_path / "out", "coco")
    assert any("6 records, each read back and equal" in line for line in lines)
    build_coco_ab(
        tmp_path / "built", byproducts=tmp_path / "out" / "raw" / "coco_ab_v1_0.json", config="byproducts"
    )
    built, exported = load(tmp_path / "built"), load(tmp_path / "out")
    shared = exported.select_columns(built.column_names)
    assert shared.features == built.features
    assert {row["image_id"]: row for row in shared} == {row["image_id"]: row for row in built}
    row = by(exported)[9]
    names = exported.features["labels"].feature.names
    assert [names[label] for label in row["labels"]] == ["cat", "dog"]
    assert {names[p["label"]]: round(p["x"], 3) for p in row["points"]} == {"cat": 0.5, "dog": 0.7}
    assert [a["action_type"] for a in row["annotations"][0]["action_histories"]] == ["add", "move"] * 2
    assert [c["category_name"] for c in row["annotations"][0]["category_histories"]] == ["Animal", "Vehicle"]
    assert row["annotations"][0]["mouse_tracking"] == [{"x": 0.5, "y": 0.5, "time_at": 30}]  # not the drags
    path = row["collected"][0]["icons"][0]["paths"][0]
    assert [round(x, 3) for x in path["x"]] == [1.4, 1.0, 0.5]


def test_own_classes_that_were_placed_become_labels_and_points(tmp_path):
    project = make_project(tmp_path, "place", ["a.png", "b.png"], "cat\ndog\n")

    def answer(annotator, item, name):
        if name == "dog":
            return (0.9, 0.9) if annotator == 0 else None  # one of three
        return (0.1, 0.5) if annotator == 2 else (0.7 + annotator / 10, 0.5)

    export(project, all_work(project, 3, answer), tmp_path / "out")
    row = by(load(tmp_path / "out"))["a.png"]
    assert row["labels"] == [0] and row["votes"] == [
        {"label": 0, "yes": 3, "asked": 3}, {"label": 1, "yes": 1, "asked": 3},
    ]  # fmt: skip
    assert [(p["label"], round(p["x"], 3)) for p in row["points"]] == [(0, 0.7)]  # between the others
    assert len(row["annotations"]) == len(row["collected"]) == 3


def test_half_of_the_annotators_decide_nothing(tmp_path):
    project = make_project(tmp_path, "place", ["a.png"], "cat\n")
    lines = export(
        project, all_work(project, 2, lambda who, item, name: (0.5, 0.5) if who else None), tmp_path / "out"
    )
    assert by(load(tmp_path / "out"))["a.png"]["labels"] == []
    assert "undecided labels, left out: 1" in "\n".join(lines)


def test_images_that_may_be_of_several_classes_have_labels(tmp_path):
    project = make_project(tmp_path, "select", ["a.png", "b.png"], "cat\ndog\n")

    def answer(annotator, item, name):
        return (0.2, 0.2) if name == "cat" or item.file == "a.png" else None

    export(project, all_work(project, 1, answer), tmp_path / "out")
    rows = by(load(tmp_path / "out"))
    assert rows["a.png"]["labels"] == [0, 1] and rows["b.png"]["labels"] == [0]
    assert [point["label"] for point in rows["a.png"]["points"]] == [0, 1]


@pytest.mark.parametrize("first", ["cat", "dog"])
def test_of_several_confirmed_classes_the_images_own_is_the_label_and_the_rest_is_counted(first, tmp_path):
    """One label a row, and gold says that cat/0.png shows a dog too; whichever was asked first."""
    (tmp_path / "gold.csv").write_text(
        "file,class,present\ncat/0.png,cat,yes\ncat/0.png,dog,yes\nboth.png,dog,yes\nboth.png,cat,yes\n"
    )
    settings = {"gold": tmp_path / "gold.csv", "images_per_page": 8}
    settings["shares"] = Shares(target=0.5, distractor=0.1, gold=0.4)
    project = make_project(tmp_path, "select", [*FILES, "both.png"], "cat\ndog\n", **settings)

    def answer(annotator, item, name):
        return (0.5, 0.5) if item.file.startswith(name) or item.gold else None

    works = sorted(all_work(project, 1, answer), key=lambda each: each.class_name != first)
    asked = {each.class_name for each in works for item in each.items if item.file == "cat/0.png"}
    assert asked == {"cat", "dog"}
    lines = export(project, works, tmp_path / "out")
    found = by(load(tmp_path / "out"))
    assert found["cat/0.png"]["label"] == 0 and found["both.png"]["label"] == 0
    assert all(each["asked"] == each["yes"] == 1 for each in found["cat/0.png"]["votes"])
    assert "confirmed classes besides the label, left out: 2" in "\n".join(lines)


def test_images_that_only_gold_names_are_not_waited_for(tmp_path):
    gold = [f"gold{n}.png" for n in range(20)]
    lines = "".join(f"{file},cat,no\n" for file in gold)
    (tmp_path / "gold.csv").write_text("file,class,present\n" + lines)
    settings = {"gold": tmp_path / "gold.csv", "images_per_page": 8}
    project = make_project(tmp_path, "select", [*FILES, *gold], "cat\ndog\n", **settings)
    told = "\n".join(export(project, all_work(project, 1, truthful), tmp_path / "out"))
    assert "19 gold images that nobody was asked about: candidates of no class" in told
    assert "nobody has submitted" not in told


def test_a_keyboard_gives_a_label_and_no_click(shop, tmp_path):
    works = []
    for each in all_work(shop, 1, truthful):
        events = [
            replace(event, fields={**event.fields, "pointer": "keyboard", "x": 0.5, "y": 0.5})
            if event.kind == "select"
            else event
            for event in each.events[1]
        ]
        works.append(replace(each, events={1: events}))
    export(shop, works, tmp_path / "plain")
    row = by(load(tmp_path / "plain"))["cat/3.png"]
    assert row["label"] == 0 and row["click"] is None
    export(shop, works, tmp_path / "imagenet", "imagenet")
    annotation = by(load(tmp_path / "imagenet"))["cat/3"]["annotations"][0]
    assert (
        annotation["selected"] and annotation["selected_record"] == [] and annotation["selected_count"] == 0
    )


def moved(work, kind, x, y):
    """The work with all events of a kind far outside, in ratios and pixels alike."""
    boxes = next(event.fields["boxes"] for event in work.events[1] if event.kind == "layout")

    def there(event):
        left, top, width, height = boxes[event.fields.get("item", work.items[0].id)]
        place = {"x": x, "y": y, "cx": left + x * width, "cy": top + y * height}
        return replace(event, fields={**event.fields, **place})

    return replace(work, events={1: [there(e) if e.kind == kind else e for e in work.events[1]]})


def test_a_click_far_outside_of_its_image_is_a_selection_without_a_click(shop, tmp_path):
    works = all_work(shop, 3, truthful)
    works = [*works[:4], *(moved(each, "select", 100.0, 100.0) for each in works[4:])]
    selected = sum(event.kind == "select" for each in works[4:] for event in each.events[1])
    lines = export(shop, works, tmp_path / "plain")
    rows = by(load(tmp_path / "plain"))
    row = rows["cat/3.png"]
    assert row["votes"] == [{"label": 0, "yes": 3, "asked": 3}]
    assert row["click"] == {"x": pytest.approx(0.3, abs=1e-4), "y": pytest.approx(0.5)}  # of the other two
    for row in rows.values():
        firsts = [each["selected_record"][0] for each in row["annotations"] if each["selected_record"]]
        for axis in ("x", "y"):
            assert row["click"][axis] == pytest.approx(np.mean([each[axis] for each in firsts]))
    assert f"far outside of their image, without a place in it: {selected} selections or icons" in lines
    mark = json.loads((tmp_path / "plain" / "export.json").read_text())
    assert mark["outside"] == selected
    lines = export(shop, works, tmp_path / "imagenet", "imagenet")
    assert by(load(tmp_path / "imagenet"))["cat/3"]["click"] == rows["cat/3.png"]["click"]
    config = write_config(tmp_path / "config")
    train(options(config, tmp_path / "plain", tmp_path / "run", loss="attention"))


@pytest.mark.parametrize("layout", ["plain", "coco"])
def test_an_icon_far_outside_of_the_image_is_left_out_alone(street, tmp_path, layout):
    works = all_work(street, 3, placed)
    honest = works[:6]
    export(street, honest, tmp_path / "honest", layout)
    works[6:] = [moved(each, "relocate", -60.0, 100.0) for each in works[6:]]
    far = sum(event.kind == "relocate" for each in works[6:] for event in each.events[1])
    lines = export(street, works, tmp_path / "out", layout)
    found, before = by(load(tmp_path / "out")), by(load(tmp_path / "honest"))
    assert set(found) == set(before)  # each image has its row
    assert f"far outside of their image, without a place in it: {far} selections or icons" in lines
    for name, row in found.items():
        assert len(row["annotations"]) == 3
        last = row["annotations"][-1]["action_histories"]
        assert {action["action_type"] for action in last} == {"add", "remove"}
        if layout == "plain":
            assert row["points"] == before[name]["points"]
            assert {vote["asked"] for vote in row["votes"]} == {3}
        else:
            assert row["points"] == []  # the last annotation's


def test_rejected_work_is_left_out_and_counts_add_up(shop, tmp_path):
    works = all_work(shop, 2, truthful)
    works[0] = replace(works[0], verdict="reject")
    works[1] = replace(works[1], verdict="accept")
    lines = export(shop, works, tmp_path / "out")
    assert "pages of work: 4 submitted = 3 exported + 1 rejected" in lines
    counts = Counter(each["work"] for row in load(tmp_path / "out") for each in row["collected"])
    assert works[0].id not in counts and works[1].id in counts
    lines = export(shop, works, tmp_path / "out", accepted_only=True)
    assert "pages of work: 4 submitted = 1 exported + 1 rejected + 2 undecided, left out" in lines


def test_an_export_is_replaced_as_a_whole_and_the_same_work_gives_the_same_bytes(shop, tmp_path):
    out = tmp_path / "out"
    works = all_work(shop, 1, truthful)

    def state():
        return {p.relative_to(out): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}

    export(shop, works, out, "imagenet")
    first = state()
    export(shop, works, out, "imagenet")
    assert state() == first
    export(shop, works, out, "plain")
    assert not (out / "raw").exists() and "label" in load(out).column_names
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_failed_export_leaves_the_earlier_one(shop, tmp_path):
    out = tmp_path / "out"
    export(shop, all_work(shop, 1, truthful), out)
    before = (out / "SHA256SUMS").read_bytes()

    def dies():
        yield from all_work(shop, 1, truthful)[:1]
        raise OSError("the database is gone")

    with pytest.raises(OSError, match="gone"):
        export(shop, dies(), out)
    assert (out / "SHA256SUMS").read_bytes() == before
    export(shop, all_work(shop, 2, truthful), out)  # what the failed one left behind is in nobody's way
    assert (out / "SHA256SUMS").read_bytes() != before


def test_an_export_killed_between_its_moves_is_put_back_by_the_next_command(shop, tmp_path):
    out, former = tmp_path / "out", tmp_path / ".out.former"
    export(shop, all_work(shop, 1, truthful), out)
    before = (out / "SHA256SUMS").read_bytes()
    out.rename(former)  # kill -9: the new export is not there yet
    with pytest.raises(SourceError, match="nothing to export"):
        export(shop, [], out)
    assert (out / "SHA256SUMS").read_bytes() == before and not former.exists()
    out.rename(former)
    export(shop, all_work(shop, 2, truthful), out)
    assert (out / "SHA256SUMS").read_bytes() != before and not former.exists()


def test_a_folder_with_other_files_is_left_alone(shop, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(SourceError, match="holds other files"):
        export(shop, all_work(shop, 1, truthful), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_nothing_finished_is_an_error(shop, tmp_path):
    with pytest.raises(SourceError, match=r"nothing to export yet\. pages of work: 0 submitted"):
        export(shop, [], tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path / ".out.partial").exists()


def test_an_image_that_changed_is_left_out(tmp_path):
    project = make_project(tmp_path, "select", FILES, "cat\ndog\n", images_per_page=8)
    works = all_work(project, 1, truthful)
    write_images(tmp_path / "photos", "cat/4.png", size=(50, 50))
    (tmp_path / "photos" / "dog" / "4.png").unlink()
    export(project, works, tmp_path / "out")
    rejects = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    reasons = {each["id"]: each["reason"] for each in rejects if each["source"] == "images"}
    assert "changed after annotators" in reasons["cat/4.png"] and "leads nowhere" in reasons["dog/4.png"]


@pytest.mark.parametrize(
    ("task", "files", "classes", "layout", "expected"),
    [
        ("select", ["a.png"], "cat\n", "imagenet", r"<folder of their class>/<name>, and 1 image are not"),
        ("select", ["cat/deep/a.png"], "cat\n", "imagenet", r"are not: cat/deep/a\.png"),
        ("select", ["cat/a.png", "cat/a.jpg"], "cat\n", "imagenet", "several images have the id cat/a"),
        ("select", ["cat/a.png"], "cat\n", "coco", "is of the task place"),
        ("place", ["a.png"], "coco", "coco", r"named as COCO's, such as COCO_train2014_000000000009\.jpg"),
        ("place", COCO_FILES, "cat\ntiger\n", "coco", "80 classes only, not tiger"),
        ("place", [COCO_FILES[0], "000000000009.png"], "coco", "coco", "one of COCO's ids"),
        ("place", ["a.png"], "coco", "imagenet", "is of the task select"),
    ],
)
def test_what_the_released_layouts_cannot_hold_is_refused_with_the_fix(
    tmp_path, task, files, classes, layout, expected
):
    project = make_project(tmp_path, task, files, classes)
    with pytest.raises(SourceError, match=expected):
        export(project, all_work(project, 1, lambda *_: (0.5, 0.5)), tmp_path / "out", layout)
    assert not (tmp_path / "out").exists()


def test_class_and_file_names_with_markup_are_only_text(tmp_path):
    names = '<b>cat</b> & "dog"\t<script>\n{{ x }}\n'
    files = ['<b>cat< b> & "dog"/a\'<i>.png'.replace("< b>", "<|b>"), "{{ x }}/;DROP TABLE.png"]
    files[0] = "{{ x }}/a'<i>&amp;.png"
    project = make_project(tmp_path, "select", files, names)
    export(project, all_work(project, 1, lambda *_: (0.5, 0.5)), tmp_path / "out", "imagenet")
    assert sorted(by(load(tmp_path / "out"))) == ["{{ x }}/;DROP TABLE", "{{ x }}/a'<i>&amp;"]
    export(project, all_work(project, 1, lambda *_: (0.5, 0.5)), tmp_path / "plain")
    assert load(tmp_path / "plain").features["label"].names == ['<b>cat</b> & "dog"', "{{ x }}"]


def test_a_page_that_moved_for_hours_does_not_fit_an_xml_and_is_left_out(tmp_path):
    project = make_project(tmp_path, "select", ["cat/a.png", "cat/b.png"], "cat\n")
    items = {item.id: item for item in read_items(project)}
    (page,) = plan_pages(project, list(items.values()))
    done = work(project, page, items, 0, lambda *_: (0.5, 0.5))
    a = next(item for item in items.values() if item.file == "cat/a.png")
    events = list(done.events[1])
    move = next(event for event in events if event.kind == "move" and event.fields["item"] == a.id)
    endless = [replace(move, seq=10_000 + n, t=events[-1].t + 20 * n) for n in range(70_000)]
    long = replace(done, events={1: [*[e for e in events if e.kind != "select"], *endless]})
    lines = export(project, [done, long], tmp_path / "out", "imagenet")
    assert any("1 XML file, each read back and equal" in line for line in lines)
    assert list(by(load(tmp_path / "out"))) == ["cat/b"]
    assert "the released layout cannot hold it" in (tmp_path / "out" / "rejects.jsonl").read_text()


@pytest.mark.parametrize("task", ["select", "place"])
def test_an_export_trains(task, tmp_path, capsys):
    """One step of a tiny model on the CPU, with the clicks or points that were collected."""
    files = FILES if task == "select" else ["a.png", "b.png", "c.png", "d.png"]
    project = make_project(tmp_path, task, files, "cat\ndog\n")
    answer = truthful if task == "select" else lambda who, item, name: (0.3, 0.6) if name == "cat" else None
    export(project, all_work(project, 1, answer), tmp_path / "data")
    config = write_config(tmp_path / "config")
    train(options(config, tmp_path / "data", tmp_path / "run", loss="attention"))
    shown = capsys.readouterr().out
    logged = next(line for line in shown.splitlines() if line.startswith("{'loss'"))
    assert float(ast.literal_eval(logged)["attention"]) > 0
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_traces_of_several_labels_train_with_the_class_that_the_page_asked_for(tmp_path, capsys):
    """Without class folders an image is asked about for each class: its traces are of one class each."""
    project = make_project(tmp_path, "select", ["a.png", "b.png", "c.png", "d.png"], "cat\ndog\n")

    def answer(annotator, item, name):
        if item.file == "d.png" or (item.file, name) == ("b.png", "dog"):
            return None
        return (0.2, 0.2) if name == "cat" else (0.8, 0.7)

    export(project, all_work(project, 2, answer), tmp_path / "data")
    rows = by(load(tmp_path / "data"))
    row = rows["a.png"]
    assert row["labels"] == [0, 1]
    assert sorted((each["label"], each["annotator"]) for each in row["scanpaths"]) == [
        (label, f"{annotator:010x}") for label in (0, 1) for annotator in (0, 1)
    ]
    for path in row["scanpaths"]:
        click = (0.2, 0.2) if path["label"] == 0 else (0.8, 0.7)
        assert (path["x"][-1], path["y"][-1]) == pytest.approx(click, abs=0.25)  # it leads there, and ends
        assert path["time"][0] == 0 and path["time"] == sorted(path["time"])
    assert {each["label"] for each in rows["b.png"]["scanpaths"]} == {0} and rows["d.png"]["scanpaths"] == []

    config = write_config(tmp_path / "config")
    with pytest.raises(SystemExit, match=r"--byproduct trace.*take --byproduct scanpath, whose column"):
        train(options(config, tmp_path / "data", tmp_path / "run", loss="attention", byproduct="trace"))
    train(options(config, tmp_path / "data", tmp_path / "run", loss="attention", byproduct="scanpath"))
    shown = capsys.readouterr().out
    logged = next(line for line in shown.splitlines() if line.startswith("{'loss'"))
    assert float(ast.literal_eval(logged)["attention"]) > 0


def test_traces_of_icons_are_refused_with_the_byproduct_that_works(tmp_path):
    project = make_project(tmp_path, "place", ["a.png", "b.png"], "cat\ndog\n")
    export(
        project,
        all_work(project, 1, lambda who, item, name: (0.3, 0.6) if name == "cat" else None),
        tmp_path / "data",
    )
    config = write_config(tmp_path / "config")
    with pytest.raises(SystemExit, match=r"--byproduct trace.*take --byproduct click\."):
        train(options(config, tmp_path / "data", tmp_path / "run", loss="attention", byproduct="trace"))


def test_the_medoid_is_one_of_the_points():
    assert medoid([(0.1, 0.1), (0.8, 0.8), (0.9, 0.9)]) == (0.8, 0.8)
    assert medoid([(0.1, 0.1), (0.8, 0.8)]) == (0.1, 0.1)
