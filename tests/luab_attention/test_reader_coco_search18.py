"""COCO-Search18: a letterboxed display, boxes on it, targets that are not there."""

import json

from fixtures.converted import converted, near

TRIAL = {
    "name": "000000478726.jpg", "subject": 2, "task": "bottle", "condition": "present",
    "bbox": [140, 0, 350, 525], "X": [840, 100], "Y": [525, 1050], "T": [73, 166], "length": 2, "correct": 1,
    "RT": 1159, "split": "train",
}  # fmt: skip


def convert(tmp_path, *trials, **options):
    (tmp_path / "fixations.json").write_text(json.dumps(trials))
    options = {"image_size": (640, 480)} | options
    return converted(tmp_path / "out", "coco_search18", tmp_path / "fixations.json", **options)


def test_places_on_the_display_become_ratios_of_the_image(tmp_path):
    absent = TRIAL | {"name": "000000000007.jpg", "condition": "absent", "bbox": [1, 1, 2, 2]}
    found = convert(tmp_path, TRIAL, TRIAL | {"subject": 3}, absent)
    row = found.rows["000000478726"]
    first, second = row["scanpaths"]
    assert first["x"] == near([0.5, -0.0285714]) and first["y"] == near([0.5, 1.0])
    assert first["duration"] == [73, 166] and "time" not in first
    assert (first["annotator"], second["annotator"], first["task"]) == ("2", "3", "bottle")
    assert row["objects"] == {"bbox": [near([0, 0, 160, 240])], "category": [0]}
    assert first["label"] == 0 and row["labels"] == [0]
    other = found.rows["000000000007"]
    assert other["objects"]["bbox"] == [] and other["labels"] == [] and other["scanpaths"][0]["label"] == -1
    facts = found.manifest.facts
    assert facts["points compared with true boxes or masks"] == 4  # both subjects'


def test_a_rejected_trial_takes_no_box_from_the_others(tmp_path):
    bad = TRIAL | {"X": [1e9, 100]}
    found = convert(tmp_path, bad, TRIAL | {"subject": 3}, TRIAL | {"subject": 4}, TRIAL | {"task": "tv"})
    row = found.rows["000000478726"]
    assert row["objects"] == {"bbox": [near([0, 0, 160, 240])] * 2, "category": [0, 1]}
    assert list(found.rejects) == ["fixations.json, trial 1"] and len(row["scanpaths"]) == 3


def test_a_box_out_of_the_image_is_rejected_without_its_trial(tmp_path):
    found = convert(
        tmp_path, TRIAL | {"bbox": [1500, 500, 60, 100]}, TRIAL | {"bbox": [1, 2, 3], "subject": 3}
    )
    row = found.rows["000000478726"]
    assert [path["annotator"] for path in row["scanpaths"]] == ["2", "3"] and row["objects"]["bbox"] == []
    assert row["labels"] == [0]
    assert sorted(found.rejects) == ["fixations.json, trial 1, box", "fixations.json, trial 2, box"]


def test_every_bad_trial_is_rejected_with_its_reason(tmp_path):
    bad = [TRIAL | {"T": [1]}, TRIAL | {"length": 3}, TRIAL | {"X": ["a", 1]}, TRIAL | {"name": ""}, 3]
    bad += [TRIAL | {"bbox": [5000, 1, 2, 2], "task": "tv"}, TRIAL | {"X": [], "Y": [], "T": [], "length": 0}]
    found = convert(tmp_path, TRIAL, *bad)
    names = [f"trial {number}" for number in (2, 3, 4, 5, 6)] + ["trial 7, box", "trial 8"]
    reasons = [found.rejects[f"fixations.json, {name}"] for name in names]
    texts = [
        "2, 2 and 1",
        "length is 3",
        "X[0] is 'a'",
        "name is ''",
        "'name'",
        "reaches out",
        "without a sample",
    ]
    assert [text in reason for text, reason in zip(texts, reasons, strict=True)] == 7 * [True], reasons
