"""Alignment from datasets of every kind to the command's numbers, with a model whose maps are known."""

import io
import json
from pathlib import Path
from shutil import copytree

import datasets
import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from fixtures.boxed import picture
from fixtures.miniatures import QUIET, pass_colors_on
from fixtures.tiny_models import tiny_model
from fixtures.ways_in import CLASSES, CLICKS, write_images, write_lines
from PIL import Image

from luab.commands.align import KINDS, main
from luab.commands.compare import main as compare
from luab_attention.columns import SOURCE_FEATURE
from luab_attention.converting import convert
from luab_data.errors import SourceError
from luab_eval.alignment.people import gaussians
from luab_eval.alignment.viewings import AGAINST
from luab_eval.arrays import read_arrays, write_arrays
from luab_eval.benchmark import Scores
from luab_eval.benchmarks import ALIGN, BENCHMARKS, find_benchmarks
from luab_eval.image_sets.attention import NO_CLASSES, NO_HUMANS, AttentionDataset
from luab_eval.localization import MAP
from luab_eval.models import Classifier
from luab_eval.predict import predict
from luab_eval.report.figures import figures
from luab_eval.report.table import metric_name, metric_value
from luab_eval.results import Results, Shown
from luab_eval.suite import run
from luab_vision.transforms import ImageSettings

SETTINGS = ImageSettings(size=32, mean=(0, 0, 0), std=(1, 1, 1), resize=48)
LABEL = ClassLabel(names=["red", "green"])
PATH = {
    "annotator": Value("string"),
    "label": LABEL,
    "x": List(Value("float32")),
    "y": List(Value("float32")),
    "time": List(Value("float64")),
}
OPTIONS = ["--device", "cpu", "--num-workers", "0"]
# A red square top left and a green one bottom right; and the reverse. Squares are a quarter of a side.
TWO = [picture(64, 64, (0, 0, 16, 16, "red"), (48, 48, 64, 64, "lime")),
       picture(64, 64, (48, 48, 64, 64, "red"), (0, 0, 16, 16, "lime"))]  # fmt: skip
CORNERS = [(0.125, 0.125), (0.875, 0.875)]


def color_model():
    """A ResNet whose map of class 0 is how red, of class 1 how green each 4x4 patch is."""
    model = tiny_model("resnet", embedding_size=3, hidden_sizes=[3], depths=[1], num_labels=2).eval()
    pass_colors_on(model)
    model.classifier[-1].weight.data = torch.tensor([[20.0, 0, 0], [0, 20.0, 0]])
    return model


def path(x, y, annotator=None, label=0, time=None):
    x, y = np.atleast_1d(x).tolist(), np.atleast_1d(y).tolist()
    time = list(range(len(x))) if time is None else time
    return {"annotator": annotator, "label": label, "x": x, "y": y, "time": time}


def stored(folder: Path, rows: list[dict], **features) -> str:
    """A dataset on disk with the split validation; the argument of a benchmark."""
    kinds = {"image": datasets.Image(), "label": LABEL, "labels": List(LABEL), "scanpaths": List(PATH)}
    kinds |= {"attention_source": SOURCE_FEATURE, "image_id": Value("string"), **features}
    columns = {name: kinds[name] for name in rows[0]}
    datasets.DatasetDict(validation=Dataset.from_list(rows, features=Features(columns))).save_to_disk(
        folder / "people"
    )
    return f"toy={folder / 'people'}@validation"


def judged(argument: str, model=None, labels=("red", "green"), cache=None):
    """Metric -> the scores of all benchmarks that can be computed."""
    found = {}
    for benchmark in find_benchmarks(f"align:{argument}"):
        if benchmark.missing(Path()) is None:
            (images,) = benchmark.image_sets(Path())
            classifier = Classifier("model", model or color_model(), labels, SETTINGS)
            found[benchmark.primary] = benchmark.score([predict(classifier, images, cache, QUIET)])
    return found


def gray(array) -> dict:
    file = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def squares(*corners):
    """255 in quarter squares at these corners of 32 x 32 pixels."""
    mask = np.zeros((32, 32), np.uint8)
    for at in corners:
        mask[at : at + 8, at : at + 8] = 255
    return mask


def test_a_model_that_looks_where_people_look(tmp_path):
    rows = [
        {
            "image": image,
            "label": 0,
            "scanpaths": [path(*at, "a"), path(*at, "b"), path(*CORNERS[1 - k], "a", 1)],
        }
        for k, (image, at) in enumerate(zip(TWO, CORNERS, strict=True))
    ]
    found = judged(f"{stored(tmp_path, rows)}?against=scanpaths", cache=tmp_path)
    assert set(found) == {benchmark.primary for benchmark in ALIGN}
    for metric, scores in found.items():
        numbers = scores.metrics
        assert len(scores.per_image) == 2
        better = (lambda one, two: one < two) if metric == "kl" else (lambda one, two: one > two)
        for baseline in ("uniform", "center", "other_image"):
            assert better(numbers[metric], numbers[f"{metric}_{baseline}"]), (metric, baseline)
        assert better(numbers[f"{metric}_split_halves"], numbers[f"{metric}_center"])
        assert numbers[f"{metric}_one_human"] == pytest.approx(numbers[f"{metric}_split_halves"])
        assert numbers[f"{metric}_human_images"] == 2
        assert f"{metric}_on_human_images" not in numbers
    assert found["nss"].metrics["nss_uniform"] == 0
    assert found["auc_judd"].metrics["auc_judd"] > 0.9
    assert found["auc_judd"].metrics["auc_judd_unfixated"] >= found["auc_judd"].metrics["auc_judd"]
    assert found["spearman"].metrics["spearman_of_ceiling"] == pytest.approx(
        found["spearman"].metrics["spearman"] / found["spearman"].metrics["spearman_split_halves"]
    )


def test_the_ceiling_is_compared_on_its_own_images(tmp_path):
    """Two of four images have two annotators. On the others people look where the model does not."""
    rows = [
        {
            "image": TWO[k % 2],
            "image_id": str(k),
            "label": 0,
            "scanpaths": [path(*CORNERS[k % 2], "a"), path(*CORNERS[k % 2], "b")]
            if k < 2
            else [path(*CORNERS[1 - k % 2], "a")],
        }
        for k in range(4)
    ]
    scores = judged(f"{stored(tmp_path, rows)}?against=scanpaths", cache=tmp_path)["spearman"]
    metrics, own = scores.metrics, scores.per_image
    assert metrics["spearman_human_images"] == 2
    assert metrics["spearman_on_human_images"] == pytest.approx(own[:2].mean())
    assert own[:2].mean() > metrics["spearman"] + 0.1
    assert metrics["spearman_of_ceiling"] == pytest.approx(own[:2].mean() / metrics["spearman_split_halves"])
    assert metric_name("spearman_human_images") == "Spearman, images with several people"
    assert metric_value("spearman_human_images", 12345.0, 1.0) == "12,345"


