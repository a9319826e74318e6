"""Each benchmark's number on a miniature of its published folders, worked out by hand."""

import datasets
import numpy as np
import pytest
from fixtures.miniatures import COLORS, QUIET, color_classifier, nearest, paint, score
from PIL import Image

from luab_data.imagenet_classes import imagenet_names
from luab_eval.benchmark import Predictions
from luab_eval.benchmarks import BENCHMARKS, find_benchmark
from luab_eval.benchmarks.backgrounds import VARIANTS
from luab_eval.benchmarks.corruptions import CORRUPTIONS, KINDS
from luab_eval.benchmarks.val import hub_items
from luab_eval.image_sets.class_maps import find_by_name, objectnet_folders, real_labels, subset, wnids
from luab_eval.pixels import read_image
from luab_eval.predict import predict


def number_of(name: str) -> int:
    return list(imagenet_names().values()).index(name)


def test_imagenet_counts_the_best_and_the_best_five(tmp_path):
    val = tmp_path / "imagenet" / "val"
    paint(val / wnids()[123] / "ILSVRC2012_val_00000001.JPEG", 123)
    paint(val / wnids()[555] / "ILSVRC2012_val_00000002.JPEG", 555)
    paint(val / wnids()[555] / "ILSVRC2012_val_00000003.JPEG", 556)  # a neighbour: 555 is among the best five
    paint(val / wnids()[0] / "ILSVRC2012_val_00000004.JPEG", 999)
    scores = score(find_benchmark("imagenet"), tmp_path)
    assert scores.metrics == {"accuracy": 0.5, "top5_accuracy": 0.75}
    assert scores.per_class() == {wnids()[0]: 0.0, wnids()[123]: 1.0, wnids()[555]: 0.5}


def test_flat_validation_images_take_kaggles_labels(tmp_path):
    data = tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / "val"
    paint(data / "ILSVRC2012_val_00000001.JPEG", 65)
    paint(data / "ILSVRC2012_val_00000002.JPEG", 3)
    (tmp_path / "LOC_val_solution.csv").write_text(
        "ImageId,PredictionString\n"
        f"ILSVRC2012_val_00000002,{wnids()[970]} 1 2 30 40 {wnids()[970]} 5 6 70 80\n"
        f"ILSVRC2012_val_00000001,{wnids()[65]} 1 2 30 40 \n"
    )
    assert score(find_benchmark("imagenet"), tmp_path).metrics["accuracy"] == 0.5


def test_flat_validation_images_take_the_devkits_labels(tmp_path):
    io = pytest.importorskip("scipy.io")
    for number, k in ((1, 334), (2, 278), (3, 1)):
        paint(tmp_path / "imagenet" / "val" / f"ILSVRC2012_val_{number:08d}.JPEG", k)
    data = tmp_path / "imagenet" / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    # The devkit numbers the classes in an order of its own, and further synsets follow the 1000.
    synsets = np.array(
        [(1, wnids()[278]), (2, wnids()[334]), (1001, "n00001740")],
        dtype=[("ILSVRC2012_ID", "f8"), ("WNID", "O")],
    )
    io.savemat(data / "meta.mat", {"synsets": synsets})
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("2\n1\n1\n")
    assert score(find_benchmark("imagenet"), tmp_path).metrics["accuracy"] == 2 / 3


