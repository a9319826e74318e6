"""The evidence: gaps, pairs of seeds, the names of runs, and clicks that are not where they were."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from fixtures.tiny_models import tiny_model
from PIL import Image
from transformers import ViTImageProcessor

from luab_trainer.config import LUABConfig
from luab_trainer.trainer import LUABTrainer

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def evidence(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import evidence

    yield evidence
    for name in ("arms", "evidence", "evidence_report", "jtt", "regions", "worlds"):
        sys.modules.pop(name, None)


@pytest.fixture
def evidence_report(evidence):
    import evidence_report

    return evidence_report


@pytest.fixture
def arms(evidence):
    import arms

    return arms


@pytest.fixture
def worlds(evidence):
    import worlds

    return worlds


def line(arm, seed, swapped):
    scores = {"test": 80.0, "swapped": swapped, "pointing_swapped": 90.0}
    names = {"key": f"{arm}-{seed}", "world": "real", "model": "vit", "arm": arm, "seed": seed}
    return {**names, "scores": scores, "accuracy_by_epoch": [0.1, swapped / 100]}


def results(**more):
    swapped = {"plain": [10, 20], "oracle": [50, 60], "luab": [40, 40], "shuffled": [14, 20], **more}
    return [line(arm, seed, value) for arm, values in swapped.items() for seed, value in enumerate(values)]


def test_the_gap_closed_and_the_paired_differences(evidence_report, tmp_path):
    rows = [text.split(" | ") for text in evidence_report.report(results(), tmp_path).splitlines()[2:]]
    by_arm = {row[2]: row for row in rows}
    assert by_arm["luab"][5].startswith("40.0 (40.0 to 40.0)")
    assert by_arm["luab"][7].startswith("62.5 (")  # 75 and 50 %
    assert by_arm["oracle"][7].startswith("100.0 (")
    assert by_arm["shuffled"][7].startswith("5.0 (")  # 10 and 0 %
    assert by_arm["shuffled"][8].startswith("23.0 (")  # 26 and 20
    assert "p = " not in by_arm["shuffled"][8]  # two differences may be equal by chance


def test_three_differences_are_tested_and_how_many_pairs_is_said(evidence_report):
    found = results(luab=[40, 40, 43], shuffled=[14, 20, 20], cutmix=[10, 20, 30, 30])
    arms = evidence_report.by_setting(found)["real", "vit"]
    text = evidence_report._difference(arms, "shuffled", "swapped")
    assert text.startswith("23.0 (") and text.endswith("p = 0.006")  # t = 23 / (3 / sqrt(3)), two degrees
    assert evidence_report._difference(arms, "cutmix", "swapped").endswith(" (3 pairs)")
    assert evidence_report._difference(arms, "plain", "swapped").startswith("25.0 (")


def test_two_precisions_in_one_setting_are_said(evidence_report, tmp_path):
    mixed = [{**each, "bf16": each["seed"] == 0} for each in results()]
    text = evidence_report.report(mixed, tmp_path).splitlines()[-1]
    assert text.startswith("real, vit: in float32 plain of seed 1, oracle of seed 1, luab of seed 1, ")
    assert "float32" not in evidence_report.report(results(), tmp_path)


def test_jtt_whose_epochs_differ_is_left_out_of_the_curves(evidence_report, tmp_path):
    repeated = [{**line("jtt", seed, 30), "accuracy_by_epoch": [0.1] * (2 + seed)} for seed in (0, 1)]
    evidence_report.report([*results(), *repeated], tmp_path)
    assert (tmp_path / "epochs.png").is_file()


def test_a_seed_that_is_missing_in_an_arm_is_left_out_of_its_differences(evidence_report):
    found = [each for each in results() if (each["arm"], each["seed"]) != ("plain", 1)]
    arms = evidence_report.by_setting(found)["real", "vit"]
    assert evidence_report.gap_closed(arms, "luab", arms) == "75.0"


def test_a_seed_with_a_small_gap_does_not_count_more(evidence_report):
    arms = evidence_report.by_setting(results(plain=[10, 48], oracle=[50, 50], luab=[40, 44]))["real", "vit"]
    # Gains of 30 and -4 of gaps of 40 and 2, which by seed are 75 and -200 %.
    assert evidence_report.gap_closed(arms, "luab", arms).startswith("61.9 (")
    steady = evidence_report.by_setting(results(plain=[10, 20], oracle=[50, 40], luab=[30, 30]))[
        "real", "vit"
    ]
    assert evidence_report.gap_closed(steady, "luab", steady) == "50.0 (50.0 to 50.0)"


def test_other_options_are_measured_against_plain_and_the_oracle_as_they_are(evidence_report, tmp_path):
    changed = [
        {**line("luab", seed, swapped), "changed": [["background_radius", 0.5]]}
        for seed, swapped in enumerate([30, 30])
    ]
    rows = [line.split(" | ") for line in evidence_report.report(results() + changed, tmp_path).splitlines()]
    of_changed = [row for row in rows if row[1] == "vit background_radius=0.5"]
    assert [row[2] for row in of_changed] == ["luab"]
    assert of_changed[0][7].startswith("37.5 (")  # 50 and 25 %


def test_a_world_without_a_shortcut_has_no_gap(evidence_report, tmp_path):
    scores = {"test": 40.0, "occluded": 20.0, "pointing_occluded": 50.0}
    names = {"world": "natural", "model": "vit", "arm": "plain", "seed": 0}
    text = evidence_report.report([{**names, "scores": scores, "accuracy_by_epoch": [0.4]}], tmp_path)
    assert text.splitlines()[2].startswith("| natural | vit | plain | 1 | 40.0 | 20.0 | 50.0 |  |")


def test_figures_are_drawn(evidence_report, tmp_path):
    evidence_report.report(results(), tmp_path)
    drawn = {"table.md", "arms.png", "epochs.png"}
    assert {file.name for file in tmp_path.iterdir()} == drawn
    evidence_report.report(results(**{"clicks-10": [30], "centers": [45]}), tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == drawn | {"annotation.png"}


def test_a_report_of_some_runs(evidence_report, monkeypatch, tmp_path, capsys):
    file = tmp_path / "results.jsonl"
    file.write_text("\n".join(map(json.dumps, results())))
    asked = ["evidence_report.py", "--results", str(file), "--output-dir", str(tmp_path / "report")]
    monkeypatch.setattr(sys, "argv", [*asked, "--worlds", "real", "--arms", "plain", "luab"])
    evidence_report.main()
    rows = [text.split(" | ") for text in capsys.readouterr().out.splitlines()[2:]]
    assert [row[2] for row in rows] == ["plain", "luab"]
    monkeypatch.setattr(sys, "argv", [*asked, "--worlds", "demo"])
    with pytest.raises(SystemExit, match=r"has no results .* \(it has real vit\)"):
        evidence_report.main()


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ('{"key": 1', "line 2 is no run of evidence.py"),
        ('{"key": "\udcff"}', "line 2 is no run of evidence.py"),
        ("[]", "line 2 has no key, world, model, arm, seed, scores, accuracy_by_epoch: delete it"),
        ("3", "line 2 is no run of evidence.py"),
    ],
)
def test_a_line_that_is_no_run_is_refused(evidence_report, tmp_path, text, refusal):
    file = tmp_path / "results.jsonl"
    file.write_text(json.dumps({**line("luab", 0, 40), "key": "a"}) + "\n" + text, errors="surrogateescape")
    with pytest.raises(SystemExit, match=refusal):
        evidence_report.read_lines(file)
    with pytest.raises(SystemExit, match=r"nowhere\.jsonl is no file"):
        evidence_report.read_lines(tmp_path / "nowhere.jsonl")


def test_data_is_needed_for_the_worlds_that_are_made_of_it(evidence, monkeypatch, tmp_path, capsys):
    asked = ["evidence.py", "--output-dir", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [*asked, "--quick"])
    assert evidence._parse().worlds == ["demo"]
    (tmp_path / "coco_ab_mini").mkdir()
    for data in ([], ["--data", str(tmp_path)]):
        monkeypatch.setattr(sys, "argv", [*asked, *data])
        with pytest.raises(SystemExit):
            evidence._parse()
        missing = (
            "imagenet_ab_mini: --data " if data else "imagenet_ab_mini and coco_ab_mini: there is no --data."
        )
        assert f"the worlds real and natural are made of {missing}" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*asked, "--quick", "--set", "[1]"])
    with pytest.raises(SystemExit):
        evidence._parse()
    assert "argument --set: [1] is no JSON object of options" in capsys.readouterr().err


def test_runs_that_all_have_changed_options_are_drawn_too(evidence_report, tmp_path):
    changed = [{**each, "changed": [["background_mix", 0.0]]} for each in results()]
    evidence_report.report(changed, tmp_path)
    assert (tmp_path / "arms.png").is_file()


def test_two_results_of_one_run_are_refused(evidence_report):
    lines = [{**line("luab", 0, 40), "key": key} for key in ("former", "present")]
    with pytest.raises(SystemExit, match="former and present are results of the same run"):
        evidence_report.by_setting(lines)


def test_a_result_is_found_again_only_by_the_same_settings(arms, monkeypatch):
    run = arms.Run("real", "vit", "luab", 0, 250)
    plain = arms.Run("real", "vit", "plain", 0, 250)
    assert run.key == arms.Run("real", "vit", "luab", 0, 250).key
    others = [
        arms.Run("real", "vit", "luab", 1, 250),
        arms.Run("real", "vit", "luab", 0, 250, (("background_mix", 0.5),)),
        arms.Run("real", "vit", "shuffled", 0, 250),
    ]
    assert len({each.key for each in [run, plain, *others]}) == 5
    before = run.key, plain.key
    monkeypatch.setitem(arms.BY_WORLD, "real", {"background_radius": 0.5})
    assert (run.key == before[0], plain.key == before[1]) == (False, True)


def test_a_started_model_depends_on_the_training_of_its_checkpoint(arms, monkeypatch):
    run = arms.Run("real", "vit-started", "oracle", 3, 250)
    epochs = ("num_train_epochs", arms.START_EPOCHS["vit"])
    assert run.start == arms.Run("natural", "vit", "plain", 3, 250, (epochs,))
    before = run.key
    monkeypatch.setitem(arms.TRAINING, ("natural", "vit"), {"num_train_epochs": 1})
    assert run.key != before


def test_clicks_of_the_other_arms(worlds):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 30, (200, 2))
    boxes = [[x, y, w, h] for (x, y), (w, h) in zip(corners, rng.uniform(5, 30, (200, 2)), strict=True)]
    middle = [{"x": (x + w / 2) / 64, "y": (y + h / 2) / 64} for x, y, w, h in boxes]
    clicks = [None if number % 10 == 0 else click for number, click in enumerate(middle)]
    rows = datasets.Dataset.from_dict(
        {"click": clicks, "objects": [{"bbox": [box], "category": [0]} for box in boxes]},
        features=datasets.Features({name: worlds._features(["a"])[name] for name in ("click", "objects")}),
    )
    splits = {name: split["click"] for name, split in worlds._annotated_otherwise(rows, 0).items()}
    given = [number for number, click in enumerate(clicks) if click is not None]
    for name, found in splits.items():
        assert len(found) == 200
        assert [number for number in range(200) if known(found[number])] == (
            given if name not in worlds.KEPT else [n for n in given if known(found[n])]
        ), name

    def inside(click, box):
        return box[0] <= 64 * click["x"] <= box[0] + box[2] and box[1] <= 64 * click["y"] <= box[1] + box[3]

    hits = {
        name: [inside(found[n], boxes[n]) for n in given if known(found[n])] for name, found in splits.items()
    }
    assert not any(hits["astray"])
    assert all(hits["anywhere"])
    assert all(hits["centers"])
    for name, share in (("astray-10", 0.9), ("astray-30", 0.7)):
        assert sum(hits[name]) / len(given) == pytest.approx(share, abs=0.06)
    for name, share in worlds.KEPT.items():
        assert len(hits[name]) / len(given) == pytest.approx(share, abs=0.06)
    for n in given:
        assert splits["centers"][n]["x"] == pytest.approx(middle[n]["x"], abs=1e-6)


def known(click):
    return click is not None and click["x"] is not None


def test_the_kept_results_are_found_by_the_settings_of_today(arms):
    """Hours of training are lines of this file: a change that renames them says so here."""
    lines = [json.loads(text) for text in (BENCHMARKS / "evidence.jsonl").read_text().splitlines()]
    fields = [field.name for field in dataclasses.fields(arms.Run)]
    for line in lines:
        own = {name: line[name] for name in fields}
        run = arms.Run(**own | {"changed": tuple(tuple(each) for each in own["changed"])})
        assert run.key == line["key"]
    assert {line["world"] for line in lines} == {"demo", "real", "natural"}


@pytest.mark.parametrize("arm", ["boxes", "masks", "traces", "gaze"])
def test_an_arm_of_another_byproduct_has_its_control_and_depends_on_its_own_defaults(arms, monkeypatch, arm):
    run, control = (arms.Run("demo", "vit", name, 0, 250) for name in (arm, f"shuffled-{arm}"))
    assert arms.ARMS[run.arm] == arms.ARMS[control.arm]
    assert run.options.get("background_radius") == (0.35 if arm == "traces" else None)
    clicks = arms.Run("demo", "vit", "luab", 0, 250)
    before = run.key, clicks.key
    monkeypatch.setattr("luab_trainer.data.area_mix.HOLES", (0.2, 0.3))
    assert (run.key == before[0], clicks.key == before[1]) == (arm == "traces", True)
    assert len({run.key, control.key, clicks.key}) == 3


def test_regions_are_where_the_objects_are_drawn(worlds, tmp_path):
    import regions

    raw = worlds.write_release(tmp_path / "raw", 0, 3, 0, progress=False)
    boxes = worlds._boxes(raw / "boxes_train.csv")
    train = datasets.Dataset.from_list(
        [
            {
                "image": {"bytes": (raw / "images" / "train" / file).read_bytes(), "path": None},
                "image_id": file.removesuffix(".JPEG"),
                "label": label // 3,
                "annotations": [
                    {"mouse_tracking": [{"x": 0.1, "y": 0.2, "time": 5}, {"x": 0.3, "y": 0.4, "time": 21}]}
                ],
            }
            for label, file in enumerate(boxes)
        ]
    )
    (tmp_path / "world" / "train").mkdir(parents=True)
    train.cast_column("image", datasets.Image()).to_parquet(tmp_path / "world" / "train" / "train.parquet")
    regions.add_regions(tmp_path / "world", 0, 3)
    regions.add_regions(tmp_path / "world", 0, 3)  # nothing to do
    rows = datasets.load_dataset(str(tmp_path / "world" / "regions"), split="train")
    assert rows["image_id"] == train["image_id"]
    for row, box in zip(rows, boxes.values(), strict=True):
        inside = np.asarray(row["masks"][0]["image"]) == 255
        pixels = np.asarray(row["image"], float).max(axis=-1)
        assert pixels[inside].mean() > pixels[~inside].mean() + 40  # objects are lighter
        ((x, y, width, height),) = row["objects"]["bbox"]
        assert (x, y, x + width - 1, y + height - 1) == box
        whole = np.zeros_like(inside)
        whole[int(y) : int(y + height), int(x) : int(x + width)] = True
        assert not inside[~whole].any()
        assert inside[int(y)].any() and inside[int(y + height) - 1].any()
        assert row["objects"]["category"] == [row["label"]]
        (path,) = row["scanpaths"]
        assert path["x"] == pytest.approx([0.1, 0.3]) and path["y"] == pytest.approx([0.2, 0.4])
        assert path["time"] == [0, 16]


def test_jtt_repeats_what_the_first_model_gets_wrong(evidence, tmp_path):
    import jtt

    model = tiny_model("vit")
    processor = ViTImageProcessor(size={"height": 32, "width": 32})
    pictures = [Image.fromarray(np.full((32, 32, 3), value, np.uint8)) for value in (0, 90, 255)]
    with torch.no_grad():
        right = model(processor(pictures, return_tensors="pt").pixel_values).logits.argmax(-1).tolist()
    labels = [right[0], (right[1] + 1) % 5, right[2]]
    rows = datasets.Dataset.from_dict(
        {"image": pictures, "label": labels},
        features=datasets.Features(
            {"image": datasets.Image(), "label": datasets.ClassLabel(names=list("abcde"))}
        ),
    )
    rows.to_parquet(tmp_path / "train.parquet")
    options = {"loss": "none", "background_mix": 0.0, "report_to": "none", "use_cpu": True}
    trainer = LUABTrainer(
        model=model, args=LUABConfig(str(tmp_path / "run"), **options), processing_class=processor
    )
    found = jtt.rows_with_repeated_errors(trainer, tmp_path)
    assert found["label"] == [*labels, *[labels[1]] * (jtt.TIMES - 1)]


def test_the_tables_of_the_documentation_are_those_of_the_report(evidence_report):
    results = (BENCHMARKS / "evidence.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [json.loads(text) for text in results]
    reported = [line for line in lines if line["seed"] < evidence_report.CHOOSING]
    table = evidence_report.table(evidence_report.by_setting(reported)).splitlines()
    page = (BENCHMARKS.parent / "docs" / "evidence.md").read_text(encoding="utf-8").splitlines()
    shown = [row for row in page if row.startswith(("| demo | ", "| real | ", "| natural | "))]
    assert len(shown) == len(set(shown)) > 50
    assert set(shown) <= set(table)


def test_the_figures_of_the_readme_are_those_of_the_report(evidence_report):
    """The table of real objects: each row's figures, but without the intervals that it leaves out."""
    lines = [json.loads(text) for text in (BENCHMARKS / "evidence.jsonl").read_text().splitlines()]
    reported = [line for line in lines if line["seed"] < evidence_report.CHOOSING]
    report = [row.strip("| ").split(" | ") for row in table_rows(evidence_report, reported)]
    figures = {tuple(row[:3]): row[3:8] for row in report}
    models = {"MobileNetV1": "mobilenet", "ViT": "vit", "ConvNeXt": "convnext"}
    arms = {
        "plain": "plain",
        "the paper's point loss alone": "point",
        "the attention loss alone": "attention",
        "plain with CutMix": "cutmix",
        "LUAB": "luab",
        "LUAB, clicks shuffled (control)": "shuffled",
        "LUAB, clicks off the object (control)": "astray",
        "plain, backgrounds that say nothing (oracle)": "oracle",
    }
    page = (BENCHMARKS.parent / "README.md").read_text(encoding="utf-8")
    head = next(row for row in page.splitlines() if row.startswith("| model") and "gap closed" in row)
    table = page[page.index(head) :].split("\n\n")[0].splitlines()[2:]
    assert len(table) > 12
    for row in table:
        model, training, *shown = [cell.strip().strip("*") for cell in row.strip("|").split("|")]
        name, seeds = re.fullmatch(r"(.+?)(?:, (\d) seeds?)?", training).groups()
        named = models[model.removesuffix(", started")] + "-started" * model.endswith(", started")
        count, test, hard, pointing, closed = figures["real", named, arms[name]]
        assert (seeds or "5") == count, row
        assert shown[:3] == [test.split()[0], hard, pointing.split()[0]], row
        assert shown[3] == {"plain": "0", "oracle": "100"}.get(arms[name], closed), row


def table_rows(evidence_report, lines):
    return evidence_report.table(evidence_report.by_setting(lines)).splitlines()[2:]