def test_the_map_of_the_row_s_class_counts(tmp_path):
    # People looked at the red squares; rows of class green are compared with the map of green.
    for name, label, good in (("red", 0, True), ("green", 1, False)):
        rows = [
            {"image": image, "label": label, "scanpaths": [path(*at, "a", label)]}
            for image, at in zip(TWO, CORNERS, strict=True)
        ]
        scores = judged(f"{stored(tmp_path / name, rows)}?against=scanpaths", cache=tmp_path)["nss"]
        assert (scores.metrics["nss"] > 1) is good
        assert scores.targets.tolist() == [label] * 2
        assert scores.per_class() == {name: pytest.approx(scores.metrics["nss"])}
        assert "nss_one_human" not in scores.metrics


def test_attention_without_a_class_asks_for_the_predicted_one(tmp_path):
    # More red than green: the model says red.
    images = [picture(64, 64, (0, 0, 16, 16, "red")), picture(64, 64, (48, 48, 64, 64, "red"))]
    plain = {name: kind for name, kind in PATH.items() if name != "label"}
    rows = [
        {"image": image, "scanpaths": [{name: path(*at)[name] for name in plain}]}
        for image, at in zip(images, CORNERS, strict=True)
    ]
    argument = stored(tmp_path, rows, scanpaths=List(plain))
    scores = judged(f"{argument}?against=scanpaths", cache=tmp_path)["nss"]
    assert scores.metrics["nss"] > 1
    assert scores.targets.tolist() == [-1, -1]
    assert scores.per_class() == {}
    # Any number of outputs fits, for no class is asked for.
    assert (
        judged(f"{argument}?against=scanpaths", labels=("cat", "dog"), cache=tmp_path)["nss"].metrics["nss"]
        > 1
    )


def test_rows_have_no_classes_only_if_nothing_says_them(tmp_path):
    plain = {name: kind for name, kind in PATH.items() if name != "label"}
    seen = {name: path(0.1, 0.1)[name] for name in plain}
    rows = [{"image": image, "species": "red", "scanpaths": [seen]} for image in TWO]
    place = stored(tmp_path, rows, scanpaths=List(plain), species=Value("string")).partition("=")[2]
    images, _, left_out = AttentionDataset("toy", f"{place}?against=scanpaths").judged(Path())
    assert [item.target for item in images.items] == [-1, -1]
    assert NO_CLASSES in left_out
    with pytest.raises(SourceError, match=r"no column 'specise'; it has image, species, .*\?label=COLUMN"):
        AttentionDataset("toy", f"{place}?against=scanpaths&label=specise").judged(Path())
    (nss,) = find_benchmarks(f"align_nss:toy={place}?against=scanpaths&label=specise")
    assert "no column 'specise'" in nss.missing(Path())


def test_class_folders_with_a_metadata_file_are_the_classes(tmp_path):
    """As in training: `datasets` reads the columns of the file, and no classes."""
    lines = [
        {"file_name": file, "click": {"x": x, "y": y}}
        for file, (x, y) in zip(write_images(tmp_path), CLICKS, strict=True)
    ]
    write_lines(tmp_path / "metadata.jsonl", lines)
    images, _, left_out = AttentionDataset("toy", f"{tmp_path}@train?against=click").judged(Path())
    assert images.classes == CLASSES
    assert [item.target for item in images.items] == [0, 1] * 4
    assert NO_CLASSES not in left_out


def test_several_classes_of_an_image_have_their_own_attention(tmp_path):
    rows = [
        {
            "image": image,
            "labels": [1, 0],
            "scanpaths": [path(*at, "a", 0), path(*other, "a", 1)],
            "image_id": name,
        }
        for name, image, at, other in zip("ab", TWO, CORNERS, CORNERS[::-1], strict=True)
    ]
    options = "?against=scanpaths&label_format=indices"
    source = AttentionDataset("toy", f"{stored(tmp_path, rows).partition('=')[2]}{options}")
    images, alignment, left_out = source.judged(Path())
    assert [(item.id, item.target) for item in images.items] == [
        ("a/green", 1),
        ("a/red", 0),
        ("b/green", 1),
        ("b/red", 0),
    ]
    assert alignment.pictures.tolist() == [0, 0, 1, 1]
    assert left_out == NO_HUMANS
    scores = judged(f"{stored(tmp_path / 'again', rows)}{options}", cache=tmp_path)["nss"]
    assert (scores.per_image > 1).all()


def test_what_is_left_out_is_counted(tmp_path):
    rows = [
        {"image": TWO[0], "label": 0, "scanpaths": [path([0.1, 1.2, 0.1], [0.1, 0.5, -0.1])]},
        {"image": TWO[1], "label": 0, "scanpaths": [path([0.9], [0.9], label=-1)]},
        {"image": TWO[1], "label": 0, "scanpaths": [path([0.9], [0.9], label=1)]},
        {"image": TWO[1], "label": 0, "scanpaths": []},
        {"image": TWO[1], "label": -1, "scanpaths": [path([0.9], [0.9])]},
        {"image": TWO[1], "label": 0, "scanpaths": [path([1.9], [0.9])]},
    ]
    argument = stored(tmp_path, rows)
    source = AttentionDataset("toy", f"{argument.partition('=')[2]}?against=scanpaths")
    images, alignment, left_out = source.judged(Path())
    assert [item.id for item in images.items] == ["0", "1"]
    assert left_out == (
        "samples outside the image: 3, scanpaths without a sample in the image, or of weight 0: 1, entries "
        "of other classes than the image's: 1, rows "
        f"whose attention is of other classes: 1, rows without attention: 2, "
        f"rows of an image of another row, judged together with it: 3, {NO_HUMANS}, "
        "1 row without a class"
    )
    assert alignment.people[0].fixations == pytest.approx(np.array([[0.1, 0.1]]))