def test_validation_images_of_a_dataset(tmp_path):
    for k in (7, 8, 9):
        paint(tmp_path / "files" / f"ILSVRC2012_val_{k:08d}_{wnids()[k]}.JPEG", k)
    files = sorted((tmp_path / "files").iterdir())
    # As on the Hub: classes by their names, made unique; file names in the images' paths; the training split
    # in other files.
    names = list(imagenet_names().values())
    names = [f"{name} {k}" if names.count(name) > 1 else name for k, name in enumerate(names)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    rows = {"image": [{"bytes": f.read_bytes(), "path": f.name} for f in files], "label": [7, 8, 500]}
    (tmp_path / "hub" / "data").mkdir(parents=True)
    table = datasets.Dataset.from_dict(rows, features=features)
    table.to_parquet(tmp_path / "hub" / "data" / "validation-00000-of-00001.parquet")
    (tmp_path / "hub" / "data" / "train-00000-of-00001.parquet").write_text("not to be opened")

    items = hub_items(str(tmp_path / "hub"))
    assert [item.id for item in items] == [f.name for f in files]
    assert [item.target for item in items] == [7, 8, 500]
    assert read_image(items[1])[0, 0].tolist() == COLORS[8].tolist()


def test_real_accepts_any_label_and_leaves_out_images_without(tmp_path):
    # As published: 1 has no label, 2 has two of them, 4 has one.
    assert [real_labels()[n - 1] for n in (1, 2, 4)] == [frozenset(), {970, 795}, {809}]
    val = tmp_path / "imagenet" / "val"
    paint(val / wnids()[65] / "ILSVRC2012_val_00000001.JPEG", 65)
    paint(val / wnids()[970] / "ILSVRC2012_val_00000002.JPEG", 795)
    paint(val / wnids()[809] / "ILSVRC2012_val_00000004.JPEG", 810)
    scores = score(find_benchmark("real"), tmp_path)
    assert scores.metrics == {"accuracy": 0.5}
    assert scores.per_image.tolist() == [0.0, 1.0]  # in the order of the class folders: 809, 970


def test_v2_folders_are_numbers_not_text(tmp_path):
    folder = tmp_path / "imagenetv2-matched-frequency-format-val"
    for k in (2, 10, 100, 999):  # as text 10 and 100 come before 2
        paint(folder / str(k) / "a.jpeg", k)
    paint(folder / "7" / "a.jpeg", 8)
    assert score(find_benchmark("imagenet_v2"), tmp_path).metrics["accuracy"] == 4 / 5


@pytest.mark.parametrize("name", ["imagenet_v2_threshold", "imagenet_v2_top", "imagenet_sketch"])
def test_the_other_plain_sets(tmp_path, name):
    benchmark = find_benchmark(name)
    folders = {20: "20", 30: "30"} if "v2" in name else {20: wnids()[20], 30: wnids()[30]}
    paint(tmp_path / benchmark.folders[0] / folders[20] / "a.png", 20)
    paint(tmp_path / benchmark.folders[0] / folders[30] / "a.png", 20)
    assert score(benchmark, tmp_path).metrics["accuracy"] == 0.5


@pytest.mark.parametrize("letter", ["a", "r"])
def test_logits_outside_the_200_classes_do_not_count(tmp_path, letter):
    inside = subset(letter)
    outside = next(k for k in range(500, 1000) if k not in inside)
    second = nearest(COLORS[outside], inside)  # the best answer once `outside` may not be given
    other = next(k for k in inside if k != second)
    folder = tmp_path / f"imagenet-{letter}"
    paint(folder / wnids()[second] / "a.jpg", outside)
    paint(folder / wnids()[other] / "b.jpg", outside)
    paint(folder / wnids()[other] / "c.jpg", other)
    (folder / "README.txt").write_text("as in the published archive")
    assert score(find_benchmark(f"imagenet_{letter}"), tmp_path).metrics == {"accuracy": 2 / 3}


def test_imagenet_o_compares_confidence_within_its_200_classes(tmp_path):
    inside = subset("o")
    not_in_o = next(k for k in range(1000) if k not in inside)
    # [3 strange, 4 of val]; the last of val is of a class outside the 200 and must not take part.
    logits = np.full((7, 1000), -50.0, np.float32)
    logits[:, inside[0]] = 0
    for row, rival in enumerate([0.0, -2.0, -1.0, -3.0, -0.5, -4.0, 0.0]):  # nearer to 0: less confident
        logits[row, inside[1]] = rival
    logits[:, not_in_o] = [99, 0, 0, 99, 0, 0, 0]  # would change every confidence if it counted
    targets = np.array([-1, -1, -1, *inside[:3], not_in_o])
    answers = Predictions(
        np.array([f"{row}".encode() for row in range(7)]),
        targets,
        np.full(7, ""),
        np.zeros((7, 5), int),
        logits,
        wnids(),
    )
    scores = find_benchmark("imagenet_o").score(
        [answers.where(np.arange(7) < 3), answers.where(np.arange(7) >= 3)]
    )
    # From least confident: strange 0, val -0.5, strange -1, strange -2, val -3, val -4.
    assert scores.metrics["aupr"] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert len(scores.per_image) == 6


def test_imagenet_o_reads_both_sets(tmp_path):
    inside = subset("o")
    k = inside[0]
    rival = nearest(COLORS[k], [other for other in inside if other != k])

    def mixed(path, share):  # the more of the rival's color, the less confident
        path.parent.mkdir(parents=True, exist_ok=True)
        color = (1 - share) * COLORS[k] + share * COLORS[rival]
        Image.new("RGB", (8, 8), tuple(color.astype(int).tolist())).save(path, "png")

    mixed(tmp_path / "imagenet-o" / wnids()[k] / "a.jpg", 0)
    mixed(tmp_path / "imagenet-o" / wnids()[k] / "b.jpg", 0.5)
    mixed(tmp_path / "imagenet" / "val" / wnids()[k] / "ILSVRC2012_val_00000001.JPEG", 0.25)
    assert score(find_benchmark("imagenet_o"), tmp_path).metrics["aupr"] == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("nested", [False, True])
def test_mean_corruption_error(tmp_path, nested):
    kind_of = {corruption: kind for kind, corruptions in KINDS.items() for corruption in corruptions}
    for corruption in CORRUPTIONS:
        folder = tmp_path / "imagenet-c" / (kind_of[corruption] if nested else "") / corruption
        for severity in range(1, 6):
            wrong = corruption == "gaussian_noise" or (corruption == "snow" and severity == 5)
            paint(folder / str(severity) / wnids()[44] / "a.JPEG", 45 if wrong else 44)
    metrics = score(find_benchmark("imagenet_c"), tmp_path).metrics
    assert metrics["mce"] == pytest.approx((1 / 0.886428 + 0.2 / 0.866816) / 15)
    assert metrics["mce_unnormalized"] == pytest.approx(1.2 / 15)
    assert metrics["error_snow"] == pytest.approx(0.2)
    assert metrics["error_fog"] == 0


def test_objectnet(tmp_path):
    folder = tmp_path / "objectnet-1.0" / "images"
    chairs = objectnet_folders()["chair"]
    assert chairs == [number_of(n) for n in ("barber chair", "folding chair", "rocking chair, rocker")]
    overlap = sorted({k for classes in objectnet_folders().values() for k in classes})
    stranger = next(
        k for k in range(1000) if k not in overlap and nearest(COLORS[k], overlap) == number_of("lemon")
    )
    # One pixel of red around an image of 8 x 8 would move its mean color to another class.
    paint(folder / "chair" / "a.png", chairs[1], border=1)  # any of its three classes is right
    paint(folder / "chair" / "b.png", number_of("lemon"), border=1)
    paint(folder / "lemon" / "c.png", stranger, border=1)  # wrong, unless only the 113 count
    paint(folder / "lemon" / "d.png", number_of("lemon"), border=1)
    paint(folder / "squeegee" / "e.png", 5, border=1)  # ObjectNet has it, ImageNet has not: not read
    scores = score(find_benchmark("objectnet"), tmp_path)
    assert scores.metrics["accuracy"] == 0.5
    assert scores.metrics["accuracy_113"] == 0.75
    assert scores.per_class() == {"chair": 0.5, "lemon": 0.5}


def test_objectnets_border_is_one_pixel(tmp_path):
    # Red around a ring of another color around the object's: each width of the border gives another class.
    lemon, broom = number_of("lemon"), number_of("broom")
    pixels = np.empty((10, 10, 3), np.uint8)
    pixels[:] = (255, 0, 0)
    pixels[1:9, 1:9] = COLORS[broom]
    pixels[2:8, 2:8] = COLORS[lemon]
    answers = {
        cut: nearest(pixels[cut : 10 - cut, cut : 10 - cut].mean((0, 1)), range(1000)) for cut in (0, 1, 2)
    }
    assert len(set(answers.values())) == 3
    (folder,) = (name for name, classes in objectnet_folders().items() if classes == [lemon])
    file = tmp_path / "objectnet-1.0" / "images" / folder / "a.png"
    file.parent.mkdir(parents=True)
    Image.fromarray(pixels).save(file)
    (images,) = find_benchmark("objectnet").image_sets(tmp_path)
    assert predict(color_classifier(), images, tmp_path / "cache", QUIET).top[0, 0] == answers[1]


def test_si_score(tmp_path):
    folder = tmp_path / "si-score" / "area"
    assert [find_by_name(name) for name in ("missile", "pig", "ipod")] == [657, 341, 605]
    paint(folder / "missile" / "1.jpg", 657)
    paint(folder / "jeans" / "2.jpg", 608)
    paint(folder / "pig" / "3.jpg", 342)
    benchmark = find_benchmark("si_score_size")
    assert score(benchmark, tmp_path).metrics["accuracy"] == 2 / 3
    (folder / "metadata.csv").write_text("image_id,area,rotation\n1,0.1,0\n2,0.2,0\n3,0.2,0\n")
    assert score(benchmark, tmp_path).metrics["mean_over_values"] == (1 + 0.5) / 2
    for name in ("si_score_location", "si_score_rotation"):
        paint(tmp_path / find_benchmark(name).folders[0] / "wok" / "1.jpg", 909)
        assert score(find_benchmark(name), tmp_path).metrics["accuracy"] == 1


def test_background_gap(tmp_path):
    folder = tmp_path / "bg_challenge"
    fish, dog, nothing = 0, 151, number_of("banana")
    for variant in VARIANTS:
        # `nothing` is none of the nine classes; mapped by arithmetic it could pass for the ninth.
        answers = {"mixed_same": [fish, dog, dog, nothing], "mixed_rand": [dog, dog, fish, nothing]}
        first, second, third, fourth = answers.get(variant, [fish, fish, dog, dog])
        paint(folder / variant / "val" / "08_fish" / "a.JPEG", first)
        paint(folder / variant / "val" / "00_dog" / "b.JPEG", second)
        paint(folder / variant / "val" / "00_dog" / "c.JPEG", third)
        paint(folder / variant / "val" / "08_fish" / "d.JPEG", fourth)
    metrics = score(find_benchmark("backgrounds"), tmp_path).metrics
    assert metrics["mixed_same"] == 0.75
    assert metrics["mixed_rand"] == 0.25
    assert metrics["bg_gap"] == 0.5
    assert metrics["original"] == metrics["only_bg_t"] == 0.5


def test_images_published_at_the_models_size_lose_no_margin(tmp_path):
    for name, place in [
        ("imagenet_c", "imagenet-c/fog/{severity}/" + wnids()[0]),
        ("backgrounds", "bg_challenge/mixed_same/val/00_dog"),
        ("imagenet_a", "imagenet-a/" + wnids()[6]),
        ("imagenet_v2", "imagenetv2-matched-frequency/6"),
    ]:
        for severity in range(1, 6):
            paint(tmp_path / place.format(severity=severity) / "a.JPEG", 0)
        published_small = name in ("imagenet_c", "backgrounds")
        assert next(find_benchmark(name).image_sets(tmp_path)).whole == published_small


def test_occlusion_hides_the_middle(tmp_path):
    # A square of 4 x 4 in 8 x 8 leaves three quarters of the color: the answer is another class.
    answer = nearest(0.75 * COLORS[888], range(1000))
    assert answer != 888
    val = tmp_path / "imagenet" / "val"
    paint(val / wnids()[answer] / "ILSVRC2012_val_00000001.JPEG", 888)
    paint(val / wnids()[888] / "ILSVRC2012_val_00000002.JPEG", 888)
    occluded = score(find_benchmark("occlusion"), tmp_path)
    assert occluded.per_class() == {wnids()[answer]: 1, wnids()[888]: 0}
    seen = score(find_benchmark("occlusion:0"), tmp_path)
    assert seen.per_class() == {wnids()[answer]: 0, wnids()[888]: 1}


def test_occlusion_of_a_folder(tmp_path):
    answer = nearest(0.75 * COLORS[888], range(1000))
    paint(tmp_path / "val" / "star" / "a.png", 888)
    paint(tmp_path / "val" / "ring" / "b.png", 888)
    classifier = color_classifier([888, answer], labels=["star", "ring"])
    for argument, label, expected in (
        ("toy=val", "toy", {"star": 0, "ring": 1}),
        ("toy=val@0", "toy@0", {"star": 1, "ring": 0}),
    ):
        benchmark = find_benchmark(f"occlusion:{argument}")
        assert benchmark.key == f"occlusion:{label}"
        assert benchmark.images is None  # none are published
        assert score(benchmark, tmp_path, classifier).per_class() == expected
    assert "found no folder nowhere" in find_benchmark("occlusion:toy=nowhere").missing(tmp_path)


def test_any_folder_of_the_models_own_classes(tmp_path):
    # Labels in another order than the folders, and one without a folder, which is a wrong answer.
    classifier = color_classifier([100, 200, 300], labels=["star", "Big square", "circle"])
    paint(tmp_path / "swapped" / "big_square" / "a.png", 200)
    paint(tmp_path / "swapped" / "star" / "b.png", 100)
    paint(tmp_path / "swapped" / "star" / "c.png", 300)
    scores = score(find_benchmark("folder:swapped=swapped"), tmp_path, classifier)
    assert scores.metrics == {"accuracy": 2 / 3}
    assert scores.per_class() == {"big_square": 1.0, "star": 0.5}


def test_every_benchmark_says_what_it_is():
    for name, benchmark in BENCHMARKS.items():
        assert benchmark.name == name
        assert benchmark.title and benchmark.summary and benchmark.download and benchmark.layout
        assert benchmark.paper or name in ("folder", "dataset")
