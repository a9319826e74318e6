"""Galleries: which images are shown, what lies over them, and the whole report of two checkpoints."""

import base64
import io
import os
import re
import warnings
from dataclasses import replace

import httpx
import numpy as np
import pytest
from fixtures.miniatures import COLORS, QUIET, color_classifier, nearest, paint
from fixtures.tiny_models import tiny_model
from huggingface_hub import ModelCard
from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError
from PIL import Image

from luab_eval import suite
from luab_eval.benchmarks import find_benchmark
from luab_eval.image_sets.class_maps import first_name, objectnet_folders, subset, wnids
from luab_eval.models import Classifier
from luab_eval.predict import predict
from luab_eval.report.galleries import (
    BOX_COLOR,
    PEAK_COLOR,
    SIDE,
    Exhibit,
    Look,
    choose,
    data_uri,
    highest,
    overlay,
    peak,
    thumbnail,
    within_budget,
)
from luab_eval.report.looks import galleries
from luab_eval.report.write import write_report
from luab_vision.transforms import ImageSettings

NAMES = ["ant", "bee", "cat", "dog", "<b>elk</b>"]
SETTINGS = ImageSettings(size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), resize=32)


def opened(uri: str) -> Image.Image:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_two_models_have_four_kinds_of_images():
    right = np.array([[1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0]], bool)
    kinds = {
        choice.title: (choice.chosen.tolist(), choice.total) for choice in choose(right, ["a", "b"], each=2)
    }
    assert kinds["Both right"] == ([0], 1)
    assert kinds["Only a is right"] == ([1], 1)
    assert kinds["Only b is right"] == ([2], 1)
    chosen, total = kinds["Both wrong"]
    assert set(chosen) < {3, 4, 5} and len(chosen) == 2 and total == 3


def test_one_model_and_many_models():
    right = np.array([[1, 0, 0], [1, 0, 1], [1, 0, 0]], bool)
    assert {c.title: c.chosen.tolist() for c in choose(right[:1], ["a"])} == {"Right": [0], "Wrong": [1, 2]}
    many = {choice.title: choice.chosen.tolist() for choice in choose(right, ["a", "b", "c"])}
    assert many == {"All right": [0], "The models differ": [2], "All wrong": [1]}


def test_an_image_of_several_rows_is_drawn_and_counted_once():
    """Rows 0 to 2 are of one image, of which one is wrong: it is one image of either kind."""
    right = np.array([[1, 1, 0, 1, 0]], bool)
    found = choose(right, ["a"], images=np.array([7, 7, 7, -8, 9]))
    assert {c.title: (c.chosen.tolist(), c.total) for c in found} == {
        "Right": ([0, 3], 2),
        "Wrong": ([2, 4], 2),
    }


def test_light_falls_where_the_attention_is():
    image = Image.new("RGB", (256, 128), (200, 40, 40))
    attention = np.zeros((4, 8))
    attention[1, 6] = 1
    lit = np.asarray(overlay(image, attention)).astype(int)
    assert np.abs(lit[50, 210] - (200, 40, 40)).max() <= 5
    # Elsewhere dark and without color.
    assert lit[48, 32].max() < 60 and np.ptp(lit[48, 32]) == 0
    assert np.isfinite(np.asarray(overlay(image, np.zeros((4, 8))))).all()


def test_a_cross_marks_the_maximum():
    attention = np.full((4, 8), 0.1)
    attention[1, 6] = 1
    lit = np.asarray(overlay(Image.new("RGB", (64, 32), (200, 40, 40)), attention)).astype(int)
    assert highest(attention) == (6.5 / 8, 1.5 / 4)
    assert lit[12, 52].tolist() == list(PEAK_COLOR)
    assert (np.abs(lit - PEAK_COLOR).max(axis=2) == 0).sum() < 20


def test_even_attention_does_not_look_like_the_image():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    even, rng = np.ones((8, 8)), np.random.default_rng(1)
    nearly = even + 0.05 * rng.random((8, 8))
    focused = even.copy()
    focused[2:4, 2:4] = 30

    def difference(attention: np.ndarray) -> float:
        lit = np.asarray(overlay(image, attention)).astype(int)
        return float(np.median(np.abs(lit - np.asarray(image))[20:28, 20:28]))

    assert min(difference(even), difference(nearly)) > 40 > 20 > difference(focused)
    assert peak(even) == 1 and 1 < peak(nearly) < 1.05 and peak(focused) == pytest.approx(30 / (180 / 64))


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_attention_that_is_not_finite_is_no_dark_picture(odd):
    image = Image.new("RGB", (180, 120), (90, 90, 90))
    attention = np.ones((7, 7))
    attention[3, 3] = odd
    assert peak(attention) is None
    drawn = np.asarray(overlay(image, attention))
    assert (drawn[:16] > 200).all(axis=2).sum() > 50  # the letters
    assert not (drawn == (255, 64, 129)).all(axis=2).any()  # no cross