def test_samples_are_held_until_the_next_in_the_density(tmp_path):
    rows = [
        {"image": image, "label": 0, "scanpaths": [path([0.1, 0.1, 0.9], [0.5] * 3, time=[0, 100, 400])]}
        for image in TWO
    ]
    source = AttentionDataset(
        "toy", f"{stored(tmp_path, rows).partition('=')[2]}?against=scanpaths&sigma=0.01"
    )
    people = source.judged(Path()).alignment.people[0]
    assert len(people.fixations) == 3  # the last sample's time is not known: it weighs nothing in the density
    assert people.map[:, :28].sum() == pytest.approx(1)


@pytest.mark.parametrize("against", ["click", "points", "heatmaps", "masks", "boxes"])
def test_every_column(tmp_path, against):
    image = {"label": LABEL, "image": datasets.Image()}
    point = {"x": Value("float32"), "y": Value("float32")}
    kinds = {
        "click": point,
        "points": List({"label": LABEL, **point, "weight": Value("float32"), "sign": Value("int8")}),
        "heatmaps": List({**image, "annotator": Value("string")}),
        "masks": List(image),
        "objects": {"bbox": List(List(Value("float32"), length=4)), "category": List(LABEL)},
    }
    values = {
        "click": lambda x, at: {"x": x, "y": x},
        "points": lambda x, at: [
            {"label": 0, "x": x, "y": x, "weight": 2, "sign": 1},
            {"label": 0, "x": 1 - x, "y": x, "weight": 1, "sign": -1},
            {"label": 1, "x": 0.5, "y": 0.5, "weight": 1, "sign": 1},
        ],
        "heatmaps": lambda x, at: [
            {"label": 0, "image": gray(squares(at)), "annotator": name} for name in ("a", "b")
        ],
        "masks": lambda x, at: [
            {"label": 0, "image": gray(squares(at) > 0)},
            {"label": 1, "image": gray(squares(12))},
        ],
        "objects": lambda x, at: {"bbox": [[2.0 * at, 2.0 * at, 16, 16], [24, 24, 8, 8]], "category": [0, 1]},
    }
    column = "objects" if against == "boxes" else against
    rows = [
        {"image": picture, "label": 0, column: values[column](x, at)}
        for picture, x, at in zip(TWO, (0.125, 0.875), (0, 24), strict=True)
    ]
    argument = f"{stored(tmp_path, rows, **kinds)}?against={against}"
    source = AttentionDataset("toy", argument.partition("=")[2])
    _, alignment, left_out = source.judged(Path())
    people = alignment.people
    assert people[0].map[:14, :14].sum() == pytest.approx(1, abs=0.05)
    assert people[1].map[42:, 42:].sum() == pytest.approx(1, abs=0.05)
    negative = ["points that say where a class is not (sign -1): 2"] * (against == "points")
    others = ["entries of other classes than the image's: 2"] * (against in ("points", "masks", "boxes"))
    alone = [NO_HUMANS] * (against != "heatmaps")
    assert left_out == ", ".join([*negative, *others, *alone])
    found = judged(argument, cache=tmp_path)
    fixations = against in ("click", "points")
    assert ("nss" in found) is ("auc_judd" in found) is ("information_gain" in found) is fixations
    for metric in ("spearman", "cc", "sim"):
        assert found[metric].metrics[metric] > found[metric].metrics[f"{metric}_center"]
    assert ("cc_one_human" in found["cc"].metrics) is (against == "heatmaps")


def test_the_mask_of_a_class_is_the_union(tmp_path):
    kinds = {"masks": List({"label": LABEL, "image": datasets.Image()})}
    masks = [{"label": 0, "image": gray(squares(0))}, {"label": 0, "image": gray(squares(4))}]
    rows = [{"image": image, "label": 0, "masks": masks} for image in TWO]
    source = AttentionDataset("toy", f"{stored(tmp_path, rows, **kinds).partition('=')[2]}?against=masks")
    area = source.judged(Path()).alignment.people[0].map
    assert area.max() == pytest.approx(1 / ((64 + 64 - 16) / 1024 * 56**2), rel=1e-5)


def test_annotations_are_scanpaths_up_to_the_click(tmp_path):
    sample = {"time": Value("int64"), "x": Value("float32"), "y": Value("float32")}
    kinds = {
        "annotations": List(
            {"worker_id": Value("string"), "mouse_tracking": List(sample), "selected_record": List(sample)}
        )
    }
    track = [
        {"time": 1000, "x": 0.1, "y": 0.1},
        {"time": 1100, "x": 0.2, "y": 0.1},
        {"time": 1900, "x": 0.9, "y": 0.9},
    ]
    annotation = {
        "worker_id": "w",
        "mouse_tracking": track,
        "selected_record": [{"time": 1200, "x": 0.2, "y": 0.1}],
    }
    rows = [{"image": image, "label": 0, "annotations": [annotation]} for image in TWO]
    source = AttentionDataset("toy", f"{stored(tmp_path, rows, **kinds).partition('=')[2]}?against=scanpaths")
    people = source.judged(Path()).alignment.people[0]
    assert people.fixations == pytest.approx(np.array([[0.1, 0.1], [0.2, 0.1]]))
    assert people.told_apart


def test_the_last_place_before_the_click_is_held_until_it(tmp_path):
    """A at 0 and 100 ms, B at 400, click at 500, C after it: A 0.8, B 0.2."""
    sample = {"time": Value("int64"), "x": Value("float32"), "y": Value("float32")}
    kinds = {"annotations": List({"mouse_tracking": List(sample), "selected_record": List(sample)})}
    track = [(0, 0.1), (100, 0.1), (400, 0.9), (700, 0.5)]
    annotation = {
        "mouse_tracking": [{"time": 1000 + time, "x": x, "y": 0.5} for time, x in track],
        "selected_record": [{"time": 1500, "x": 0.9, "y": 0.5}],
    }
    rows = [{"image": image, "label": 0, "annotations": [annotation]} for image in TWO]
    text = stored(tmp_path, rows, **kinds).partition("=")[2]
    source = AttentionDataset("toy", f"{text}?against=scanpaths&sigma=0.01")
    people = source.judged(Path()).alignment.people[0]
    assert [people.map[:, :14].sum(), people.map[:, 42:].sum()] == pytest.approx([0.8, 0.2])
    assert len(people.fixations) == 3


PICTURES = {
    "masks": List({"label": LABEL, "image": datasets.Image()}),
    "heatmaps": List({"label": LABEL, "image": datasets.Image()}),
}


@pytest.mark.parametrize("column", PICTURES)
@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        (Image.merge("LA", [Image.new("L", (32, 32), 255), Image.fromarray(squares(0))]), "of the mode LA"),
        (Image.new("L", (32, 48), 255), r"of 32 x 48 pixels for one of 64 x 32: .* upright"),
    ],
)
def test_masks_and_maps_are_read_as_training_reads_them(tmp_path, column, drawn, message):
    file = io.BytesIO()
    drawn.save(file, "PNG")
    rows = [
        {"image": image.resize((64, 32)), "label": 0, column: [{"label": 0, "image": value}]}
        for image, value in zip(TWO, (gray(squares(0)), {"bytes": file.getvalue()}), strict=True)
    ]
    text = stored(tmp_path, [rows[0] | {"label": None}, *rows], **PICTURES).partition("=")[2]
    with pytest.raises(SourceError, match=f"row 2: column '{column}' has an image {message}"):
        AttentionDataset("toy", f"{text}?against={column}").judged(Path())


@pytest.mark.parametrize("column", ["click", "points", "scanpaths", "annotations"])
def test_places_in_another_unit_are_refused(tmp_path, column):
    point = {"x": Value("float32"), "y": Value("float32")}
    sample = {"time": Value("int64"), **point}
    kinds = {
        "click": point,
        "points": List(point),
        "annotations": List({"mouse_tracking": List(sample), "selected_record": List(sample)}),
    }
    track = [
        {"time": 0, "x": 0.5, "y": 0.5},
        {"time": 1, "x": 50.0, "y": 1.0},
        {"time": 2, "x": 50.0, "y": 1.0},
    ]
    values = {
        "click": ({"x": 1.0, "y": 0.5}, {"x": 50.0, "y": 1.0}),
        "points": ([{"x": 1.0, "y": 0.5}], [{"x": 0.5, "y": 0.5}, {"x": 50.0, "y": 1.0}]),
        "scanpaths": ([], [path([0.5, 50, 50], [0.5, 1, 1])]),
        "annotations": ([], [{"mouse_tracking": track, "selected_record": []}]),
    }[column]
    rows = [{"image": image, "label": 0, column: value} for image, value in zip(TWO, values, strict=True)]
    text = stored(tmp_path, rows, **kinds).partition("=")[2]
    against = "scanpaths" if column == "annotations" else column
    message = rf"column '{column}' .* no ratios of the image.*in row 1.*\(50, 1\).*luab convert"
    with pytest.raises(SourceError, match=message):
        AttentionDataset("toy", f"{text}?against={against}").judged(Path())


def test_a_map_that_is_not_finite_is_named(tmp_path):
    rows = [
        {"image": image, "label": 0, "scanpaths": [path(*at, "a")]}
        for image, at in zip(TWO, CORNERS, strict=True)
    ]
    benchmark = find_benchmarks(f"align_nss:{stored(tmp_path, rows)}?against=scanpaths")[0]
    (images,) = benchmark.image_sets(Path())
    classifier = Classifier("model", color_model(), ("red", "green"), SETTINGS)
    answers = predict(classifier, images, tmp_path, QUIET)
    answers.looks[MAP][1, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"map of image 1 has values that are not finite \(1 of 2 images\)"):
        benchmark.score([answers])


def test_entries_that_do_not_count_are_counted(tmp_path):
    """One viewing names the image's class: three without a class and one of another do not count."""
    paths = [path(0.1, 0.1, "a"), *(path(0.9, 0.9, who, None) for who in "bcd"), path(0.5, 0.5, "e", 1)]
    rows = [{"image": image, "label": 0, "scanpaths": paths} for image in TWO]
    source = AttentionDataset("toy", f"{stored(tmp_path, rows).partition('=')[2]}?against=scanpaths")
    _, alignment, left_out = source.judged(Path())
    assert alignment.people[0].fixations == pytest.approx(np.array([[0.1, 0.1]]))
    assert left_out == (
        "entries of other classes than the image's: 2, "
        f"entries without a class, beside others of the image's class: 6, {NO_HUMANS}"
    )


def test_heat_maps_are_blurred_by_sigma_and_areas_are_not(tmp_path):
    dot = np.zeros((56, 56), np.uint8)
    dot[20, 30] = 255
    rows = [
        {"image": image.resize((64, 32)), "label": 0, "heatmaps": [{"label": 0, "image": gray(values)}]}
        for image, values in zip(TWO, (dot, dot.T), strict=True)
    ]
    text = stored(tmp_path, rows, **PICTURES).partition("=")[2]

    def people(options):
        return AttentionDataset("toy", f"{text}?{options}").judged(Path()).alignment.people[0].map

    assert people("against=heatmaps") == pytest.approx(dot / 255)
    # Of the width: the image is half as high. So it is the Gaussian of a fixation in the cell's center.
    center = np.array([[30.5, 20.5]]) / 56
    fixation = gaussians(center, np.ones(1), (0.05, 0.1))
    assert people("against=heatmaps&sigma=0.05") == pytest.approx(fixation)
    for area in ("masks", "boxes"):
        with pytest.raises(ValueError, match=f"sigma=0.05: {area} .* not blurred"):
            AttentionDataset("toy", f"{text}?against={area}&sigma=0.05")


@pytest.mark.parametrize("absent", [None, 0])
def test_a_row_without_its_size_has_that_of_its_image(tmp_path, absent):
    kinds = {"width": Value("int32"), "height": Value("int32")}
    rows = [
        {
            "image": image.resize((64, 32)),
            "label": 0,
            "scanpaths": [path(0.3, 0.5)],
            "width": 64,
            "height": 32,
        }
        for image in (*TWO, TWO[0].rotate(180))
    ]
    rows[1]["height"] = absent
    text = stored(tmp_path, rows, **kinds).partition("=")[2]
    people = AttentionDataset("toy", f"{text}?against=scanpaths").judged(Path()).alignment.people
    assert people[1].map == pytest.approx(people[0].map)
    rows[1]["image"] = {"bytes": b"no image", "path": None}
    text = stored(tmp_path / "odd", [rows[0] | {"label": None}, *rows], **kinds).partition("=")[2]
    with pytest.raises(SourceError, match="row 2: cannot read the image"):
        AttentionDataset("toy", f"{text}?against=scanpaths").judged(Path())


def test_boxes_of_another_orientation_are_not_judged(tmp_path):
    box = {"bbox": List(List(Value("float32"), length=4)), "category": List(LABEL)}
    kinds = {"objects": box, "width": Value("int32"), "height": Value("int32")}
    objects = {"bbox": [[0, 0, 16, 16]], "category": [0]}
    sizes = [(64, 32), (64, 32), (32, 64)]  # the last as stored, and turned by EXIF
    rows = [
        {"image": image.resize((64, 32)), "label": 0, "objects": objects, "width": width, "height": height}
        for image, (width, height) in zip([*TWO, TWO[0].rotate(180)], sizes, strict=True)
    ]
    text = stored(tmp_path, rows, **kinds).partition("=")[2]
    images, _, left_out = AttentionDataset("toy", f"{text}?against=boxes").judged(Path())
    assert len(images.items) == 2
    assert "rows without attention: 1" in left_out and "orientation" in left_out