def test_pictures_are_small():
    picture = thumbnail(Image.new("RGB", (1000, 500)))
    assert picture.size == (SIDE, SIDE // 2)
    assert thumbnail(Image.new("RGB", (64, 40))).size == (64, 40)
    assert thumbnail(Image.new("RGB", (5000, 2))).size == (SIDE, 1)
    assert opened(data_uri(picture)).size == picture.size


def test_embedded_pictures_stay_within_the_budget():
    exhibit = Exhibit("a", "b", "x" * 100, (1, 1), (Look("m", "c", 0.5, True, "y" * 50, "right"),))
    kept, left = within_budget([exhibit] * 10, budget=500)
    assert (len(kept), left) == (3, 50)


@pytest.fixture
def root(tmp_path):
    """Noise, six images each of five classes."""
    rng = np.random.default_rng(0)
    for name in NAMES:
        folder = tmp_path / "val" / name.replace("/", "")
        folder.mkdir(parents=True)
        for number in range(6):
            Image.fromarray(rng.integers(0, 256, (40, 48, 3), np.uint8)).save(folder / f"{number}.png")
    return tmp_path


def classifier(model_type: str, seed: int = 0) -> Classifier:
    labels = [name.replace("/", "") for name in NAMES]
    return Classifier(model_type, tiny_model(model_type, seed=seed).eval(), labels, SETTINGS, seed=seed)


def test_looks_say_what_the_models_answered(root):
    benchmark = find_benchmark("folder:val=val")
    models = [classifier("vit"), classifier("resnet")]
    found = galleries(benchmark, root, models, root / "cache", QUIET, each=30)
    (images,) = benchmark.image_sets(root)
    answers = [predict(model, images, root / "cache", QUIET) for model in models]
    exhibits = {exhibit.file: exhibit for gallery in found for exhibit in gallery.exhibits}
    assert len(exhibits) == 30
    for position, name in enumerate(answers[0].ids.astype(str)):
        exhibit = exhibits[name]
        assert exhibit.true == name.partition("/")[0]
        for look, own in zip(exhibit.looks, answers, strict=True):
            assert look.predicted == images.classes[own.top[position, 0]]
            assert look.right == (look.predicted == exhibit.true)
            assert 1 / 5 <= look.confidence <= 1
            assert opened(look.image).size == opened(exhibit.image).size == exhibit.size == (32, 32)
    for gallery in found:
        rights = {tuple(look.right for look in exhibit.looks) for exhibit in gallery.exhibits}
        assert len(rights) == 1 and gallery.total == len(gallery.exhibits)


def test_a_models_look_does_not_change_its_answers(root):
    benchmark = find_benchmark("folder:val=val")
    model = classifier("vit")
    before = predict(model, next(benchmark.image_sets(root)), root / "one", QUIET).logits
    galleries(benchmark, root, [model], root / "one", QUIET)
    after = predict(model, next(benchmark.image_sets(root)), root / "two", QUIET).logits
    assert after == pytest.approx(before, abs=1e-5)


def test_models_without_attention_are_shown_without(tmp_path):
    paint(tmp_path / "val" / "star" / "a.png", 100)
    model = color_classifier([100, 200], labels=["star", "ring"])
    (gallery,) = galleries(find_benchmark("folder:val=val"), tmp_path, [model], tmp_path / "cache", QUIET)
    (exhibit,) = gallery.exhibits
    assert exhibit.looks[0].image == "" and exhibit.looks[0].right
    # What the model saw: the class's color, back from normalized values.
    assert np.abs(np.asarray(opened(exhibit.image)).astype(int) - (44, 20, 20)).max() < 12


def shown(name, root, classifier=None):
    """What the galleries show: file -> true class, predicted class, right."""
    models = [classifier or color_classifier()]
    found = galleries(find_benchmark(name), root, models, root / "cache", QUIET, each=30)
    return {
        each.file: (each.true, each.looks[0].predicted, each.looks[0].right)
        for gallery in found
        for each in gallery.exhibits
    }


def test_right_is_what_the_benchmark_says(tmp_path):
    # ReaL: 1 has no label, 2 shows a vending machine or a safe..., whatever the folder says.
    for number, k in ((1, 65), (2, 795)):
        paint(tmp_path / "imagenet" / "val" / wnids()[9] / f"ILSVRC2012_val_{number:08d}.JPEG", k)
    names = " or ".join(first_name(wnids()[k]) for k in (795, 970))
    assert shown("real", tmp_path) == {
        f"{wnids()[9]}/ILSVRC2012_val_00000002.JPEG": (names, first_name(wnids()[795]), True)
    }
    # ImageNet-A: the best of its 200 classes.
    inside = subset("a")
    outside = next(k for k in range(500, 1000) if k not in inside)
    second = nearest(COLORS[outside], inside)
    paint(tmp_path / "imagenet-a" / wnids()[second] / "a.jpg", outside)
    name = first_name(wnids()[second])
    assert shown("imagenet_a", tmp_path) == {f"{wnids()[second]}/a.jpg": (name, name, True)}
    # ObjectNet: any of the object's classes.
    chair = objectnet_folders()["chair"][1]
    paint(tmp_path / "objectnet-1.0" / "images" / "chair" / "a.png", chair, border=1)
    assert shown("objectnet", tmp_path) == {"chair/a.png": ("chair", first_name(wnids()[chair]), True)}
    # ImageNet-9: one of its nine classes; only the mixed backgrounds are shown.
    for variant in ("mixed_same", "mixed_rand"):
        paint(tmp_path / "bg_challenge" / variant / "val" / "00_dog" / "b.JPEG", 151)
        paint(tmp_path / "bg_challenge" / variant / "val" / "00_dog" / "c.JPEG", 0)
    assert shown("backgrounds", tmp_path) == {
        "mixed_rand/00_dog/b.JPEG": ("Dog", first_name(wnids()[151]), True),
        "mixed_rand/00_dog/c.JPEG": ("Dog", first_name(wnids()[0]), False),
    }


def test_confidence_is_among_the_classes_that_could_be_answered(tmp_path):
    inside = subset("r")
    paint(tmp_path / "imagenet-r" / wnids()[inside[0]] / "a.jpg", inside[0])
    (gallery,) = galleries(
        find_benchmark("imagenet_r"), tmp_path, [color_classifier()], tmp_path / "c", QUIET
    )
    answers = predict(
        color_classifier(), next(find_benchmark("imagenet_r").image_sets(tmp_path)), tmp_path / "c", QUIET
    )
    assert gallery.exhibits[0].looks[0].confidence == pytest.approx(answers.confidence_among(inside)[0])


def test_the_pointing_game_shows_boxes(root):
    (root / "boxes.csv").write_text(
        "file,x0,y0,x1,y1,width,height\n" + "".join(f"{name}/0.png,6,10,29,39,48,40\n" for name in NAMES[:4])
    )
    named = f"pointing_game:toy=val{os.pathsep}boxes.csv"
    models = [classifier("vit"), replace(color_classifier([1, 2, 3, 4, 5], NAMES), settings=SETTINGS)]
    found = galleries(find_benchmark(named), root, models, root / "cache", QUIET, each=30)
    exhibits = [exhibit for gallery in found for exhibit in gallery.exhibits]
    assert {exhibit.file for exhibit in exhibits} == {f"{name}/0" for name in NAMES[:4]}
    for exhibit in exhibits:
        assert [look.model for look in exhibit.looks] == ["vit"]  # the other does not show where it looks
        assert exhibit.looks[0].confidence is None
        assert exhibit.looks[0].verdict == ("in a box" if exhibit.looks[0].right else "beside the boxes")
        # 6..29 of 48 pixels is 4..19 of 32, 10..39 of 40 is 8..31: the outline, yellow on noise.
        for picture in (exhibit.image, exhibit.looks[0].image):
            pixels = np.asarray(opened(picture)).astype(int)
            frame = np.concatenate([pixels[8, 4:20], pixels[31, 4:20], pixels[8:, 4], pixels[8:, 19]])
            assert np.abs(frame - BOX_COLOR).mean() < np.abs(pixels[10:30, 6:18] - BOX_COLOR).mean() / 2


def test_no_gallery_where_images_are_not_right_or_wrong(tmp_path):
    k = subset("o")[0]
    paint(tmp_path / "imagenet-o" / wnids()[k] / "a.jpg", 1)
    paint(tmp_path / "imagenet" / "val" / wnids()[k] / "ILSVRC2012_val_00000001.JPEG", k)
    assert shown("imagenet_o", tmp_path) == {}


@pytest.mark.parametrize(("budget", "pictures"), [(0, 0), (2000, 1)])  # an exhibit takes about 1,500
def test_a_small_budget_leaves_galleries_out(root, budget, pictures):
    found = galleries(
        find_benchmark("folder:val=val"), root, [classifier("vit")], root / "cache", QUIET, budget=budget
    )
    sizes = [exhibit.bytes for gallery in found for exhibit in gallery.exhibits]
    assert len(sizes) == pictures and sum(sizes) <= budget


def test_the_whole_report(root):
    models = [classifier("vit"), classifier("convnext")]
    benchmarks = [find_benchmark("folder:val=val"), find_benchmark("folder:again=val")]
    suite.run(models, benchmarks, root, root / "out", QUIET, None)
    table = write_report(root / "out", models, benchmarks, root, QUIET, None, resamples=200)
    assert [row.benchmark for row in table.rows] == ["val", "again"]
    page = (root / "out" / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;elk" in page and "<b>elk" not in page
    assert len(re.findall(r'src="data:image/webp;base64,', page)) >= 12
    assert "| Image folder (val) |" in (root / "out" / "report.md").read_text(encoding="utf-8")
    data = ModelCard.load(root / "out" / "cards" / "convnext.md").data
    assert [result.dataset_type for result in data.eval_results] == ["val", "again"]


@pytest.mark.parametrize(
    ("card", "kept"),
    [
        ("---\nlicense: mit\n---\nMine.\n", True),
        ("---\n- : [\n---\nMine.\n", False),
        ("---\n1: 2\n---\nMine.\n", False),
        ("---\ntags: 5\n---\nMine.\n", False),
        (f"---\na: {'[' * 3000}{']' * 3000}\n---\nMine.\n", False),
        ("---\nmodel-index: [1]\n---\nMine.\n", False),
        ("---\neval_results: abc\n---\nMine.\n", False),
        ("---\nto_dict: 1\n---\nMine.\n", False),
    ],
)
def test_the_checkpoints_own_card_is_the_one_to_upload(root, card, kept):
    checkpoint = root / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "README.md").write_text(card, encoding="utf-8")
    arguments = [str(checkpoint)], [find_benchmark("folder:val=val")], root
    suite.run(*arguments, root / "out", QUIET, lambda name: classifier("vit"))
    write_report(root / "out", *arguments[:2], root, QUIET, lambda name: classifier("vit"), resamples=100)
    written = ModelCard.load(root / "out" / "cards" / "checkpoint.md")
    assert written.data.eval_results[0].dataset_type == "val"
    assert ("Mine." in written.text) == kept and (written.data.get("license") == "mit") == kept
    assert (checkpoint / "README.md").read_text(encoding="utf-8") == card


def missing(*arguments, **options):
    raise RemoteEntryNotFoundError(
        "404", response=httpx.Response(404, request=httpx.Request("GET", "https://h"))
    )


def unreachable(*arguments, **options):
    raise LocalEntryNotFoundError("no network")


@pytest.mark.parametrize(
    ("answer", "kept", "said"), [(None, True, False), (missing, False, False), (unreachable, False, True)]
)
def test_the_card_of_a_model_on_the_hub(root, monkeypatch, answer, kept, said):
    asked = []

    def download(*arguments, **options):
        asked.append((arguments, options))
        (root / "README.md").write_text("---\nlicense: mit\n---\nMine.\n")
        return str(root / "README.md")

    def load(name):
        return replace(classifier("vit"), revision="0123456")

    monkeypatch.setattr("luab_eval.report.cards.hf_hub_download", answer or download)
    arguments = ["you/model"], [find_benchmark("folder:val=val")], root
    suite.run(*arguments, root / "out", QUIET, load)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        write_report(root / "out", *arguments[:2], root, QUIET, load, resamples=100)
    told = [str(one.message) for one in found if "you/model" in str(one.message)]
    assert [("its README.md cannot be had from the Hub: no network" in one) for one in told] == [True] * said
    written = ModelCard.load(root / "out" / "cards" / "model.md")
    assert ("Mine." in written.text) == kept
    assert written.data.eval_results[0].dataset_type == "val"
    assert asked == [(("you/model", "README.md"), {"revision": "0123456"})] * kept


def test_of_several_training_runs_one_look_is_shown(root):
    models = [replace(classifier("vit", seed), name=f"vit-seed{seed}") for seed in range(3)]
    benchmarks = [find_benchmark("folder:val=val")]
    suite.run(models, benchmarks, root, root / "out", QUIET, None)
    table = write_report(root / "out", models, benchmarks, root, QUIET, None, resamples=200)
    assert [(model.name, len(model.runs)) for model in table.models] == [("vit", 3)]
    page = (root / "out" / "report.html").read_text(encoding="utf-8")
    assert "vit-seed0<" in page and "vit-seed1<" not in page