@pytest.mark.parametrize("ids", [None, ("one", "other"), ("one", "one")])
def test_rows_of_one_image_are_judged_together(tmp_path, ids):
    """A row for each annotator gives what one row of all annotators gives."""
    paths = [[path(*at, who) for who in "abc"] for at in CORNERS]
    named = [{} if ids is None else {"image_id": one} for one in ids or (None, None)]
    whole = [
        {"image": image, "label": 0, "scanpaths": own} | more
        for image, own, more in zip(TWO, paths, named, strict=True)
    ]
    apart = [row | {"scanpaths": [one]} for one_of in range(3) for row in whole
             for one in [row["scanpaths"][one_of]]]  # fmt: skip
    of_rows, of_annotators = (
        AttentionDataset("toy", f"{stored(tmp_path / name, rows).partition('=')[2]}?against=scanpaths")
        for name, rows in (("whole", whole), ("apart", apart))
    )
    images, alignment, left_out = of_annotators.judged(Path())
    other_images, other, _ = of_rows.judged(Path())
    assert [item.id for item in images.items] == [item.id for item in other_images.items]
    assert left_out == "rows of an image of another row, judged together with it: 4"
    for at in range(2):
        assert alignment.people[at].fingerprint == other.people[at].fingerprint
        one, two = (each.reference(at, each.people[at]) for each in (alignment, other))
        assert one.center == pytest.approx(two.center)
        assert one.negatives.tolist() == two.negatives.tolist()


def test_equal_images_of_two_ids_are_two(tmp_path):
    rows = [
        {"image": TWO[0], "label": label, "scanpaths": [path(*at, label=None)], "image_id": name}
        for name, label, at in zip("aab", (0, 1, 0), [*CORNERS, (0.5, 0.5)], strict=True)
    ]
    source = AttentionDataset("toy", f"{stored(tmp_path, rows).partition('=')[2]}?against=scanpaths")
    images, alignment, _ = source.judged(Path())
    assert [item.id for item in images.items] == ["a/red", "a/green", "b"]
    assert alignment.pictures.tolist() == [0, 0, 1]
    # Without ids they are one, which is too few.
    for row in rows:
        del row["image_id"]
    text = stored(tmp_path / "unnamed", rows).partition("=")[2]
    with pytest.raises(ValueError, match="at least two images, and got 1"):
        AttentionDataset("toy", f"{text}?against=scanpaths").judged(Path())


def test_masks_of_the_rows_of_one_image_are_united(tmp_path):
    rows = [
        {"image": TWO[k], "label": 0, "masks": [{"label": 0, "image": gray(squares(corner))}]}
        for k in (0, 1)
        for corner in (0, 8, 8)
    ]
    text = stored(tmp_path, rows, **PICTURES).partition("=")[2]
    people = AttentionDataset("toy", f"{text}?against=masks").judged(Path()).alignment.people[1]
    assert people.map[:14, :14].sum() == pytest.approx(0.5)
    assert people.map[14:28, 14:28].sum() == pytest.approx(0.5)


def test_an_image_of_several_classes_is_one_image_of_the_figure(tmp_path):
    """Its score is the mean over its classes: its copies would prove what one image does not."""
    rows = [
        {
            "image": TWO[0],
            "labels": [0, 1],
            "scanpaths": [path(*CORNERS[0], "a"), path(*CORNERS[1], "b", 1), path(0.3, 0.3, "c")],
        },
        {"image": TWO[1], "labels": [1], "scanpaths": [path(*CORNERS[1], "a", 1)]},
    ]
    argument = f"{stored(tmp_path, rows)}?against=scanpaths"
    apart = Classifier("model", color_model(), ("red", "green"), SETTINGS)
    benchmark = find_benchmarks(f"align_nss:{argument}")[0]
    (images,) = benchmark.image_sets(Path())
    answers = predict(apart, images, tmp_path, QUIET)
    scores = benchmark.score([answers])
    found = benchmark.own.judged(Path()).alignment.of_model(answers.looks[MAP])["nss"]
    of_items = found["model"]
    assert len(of_items) == 3
    # Two people only at its first class: what is set beside them is the model's figure of this class.
    assert scores.metrics["nss_human_images"] == 1
    assert scores.metrics["nss_on_human_images"] == pytest.approx(of_items[0])
    assert scores.ids.tolist() == [b"0/red", b"1/green"]
    assert scores.per_image == pytest.approx([of_items[:2].mean(), of_items[2]])
    assert scores.metrics["nss"] == pytest.approx((of_items[:2].mean() + of_items[2]) / 2)
    center = found["center"]
    assert scores.metrics["nss_center"] == pytest.approx((center[:2].mean() + center[2]) / 2)
    assert scores.targets.tolist() == [-1, 1]
    assert scores.per_class() == pytest.approx({"red": of_items[0], "green": of_items[1:].mean()})
    # Results of other people of its second class are not of the same people.
    rows[0]["scanpaths"][1] = path(0.5, 0.5, "b", 1)
    (other,) = find_benchmarks(f"align_nss:{stored(tmp_path / 'other', rows)}?against=scanpaths")
    (images,) = other.image_sets(Path())
    references = other.score([predict(apart, images, tmp_path, QUIET)]).references
    assert (references == scores.references).tolist() == [False, True]


@pytest.mark.parametrize("against", ["points", "scanpaths", "masks"])
def test_classes_of_attention_are_matched_as_all_class_names_are(tmp_path, against):
    """Another order, and another case, is no other class."""
    other = ClassLabel(names=["Green", " RED_", "blue"])
    kinds = {
        "points": List({"label": other, "x": Value("float32"), "y": Value("float32")}),
        "scanpaths": List({**PATH, "label": other}),
        "masks": List({"label": other, "image": datasets.Image()}),
    }
    entries = {
        "points": [{"label": label, "x": 0.1 + label / 4, "y": 0.1} for label in (0, 1, 2)],
        "scanpaths": [path(0.1 + label / 4, 0.1, label=label) for label in (0, 1, 2)],
        "masks": [{"label": label, "image": gray(squares(8 * label))} for label in (0, 1, 2)],
    }[against]
    rows = [{"image": image, "label": k, against: entries} for k, image in enumerate(TWO)]
    text = stored(tmp_path, rows, **kinds).partition("=")[2]
    _, alignment, left_out = AttentionDataset("toy", f"{text}?against={against}").judged(Path())
    assert "entries of other classes than the image's: 4" in left_out
    columns = [people.map.sum(axis=0).argmax() // 14 for people in alignment.people]
    assert columns == [1, 0]  # red is the second entry of each, green the first


def test_names_of_attention_do_not_fit_numbers(tmp_path):
    rows = [{"image": image, "label": 0, "scanpaths": [path(0.1, 0.1)]} for image in TWO]
    text = stored(tmp_path, rows, label=Value("int64")).partition("=")[2]
    with pytest.raises(
        ValueError, match="'scanpaths' has an entry with the label 'red'; allowed are a class"
    ):
        AttentionDataset("toy", f"{text}?against=scanpaths").judged(Path())


def test_points_as_text_are_read(tmp_path):
    texts = ['[{"x": 0.1, "y": 0.1, "label": "Red"}, {"x": 0.2, "y": 0.1, "sign": -1}]', "(0.6, 0.6)"]
    rows = [{"image": image, "label": 0, "points": text} for image, text in zip(TWO, texts, strict=True)]
    place = stored(tmp_path, rows, points=Value("string")).partition("=")[2]
    _, alignment, left_out = AttentionDataset("toy", f"{place}?against=points").judged(Path())
    assert [people.fixations.round(3).tolist() for people in alignment.people] == [[[0.1, 0.1]], [[0.6, 0.6]]]
    assert "points that say where a class is not (sign -1): 1" in left_out


@pytest.mark.parametrize("nothing", ["", " ", None])
def test_points_of_an_empty_class_are_of_the_images_class(tmp_path, nothing):
    kinds = {"points": List({"label": Value("string"), "x": Value("float32"), "y": Value("float32")})}
    rows = [
        {"image": image, "label": 0, "points": [{"label": label, "x": 0.5, "y": 0.5}]}
        for image, label in zip(
            (*TWO, TWO[0].point(lambda value: 255 - value)), [nothing, "red", "blue"], strict=True
        )
    ]
    text = stored(tmp_path, rows, **kinds).partition("=")[2]
    images, _, left_out = AttentionDataset("toy", f"{text}?against=points").judged(Path())
    assert [item.target for item in images.items] == [0, 0]
    assert "rows whose attention is of other classes: 1" in left_out


def test_a_null_entry_is_no_scanpath(tmp_path):
    rows = [{"image": image, "label": 0, "scanpaths": [None, path(0.1, 0.1, "a")]} for image in TWO]
    text = stored(tmp_path, rows).partition("=")[2]
    _, alignment, left_out = AttentionDataset("toy", f"{text}?against=scanpaths").judged(Path())
    assert [people.count for people in alignment.people] == [1, 1]
    assert "scanpaths without a sample in the image, or of weight 0: 2" in left_out


def test_boxes_of_no_class_are_of_the_images_class(tmp_path):
    kinds = {"objects": {"bbox": List(List(Value("float32"), length=4)), "category": List(LABEL)}}
    categories = ([-1], [-1, 0], [1])
    rows = [
        {"image": image, "label": 0, "objects": {"bbox": [[0, 0, 16, 16]] * len(each), "category": each}}
        for image, each in zip((*TWO, TWO[0].point(lambda value: 255 - value)), categories, strict=True)
    ]
    text = stored(tmp_path, rows, **kinds).partition("=")[2]
    images, _, left_out = AttentionDataset("toy", f"{text}?against=boxes").judged(Path())
    assert len(images.items) == 2
    assert "rows whose attention is of other classes: 1" in left_out


def test_one_pass_serves_every_metric_and_kind(tmp_path):
    rows = [
        {"image": image, "label": 0, "scanpaths": [path(*at, "a")]}
        for image, at in zip(TWO, CORNERS, strict=True)
    ]
    argument = f"{stored(tmp_path, rows)}?against=scanpaths"
    calls = []
    model = color_model()
    model.register_forward_pre_hook(lambda *_: calls.append(1))
    judged(argument, model, cache=tmp_path)
    once = len(calls)
    judged(argument.replace("scanpaths", "scanpaths&sigma=0.1"), model, cache=tmp_path)
    assert once == len(calls) > 0
    (file,) = tmp_path.glob("*/attention-toy-*/part-00000.npz")
    with np.load(file, allow_pickle=False) as kept:
        assert kept[MAP].shape == (2, 8, 8)


def test_another_label_column_asks_for_other_maps(tmp_path):
    """People looked at the red squares; the other column says green, and is read from the same cache."""
    rows = [
        {"image": image, "label": 0, "other": 1, "scanpaths": [path(*at, "a", None)]}
        for image, at in zip(TWO, CORNERS, strict=True)
    ]
    argument = f"{stored(tmp_path, rows, other=LABEL)}?against=scanpaths"
    assert judged(argument, cache=tmp_path)["nss"].metrics["nss"] > 1
    assert judged(f"{argument}&label=other", cache=tmp_path)["nss"].metrics["nss"] < 0


def test_wrong_arguments_and_rows_are_named(tmp_path):
    rows = [{"image": TWO[0], "label": 0, "scanpaths": [path(0.1, 0.1)]}] * 2
    argument = stored(tmp_path, rows)
    with pytest.raises(ValueError, match=r"against=gaze: .* is one of click, points, scanpaths, heatmaps"):
        find_benchmarks(f"align:{argument}?against=gaze")
    with pytest.raises(ValueError, match=r"sigma=2.*above 0 and at most 1"):
        find_benchmarks(f"align:{argument}?against=scanpaths&sigma=2")
    (nss,) = find_benchmarks(f"align_nss:{argument}?against=masks")
    assert "masks say in which area people looked" in nss.missing(Path())
    (cc,) = find_benchmarks(f"align_cc:{argument}?against=masks")
    with pytest.raises(ValueError, match="no column 'masks'; it has scanpaths: take one of these"):
        list(cc.image_sets(Path()))
    one = stored(tmp_path / "one", rows[:1])
    with pytest.raises(ValueError, match="at least two images, and got 1"):
        list(find_benchmarks(f"align_cc:{one}?against=scanpaths")[0].image_sets(Path()))
    kinds = {"heatmaps": List({"image": datasets.Image()})}
    colored = [{"image": TWO[0], "label": 0, "heatmaps": [{"image": TWO[0]}]}] * 2
    (cc,) = find_benchmarks(f"align_cc:{stored(tmp_path / 'colored', colored, **kinds)}?against=heatmaps")
    with pytest.raises(
        ValueError, match="row 0: column 'heatmaps' has an image of the mode RGB; needed is a gray one"
    ):
        list(cc.image_sets(Path()))


@pytest.fixture
def checkpoints(tmp_path):
    """Models that look at their class, and at the other."""
    for name, labels in (("sees", {0: "red", 1: "green"}), ("swapped", {0: "green", 1: "red"})):
        model = color_model()
        model.config.id2label = labels
        model.save_pretrained(tmp_path / name)
        kind = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}}
        processor = {**kind, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}
        (tmp_path / name / "preprocessor_config.json").write_text(json.dumps(processor))
    return [str(tmp_path / "sees"), str(tmp_path / "swapped")]


def test_command(tmp_path, checkpoints, capsys):
    rows = [
        {
            "image": TWO[k % 2],
            "image_id": str(k),
            "label": 0,
            "scanpaths": [path(*CORNERS[k % 2], "a"), path(*CORNERS[k % 2], "b")],
        }
        for k in range(8)
    ]
    stored(tmp_path, rows)
    source = [
        "--dataset",
        str(tmp_path / "people"),
        "--against",
        "scanpaths",
        "--output-dir",
        str(tmp_path / "out"),
    ]
    assert main(["--model", *checkpoints, *source, *OPTIONS]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert printed[0] == ["metric", "sees", "swapped"]
    figures = {line[0]: line for line in printed if line}
    assert float(figures["NSS"][2]) > 1
    assert {"NSS", "Spearman", "AUC-Judd", "sAUC"} <= set(figures)
    found = json.loads((tmp_path / "out" / "results.json").read_text())["benchmarks"]
    assert len(found) == len(ALIGN)
    entry = found["align_nss:people, scanpaths"]["models"]["sees"]
    assert entry["metrics"]["nss"] > entry["metrics"]["nss_center"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<figcaption>people</figcaption>") == 4
    assert "Only sees is closer to people than the center" in page
    assert "NSS, half of the people against the others" in page
    assert "KL, half of the people against the others, share of the center bias in it" in page
    assert f"<b>{entry['metrics']['nss']:.3f}</b>" in page
    assert compare([str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "Alignment: Spearman (people, scanpaths)" in text
    assert "worse" in text


@pytest.mark.parametrize("name", ["gaze=1", "gaze?x", "gaze@home", "gaze: 1, 2"])
def test_a_folder_of_any_name(tmp_path, checkpoints, name):
    rows = [{"image": TWO[k % 2], "label": 0, "scanpaths": [path(*CORNERS[k % 2], "a")]} for k in range(2)]
    stored(tmp_path, rows)
    (tmp_path / "people").rename(tmp_path / name)
    source = [
        "--dataset",
        str(tmp_path / name),
        "--against",
        "scanpaths",
        "--output-dir",
        str(tmp_path / "out"),
    ]
    assert main(["--model", checkpoints[0], *source, *OPTIONS]) == 0
    found = json.loads((tmp_path / "out" / "results.json").read_text())["benchmarks"]
    assert found[f"align_nss:{name}, scanpaths"]["models"]["sees"]["n"] == 2
    assert main(["--model", checkpoints[1], *source, *OPTIONS]) == 0
    assert compare([str(tmp_path / "out")]) == 0


def test_results_with_other_people_are_not_compared(tmp_path):
    rows = [
        {"image": TWO[k % 2], "image_id": str(k), "label": 0, "scanpaths": [path(*CORNERS[k % 2], "a")]}
        for k in range(8)
    ]
    argument = f"{stored(tmp_path, rows)}?against=scanpaths&sigma="

    def evaluated(name, sigma):
        model = Classifier(name, color_model(), ["red", "green"], SETTINGS, fingerprint=name)
        benchmarks = find_benchmarks(f"align:{argument}{sigma}")
        run([model], benchmarks, Path(), tmp_path / "out", QUIET, load=None)

    evaluated("a", 0.02)
    evaluated("b", 0.3)
    with pytest.raises(
        ValueError, match=r"a and b .* 8 of 8 images have .* other people, such as 0; .*data, with .*--sigma$"
    ):
        figures([tmp_path / "out"])
    # The report of one of them says so.
    keys = tuple(json.loads((tmp_path / "out" / "results.json").read_text())["benchmarks"])
    (note,) = [n for n in figures([tmp_path / "out"], shown=Shown(("b",), keys, {})).notes() if "also" in n]
    assert "results.json also has a (align_" in note and "rejects the folder: align_" in note
    assert "of 8 images have another class" in note
    evaluated("a", 0.3)
    assert all(row.remark == "" for row in figures([tmp_path / "out"]).rows)
    (file,) = (tmp_path / "out" / "per_image").glob("align_nss*/a-*.npz")
    arrays = read_arrays(file)
    truths = arrays.pop("truths")
    write_arrays(file, arrays)
    old = tmp_path / "out"
    with pytest.raises(ValueError, match=rf"the results of a in {old} are of .* evaluate it again .* {old}$"):
        figures([old])
    # Evaluated again into another folder, the former results are of no use.
    copytree(old, tmp_path / "again")
    (file,) = (tmp_path / "again" / "per_image").glob("align_nss*/a-*.npz")
    write_arrays(file, arrays | {"truths": truths})
    for folders in ([old, tmp_path / "again"], [tmp_path / "again", old]):
        with pytest.raises(ValueError, match=rf"results of a in {old} are of .* leave out {old}: the other"):
            figures(folders)


def test_a_converted_source_and_its_only_split(tmp_path, checkpoints, capsys):
    """Gaze in a table to figures: what docs/alignment.md promises."""
    rng = np.random.default_rng(0)
    lines = ["file,annotator,time,x,y"]
    for k in range(12):
        (tmp_path / "photos").mkdir(exist_ok=True)
        TWO[k % 2].save(tmp_path / "photos" / f"{k}.png")
        for name in "abc":
            for time in range(5):
                x, y = 64 * np.array(CORNERS[k % 2]) + rng.normal(0, 1.5, 2)
                lines.append(f"{k}.png,{name},{100 * time},{x},{y}")
    (tmp_path / "gaze.csv").write_text("\n".join(lines))
    how = {"kind": "scanpaths", "units": "pixels"}
    convert(tmp_path / "data", "table", tmp_path / "gaze.csv", tmp_path / "photos", options=how)
    source = [
        "--dataset",
        str(tmp_path / "data"),
        "--against",
        "scanpaths",
        "--output-dir",
        str(tmp_path / "out"),
    ]
    assert main(["--model", *checkpoints, *source, *OPTIONS]) == 0
    printed = capsys.readouterr().out
    lines = [line.split("  ") for line in printed.splitlines()]
    found = {line[0]: [cell.strip() for cell in line[1:] if cell.strip()] for line in lines if line[0]}
    assert "half of the people against the others" in printed
    # No class: both models are asked for the class that they predict, and differ in names only.
    assert found["NSS ↑"][0] == found["NSS ↑"][1]
    assert "no verdict" not in printed
    results = json.loads((tmp_path / "out" / "results.json").read_text())["benchmarks"]
    assert results["align_nss:data, scanpaths"]["models"]["sees"]["n"] == 12
    assert main(["--model", *checkpoints, *source, *OPTIONS, "--split", "train[2:]"]) == 0
    capsys.readouterr()
    results = json.loads((tmp_path / "out" / "results.json").read_text())["benchmarks"]
    assert results["align_nss:data, scanpaths"]["models"]["sees"]["n"] == 12
    assert results["align_nss:data@train[2:], scanpaths"]["models"]["sees"]["n"] == 10
    assert main(["--model", *checkpoints, *source, *OPTIONS, "--split", "nowhere"]) == 1
    assert "no split 'nowhere'; it has train. Set --split." in capsys.readouterr().err
    assert main(["--model", *checkpoints, *source, *OPTIONS, "--image-column", "photo"]) == 1
    assert "Set --image-column" in capsys.readouterr().err


def test_unbounded_figures_have_intervals_and_tests(tmp_path):
    """NSS of two models on 20 images, one better by 1 on each."""
    rng = np.random.default_rng(0)
    scores = rng.normal(1, 0.5, 20)
    names = {"worse": scores, "better": scores + 1 + rng.normal(0, 0.1, 20)}
    results = Results(tmp_path)
    argument = f"toy={tmp_path}@test?against=scanpaths"
    (benchmark,) = find_benchmarks(f"align_nss:{argument}")
    ids = np.array([f"{k}".encode() for k in range(20)])
    for name, per_image in names.items():
        classifier = Classifier(name, None, [], SETTINGS, fingerprint=name)
        results.add_model(classifier)
        nothing = np.full(20, "")
        metrics = {"nss": benchmark.statistic(per_image, nothing)}
        found = Scores(metrics, ids, nothing, np.zeros(20, int), per_image)
        results.add(benchmark, classifier, found, truths=np.zeros(20, np.int64))
    (row,) = figures([tmp_path]).rows
    estimate = row.estimates["worse"]
    half = 2.093 * scores.std(ddof=1) / np.sqrt(20)  # Student's t with 19 degrees of freedom
    assert (estimate.low, estimate.high) == pytest.approx(
        (scores.mean() - half, scores.mean() + half), rel=1e-3
    )
    difference = row.differences["better"]
    assert difference.p < 0.01
    assert 0.9 < difference.estimate.low < difference.estimate.value < difference.estimate.high < 1.1
    assert row.verdict("better") == "better"
    assert row.scale == 1


def test_a_vision_transformer_and_an_unsuited_model(tmp_path, capsys):
    rows = [
        {"image": image, "label": 0, "scanpaths": [path(*at, "a")]}
        for image, at in zip(TWO, CORNERS, strict=True)
    ]
    found = judged(
        f"{stored(tmp_path, rows)}?against=scanpaths", tiny_model("vit", num_labels=2), cache=tmp_path
    )
    assert len(found) == len(ALIGN)
    for name in ("vit", "swiftformer"):
        model = tiny_model(name, num_labels=2)
        model.config.id2label = {0: "red", 1: "green"}
        model.save_pretrained(tmp_path / name)
        side = model.config.image_size
        processor = {"image_processor_type": "ViTImageProcessor", "size": {"height": side, "width": side}}
        (tmp_path / name / "preprocessor_config.json").write_text(json.dumps(processor))
    source = [
        "--dataset",
        str(tmp_path / "people"),
        "--against",
        "scanpaths",
        "--output-dir",
        str(tmp_path / "out"),
    ]
    assert main(["--model", str(tmp_path / "vit"), str(tmp_path / "swiftformer"), *source, *OPTIONS]) == 0
    assert "of swiftformer: it is not known where SwiftFormer" in capsys.readouterr().out
    alone = [*source[:-1], str(tmp_path / "alone")]
    assert main(["--model", str(tmp_path / "swiftformer"), *alone, *OPTIONS]) == 1
    assert "it is not known where SwiftFormer" in capsys.readouterr().err


def test_command_on_areas_says_what_is_not_computed(tmp_path, checkpoints, capsys):
    kinds = {"masks": List({"label": LABEL, "image": datasets.Image()})}
    rows = [
        {"image": image, "label": 0, "masks": [{"label": 0, "image": gray(squares(at))}]}
        for image, at in zip(TWO, (0, 24), strict=True)
    ]
    stored(tmp_path, rows, **kinds)
    source = ["--dataset", str(tmp_path / "people"), "--output-dir", str(tmp_path / "out"), *OPTIONS]
    assert main(["--model", checkpoints[0], *source, "--against", "masks"]) == 0
    printed = capsys.readouterr().out
    assert "align_nss:people, masks: masks say in which area people looked" in printed
    assert "for no image has several annotators who are told apart" in " ".join(printed.split())
    assert main(["--model", checkpoints[0], *source, "--against", "heatmaps"]) == 1
    assert "no column 'heatmaps'; it has masks" in capsys.readouterr().err


def test_every_metric_is_a_benchmark():
    assert {benchmark.name for benchmark in ALIGN} <= set(BENCHMARKS)
    assert all(not benchmark.in_percent for benchmark in ALIGN)
    assert KINDS == AGAINST


def test_labels_may_be_numbers_without_names(tmp_path):
    rows = [
        {"image": image, "label": 0, "scanpaths": [path(*at, "a", 0)]}
        for image, at in zip(TWO, CORNERS, strict=True)
    ]
    numbers = {"label": Value("int64"), "scanpaths": List({**PATH, "label": Value("int64")})}
    found = judged(
        f"{stored(tmp_path, rows, **numbers)}?against=scanpaths", labels=("0", "1"), cache=tmp_path
    )
    assert found["nss"].metrics["nss"] > 1
